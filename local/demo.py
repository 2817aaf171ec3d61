"""`make demo`: files through all of Sluice on this machine, compared at the end with what hashlib says of them.

One file goes in and comes out. Then a folder goes in, is shared by a link, and comes out as one archive.
"""

import argparse
import hashlib
import json
import os
import re
import selectors
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from rich.console import Console
from rich.table import Table

from local.guard import Guard

ROOT = Path(__file__).parent.parent
SAMPLE_BYTES = 64 * 1024 * 1024  # eight parts: enough to see them run in parallel
START_SECONDS = 120  # a cold machine imports moto and boto3 several times over
STOP_SECONDS = 20
PARENT_LOOK_S = 0.5  # seconds between two looks whether the process of `--parent` still runs
TAIL_LINES = 40
DIGESTS = ("sha-256", "md5")
FOLDER = "holiday"
# What is in it, in bytes. Less than 6 MB in all: what a Function URL sends beyond that comes at 2 MB/s.
FOLDER_FILES = {
    "letter.txt": 2_345,
    "empty.txt": 0,
    "photos/sea.jpg": 1_400_000,
    "photos/2026/sea.jpg": 1_200_000,
    "photos/2026/sunset \N{SUNRISE OVER MOUNTAINS}.jpg": 900_000,
    **{f"notes/{number:02}.md": 1_000 * number for number in range(1, 25)},
}
PIECE_BYTES = 1024 * 1024


class DemoError(Exception):
    """A step of the demo failed; the text says which and how."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--file", type=Path, help="what to send through alone; else 64 MiB of random bytes, and a folder of files"
    )
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process, which started it, has ended")
    said = parser.parse_args()
    file: Path | None = said.file
    # However the demo is ended, its processes and its folder go with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores one of them
            signal.signal(number, signal.default_int_handler)
    if said.parent is not None:
        threading.Thread(target=_end_with, args=(said.parent,), daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-demo-") as folder:
            run(file, Path(folder))
    except (DemoError, OSError) as error:
        _leave(f"demo: {error}", 1)
    except KeyboardInterrupt:
        _leave("demo: interrupted", 130)


def _end_with(parent: int) -> None:
    """Interrupt this process when it is no longer the child of `parent`: SIGKILL to make reaches nobody else."""
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


def run(file: Path | None, folder: Path) -> None:
    """The demo, with `folder` for what it makes. Raises DemoError."""
    original = _checked(file) if file else _sample(folder / "sample.bin")
    expected = _digests(original)
    with closing(Guard()) as guard:
        _say("starting the local stack")
        with _stack(folder, guard) as stack:
            put = _sluice(stack, guard, "put", "--json", "--", str(original))
            downloaded, seconds = _downloaded(stack, guard, put["file"]["id"])
            shared = None if file else _hand_on(stack, guard, folder)
    found = {"the record": put["file"]["digests"], "the download": downloaded}
    _summary(original.stat().st_size, put["seconds"] | {"download": seconds}, expected, found)
    wrong = [
        f"{where}'s {name}" for where, digests in found.items() for name in DIGESTS if digests[name] != expected[name]
    ]
    if wrong:
        raise DemoError(f"{' and '.join(wrong)} is not that of the original")
    if shared:
        _tell_shared(shared)


@dataclass(frozen=True)
class _Shared:
    """A folder that was handed on: what the share says of it, and the digests of the originals and of what came out."""

    share: dict[str, Any]
    verified: int  # files, in the server's records
    expected: dict[str, str]
    found: dict[str, str]


def _hand_on(stack: "_Stack", guard: Guard, folder: Path) -> _Shared:
    """A folder in; a share made of it; all of it out again by the share's link, as one archive. Raises DemoError."""
    top = folder / FOLDER
    for name, size in FOLDER_FILES.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    with _command(stack, guard, "put", "-r", "--quiet", "--json", str(top)) as stdout:
        sent = [json.loads(line)["file"] for line in stdout]
    share = _sluice(stack, guard, "share", "--folder", FOLDER, "--max-downloads", "1", "--json")
    archive = folder / "archive.zip"
    _sluice(stack, guard, "get", "--share", share["links"]["page"], "--archive", "--json", "--output", str(archive))
    with zipfile.ZipFile(archive) as packed:
        found = {name: hashlib.sha256(packed.read(name)).hexdigest() for name in packed.namelist()}
    expected = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in top.rglob("*")
        if path.is_file()
    }
    return _Shared(share, sum(file["verified"] for file in sent), expected, found)


def _tell_shared(shared: _Shared) -> None:
    """Raises DemoError where the archive is not what went in."""
    files, share = len(shared.expected), shared.share
    if shared.verified != files:
        raise DemoError(f"of {files} files in {FOLDER}/ {shared.verified} are verified")
    if shared.found != shared.expected:
        wrong = sorted(name for name, _ in shared.expected.items() ^ shared.found.items())
        raise DemoError(f"the archive is not what went in: {', '.join(wrong[:5])}")
    print(f"folder   {FOLDER}/, {files} files, {share['size']:,} bytes: all verified")
    print(f"share    {share['links']['page'].partition('#')[0]}#share=..., for {share['max_downloads']} download")
    print(f"archive  taken by that link: all {files} files are the same")


@dataclass(frozen=True)
class _Stack:
    api: str
    token: str


