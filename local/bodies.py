"""The bodies of requests to S3: read piece by piece, decoded where they come in chunks, and held against what was said.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import IO, Protocol

from local.checksums import ALGORITHMS, PREFIX, Buffer, checksum
from local.refusal import Refused
from local.signatures import PAYLOADS, SIGNED_CHUNKS, UNSIGNED_CHUNKS, UNSIGNED_PAYLOAD, Chunks, Request, Signed

PIECE_BYTES = 1024 * 1024  # what a request holds in memory while it comes
LINE_BYTES = 1024  # of a chunk's size or a trailer, which are a few hundred at most
MOST_BYTES = 5 * 1024**3  # of a part or a PUT: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html


class Sink(Protocol):
    size: int

    def write(self, data: Buffer) -> object: ...

    def checksum(self, algorithm: str) -> str: ...


@dataclass
class Announced:
    """What a request says of its body before it comes."""

    size: int  # of the bytes that are meant, without those that only carry them
    sent: int  # of all bytes
    payload: str  # as x-amz-content-sha256 has it
    md5: str | None
    checksum: tuple[str, str] | None  # algorithm and value
    computed: str | None  # the algorithm whose value comes after the body, or not at all
    trailers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, payload: str) -> "Announced":
        """Raises Refused."""
        if request.header("transfer-encoding"):
            raise Refused(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
                {"Header": "Transfer-Encoding"},
            )
        length = request.header("content-length")
        if length is None and request.method in {"PUT", "POST"}:
            raise Refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        sent = int(length or 0)
        size = sent
        if payload in PAYLOADS - {UNSIGNED_PAYLOAD}:
            decoded = request.header("x-amz-decoded-content-length")
            if decoded is None or not decoded.isdecimal():
                raise Refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
            size = int(decoded)
        md5 = request.header("content-md5")
        if md5 is not None and _bytes(md5) != 16:
            raise Refused(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
        # Whoever completes an upload says the checksum of the object, and not of the list of parts in the body.
        completes = request.method == "POST" and "uploadId" in request.parameters()
        return cls(size, sent, payload, md5, None if completes else _checksum(request), _computed(request))

    @property
    def algorithms(self) -> set[str]:
        """What has to be computed of the body."""
        named = {self.checksum[0]} if self.checksum else set()
        if self.computed:
            named.add(self.computed)
        return named | ({"SHA256"} if self.payload not in PAYLOADS else set())


def receive(source: "Source", announced: Announced, signed: Signed | None, sink: Sink) -> None:
    """All of a body, which is what was announced. Raises Refused."""
    if announced.payload in SIGNED_CHUNKS | {UNSIGNED_CHUNKS}:
        pieces = _chunks(source, announced, Chunks(signed) if signed and announced.payload in SIGNED_CHUNKS else None)
    else:
        pieces = source.pieces(announced.sent)
    for piece in pieces:
        if sink.size + len(piece) > announced.size:
            raise _incomplete()
        sink.write(piece)
    if sink.size != announced.size:
        raise _incomplete()
    compare(announced, sink)


class InMemory:
    """A body that is no object: a list, a configuration."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []

    def write(self, data: Buffer) -> None:
        self.size += len(data)
        self._pieces.append(bytes(data))

    def checksum(self, algorithm: str) -> str:
        return checksum(algorithm, self._pieces)

    def value(self) -> bytes:
        return b"".join(self._pieces)


class Source:
    """What a connection brings of one body, and how much of it is still to come."""

    def __init__(self, stream: IO[bytes], left: int) -> None:
        self._stream = stream
        self.left = left

    def read(self, most: int) -> bytes:
        data = self._stream.read(min(self.left, most))
        self.left -= len(data)
        return data

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Each is good until the next one. Raises Refused where the body ends before."""
        buffer = memoryview(bytearray(min(size, PIECE_BYTES)))
        while size:
            read = self._into(buffer[: min(size, len(buffer))])
            if not read:
                raise _incomplete()
            size -= read
            yield buffer[:read]

    def line(self) -> str:
        line = self._stream.readline(min(self.left, LINE_BYTES))
        self.left -= len(line)
        if not line.endswith(b"\n"):
            raise _incomplete()
        return line.decode("latin-1").strip()

    def drain(self, most: int) -> None:
        """Read on and throw away, so that a client that is still sending comes to read the answer."""
        buffer = memoryview(bytearray(min(self.left, most, PIECE_BYTES)))
        while most > 0 and (read := self._into(buffer)):
            most -= read

    def _into(self, buffer: memoryview) -> int:
        read: int = self._stream.readinto(buffer[: self.left])  # type: ignore[attr-defined]
        self.left -= read
        return read


def _chunks(source: Source, announced: Announced, chunks: Chunks | None) -> Iterator[memoryview]:
    while True:
        size_text, _, extension = source.line().partition(";")
        try:
            size = int(size_text, 16)
        except ValueError:
            raise _incomplete() from None
        digest = sha256()
        for piece in source.pieces(size):
            if chunks:
                digest.update(piece)
            yield piece
        if chunks:
            chunks.check(digest.hexdigest(), extension.strip().removeprefix("chunk-signature="))
        if not size:
            break
        source.line()
    signed = ""
    while source.left and (line := source.line()):
        name, _, value = line.partition(":")
        announced.trailers[name.strip().lower()] = value.strip()
        if name.strip().lower() != "x-amz-trailer-signature":
            signed += f"{name.strip().lower()}:{value.strip()}\n"
    if chunks and announced.payload.endswith("-TRAILER"):
        chunks.check_trailer(signed, announced.trailers.get("x-amz-trailer-signature", ""))


def compare(announced: Announced, sink: Sink) -> None:
    """What came with what was said of it. Raises Refused."""
    if announced.payload not in PAYLOADS:
        found = base64.b64decode(sink.checksum("SHA256")).hex()
        if announced.payload != found:
            raise Refused(
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                {"ClientComputedContentSHA256": announced.payload, "S3ComputedContentSHA256": found},
            )
    if announced.md5 is not None and announced.md5 != sink.checksum("MD5"):
        raise Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    if announced.computed:
        value = announced.trailers.get(PREFIX + announced.computed.lower())
        announced.checksum = (announced.computed, value or sink.checksum(announced.computed))
    if announced.checksum:
        name, value = announced.checksum
        if value != sink.checksum(name):
            raise Refused(400, "BadDigest", f"The {name} you specified did not match the calculated checksum.")


def _checksum(request: Request) -> tuple[str, str] | None:
    found = [(name, value) for name in ALGORITHMS if (value := request.header(PREFIX + name.lower())) is not None]
    if len(found) > 1:
        raise Refused(
            400, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    if found and _bytes(found[0][1]) != len(ALGORITHMS[found[0][0]]().digest()):
        raise Refused(400, "InvalidRequest", f"Value for {PREFIX}{found[0][0].lower()} header is invalid.")
    return found[0] if found else None


def _computed(request: Request) -> str | None:
    trailer = (request.header("x-amz-trailer") or "").strip().lower()
    name = trailer.removeprefix(PREFIX) or request.header("x-amz-sdk-checksum-algorithm") or ""
    return name.upper() if name.upper() in ALGORITHMS and not _checksum(request) else None


def _bytes(text: str) -> int | None:
    """How many bytes a base64 text stands for."""
    try:
        return len(base64.b64decode(text, validate=True))
    except binascii.Error:
        return None


def _incomplete() -> Refused:
    return Refused(
        400, "IncompleteBody", "The request body terminated unexpectedly: it is not as long as its headers say."
    )
