"""The requirements of functions and layers, installed by uv: once for each content of a `requirements.txt`."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from local.terminal import say

FILE = "requirements.txt"

# What Lambda's managed runtime has by itself, as this stack has it.
MANAGED = ("awslambdaric", "boto3")

# Lines of uv's own words that a failure shows.
TAIL_LINES = 10


Install = Callable[[tuple[str, ...], Path], None]


class InstallError(Exception):
    """The requirements could not be installed; the message says why and what to do."""


def interpreter(name: str, folder: Path, store: Path) -> Path:
    """A Python that has the requirements of that function's folder, and what Lambda's has, and nothing else."""
    managed = [f"{package}=={version(package)}" if package == "awslambdaric" else package for package in MANAGED]
    place = store / "environments" / _key(folder, *managed)

    def install(uv: tuple[str, ...], partial: Path) -> None:
        _run(name, *uv, "venv", "--quiet", "--python", sys.executable, str(partial))
        _run(name, *uv, "pip", "install", "--python", str(partial), "-r", str(folder / FILE), *managed)

    _once(name, place, install)
    return place / "bin" / "python"


def packages(name: str, folder: Path, store: Path) -> Path:
    """A folder with the requirements of that layer's folder."""
    place = store / "layers" / _key(folder)

    def install(uv: tuple[str, ...], partial: Path) -> None:
        target = ("--python", sys.executable, "--target", str(partial))
        _run(name, *uv, "pip", "install", *target, "-r", str(folder / FILE))

    _once(name, place, install)
    return place


def _key(folder: Path, *more: str) -> str:
    """Another for other requirements, another Python, another machine."""
    parts = [(folder / FILE).read_bytes(), sys.version.encode(), *map(str.encode, (sys.executable, *more))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _once(name: str, place: Path, install: Install) -> None:
    if place.is_dir():
        return
    began = time.monotonic()
    say(name, f"installs its {FILE} into {place}")
    # Under another name until it is whole, so that what breaks off is not taken for it.
    partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
    try:
        install(_uv(name), partial)
        try:
            partial.rename(place)
        except OSError:
            if not place.is_dir():  # another stack was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(name, f"has its requirements, after {time.monotonic() - began:.1f} s")


def _uv(name: str) -> tuple[str, ...]:
    beside = sorted(Path(__file__).parent.parent.glob(".tools/uv-*/bin/uv"))
    if beside:
        return (str(beside[-1]),)
    if found := shutil.which("uv"):
        return (found,)
    if find_spec("uv") is not None:
        return (sys.executable, "-m", "uv")
    raise InstallError(f"{name} has a {FILE}, and uv, which would install it, is not there: pip install uv")


def _run(name: str, *command: str) -> None:
    # The stack's own environment is none of its business, whatever the shell says.
    environ = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n  ".join(done.stderr.strip().splitlines()[-TAIL_LINES:])
        raise InstallError(
            f"{name}: uv cannot install its {FILE}. Mend it, or see that uv finds the packages:\n  {said}"
        )
