"""What the commands do, once the command line is understood."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sluice_client import downloads, errors, fingerprints, uploads
from sluice_client.contract import Sluice
from sluice_client.digests import SHA_256
from sluice_client.errors import SluiceError
from sluice_client.names import checksum_line, local_name, printable
from sluice_client.progress import Meter, amount, complain, say
from sluice_client.sources import Source
from sluice_client.states import Status

T = TypeVar("T")


class Commands:
    """The commands on one deployment. Each answers an exit code; results go to stdout, all else to stderr."""

    def __init__(self, api: str, token: str) -> None:
        self._sluice = Sluice(api, token)

    async def __aenter__(self) -> Self:
        await self._sluice.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._sluice.__aexit__(kind, error, traceback)

    async def put(self, paths: Sequence[Path], *, shown: str, connections: int, as_json: bool) -> int:
        """Uploads each, and prints its digest of the name `shown`."""

        key = _fingerprint_key()

        async def upload(path: Path) -> None:
            source = Source.open(path)
            fingerprint = fingerprints.fingerprint(source, key) if key else None
            # sha-256 is always among them: it is what `get` will compare.
            names = tuple({SHA_256, shown})
            with Meter(source.filename) as meter:
                done = await uploads.put(
                    self._sluice, source, meter, connections=connections, names=names, fingerprint=fingerprint
                )
            verdict = "verified" if done.file.verified else "hashed, not verified by the server; the digests are equal"
            say(f"{source.filename} is {done.file.id}: {verdict}")
            if as_json:
                _print_json(path, done.file.json, upload=done.upload_seconds, hash=done.hash_seconds)
            else:
                _print_line(checksum_line(done.digests[shown], str(path)))

        return await _each(upload, paths)

    async def get(self, file_id: str, output: str | None, *, force: bool, as_json: bool) -> int:
        """Downloads to `output`: a path, a folder, `-` for stdout, None for the file's own name here."""
        file = await self._sluice.file(file_id)
        with Meter(file.filename) as meter:
            if output == "-":
                await downloads.write(self._sluice, file, sys.stdout.buffer, meter)
                sys.stdout.buffer.flush()
                return errors.OK
            target = _target(output, local_name(file.filename, otherwise=file.id))
            seconds = await downloads.save(self._sluice, file, target, meter, force=force)
        held = "is verified:" if file.verified else "matches the sha-256 of the record, which is not verified:"
        say(f"{target} {held} {file.digests[SHA_256]}")
        if as_json:
            _print_json(target, file.json, download=seconds)
        return errors.OK

    async def ls(self, status: str | None, *, as_json: bool) -> int:
        async for file in self._sluice.files(status):
            if as_json:
                print(json.dumps(file.json))
            else:
                time = file.created_at[:19].replace("T", " ")
                shown = ("verified" if file.verified else "hashed") if file.status == Status.READY else file.status
                print(printable(f"{file.id}  {shown:<10}  {amount(file.size):>8}  {time}  {file.filename}"))
        return errors.OK

    async def rm(self, file_ids: Sequence[str]) -> int:
        async def delete(file_id: str) -> None:
            status = (await self._sluice.file(file_id)).status
            await self._sluice.delete(file_id)
            # The record of an upload stays for a week, to tell whoever watches what became of it.
            given_up = status in (Status.UPLOADING, Status.ABORTED)
            say(f"{file_id} is {'aborted: it leaves the list by itself' if given_up else 'deleted'}")

        return await _each(delete, file_ids)


async def _each(work: Callable[[T], Awaitable[None]], items: Sequence[T]) -> int:
    """Does `work` for each, whatever becomes of the others; answers the gravest exit code."""
    worst = errors.OK
    for item in items:
        try:
            await work(item)
        except SluiceError as error:
            complain(error)
            worst = max(worst, error.exit_code)
    return worst


def _fingerprint_key() -> bytes | None:
    try:
        return fingerprints.user_key()
    except OSError as error:
        say(f"sluice: uploads that are interrupted will not be resumed: {error}")
        return None


def _target(output: str | None, name: str) -> Path:
    path = Path(output or name)
    return path / name if output and (path.is_dir() or output[-1] in {os.sep, os.altsep}) else path


def _print_json(path: Path, file: dict[str, Any], **seconds: float) -> None:
    rounded = {phase: round(each, 3) for phase, each in seconds.items()}
    print(json.dumps({"path": str(path), "file": file, "seconds": rounded}), flush=True)


def _print_line(line: str) -> None:
    """A name goes to a terminal escaped, but to a file or a pipe byte for byte, for `sha256sum -c`."""
    if sys.stdout.isatty():
        print(printable(line), flush=True)
    else:
        sys.stdout.buffer.write(os.fsencode(line) + b"\n")
        sys.stdout.buffer.flush()
