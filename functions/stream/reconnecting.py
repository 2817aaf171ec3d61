"""When a watcher comes back whose stream we have ended: what `retry:` says to it."""

import random

RETRY_MILLISECONDS = 1_000  # as long as things happen, and where a connection breaks
# After a minute in which nothing did: a twelfth of it, so that nobody waits long for what comes next. A page says that
# it has lost the connection after ten seconds, of which a cold start may need half.
LONGEST_RETRY_MILLISECONDS = 5_000
QUIET_PER_RETRY = 12
LEAST_SHARE = 0.5  # of that wait, at random: those whose streams began together do not come back together


def retry_milliseconds(quiet_seconds: float) -> int:
    """The wait after so long without news."""
    longest = min(quiet_seconds * 1000 / QUIET_PER_RETRY, LONGEST_RETRY_MILLISECONDS)
    return max(RETRY_MILLISECONDS, round(longest * random.uniform(LEAST_SHARE, 1)))  # noqa: S311 - jitter, no secret
