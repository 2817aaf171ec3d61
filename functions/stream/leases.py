"""A stream's lease while it is open: renewed, and ended with it, whatever ends it."""

from asyncio import create_task
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CancelScope, Event, move_on_after
from anyio.to_thread import run_sync
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from sluice.open_streams import RENEW_SECONDS, Lease

logger = Logger()


@asynccontextmanager
async def held(lease: Lease | None) -> AsyncIterator[None]:
    """Renew the lease during the block, and end it with that."""
    if lease is None:
        yield
        return
    over = Event()
    renewing = create_task(_renewed(lease, over))
    try:
        yield
    finally:
        with CancelScope(shield=True):  # also when the invocation's time is over
            over.set()
            await renewing
            await run_sync(_end, lease)


async def _renewed(lease: Lease, over: Event) -> None:
    while not over.is_set():
        with move_on_after(RENEW_SECONDS):
            await over.wait()
        if not over.is_set():
            await run_sync(_renew, lease)


def _renew(lease: Lease) -> None:
    try:
        lease.renew()
    except (BotoCoreError, ClientError) as error:  # the stream goes on; the next renewal may succeed
        logger.warning("a stream's lease could not be renewed", error=str(error))


def _end(lease: Lease) -> None:
    try:
        lease.end()
    except (BotoCoreError, ClientError) as error:  # it ends by itself
        logger.warning("a stream's lease could not be ended", error=str(error))
