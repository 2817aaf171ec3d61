"""`make demo`: one file through all of Sluice on this machine, compared at the end with what hashlib says of it."""

import argparse
import hashlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
SAMPLE_BYTES = 64 * 1024 * 1024  # eight parts: enough to see them run in parallel
START_SECONDS = 120  # a cold machine imports moto and boto3 several times over
STOP_SECONDS = 20
TAIL_LINES = 40
DIGESTS = ("sha-256", "md5")
PIECE_BYTES = 1024 * 1024


class DemoError(Exception):
    """A step of the demo failed; the text says which and how."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--file", type=Path, help="what to send through; else 64 MiB of random bytes")
    file: Path | None = parser.parse_args().file
    # However the demo is ended, its processes and its folder go with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores one of them
            signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-demo-") as folder:
            run(file, Path(folder))
    except (DemoError, OSError) as error:
        _leave(f"demo: {error}", 1)
    except KeyboardInterrupt:
        _leave("demo: interrupted", 130)


def run(file: Path | None, folder: Path) -> None:
    """The demo, with `folder` for what it makes. Raises DemoError."""
    original = file.resolve() if file else _sample(folder / "sample.bin")
    expected = _digests(original)
    _say("starting the local stack")
    with _stack(folder) as stack:
        put = _sluice(stack, "put", "--json", "--", str(original))
        downloaded, seconds = _downloaded(stack, put["file"]["id"])
    found = {"the record": put["file"]["digests"], "the download": downloaded}
    _summary(original.stat().st_size, put["seconds"] | {"download": seconds}, expected, found)
    wrong = [
        f"{where}'s {name}" for where, digests in found.items() for name in DIGESTS if digests[name] != expected[name]
    ]
    if wrong:
        raise DemoError(f"{' and '.join(wrong)} is not that of the original")


@dataclass(frozen=True)
class _Stack:
    api: str
    token: str


@contextmanager
def _stack(folder: Path) -> Iterator[_Stack]:
    """`python -m local` on free ports, until the block ends. Whatever goes wrong meanwhile shows its last words."""
    log = folder / "stack.log"
    ports = dict.fromkeys(("SLUICE_API_PORT", "SLUICE_STREAM_PORT", "SLUICE_AWS_PORT"), "0")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=os.environ | ports,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            # Ctrl-C at the terminal must reach the demo alone, which then ends the stack in order.
            start_new_session=True,
        )
    try:
        ready = _ready(cast(IO[bytes], process.stdout))
        yield _Stack(ready["api"], ready["token"])
    except (DemoError, OSError):
        lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        print("the local stack's last lines:", *lines, sep="\n  ", file=sys.stderr)
        raise
    finally:
        _stop(process)


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


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, and then insist: also when a second Ctrl-C cuts the waiting short."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _sluice(stack: _Stack, *arguments: str) -> dict[str, Any]:
    """The JSON line that the `sluice` command prints; its progress goes on to the terminal. Raises DemoError."""
    with _command(stack, *arguments) as stdout:
        line = stdout.read()
    answer: dict[str, Any] = json.loads(line)
    return answer


def _downloaded(stack: _Stack, file_id: str) -> tuple[dict[str, str], float]:
    """The digests of what `sluice get` writes, which is kept nowhere, and the seconds from its first byte to its last.

    Raises DemoError.
    """
    digests = {name: hashlib.new(name.replace("-", "")) for name in DIGESTS}
    with _command(stack, "get", "--output", "-", file_id) as stdout:
        began: float | None = None
        while piece := stdout.read(PIECE_BYTES):
            began = began or time.monotonic()
            for digest in digests.values():
                digest.update(piece)
        seconds = time.monotonic() - began if began else 0.0
    return {name: digest.hexdigest() for name, digest in digests.items()}, seconds


@contextmanager
def _command(stack: _Stack, *arguments: str) -> Iterator[IO[bytes]]:
    """The stdout of a `sluice` command. Raises DemoError where the command fails, once the block has read all of it."""
    _say(f"sluice {arguments[0]}")
    with subprocess.Popen(
        [sys.executable, "-m", "sluice_client", *arguments],
        # A proxy of this machine's must not get in the way of loopback.
        env=os.environ | {"SLUICE_API": stack.api, "SLUICE_TOKEN": stack.token, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield cast(IO[bytes], process.stdout)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise DemoError(f"`sluice {arguments[0]}` ended with exit code {process.returncode}")


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
