"""Programs that nobody here wrote take files out by both links, as a Function URL sends them.

The stack is as harsh as Lambda: beyond 6 MB a streamed answer has 2 MB/s, and its `Content-Length` comes under another
name (`x-amzn-remapped-content-length`).
"""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Stack, standing
from tests.integration.journey import MIB, client, ended, upload

# Set where the programs have to be there (continuous integration): what is missing is then a failure.
REQUIRED = "SLUICE_REQUIRE_CLIENTS"
SIZES = {"content": 9 * MIB + 1, "direct": 40 * MIB + 1}  # of what each link is for
ROWS = 5_000
SECONDS = 120  # of one program on a busy machine
PROXIES = re.compile("_proxy$", re.IGNORECASE)


@dataclass(frozen=True)
class Taken:
    """A ready file: where it is to be had, by the name of the link, and its bytes."""

    links: dict[str, str]
    data: bytes

    def is_in(self, path: Path) -> bool:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(self.data).digest()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Started here alone: the one that all tests share is told to linger, and these programs wait."""
    with standing(tmp_path_factory.mktemp("stack")) as up:
        yield up


@pytest.fixture(scope="module", params=SIZES)
def link(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def file(stack: Stack, link: str) -> Taken:
    return sent(stack, os.urandom(SIZES[link]), "random.bin")


@pytest.fixture(scope="module")
def table(stack: Stack) -> Taken:
    lines = [f"{row},{row * row},row {row}\r\n" for row in range(ROWS)]
    return sent(stack, ("number,square,name\r\n" + "".join(lines)).encode(), "table.csv")


def sent(stack: Stack, data: bytes, filename: str) -> Taken:
    with client(stack.api, stack.token) as api:
        return Taken(ended(api, upload(api, data, filename))["links"], data)


def run(program: str, *arguments: str, code: int = 0) -> str:
    """What the program says on stdout. Skips, or fails where it is required, when it is not here."""
    if shutil.which(program) is None:
        reason = f"{program} is not here"
        if os.environ.get(REQUIRED):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    environ = {name: value for name, value in os.environ.items() if not PROXIES.search(name)}
    done = subprocess.run(
        [program, *arguments], env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_stack_is_as_harsh_as_lambda(file: Taken) -> None:
    """What follows would prove little otherwise: a streamed length has another name."""
    answer = httpx.get(file.links["content"], headers={"Range": "bytes=0-9"}, trust_env=False)
    assert "content-length" not in answer.headers
    assert answer.headers["x-amzn-remapped-content-length"] == "10"


def test_aria2c_takes_it_over_eight_connections(file: Taken, link: str, tmp_path: Path) -> None:
    """`aria2c -x8`, each connection with a range of its own."""
    run(
        "aria2c",
        *("-x8", "-s8", "-k1M", "--no-conf", "--no-netrc", f"--dir={tmp_path}", "--out=got", file.links[link]),
    )
    assert file.is_in(tmp_path / "got")


@pytest.mark.parametrize("had", [0, 1, 3 * MIB])
def test_wget_goes_on_where_it_was(file: Taken, link: str, tmp_path: Path, had: int) -> None:
    """`wget -c` with nothing, a byte, and some MiB of it."""
    (tmp_path / "got").write_bytes(file.data[:had])
    run("wget", "--no-config", "-q", "-c", "-O", str(tmp_path / "got"), file.links[link])
    assert file.is_in(tmp_path / "got")


@pytest.mark.parametrize("had", [0, 1, 3 * MIB])
def test_curl_goes_on_where_it_was(file: Taken, link: str, tmp_path: Path, had: int) -> None:
    """`curl -C -` with nothing, a byte, and some MiB of it."""
    (tmp_path / "got").write_bytes(file.data[:had])
    run("curl", "-q", "-sSfL", "-C", "-", "-o", str(tmp_path / "got"), file.links[link])
    assert file.is_in(tmp_path / "got")


def test_rclone_copies_it(file: Taken, link: str, tmp_path: Path) -> None:
    """`rclone copyurl`, which asks once and checks the length where it is told one."""
    run("rclone", "--config", "", "copyurl", file.links[link], str(tmp_path / "got"))
    assert file.is_in(tmp_path / "got")


def test_ffprobe_knows_what_it_is(stack: Stack, link: str, tmp_path: Path) -> None:
    """A film whose index is at its end, so that ffprobe has to jump there."""
    film = tmp_path / "film.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-t", "5")
    run("ffmpeg", "-v", "error", *source, "-c:v", "mpeg4", "-q:v", "1", str(film))
    data = film.read_bytes()
    assert data.index(b"moov") > len(data) // 2
    made = sent(stack, data, film.name)
    shown = run("ffprobe", "-v", "error", "-show_streams", "-of", "json", made.links[link])
    (stream,) = json.loads(shown)["streams"]
    assert (stream["width"], stream["height"]) == (1280, 720)


READ = """
import sys
import fsspec, pandas
with fsspec.open(sys.argv[1]) as file:
    table = pandas.read_csv(file)
print(len(table), int(table["square"].sum()))
"""


def test_pandas_reads_it_over_fsspec(table: Taken, link: str) -> None:
    """A CSV, as a notebook opens it."""
    rows = list(csv.DictReader(table.data.decode().splitlines()))
    expected = f"{len(rows)} {sum(int(row['square']) for row in rows)}\n"
    assert run(sys.executable, "-c", READ, table.links[link]) == expected
