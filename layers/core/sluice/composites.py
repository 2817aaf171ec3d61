"""S3's checksum of an object that was put together of parts, computed from the object's bytes.

It is the digest of the parts' digests in their order. The parts' digests are what their sender declared, so that an
object from which this follows is made of the sender's parts. S3 has none over CRCs, as it makes that of the object of
them; there it is the SHA-256, for a CRC of CRCs would prove little.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from collections.abc import Iterable, Mapping

from sluice import libcrypto
from sluice.digests import Buffer, Digests, StateError

# What the two states are called among those of the whole file's digests.
PART, PARTS = "{} of the part", "{} of the parts"


def composite(name: str, digests: Iterable[str]) -> str:
    """That of an object whose parts have these digests `name`, in hex, the first part's first."""
    with Digests((over(name),)) as parts:
        for digest in digests:
            parts.update(bytes.fromhex(digest))
        return parts.hexdigests()[over(name)]


def over(name: str) -> str:
    """The digest that is taken over parts' digests `name`."""
    return name if name in libcrypto.ALGORITHMS else "sha-256"


class Composite:
    """The digest `name` over those of parts of `part_bytes` each, the last one shorter; for one thread at a time.

    With `states` it goes on from what `states()` gave after `offset` bytes. Raises StateError where they do not fit.
    """

    def __init__(self, name: str, part_bytes: int, states: Mapping[str, str] | None = None, offset: int = 0) -> None:
        self._name, self._part_bytes = name, part_bytes
        self._digest_bytes = len(bytes.fromhex(_empty(name)))
        self._over = over(name)
        self._part, self._parts = Digests((name,)), Digests((self._over,))
        self._ended: str | None = None
        if offset:
            known = states or {}
            done = offset // part_bytes * self._digest_bytes
            self._part = _restored(name, known.get(PART.format(name)), offset % part_bytes)
            self._parts = _restored(self._over, known.get(PARTS.format(name)), done)

    def update(self, buffer: Buffer) -> None:
        """Take the bytes that follow."""
        with memoryview(buffer) as view:
            start = 0
            while start < view.nbytes:
                stop = min(view.nbytes, start + self._part_bytes - self._part.offset)
                self._part.update(view[start:stop])
                if self._part.offset == self._part_bytes:
                    self._end_part()
                start = stop

    def states(self) -> dict[str, str]:
        """By name, what another one goes on from; {} where the digest cannot be saved here."""
        part, parts = self._part.states(), self._parts.states()
        if not part or not parts:
            return {}
        return {PART.format(self._name): part[self._name], PARTS.format(self._name): parts[self._over]}

    def hexdigest(self) -> str:
        """Of all bytes; nothing may follow."""
        if self._ended is None:
            if self._part.offset or not self._parts.offset:  # an empty object has one part, empty
                self._end_part()
            self._ended = self._parts.hexdigests()[self._over]
        return self._ended

    def _end_part(self) -> None:
        self._parts.update(bytes.fromhex(self._part.hexdigests()[self._name]))
        self._part = Digests((self._name,))


def _restored(name: str, state: str | None, offset: int) -> Digests:
    if state is None:
        raise StateError(f"No state of the parts' {name}")
    return Digests((name,), {name: state}, offset)


def _empty(name: str) -> str:
    return Digests((name,)).hexdigests()[name]
