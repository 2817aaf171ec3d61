"""A download as the owner's feed shows it: how far it is, about once a second, and how it ended.

What is told must not harm what it tells of. Writes go on beside the sending, one at a time; they give up soon
(`Downloads.connect`); and what fails is logged.
"""

from asyncio import Task, create_task
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic

from anyio import CancelScope
from anyio.to_thread import run_sync
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from starlette.types import Message, Send

from sluice.downloads import Download, Downloads, Ending

TELL_SECONDS = 1.0  # between two writes, and before the first: who is done sooner is told of once, at the end

logger = Logger()


class Transfer:
    """One download."""

    def __init__(self, downloads: Downloads, download: Download) -> None:
        self._downloads = downloads
        self._download = download
        self._sent_bytes = 0
        self._due = 0.0
        self._telling: Task[None] | None = None

    @asynccontextmanager
    async def counted(self, send: Send) -> AsyncIterator[Send]:
        """`send`, whose bytes are counted. When the block ends without its last message, the download is broken."""
        self._due = monotonic() + TELL_SECONDS

        ending = Ending.BROKEN

        async def counting(message: Message) -> None:
            nonlocal ending
            await send(message)
            if message["type"] != "http.response.body":
                return
            self._sent_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                ending = Ending.COMPLETE
            elif monotonic() >= self._due and (self._telling is None or self._telling.done()):
                self._due = monotonic() + TELL_SECONDS
                self._telling = create_task(self._tell(None))

        try:
            yield counting
        finally:
            with CancelScope(shield=True):  # also when the invocation's time is over
                if self._telling is not None:
                    await self._telling
                await self._tell(ending)

    def redirected(self) -> None:
        """S3 sends the bytes."""
        self._save(Ending.REDIRECTED)

    async def _tell(self, ending: Ending | None) -> None:
        await run_sync(self._save, ending)

    def _save(self, ending: Ending | None) -> None:
        try:
            self._downloads.save(replace(self._download, sent_bytes=self._sent_bytes, ended=ending))
        except (BotoCoreError, ClientError) as error:
            logger.warning("a download could not be told of", download=self._download.id, error=str(error))