@contextmanager
def _stack(folder: Path, guard: Guard) -> Iterator[_Stack]:
    """`python -m local.up`, on free ports, until the block ends. Whatever goes wrong meanwhile shows its last words."""
    log = folder / "stack.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.up", "--parent", str(os.getpid())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            # Ctrl-C at the terminal must reach the demo alone, which then ends the stack in order.
            start_new_session=True,
        )
    guard.watch(process.pid)
    try:
        ready = _ready(cast(IO[bytes], process.stdout))
        yield _Stack(ready["api"], ready["token"])
    except (DemoError, OSError):
        lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        print("the local stack's last lines:", *lines, sep="\n  ", file=sys.stderr)
        raise
    finally:
        _stop(process, guard)


def _ready(stdout: IO[bytes]) -> dict[str, Any]:
    """What the stack's line `ready {...}` says. Raises DemoError when it does not come."""
    line, deadline = b"", time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(deadline - time.monotonic()):
                raise DemoError(f"the local stack was not ready after {START_SECONDS} s")
            if not (more := os.read(stdout.fileno(), 4096)):
                raise DemoError("the local stack did not start")
            line += more
    word, _, document = line.decode().partition(" ")
    if word != "ready":
        raise DemoError(f"the local stack said {word!r} where `ready` was expected")
    answer: dict[str, Any] = json.loads(document)
    return answer


def _stop(process: subprocess.Popen[bytes], guard: Guard) -> None:
    """Ask, wait, and then insist: also when a second Ctrl-C cuts the waiting short."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        guard.end(process.pid)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _sluice(stack: _Stack, guard: Guard, *arguments: str) -> dict[str, Any]:
    """The JSON line that the `sluice` command prints; its progress goes on to the terminal. Raises DemoError."""
    with _command(stack, guard, *arguments) as stdout:
        line = stdout.read()
    answer: dict[str, Any] = json.loads(line)
    return answer


def _downloaded(stack: _Stack, guard: Guard, file_id: str) -> tuple[dict[str, str], float]:
    """The digests of what `sluice get` writes, which is kept nowhere, and the seconds from its first byte to its last.

    Raises DemoError.
    """
    digests = {name: hashlib.new(name.replace("-", "")) for name in DIGESTS}
    with _command(stack, guard, "get", "--output", "-", file_id) as stdout:
        began: float | None = None
        while piece := stdout.read(PIECE_BYTES):
            began = began or time.monotonic()
            for digest in digests.values():
                digest.update(piece)
        seconds = time.monotonic() - began if began else 0.0
    return {name: digest.hexdigest() for name, digest in digests.items()}, seconds


@contextmanager
def _command(stack: _Stack, guard: Guard, *arguments: str) -> Iterator[IO[bytes]]:
    """The stdout of a `sluice` command. Raises DemoError where the command fails, once the block has read all of it."""
    _say(f"sluice {arguments[0]}")
    # The shell's proxies, in either case, and its certificates must not get in the way of loopback.
    kept = {name: value for name, value in os.environ.items() if not re.search("_proxy$|^ssl_cert_", name.lower())}
    process = subprocess.Popen(
        [sys.executable, "-m", "sluice_client", *arguments],
        env=kept | {"SLUICE_API": stack.api, "SLUICE_TOKEN": stack.token},
        stdout=subprocess.PIPE,
        start_new_session=True,  # a group of its own, for the guard
    )
    guard.watch(process.pid)
    try:
        with cast(IO[bytes], process.stdout) as stdout:
            yield stdout
        process.wait()
    finally:
        guard.end(process.pid)
        process.wait()
    if process.returncode:
        raise DemoError(f"`sluice {arguments[0]}` ended with exit code {process.returncode}")


def _checked(file: Path) -> Path:
    """The file that a person named. Raises DemoError when it is none that can be read twice."""
    try:
        kind = file.stat().st_mode
        if not stat.S_ISREG(kind):
            what = "is a folder" if stat.S_ISDIR(kind) else "is no regular file"
            raise DemoError(f"{file} {what}: name a file with FILE=path, or none for random bytes")
        with file.open("rb"):
            return file.resolve()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DemoError(f"cannot read {file}: {why}. Name a file with FILE=path, or none for random bytes") from error


def _sample(path: Path) -> Path:
    with path.open("wb") as file:
        for _ in range(SAMPLE_BYTES // 2**20):
            file.write(os.urandom(2**20))
    return path


def _digests(path: Path) -> dict[str, str]:
    """What hashlib says, by RFC 9530 name."""
    digests = {}
    for name in DIGESTS:
        with path.open("rb") as file:
            digests[name] = hashlib.file_digest(file, name.replace("-", "")).hexdigest()
    return digests


def _summary(size: int, seconds: dict[str, float], expected: dict[str, str], found: dict[str, dict[str, str]]) -> None:
    console = Console()
    rates = Table("", "bytes", "seconds", "MB/s")
    for column in rates.columns[1:]:
        column.justify = "right"
    for phase in ("upload", "hash", "download"):
        rate = f"{size / seconds[phase] / 1e6:,.1f}" if size and seconds[phase] else "-"
        rates.add_row(phase, f"{size:,}", f"{seconds[phase]:.2f}", rate)
    console.print(rates)
    for name in DIGESTS:
        print(f"{name:<8} {expected[name]}")
        for where, digests in found.items():
            print(f"         {'the same in' if digests[name] == expected[name] else 'ANOTHER in'} {where}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _leave(text: str, code: int) -> NoReturn:
    _say(text)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
