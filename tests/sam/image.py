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
from typing import Protocol

PYTHON = "3.13"  # the template's runtime
SUITE = "trixie"  # the Debian with that Python
AWS_IMAGE = f"public.ecr.aws/lambda/python:{PYTHON}"
PULL_SECONDS = 300
# Debian has debootstrap in a folder that a plain user's PATH leaves out.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

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


class NotHere(Exception):
    """This machine lacks what is needed; the message says what, and how to get it."""


class Docker(Protocol):
    """The command line client of an engine."""

    def __call__(self, *arguments: str) -> str: ...

    def succeeds(self, *arguments: str, seconds: float | None = None) -> bool: ...


def invoke_image(docker: Docker, cache: Path) -> str:
    """The name of the image in the engine; `cache` is where the stand-in is kept between runs. Raises NotHere."""
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    wanted = f"{AWS_IMAGE}-{machine}"
    if docker.succeeds("image", "inspect", wanted) or docker.succeeds("pull", wanted, seconds=PULL_SECONDS):
        return wanted
    name, archive = stand_in(cache)
    if docker.succeeds("image", "inspect", name):
        return name
    changes = [option for name, value in ENVIRONMENT.items() for option in ("--change", f"ENV {name}={value}")]
    docker("import", "--change", "WORKDIR /var/task", *changes, str(archive), name)
    return name


def stand_in(cache: Path) -> tuple[str, Path]:
    """The stand-in's name, and its file system as a tar, which is made once for each recipe. Raises NotHere."""
    ric = f"awslambdaric=={importlib.metadata.version('awslambdaric')}"
    recipe = hashlib.sha256(f"{SUITE} {PYTHON} {ric} {platform.machine()} {BOOTSTRAP} {ENVIRONMENT}".encode())
    version = recipe.hexdigest()[:12]
    name, archive = f"sluice-stand-in:{version}", cache / f"stand-in-{version}.tar"
    if archive.exists():
        return name, archive
    if os.geteuid() != 0 or not shutil.which("debootstrap", path=PATH):
        raise NotHere(f"{AWS_IMAGE} cannot be pulled, and making a stand-in takes root and debootstrap")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sluice-stand-in-", dir="/var/tmp") as folder:
        root = Path(folder) / "root"
        _make_root(root, ric, {**os.environ, "PATH": PATH})
        unfinished = archive.with_suffix(".part")
        subprocess.run(["tar", "--create", "--file", unfinished, "--directory", root, "."], check=True)
        unfinished.rename(archive)
    return name, archive


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
