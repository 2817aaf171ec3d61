"""The test suites of other projects, out of the sdists of the versions that uv.lock names."""

import hashlib
import io
import shutil
import tarfile
import tomllib
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".tools" / "peers"

# Seconds without a byte of a download.
DOWNLOAD_SECONDS = 60


@dataclass(frozen=True)
class Suite:
    """A project's tests: those of its modules whose path has one of the `words`, or all."""

    project: str
    words: tuple[str, ...] = ()

    def modules(self, folder: Path) -> list[str]:
        """What pytest is to run, in the unpacked sdist."""
        if not self.words:
            return ["tests"]
        found = sorted(path.relative_to(folder).as_posix() for path in (folder / "tests").rglob("test_*.py"))
        return [path for path in found if any(word in path for word in self.words)]


# The rest of FastAPI's tests are about parameters, documents and schemas: nothing of a server's.
SUITES = (Suite("starlette"), Suite("fastapi", ("_sse", "server_sent", "stream", "respon")))


def unpacked(project: str) -> Path:
    """The folder of its sdist, fetched unless it is there already."""
    locked = _locked(project)
    folder = CACHE / f"{project}-{locked['version']}"
    if not folder.is_dir():
        data = _fetched(locked["sdist"]["url"], locked["sdist"]["hash"])
        fresh = CACHE / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(fresh, filter="data")
        (fresh / folder.name).rename(folder)  # whole, or not there
    return folder


def _locked(project: str) -> dict[str, Any]:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    found: dict[str, Any] = next(package for package in packages if package["name"] == project)
    return found


def _fetched(url: str, expected: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:
        data: bytes = answer.read()
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != expected:
        raise ValueError(f"{url} has {found}, and uv.lock says {expected}")
    return data
