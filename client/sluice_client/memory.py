"""How many bytes of files are in memory at once."""

import asyncio
from collections import deque


class Memory:
    """Room for `size` bytes, first come, first served. What is larger than all of it is had alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> None:
        """Wait until there is room for `count` bytes more; each `take` has its `give`."""
        if self.try_take(count):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(count)  # the room came at the moment of the end
            raise

    def try_take(self, count: int) -> bool:
        """Whether there was room at once."""
        if self._waiting or not self._fits(count):
            return False
        self._held += count
        return True

    def give(self, count: int) -> None:
        self._held -= count
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._fits(wanted):
                    return
                self._held += wanted
                turn.set_result(None)
            self._waiting.popleft()

    def _fits(self, count: int) -> bool:
        return not self._held or self._held + count <= self._size
