"""What a stream is counted by: the link that opened it, or what that link was got by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync

from functions.stream import connections
from functions.stream.leases import held
from sluice import audit
from sluice.download_counts import Taking
from sluice.files import File
from sluice.open_streams import lane


def link_of(capability: str, taking: Taking | None = None) -> str:
    """What the streams by this capability are counted by; `taking` is what it takes out of a share.

    Whoever has a share's link gets further capabilities by opening it again: all of them are the share's.
    """
    return link_of_share(taking.share.id, taking.opening) if taking else audit.fingerprint(capability)


def link_of_share(share_id: str, opening: str) -> str:
    return lane(f"shares/{share_id}", opening)


def link_of_events(capability: str, file: File) -> str:
    """The same of a file's progress.

    Whoever began the file through a drop, or by a capability to upload, gets further links to it as often as he asks.
    """
    if file.drop or file.capability:
        return lane(f"uploads/{file.drop or file.capability}", file.id)
    return audit.fingerprint(capability)


@asynccontextmanager
async def counted(owner: str, link: str) -> AsyncIterator[None]:
    """Raises TooManyStreams before the block begins."""
    lease = await run_sync(connections.open_streams.begin, owner, link)
    async with held(lease):
        yield
