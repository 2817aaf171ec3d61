"""`sluice ls`, `rm`, `mv` and `export`: the files that are there."""

import asyncio
from collections.abc import Mapping, Sequence

import httpx

from sluice_client import errors
from sluice_client.batches import each
from sluice_client.contract import PASSING, Sluice, problem, unreachable
from sluice_client.errors import SluiceError
from sluice_client.output import print_json, print_text, write
from sluice_client.progress import amount, say
from sluice_client.records import File
from sluice_client.states import Status


async def ls(sluice: Sluice, wanted: Mapping[str, str | None], *, as_json: bool, only_ids: bool) -> int:
    async for file in sluice.files(**wanted):
        if as_json:
            print_json(file.json)
        elif only_ids:
            print_text(file.id)
        else:
            print_text(_line(file))
    return errors.OK


def _line(file: File) -> str:
    time = file.created_at[:19].replace("T", " ")
    shown = ("verified" if file.verified else "hashed") if file.status == Status.READY else file.status
    path = f"{file.folder}/{file.filename}" if file.folder else file.filename
    return f"{file.id}  {shown:<10}  {amount(file.size):>8}  {time}  {path}"


async def rm(sluice: Sluice, file_ids: Sequence[str]) -> int:
    async def delete(file_id: str) -> str:
        status = (await sluice.file(file_id)).status
        await sluice.delete(file_id)
        # The record of an upload stays for a week, to tell whoever watches what became of it.
        given_up = status in (Status.UPLOADING, Status.ABORTED)
        return "aborted: it leaves the list by itself" if given_up else "deleted"

    return await each(file_ids, delete, lambda file_id, end: say(f"{file_id} is {end}"))


async def mv(sluice: Sluice, file_ids: Sequence[str], changes: Mapping[str, str | None]) -> int:
    async def change(file_id: str) -> File:
        return await sluice.change(file_id, **changes)

    return await each(file_ids, change, lambda _, file: say(_line(file)))


async def export(sluice: Sluice, form: str, wanted: Mapping[str, str | None]) -> int:
    """The list in one piece, as it comes. A list that breaks off is an error, and not to be taken for all of it."""
    url = (await sluice.exports(wanted)).get(form)
    if not url:
        raise SluiceError("This deployment has no such export.")
    failures = 0
    while True:
        try:
            async with sluice.http.stream("GET", url) as response:
                if response.is_success:
                    async for chunk in response.aiter_bytes():
                        write(chunk)
                    return errors.OK
                await response.aread()
        except httpx.TransportError as failure:
            error = unreachable(failure, httpx.URL(url).host)
            raise SluiceError(f"The list broke off, and is not complete: {error}", "Run it again.") from None
        failures += 1
        if response.status_code not in PASSING or failures == sluice.retry.attempts:
            raise problem(response)
        await asyncio.sleep(sluice.retry.delay(failures, response.headers.get("retry-after")))
