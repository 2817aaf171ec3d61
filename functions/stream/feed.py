"""The feed as server-sent events, until nothing happens any more or the stream must end.

A watcher has a thread only while it looks. An environment that carries many lets LOOKS of them look at once, so that
there are threads left for downloads, and no more connections to the table than its client keeps open.
"""

from collections.abc import AsyncIterator, Callable
from time import monotonic

from anyio import CapacityLimiter, sleep
from anyio.to_thread import run_sync
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError
from fastapi.sse import ServerSentEvent

from functions.stream.reconnecting import RETRY_MILLISECONDS, retry_milliseconds
from sluice import problems
from sluice.errors import Busy, ExpiredCapability, InvalidCapability
from sluice.feed import Change, Feed

# Between two looks: short after a change, since others follow then, and longer while nothing changes, but so that a
# change is told within a second.
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, PAUSE_GROWTH = 0.2, 0.8, 1.5
# So many in one look are those of a folder that is sent. Each look reads the last seconds anew, so few are cheaper,
# and nobody reads a list that changes more often.
MANY_CHANGES = 10
LOOKS = 10  # at once: what botocore keeps open by default

logger = Logger()
_looks = CapacityLimiter(LOOKS)


async def follow(
    feed: Feed, check_access: Callable[[], object], quiet_seconds: float, out_of_time: Callable[[], bool]
) -> AsyncIterator[ServerSentEvent]:
    """Every change, each with the cursor to go on from; the last thing sent is the cursor at the end.

    It ends when nothing happened for so long, when time is out, and when the link or its owner's access has ended.
    """
    yield ServerSentEvent(comment="following", retry=RETRY_MILLISECONDS, id=feed.cursor)
    pause = SHORTEST_PAUSE_SECONDS
    quiet_since = monotonic()

    while True:
        try:
            changes = await run_sync(_looked, feed, check_access, limiter=_looks)
        except (InvalidCapability, ExpiredCapability):
            return
        for change in changes or ():
            yield ServerSentEvent(event=change.kind, data=change.data, id=change.cursor)
        if changes:
            pause = SHORTEST_PAUSE_SECONDS if len(changes) < MANY_CHANGES else LONGEST_PAUSE_SECONDS
            quiet_since = monotonic()
        if out_of_time() or monotonic() - quiet_since >= quiet_seconds:
            break
        if changes is None or not feed.behind:
            await sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
    # An id without data is no event, but an EventSource keeps it: after a quiet minute nothing is told again.
    yield ServerSentEvent(id=feed.cursor, retry=retry_milliseconds(monotonic() - quiet_since))


def _looked(feed: Feed, check_access: Callable[[], object]) -> list[Change] | None:
    """What is new; None while AWS refuses for now."""
    try:
        check_access()
        return feed.look()
    except Busy:
        return None
    except GetParameterError as error:  # nobody knows who has access
        logger.warning("AWS refused", error=str(error))
        return None
    except (BotoCoreError, ClientError) as error:
        if problems.of_aws(error) is None:
            raise
        return None
