"""The image that `sam local invoke` puts the functions into: AWS's own, or a stand-in where that is out of reach.

The stand-in is a Debian with the Python of the functions' runtime and awslambdaric, laid out as AWS's image is. The
emulator comes from the SAM CLI in both. boto3 is not in it, on purpose: the functions have to bring their own.
"""

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.sam.engine import SBIN, Engine, NotHere

PYTHON = "3.13"  # the template's runtime
SUITE = "trixie"  # the Debian with that Python
AWS_IMAGE = f"public.ecr.aws/lambda/python:{PYTHON}"
STAND_IN = f"sluice-stand-in:python{PYTHON}"
PULL_SECONDS = 300

ENVIRONMENT = {
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LANG": "en_US.UTF-8",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": "/opt/python:/var/runtime",
    "TZ": ":/etc/localtime",
}

BOOTSTRAP = f"""\
#!/bin/sh
# AWS's own in short: an exec wrapper gets the command that would have run.
export AWS_EXECUTION_ENV=AWS_Lambda_python{PYTHON}
cd /var/task
exec $AWS_LAMBDA_EXEC_WRAPPER /var/lang/bin/python{PYTHON} -m awslambdaric "$_HANDLER"
"""


def invoke_image(docker: Engine, cache: Path) -> str:
    """The name of the image in the engine; `cache` is where the stand-in is kept between runs. Raises NotHere."""
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    wanted = f"{AWS_IMAGE}-{machine}"
    if docker.succeeds("image", "inspect", wanted) or docker.succeeds("pull", wanted, seconds=PULL_SECONDS):
        return wanted
    archive = _archive(cache)
    changes = [option for name, value in ENVIRONMENT.items() for option in ("--change", f"ENV {name}={value}")]
    docker("import", "--change", "WORKDIR /var/task", *changes, str(archive), STAND_IN)
    return STAND_IN


def _archive(cache: Path) -> Path:
    """The stand-in's file system as a tar, made once for each recipe."""
    ric = f"awslambdaric=={importlib.metadata.version('awslambdaric')}"
    recipe = f"{SUITE} {PYTHON} {ric} {platform.machine()} {BOOTSTRAP}"
    archive = cache / f"stand-in-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if archive.exists():
        return archive
    path = f"{os.environ.get('PATH', os.defpath)}:{SBIN}"
    if os.geteuid() != 0 or not shutil.which("debootstrap", path=path):
        raise NotHere(f"{AWS_IMAGE} cannot be pulled, and making a stand-in takes root and debootstrap")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sluice-stand-in-", dir="/var/tmp") as folder:
        root = Path(folder) / "root"
        _make_root(root, ric, {**os.environ, "PATH": path})
        unfinished = archive.with_suffix(".part")
        subprocess.run(["tar", "--create", "--file", unfinished, "--directory", root, "."], check=True)
        unfinished.rename(archive)
    return archive


def _make_root(root: Path, ric: str, environment: dict[str, str]) -> None:
    debootstrap = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", SUITE, str(root)]
    made = subprocess.run(debootstrap, check=False, env=environment, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        raise NotHere(f"{AWS_IMAGE} cannot be pulled, and debootstrap failed:\n{made.stdout[-2000:]}")
    for unneeded in ("usr/share/doc", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / unneeded, ignore_errors=True)
    runtime, bin_ = root / "var/runtime", root / "var/lang/bin"
    for folder in (runtime, bin_, root / "var/task", root / "opt"):
        folder.mkdir(parents=True, exist_ok=True)
    (bin_ / f"python{PYTHON}").symlink_to(f"/usr/bin/python{PYTHON}")
    (runtime / "bootstrap").write_text(BOOTSTRAP)
    (runtime / "bootstrap").chmod(0o755)
    uv = ["uv", "pip", "install", "--quiet", "--python-version", PYTHON, "--only-binary", ":all:", "--target"]
    subprocess.run([*uv, str(runtime), ric], env=environment, check=True)
