"""Work that may block for ever."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def apart(work: Callable[[], T]) -> T:
    """`work` in a thread that nobody waits for at the end: one that reads from a terminal may never end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        if not future.done():
            set_it()

    def run() -> None:
        try:
            result = work()
        except OSError as error:
            told = partial(settle, partial(future.set_exception, error))
        else:
            told = partial(settle, partial(future.set_result, result))
        with suppress(RuntimeError):  # the loop has ended, and nobody wants to know
            loop.call_soon_threadsafe(told)

    threading.Thread(target=run, daemon=True).start()
    return await future
