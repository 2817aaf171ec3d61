"""Bytes on their way: a body that is streamed, or a redirect to S3; and what the owner's feed tells of them."""

from collections.abc import Generator, Mapping
from contextlib import nullcontext

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.types import Receive, Scope, Send

from functions.stream import connections
from functions.stream.leases import held
from functions.stream.transfers import Transfer
from sluice.download_counts import Taking
from sluice.downloads import Download
from sluice.open_streams import Lease

# How long the address is good to which a share's link is redirected: each such redirect counts as a download, and what
# it leads to can be asked for again and again. S3 looks at the time when a download begins.
SHARED_URL_SECONDS = 60


def transfer_of(owner: str, record_id: str, size: int, taking: Taking | None) -> Transfer:
    """So many bytes of a file or an archive, which the owner's feed tells of."""
    share = taking.share.id if taking else None
    return Transfer(connections.downloads, Download(owner=owner, record=record_id, size=size, share=share))


def url_seconds(taking: Taking | None) -> int | None:
    """How long the address of a redirect is good; None for as long as any."""
    return SHARED_URL_SECONDS if taking else None


def redirect(url: str, what: str, transfer: Transfer | None) -> PlainTextResponse:
    """To S3. With a `transfer` it is a download that begins, which the owner's feed tells of."""
    # With a body, though a short one: an answer without a body may not end on a Function URL that streams.
    headers = {"Location": url, "Cache-Control": "no-store"}
    # Told after the answer, which does not wait for it.
    told = BackgroundTask(transfer.redirected) if transfer else None
    return PlainTextResponse(f"The {what} is at the address in Location.\n", 307, headers, background=told)


class Body(StreamingResponse):
    """A body that begins when its first bytes are here, and is ended with its response.

    What S3 refuses before that is answered by a problem. A client that went away leaves no threads and no connection to
    S3 behind.
    """

    def __init__(
        self,
        chunks: Generator[bytes, None, None],
        status_code: int,
        headers: Mapping[str, str],
        transfer: Transfer | None,
        lease: Lease | None,
    ) -> None:
        super().__init__(chunks, status_code, headers)
        self._lease = lease
        self._chunks = chunks
        self._transfer = transfer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with held(self._lease):
            await self._sent(scope, receive, send)

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await run_sync(next, self._chunks)  # the empty chunk
            async with self._transfer.counted(send) if self._transfer else nullcontext(send) as counting:
                await super().__call__(scope, receive, counting)
        finally:
            # Not on the event loop: it waits for threads, and may give a count back. And to its end, come what may.
            with CancelScope(shield=True):
                await run_sync(self._chunks.close)
