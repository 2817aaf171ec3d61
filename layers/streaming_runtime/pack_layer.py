"""Writes the layer as a ZIP, whose bytes are the same each time: `python pack_layer.py <folder>`."""

import stat
import sys
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a ZIP can name


def main(folder: Path) -> None:
    version = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["version"]
    package = sorted(path for path in (HERE / "streaming_runtime").iterdir() if path.is_file())
    files = {f"python/streaming_runtime/{path.name}": path for path in package}
    files["streaming-bootstrap"] = HERE / "streaming-bootstrap"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"streaming-runtime-layer-{version}.zip", "w", zipfile.ZIP_DEFLATED) as layer:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            mode = 0o755 if path.read_bytes().startswith(b"#!") else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            layer.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
