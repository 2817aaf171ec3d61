"""Several digests of one stream of buffers at once, which another process can take up where this one stopped."""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from sluice import libcrypto
from sluice.libcrypto import State
from sluice.limits import KIB

Buffer = bytes | bytearray | memoryview


class StateError(ValueError):
    """A saved state that does not belong to this digest, offset or format, or that nothing here can go on from."""


class _Crc(NamedTuple):
    module: str
    digest_bytes: int


_CRCS = {"crc32": _Crc("zlib", 4), "crc32c": _Crc("awscrt.checksums", 4), "crc64nvme": _Crc("awscrt.checksums", 8)}

# RFC 9530 names where there is one. `crc32c` and `crc64nvme` need the package awscrt: ask `available`.
SUPPORTED = (*libcrypto.ALGORITHMS, *_CRCS)

# Below, handing a buffer to another thread and hearing of its end takes about as long as hashing it.
THREADS_FROM_BYTES = 128 * KIB

STATE_VERSION = "1"
# version:name:bytes taken:words:tail. What 18 digits say fits the structs, and S3's largest object has 14.
_STATE = re.compile(r"([0-9]+):([a-z0-9-]+):(0|[1-9][0-9]{0,17}):((?:[0-9a-f]{2})*):((?:[0-9a-f]{2})*)")


class _Digest(Protocol):
    def update(self, buffer: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...
    def state(self) -> State | None: ...


class _Plain:
    """A hash by hashlib, which cannot be saved."""

    def __init__(self, name: str) -> None:
        hashed = hashlib.new(libcrypto.ALGORITHMS[name].hashlib_name, usedforsecurity=False)
        self.update, self.hexdigest = hashed.update, hashed.hexdigest

    def state(self) -> None:
        return None


class _Checksum:
    """A CRC. Its value is all of its state."""

    def __init__(self, name: str, state: State | None) -> None:
        self._digest_bytes = _CRCS[name].digest_bytes
        self._crc: Callable[[memoryview, int], int] = getattr(import_module(_CRCS[name].module), name)
        self._offset, self._value = (state.offset, int.from_bytes(state.words)) if state else (0, 0)

    def update(self, buffer: memoryview) -> None:
        self._value = self._crc(buffer, self._value)
        self._offset += buffer.nbytes

    def hexdigest(self) -> str:
        return self.state().words.hex()

    def state(self) -> State:
        return State(self._offset, self._value.to_bytes(self._digest_bytes), b"")


def available(name: str) -> bool:
    """Whether `Digests` can compute it here."""
    return name in SUPPORTED and (name not in _CRCS or find_spec(_CRCS[name].module.partition(".")[0]) is not None)


class Digests:
    """Digests by name, each of all bytes from the first one on; a context manager, and no thread is left behind it.

    With `states` it goes on from what `states()` gave after `offset` bytes. Raises StateError where they do not fit or
    nothing here can use them, and ValueError for a name that is not `available`. States of other names are left alone.
    """

    offset: int
    """Bytes taken so far."""
    resumable: bool
    """Whether there are `states()`: not where no libcrypto can be used. The digests are right nevertheless."""

    def __init__(self, names: Collection[str], states: Mapping[str, str] | None = None, offset: int = 0) -> None:
        for name in names:
            if not available(name):
                raise ValueError(f"No digest {name!r} here, only {', '.join(filter(available, SUPPORTED))}")
        if offset and not states:
            raise StateError(f"No states to go on from at byte {offset}")
        known = {name: _parse(states.get(name, ""), name, offset) for name in names} if states else {}
        # In the order of SUPPORTED: the slowest first, CRCs at the end.
        self._digests = {name: _digest(name, known.get(name)) for name in SUPPORTED if name in names}
        # How many get a thread: a CRC is not worth one, and the last hash has the calling thread.
        self._spread = max(0, len(self._digests.keys() & libcrypto.ALGORITHMS.keys()) - 1)
        self._threads = ThreadPoolExecutor(max(1, self._spread), thread_name_prefix="digest")
        self._ended = False
        self.resumable = all(digest.state() for digest in self._digests.values())
        self.offset = offset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        self._threads.shutdown()

    def update(self, buffer: Buffer) -> None:
        """Take a contiguous buffer into every digest, without a copy or the GIL; it is free again on return."""
        if self._ended:
            raise RuntimeError("These digests have ended")
        with memoryview(buffer) as view:
            if self._spread and view.nbytes >= THREADS_FROM_BYTES:
                self._update_by_threads(view)
            else:
                for digest in self._digests.values():
                    digest.update(view)
            self.offset += view.nbytes

    def _update_by_threads(self, view: memoryview) -> None:
        digests = list(self._digests.values())
        taken = [self._threads.submit(digest.update, view) for digest in digests[: self._spread]]
        try:
            for digest in digests[self._spread :]:
                digest.update(view)
        finally:
            wait(taken)
        for one in taken:
            one.result()

    def states(self) -> dict[str, str]:
        """Name -> what another `Digests` goes on from at this offset, at most 420 characters; {} if not resumable."""
        if not self.resumable:
            return {}
        return {name: _text(name, state) for name, digest in self._digests.items() if (state := digest.state())}

    def hexdigests(self) -> dict[str, str]:
        """Name -> lower-case hex, of a CRC its value, of what was taken so far; more may follow."""
        return {name: digest.hexdigest() for name, digest in self._digests.items()}


def _digest(name: str, state: State | None) -> _Digest:
    if name in _CRCS:
        return _Checksum(name, state)
    library = libcrypto.load()
    if library is not None:
        return libcrypto.Hash(library, name, state)
    if state is not None:
        raise StateError(f"Nothing here can go on from a state of {name}")
    return _Plain(name)


def _text(name: str, state: State) -> str:
    return f"{STATE_VERSION}:{name}:{state.offset}:{state.words.hex()}:{state.tail.hex()}"


def _parse(text: str, name: str, offset: int) -> State:
    """The state that `_text` wrote for this digest at this offset; StateError for everything else."""
    match = _STATE.fullmatch(text)
    if match is None:
        raise StateError(f"Not a state: {text!r}")
    version, of, at, words, tail = match.groups()
    if version != STATE_VERSION:
        raise StateError(f"A state of version {version}, not {STATE_VERSION}")
    if of != name:
        raise StateError(f"A state of {of}, not of {name}")
    if int(at) != offset:
        raise StateError(f"A state at byte {at}, not {offset}")
    size, block = _sizes(name)
    if len(words) != 2 * size or len(tail) != 2 * (offset % block):
        raise StateError(f"A state of {name} at byte {offset} has {size} bytes and {offset % block} of its block")
    return State(offset, bytes.fromhex(words), bytes.fromhex(tail))


def _sizes(name: str) -> tuple[int, int]:
    """The bytes of the digest, as many as its state's words have, and of a block."""
    if name in _CRCS:
        return _CRCS[name].digest_bytes, 1
    return libcrypto.ALGORITHMS[name].digest_bytes, libcrypto.ALGORITHMS[name].block_bytes
