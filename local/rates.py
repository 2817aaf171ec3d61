"""Rates that AWS limits: requests by a token bucket, the bytes of a stream by a pace. Both are told the time."""

from dataclasses import dataclass


@dataclass
class TokenBucket:
    """https://en.wikipedia.org/wiki/Token_bucket: `burst` tokens at most, and `rate` new ones a second."""

    rate: float
    burst: float

    def __post_init__(self) -> None:
        self._tokens = self.burst
        self._filled_at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        if self._filled_at is not None:
            self._tokens = min(self.burst, self._tokens + max(0.0, now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass
class Pace:
    """Lets the first `burst` bytes pass, and the rest at `rate` bytes a second; what is not used is lost."""

    rate: float
    burst: int

    def __post_init__(self) -> None:
        self._passed = 0
        self._free_at = float("-inf")

    def delay(self, count: int, now: float) -> float:
        """Seconds until the next `count` bytes may pass, after which they count as passed."""
        slowed = max(0, self._passed + count - max(self._passed, self.burst))
        self._passed += count
        if not slowed:
            return 0.0
        self._free_at = max(self._free_at, now) + slowed / self.rate
        return self._free_at - now
