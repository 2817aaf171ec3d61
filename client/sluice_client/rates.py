"""Amounts of bytes that people write, and how fast bytes may go: `--limit-rate`."""

import asyncio
import re
import time

UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}


def parse_amount(text: str) -> float:
    """Bytes of `5M`, `500k` or `1.5G`, in powers of 1,000 as all that the command shows. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)([kmgt]?)b?", text.strip().lower(), re.ASCII)
    if not match or not (amount := float(match[1]) * UNITS[match[2]]):
        raise ValueError(f"{text!a} is no amount of bytes such as 500k or 5M.")
    return amount


class Rate:
    """At most so many bytes a second, over all connections together; None for as many as there is room for."""

    def __init__(self, bytes_per_second: float | None = None) -> None:
        self._rate = bytes_per_second
        self._free = 0.0  # the moment at which all that was taken has had its time

    async def take(self, count: int) -> None:
        """Wait until `count` bytes may go."""
        if self._rate is None:
            return
        now = time.monotonic()
        begins = max(self._free, now)
        self._free = begins + count / self._rate
        await asyncio.sleep(begins - now)
