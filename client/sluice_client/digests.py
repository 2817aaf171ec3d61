"""Digests by RFC 9530 name, in lower-case hex. hashlib releases the GIL, so threads compute them side by side."""

import asyncio
import hashlib
from collections.abc import Iterable

SHA_256 = "sha-256"


def hexdigest(name: str, data: bytes | bytearray) -> str:
    return hashlib.new(name.replace("-", ""), data, usedforsecurity=False).hexdigest()


class Running:
    """Digests of all bytes that pass, in order."""

    def __init__(self, names: Iterable[str]) -> None:
        self._hashes = {name: hashlib.new(name.replace("-", ""), usedforsecurity=False) for name in names}

    async def update(self, data: bytes | bytearray) -> None:
        """Take `data` in, each digest in a thread of its own."""
        await asyncio.gather(*(asyncio.to_thread(each.update, data) for each in self._hashes.values()))

    def hexdigests(self) -> dict[str, str]:
        return {name: each.hexdigest() for name, each in self._hashes.items()}
