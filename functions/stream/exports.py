"""All of an owner's files as lines: JSON Lines, CSV, and what `sha256sum -c` reads.

An export is written page by page, as the pages are read, so that its memory does not depend on how many files there
are. What breaks it off never looks like its end: the last chunk of the answer does not come.
"""

import csv
import io
import json
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, ClassVar

from anyio.to_thread import run_sync
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from functions.stream.leases import held
from sluice.files import File, Status
from sluice.open_streams import Lease

# Every digest that a file can have, each a column.
DIGESTS = ("sha-256", "md5", "sha-512", "sha", "crc64nvme", "crc32c", "crc32")
COLUMNS = (
    *("id", "status", "filename", "folder", "size", "content_type", "verified", *DIGESTS),
    *("reason", "drop", "created_at", "updated_at", "expires_at", "revision", "received_bytes", "hashed_bytes"),
    *("mode", "etag", "version_id", "metadata", "mismatch"),
)
# What spreadsheets take for the beginning of a formula, https://owasp.org/www-community/attacks/CSV_Injection, with the
# wide forms of the signs; and the apostrophe that says otherwise, so that one can be taken off again.
FORMULA = re.compile(r"[=+\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]")
WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)
COMPRESSION = 6  # zlib's default
GZIP = 16 + zlib.MAX_WBITS  # its words for a gzip header
MARGIN_SECONDS = 10.0  # before the invocation's end: the answer breaks off, rather than be cut off with its environment


class Unfinished(Exception):
    """More than one answer can hold, or more than an invocation can read."""


class Export(StreamingResponse):
    """An answer of lines that begins when its first page has been read: what fails before that is a problem."""

    filename: ClassVar[str]

    def __init__(
        self,
        pages: Iterable[list[File]],
        accept_encoding: str,
        most_bytes: int,
        seconds_left: Callable[[], float],
        lease: Lease | None,
    ) -> None:
        """Of `most_bytes`: a stream of Lambda has an end, of which nobody would hear."""
        self._lease = lease
        compress = accepts_gzip(accept_encoding)
        lines = self.lines(pages)
        self._chunks = within(gzipped(lines) if compress else lines, most_bytes, seconds_left)
        headers = {
            "Cache-Control": "private, no-store",
            "Content-Disposition": f'attachment; filename="{self.filename}"',
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        super().__init__(self._chunks, headers=headers | ({"Content-Encoding": "gzip"} if compress else {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with held(self._lease):
            try:
                await run_sync(next, self._chunks)
                await super().__call__(scope, receive, send)
            finally:
                self._chunks.close()

    @classmethod
    def lines(cls, pages: Iterable[list[File]]) -> Iterator[bytes]:
        """A chunk for each page with lines, and at least one: Function URLs may not end an answer without a body."""
        raise NotImplementedError


class JsonLines(Export):
    """https://jsonlines.org: each line is a file as the API shows it, without its links."""

    media_type = "application/jsonl"
    filename = "files.jsonl"

    @classmethod
    def lines(cls, pages: Iterable[list[File]]) -> Iterator[bytes]:
        yield from _or_a_blank_line("".join(map(cls._line, page)) for page in pages)

    @staticmethod
    def _line(file: File) -> str:
        return json.dumps(file.public(to_owner=True), ensure_ascii=False, separators=(",", ":")) + "\n"


class Csv(Export):
    """RFC 4180. A text that a spreadsheet would compute has an apostrophe before it."""

    media_type = "text/csv; charset=utf-8; header=present"
    filename = "files.csv"

    @classmethod
    def lines(cls, pages: Iterable[list[File]]) -> Iterator[bytes]:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for page in pages:
            writer.writerows(map(row, page))
            if text.tell():
                yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
        if text.tell():
            yield text.getvalue().encode()


class Sha256Sum(Export):
    """What `sha256sum -c` reads, below the folder that has them: the files that are ready."""

    media_type = "text/plain; charset=utf-8"
    filename = "files.sha256"

    @classmethod
    def lines(cls, pages: Iterable[list[File]]) -> Iterator[bytes]:
        yield from _or_a_blank_line("".join(cls._line(file) for file in page if cls._has(file)) for page in pages)

    @staticmethod
    def _has(file: File) -> bool:
        return file.status is Status.READY and "sha-256" in file.digests

    @staticmethod
    def _line(file: File) -> str:
        path = f"{file.folder}/{file.filename}" if file.folder else file.filename
        # As GNU coreutils write and read it: a line with an escaped name begins with a backslash.
        escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        mark = "" if escaped == path else "\\"
        # A file of this name would be read from standard input.
        return f"{mark}{file.digests['sha-256']}  {'./-' if escaped == '-' else escaped}\n"


def row(file: File) -> list[str | int | None]:
    """The cells of one file, in the order of COLUMNS; nothing for null."""
    shown = file.public(to_owner=True)
    shown |= shown["digests"]
    return [_cell(shown.get(name)) for name in COLUMNS]


def _cell(value: Any) -> str | int | None:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case str() if FORMULA.match(value):
            return f"'{value}"
        case _:
            found: str | int | None = value
            return found


def _or_a_blank_line(texts: Iterable[str]) -> Iterator[bytes]:
    empty = True
    for text in texts:
        if text:
            empty = False
            yield text.encode()
    if empty:
        yield b"\n"


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Each chunk so that it can be read as soon as it arrives."""
    compressor = zlib.compressobj(COMPRESSION, wbits=GZIP)
    for chunk in chunks:
        yield compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.flush()


def within(chunks: Iterator[bytes], most_bytes: int, seconds_left: Callable[[], float]) -> Generator[bytes, None, None]:
    """The chunks, after an empty one that says that the first is there. Raises Unfinished before one too many."""
    sent = 0
    for place, chunk in enumerate(chunks):
        if place == 0:
            yield b""
        elif seconds_left() < MARGIN_SECONDS:
            raise Unfinished("The invocation is over: go on after the last line that came.")
        sent += len(chunk)
        if sent > most_bytes:
            raise Unfinished(f"One answer has at most {most_bytes} bytes: go on after the last line that came.")
        yield chunk


def accepts_gzip(header: str) -> bool:
    """Whether Accept-Encoding allows gzip (RFC 9110, section 12.5.3): by its name, or else by `*`."""
    weights: dict[str, float] = {}
    for offer in header.lower().split(","):
        coding, *parameters = (part.strip() for part in offer.split(";"))
        weights[coding] = _weight(parameters)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if WEIGHT.fullmatch(value.strip()) else 0.0
    return 1.0
