"""`sluice share` and `sluice drop`: links that are given to people."""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_client import errors
from sluice_client.batches import each
from sluice_client.contract import Sluice
from sluice_client.output import print_json, print_text
from sluice_client.progress import amount, say
from sluice_client.records import Drop, Share


async def share(sluice: Sluice, wanted: Mapping[str, Any], *, as_json: bool) -> int:
    """Prints the page's link, which nobody can ask for again."""
    made = await sluice.share(**wanted)
    say(f"Share {made.id}: {_files(made.count)}, {amount(made.size)}, until {_time(made.expires_at)}.")
    _print_link(made, as_json=as_json)
    return errors.OK


async def drop(sluice: Sluice, wanted: Mapping[str, Any], *, as_json: bool) -> int:
    """Prints the page's link, which nobody can ask for again."""
    made = await sluice.drop(**wanted)
    say(f"Drop {made.id}: room for {_files(made.max_files)}, until {_time(made.expires_at)}.")
    _print_link(made, as_json=as_json)
    return errors.OK


def _print_link(made: Share | Drop, *, as_json: bool) -> None:
    if as_json:
        print_json(made.json)
    else:
        print_text(str(made.page))


async def list_shares(sluice: Sluice, owner: str | None, *, as_json: bool) -> int:
    async for made in sluice.shares(owner):
        taken = f"{made.downloads}" if made.max_downloads is None else f"{made.downloads} of {made.max_downloads}"
        what = f"{_files(made.count):>12}  {amount(made.size):>8}  taken {taken}"
        line = f"{made.id}  {what}  until {_time(made.expires_at)}"
        _print(line, made, as_json=as_json)
    return errors.OK


async def list_drops(sluice: Sluice, owner: str | None, *, as_json: bool) -> int:
    async for made in sluice.drops(owner):
        line = f"{made.id}  {made.files} of {_files(made.max_files)}  until {_time(made.expires_at)}"
        _print(line, made, as_json=as_json)
    return errors.OK


def _print(line: str, made: Share | Drop, *, as_json: bool) -> None:
    if as_json:
        print_json(made.json)
    else:
        print_text(f"{line}  {made.title or ''}".rstrip())


async def end_shares(sluice: Sluice, share_ids: Sequence[str], owner: str | None) -> int:
    async def end(share_id: str) -> None:
        await sluice.end_share(share_id, owner)

    return await each(share_ids, end, lambda share_id, _: say(f"{share_id} has ended; its files stay"))


async def end_drops(sluice: Sluice, drop_ids: Sequence[str], owner: str | None) -> int:
    async def end(drop_id: str) -> None:
        await sluice.end_drop(drop_id, owner)

    return await each(drop_ids, end, lambda drop_id, _: say(f"{drop_id} has ended; what came stays"))


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"


def _time(moment: str) -> str:
    return moment[:16].replace("T", " ") + " UTC"
