"""Follow a file's events until it has ended."""

import asyncio
import json

import httpx
from httpx_sse import SSEError, aconnect_sse

from sluice_client.contract import Sluice
from sluice_client.errors import SluiceError, WrongBytes
from sluice_client.progress import Meter
from sluice_client.records import File
from sluice_client.states import ENDED, Status

LONGEST_RECONNECT_SECONDS = 30.0  # whatever the server's `retry:` asks for
EVENTS = ENDED | {"progress"}
# What to do about a file that the malware scan has stopped: sending the same bytes again does not help.
SCANNED = {
    "malware": "A scan found malware in the file. Remove it before you upload the file again.",
    "not_scanned": "The file could not be scanned for malware, as one with a password cannot. Upload it without one.",
}
ALTERED = frozenset({"digest_mismatch", "checksum_mismatch", "size_mismatch"})  # other bytes arrived


async def follow(sluice: Sluice, file: File, meter: Meter) -> File:
    """The file once it is `ready`. Raises WrongBytes when other bytes arrived, SluiceError when it ends in another way.

    The stream may end or fail at any time: the next one resumes after the last event. Between two streams the record is
    asked, which knows the end even where events do not get through, and signs the link anew.
    """
    watch = _Watch(sluice, meter)
    while file.status not in ENDED:
        file = await watch.listen(file)
        if file.status in ENDED:
            break
        await asyncio.sleep(max(watch.retry, sluice.retry.delay(watch.silent)))
        file = await sluice.file(file.id)
    if file.status != Status.READY:
        why = f": {file.reason}" if file.reason else ""
        if differs := file.json.get("mismatch"):
            why += f" ({differs.get('name')}: {differs.get('expected')} expected, {differs.get('found')} found)"
        kind = WrongBytes if file.reason in ALTERED else SluiceError
        raise kind(f"The upload ended as {file.status}{why}.", SCANNED.get(file.reason or "", "Upload it again."))
    meter.reach(file.size)
    return file


class _Watch:
    """What is known between two connections: the id of the last event, which only the server can read, the seconds
    until the next try, and how many connections in a row were of no use.

    The server ends a stream in order after a minute, whether it had news or not: that was of use.
    """

    def __init__(self, sluice: Sluice, meter: Meter) -> None:
        self._sluice, self._meter = sluice, meter
        self.last_id = ""
        self.retry = 0.0
        self.silent = 0

    async def listen(self, file: File) -> File:
        """The file as the events of one connection tell, until its end or the connection's."""
        heard, self.silent = self.last_id, self.silent + 1
        if not file.events:
            return file
        said = False
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        try:
            async with aconnect_sse(self._sluice.http, "GET", file.events, headers=headers) as source:
                self._wait_at_least(source.response)
                async for event in source.aiter_sse():
                    said = True  # the server begins each stream with `retry:`
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
            said = False  # a broken stream is no news about the file: the record is asked next
        if said or self.last_id != heard:
            self.silent = 1
        return file

    def _wait_at_least(self, response: httpx.Response) -> None:
        """A link that has too many streams says when one more may be let in; a door without room does not."""
        asked = response.headers.get("retry-after", "")
        if response.is_error and asked.isdecimal():
            self.retry = min(LONGEST_RECONNECT_SECONDS, float(asked))
