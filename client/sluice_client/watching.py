"""Follow a file's events until the server has verified it or given it up."""

import asyncio
import json

import httpx
from httpx_sse import SSEError, aconnect_sse

from sluice_client.contract import File, Sluice
from sluice_client.errors import SluiceError
from sluice_client.progress import Meter
from sluice_client.states import ENDED, Status

LONGEST_RECONNECT_SECONDS = 30.0  # whatever the server's `retry:` asks for
EVENTS = ENDED | {"progress"}


async def follow(sluice: Sluice, file: File, meter: Meter) -> File:
    """The file once it is `ready`. Raises SluiceError when it ends in another way.

    The stream may end or fail at any time: the next one resumes after the last event. Between two streams the record is
    asked, which knows the end even where events do not get through, and signs the link anew.
    """
    watch = _Watch(sluice, meter)
    silent = 0
    while file.status not in ENDED:
        heard = watch.last_id
        file = await watch.listen(file)
        if file.status in ENDED:
            break
        silent = silent + 1 if watch.last_id == heard else 1
        await asyncio.sleep(max(watch.retry, sluice.retry.delay(silent)))
        file = await sluice.file(file.id)
    if file.status != Status.READY:
        why = f": {file.reason}" if file.reason else ""
        if differs := file.json.get("mismatch"):
            why += f" ({differs.get('name')}: {differs.get('expected')} expected, {differs.get('found')} found)"
        raise SluiceError(f"{file.filename}: the upload ended as {file.status}{why}.", "Upload it again.")
    meter.reach(file.size)
    return file


class _Watch:
    """What is known between two connections: the id of the last event, and the seconds until the next try."""

    def __init__(self, sluice: Sluice, meter: Meter) -> None:
        self._sluice, self._meter = sluice, meter
        self.last_id = ""
        self.retry = 0.0

    async def listen(self, file: File) -> File:
        """The file as the events of one connection tell, until its end or the connection's."""
        if not file.events:
            return file
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        try:
            async with aconnect_sse(self._sluice.http, "GET", file.events, headers=headers) as source:
                async for event in source.aiter_sse():
                    self.last_id = event.id or self.last_id
                    if event.retry is not None:
                        self.retry = min(LONGEST_RECONNECT_SECONDS, event.retry / 1000)
                    # An `id:` alone makes httpx-sse report an event without data, and other names may come one day.
                    if event.event in EVENTS and event.data:
                        ended = {"status": event.event} if event.event in ENDED else {}
                        file = file.after(json.loads(event.data) | ended)
                        self._meter.reach(file.hashed_bytes)
                    if file.status in ENDED:
                        break
        except (httpx.TransportError, SSEError, ValueError, TypeError):
            pass  # a broken stream is no news about the file: the record is asked next
        return file
