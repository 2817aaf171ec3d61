"""`sluice get --archive`: a folder, some files, or a share as one ZIP."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from sluice_client import archives, errors
from sluice_client.commands.get import Wish, target_of
from sluice_client.contract import Sluice
from sluice_client.errors import Problem, SluiceError
from sluice_client.links import ShareLink
from sluice_client.names import local_name
from sluice_client.output import print_json
from sluice_client.progress import Screen
from sluice_client.rates import Rate
from sluice_client.records import Opened


async def get_archive(sluice: Sluice, file_ids: Sequence[str], folder: str | None, wish: Wish) -> int:
    """Of the owner's files."""
    wanted: dict[str, Any] = {"folder": folder} if folder else {"files": list(file_ids)}
    packed = await archives.put_together(sluice, await sluice.pack(**wanted))
    return await _save(sluice, str(packed.content), packed.filename, wish)


async def get_shared_archive(sluice: Sluice, link: ShareLink, ask: Callable[[], str | None], wish: Wish) -> int:
    """Of all that a share holds. A large one is put together first."""
    told: list[str | None] = []

    def asked() -> str | None:
        told.append(ask())
        return told[-1]

    page = await _first_page(sluice, link, asked)
    filename = f"{local_name(page.title or '', otherwise='share')}.zip"
    try:
        return await _save(sluice, _archive_of(page), filename, wish)
    except Problem as refusal:
        if refusal.code != "archive_not_ready":
            raise
    password = told[-1] if told else None
    wanted = {"share": link.share_id} | ({"password": password} if told else {})
    await archives.put_together(sluice, await sluice.pack(link.capability, **wanted), link.capability)
    # That takes a while, in which the link may have ended.
    page = await _first_page(sluice, link, lambda: password)
    return await _save(sluice, _archive_of(page), filename, wish)


async def _first_page(sluice: Sluice, link: ShareLink, ask: Callable[[], str | None]) -> Opened:
    async with aclosing(archives.opened(sluice, link, ask)) as pages:
        return await anext(pages)


def _archive_of(page: Opened) -> str:
    if not page.archive:
        raise SluiceError("This share has no archive.", "Leave --archive out.")
    return page.archive


async def _save(sluice: Sluice, url: str, filename: str, wish: Wish) -> int:
    target: Path = target_of(wish.output, local_name(filename, otherwise="archive.zip"))
    with Screen(quiet=wish.quiet) as screen, screen.meter(target.name) as meter:
        size = await archives.save(sluice, url, target, meter, force=wish.force, rate=Rate(wish.rate))
        screen.tell(f"{target}: every file in it has its CRC-32")
    if wish.as_json:
        print_json({"path": str(target), "size": size})
    return errors.OK
