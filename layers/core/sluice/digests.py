"""Several digests of one stream of buffers at once."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

# RFC 9530 name -> hashlib name, https://www.iana.org/assignments/http-digest-hash-alg/
ALGORITHMS = {"sha-256": "sha256", "md5": "md5"}


class Digests:
    """Digests by their RFC 9530 names. hashlib releases the GIL, so each one runs on a core of its own."""

    def __init__(self, names: Sequence[str] = tuple(ALGORITHMS)) -> None:
        self._hashes = {name: hashlib.new(ALGORITHMS[name], usedforsecurity=False) for name in names}
        self._threads = ThreadPoolExecutor(len(self._hashes), thread_name_prefix="digest")

    def __enter__(self) -> "Digests":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown()

    def update(self, buffer: bytes) -> None:
        """Take the buffer into every digest; it is free again on return."""
        for taken in [self._threads.submit(one.update, buffer) for one in self._hashes.values()]:
            taken.result()

    def hexdigests(self) -> dict[str, str]:
        return {name: one.hexdigest() for name, one in self._hashes.items()}
