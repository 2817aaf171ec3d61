"""Reads a file that is `ready` once more, for the CRC-32 that a ZIP needs and that was not computed when it came."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sluice.digests import Digests
from sluice.files import File
from sluice.objects import Objects, Version
from sluice.reader import read

NAMES = ("sha-256", "crc32")
MARGIN_SECONDS = 10.0  # left of the invocation when the reading stops
TELL_SECONDS = 1.0  # between two calls of `tell`


class Contradiction(Exception):
    """The bytes that S3 sent are not those that were hashed."""


@dataclass(slots=True)
class Reading:
    """How far the bytes were read, and the states of the digests there: what the next job goes on from."""

    offset: int = 0
    states: dict[str, str] = field(default_factory=dict)


def version_of(file: File) -> Version:
    """The version in S3 that the record names."""
    return Version(file.key, str(file.etag), file.size, file.version_id)


def crc32_of(
    objects: Objects,
    file: File,
    reading: Reading,
    *,
    part_bytes: int,
    connections: int = 1,
    seconds_left: Callable[[], float],
    tell: Callable[[], object] = lambda: None,
) -> str | None:
    """The CRC-32 of the file in hex; None where the time was over before: then `reading` says how far it came.

    It is only believed where the SHA-256 of the same bytes is the record's. Now and then `tell` is called. Raises
    Contradiction, Unreadable, ObjectMissing, ObjectChanged, ObjectForbidden, StateError, and what `tell` does.
    """
    with Digests(NAMES, reading.states, reading.offset) as digests:
        told = time.monotonic()
        with read(
            objects,
            version_of(file),
            reading.offset,
            part_bytes=part_bytes,
            connections=connections,
            seconds_left=seconds_left,
        ) as buffers:
            for buffer in buffers:
                digests.update(buffer)
                reading.offset, reading.states = digests.offset, digests.states()
                if seconds_left() < MARGIN_SECONDS and digests.resumable and digests.offset < file.size:
                    return None
                if time.monotonic() - told >= TELL_SECONDS:
                    tell()
                    told = time.monotonic()
        found = digests.hexdigests()
    if found["sha-256"] != file.digests["sha-256"]:
        raise Contradiction(file.id)
    return found["crc32"]
