"""`make demo`, and with WHOLE=1 `make test`, in places where nobody who wrote them works."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.places.place import (
    MIB,
    Checkout,
    LeftOut,
    finished,
    little_memory,
    make_environments,
    no_network,
    tool,
    unpacked,
    went_nowhere,
)

SAMPLE_BYTES = 9_000_000  # two parts
MAKE_SECONDS = 300
DEMO_SECONDS = 240
WHOLE_SECONDS = 3600
OPEN_FILES = 256  # what macOS gives a process
MEMORY = 2048 * MIB
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
SAME = 4  # two digests, each in the record and in the download


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    """The checkout of a stranger, whose environments were made by two `make` at once."""
    try:
        with unpacked(as_stranger=True) as copy:
            make_environments(copy, [], at_once=2, seconds=MAKE_SECONDS)
            yield copy
    except LeftOut as reason:
        pytest.skip(str(reason))


@pytest.fixture
def place(checkout: Checkout) -> Iterator["Place"]:
    with ExitStack() as closing:
        yield Place(checkout, closing)


class Place:
    """Where the next `make` runs: at first in a shell with a PATH and a HOME."""

    def __init__(self, checkout: Checkout, closing: ExitStack) -> None:
        self.checkout = checkout
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(checkout.home)}
        self.counters = checkout.folder / "counters"
        self._closing = closing
        self._wraps: list[list[str]] = []
        self._script = ""
        self._arguments: list[str] = []

    def with_rubbish(self) -> None:
        self.environ |= self.checkout.rubbish()

    def without_home(self) -> None:
        del self.environ["HOME"]

    def with_home_that_is_read_only(self) -> None:
        home = self.checkout.folder / "read-only"
        home.mkdir(exist_ok=True)
        self.checkout.own(home).chmod(0o555)
        self.environ["HOME"] = str(home)

    def without_network(self) -> None:
        self._wraps.append(self._closing.enter_context(no_network(self.counters)))

    def with_little_memory(self) -> None:
        self._wraps.append(self._closing.enter_context(little_memory(MEMORY)))

    def with_few_files(self) -> None:
        self._script += f"ulimit -n {OPEN_FILES}; "

    def without_stdin(self) -> None:
        self._script += "exec <&-; "

    def with_bare_path(self) -> None:
        """No node, go, cargo or docker, and not even a Python beside the environment's own."""
        folder = self.checkout.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name in ("make", "sh", "env", "cat", "mkdir", "touch", "ps", "awk"):
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(tool(name))
        self.environ["PATH"] = str(folder)

    def from_another_folder(self) -> None:
        self._script += "cd /; "
        self._arguments += ["-C", str(self.checkout.root)]

    def in_parallel(self) -> None:
        self._arguments.append("-j4")

    def make(self, *arguments: str) -> subprocess.Popen[str]:
        return self.checkout.start(
            *("make", *self._arguments, *arguments), environ=self.environ, wraps=self._wraps, script=self._script
        )

    def demo(self) -> None:
        """Run it; it has to say of each digest that it is the same everywhere."""
        show_the_same(self.make("demo", f"FILE={self.checkout.file(SAMPLE_BYTES)}"))


def show_the_same(demo: subprocess.Popen[str]) -> None:
    said = finished(demo, DEMO_SECONDS)
    assert (said.count("the same in"), said.count("ANOTHER in")) == (SAME, 0), said


ODD: list[Callable[[Place], None]] = [
    Place.with_rubbish,
    Place.without_home,
    Place.with_home_that_is_read_only,
    Place.with_bare_path,
    Place.without_stdin,
    Place.from_another_folder,
    Place.in_parallel,
    Place.without_network,
    Place.with_few_files,
    Place.with_little_memory,
]


def in_all(place: Place) -> None:
    """All of it at once: what one of them needs another may take away."""
    for odd in ODD:
        if odd is not Place.with_home_that_is_read_only:
            odd(place)


@pytest.mark.parametrize("odd", [*ODD, in_all], ids=lambda odd: odd.__name__)
def test_the_demo(place: Place, odd: Callable[[Place], None]) -> None:
    """A file comes back as it was sent; and where that can be seen, nothing was meant for another machine."""
    try:
        odd(place)
    except LeftOut as reason:
        pytest.skip(str(reason))
    place.demo()
    if place.counters.exists():
        assert went_nowhere(place.counters) == 0
        place.counters.unlink()


def test_two_demos_at_once(place: Place) -> None:
    """Neither takes the other's ports, folder or environment."""
    file = place.checkout.file(SAMPLE_BYTES)
    for demo in [place.make("demo", f"FILE={file}") for _ in range(2)]:
        show_the_same(demo)


def interpreter(version: str) -> str | None:
    """One that runs, on the PATH or among pyenv's."""
    found = shutil.which(f"python{version}")
    named = [Path(found)] if found else []
    for path in [*named, *Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}")]:
        if subprocess.run([path, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
            return str(path)
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_the_demo_on_python(version: str) -> None:
    """`make PYTHON=...` makes its environments of that interpreter, and the demo runs on it."""
    path = interpreter(version)
    if path is None:
        pytest.skip(f"there is no Python {version} here")
    with unpacked(as_stranger=False) as copy, ExitStack() as closing:
        make_environments(copy, [f"PYTHON={path}"], at_once=1, seconds=MAKE_SECONDS)
        used = subprocess.run([copy.root / ".venv/bin/python", "--version"], capture_output=True, text=True, check=True)
        assert used.stdout.startswith(f"Python {version}.")
        Place(copy, closing).demo()


@pytest.mark.skipif(not os.environ.get("WHOLE"), reason="`make test` takes minutes: WHOLE=1 runs it here")
def test_the_tests(place: Place) -> None:
    """`make test` holds with everything against it but the memory, which pytest's own processes share."""
    try:
        for odd in (Place.with_rubbish, Place.without_home, Place.without_stdin, Place.without_network):
            odd(place)
    except LeftOut as reason:
        pytest.skip(str(reason))
    place.with_few_files()
    finished(place.make("test"), WHOLE_SECONDS)
