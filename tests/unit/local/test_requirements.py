"""Requirements of functions and layers: installed once, and told when that fails."""

import subprocess
from pathlib import Path

import pytest

from local import requirements
from local.requirements import InstallError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that uv can build without any index: one module, and a build of its own."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n'
        '[project]\nname = "own"\nversion = "1"\n'
    )
    (folder / "build.py").write_text(
        "import zipfile, pathlib\n"
        "def build_wheel(folder, settings=None, metadata=None):\n"
        "    name = 'own-1-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(pathlib.Path(folder) / name, 'w') as wheel:\n"
        "        wheel.writestr('own.py', 'VALUE = 7')\n"
        "        wheel.writestr('own-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n')\n"
        "        wheel.writestr('own-1.dist-info/WHEEL',\n"
        "            'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        wheel.writestr('own-1.dist-info/RECORD', '')\n"
        "    return name\n"
    )
    return folder


def test_a_layers_packages_are_installed_once(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same content is the same folder, and the second time nothing is installed."""
    (tmp_path / "requirements.txt").write_text(f"own @ {package.as_uri()}\n")
    place = requirements.packages("Layer", tmp_path, tmp_path / "store")
    assert (place / "own.py").read_text() == "VALUE = 7"
    assert "[Layer] installs its requirements.txt" in capsys.readouterr().err
    assert requirements.packages("Other", tmp_path, tmp_path / "store") == place
    assert capsys.readouterr().err == ""
    assert [path.name for path in (tmp_path / "store" / "layers").iterdir()] == [place.name]


def test_what_cannot_be_installed_is_told(tmp_path: Path) -> None:
    """uv's own words say why; what it began is not taken for whole."""
    (tmp_path / "requirements.txt").write_text("own @ file:///none/such\n")
    for _ in range(2):
        with pytest.raises(InstallError, match=r"Layer: uv cannot install its requirements.txt[\s\S]*none/such"):
            requirements.packages("Layer", tmp_path, tmp_path / "store")
    assert not any((tmp_path / "store" / "layers").iterdir())


def test_interpreter_is_apart(package: Path, tmp_path: Path) -> None:
    """A function's Python has its requirements and the managed runtime's, and not this environment's."""
    (tmp_path / "requirements.txt").write_text(f"own @ {package.as_uri()}\n")
    python = requirements.interpreter("Function", tmp_path, tmp_path / "store")
    names = ["own", "boto3", "awslambdaric", "hypothesis"]
    code = f"import importlib.util as util; print([bool(util.find_spec(name)) for name in {names}])"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[True, True, True, False]"
