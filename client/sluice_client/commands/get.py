"""`sluice get`."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from sluice_client import archives
from sluice_client.batches import each
from sluice_client.contract import Sluice
from sluice_client.digests import SHA_256
from sluice_client.downloads import Downloads
from sluice_client.errors import SluiceError
from sluice_client.links import ShareLink
from sluice_client.names import local_name, numbered, same
from sluice_client.output import binary, print_json
from sluice_client.progress import Screen
from sluice_client.rates import Rate
from sluice_client.records import File
from sluice_client.states import Status

BRIEF_BYTES = 6 * 1024 * 1024  # of many files, only larger ones have a line or a bar of their own
STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for; `output` is a path, a folder, `-`, or None for the present folder."""

    output: str | None = None
    force: bool = False
    connections: int = 4
    rate: float | None = None  # bytes a second
    as_json: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A file that is known already, or its id; `target` where others decide about it, who keep it below `base`."""

    id: str
    file: File | None = None
    target: Path | None = None
    base: Path | None = None


async def get(sluice: Sluice, file_ids: Sequence[str], wish: Wish) -> int:
    """Files by their ids; several come into a folder, which is made."""
    if len(file_ids) > 1 and wish.output:
        _make_folder(Path(wish.output))
    return await _Get(sluice, wish).all([Item(file_id) for file_id in file_ids])


async def get_folder(sluice: Sluice, folder: str, wish: Wish) -> int:
    """All that is ready in a folder and below it. The last part of its name is kept, as with `cp -r`."""
    found = [file async for file in sluice.files(status=Status.READY, folder=folder)]
    if not found:
        raise SluiceError(f"There is no file in {folder}.", "`sluice ls` shows your files and their folders.")
    above = folder.rpartition("/")[0]
    return await _Get(sluice, wish).all(_laid_out(found, Path(wish.output or "."), above))


async def get_share(sluice: Sluice, link: ShareLink, ask: Callable[[], str | None], wish: Wish) -> int:
    """All files of a share; `ask` has its password."""
    found = [file async for page in archives.opened(sluice, link, ask) for file in page.files]
    if not found:
        raise SluiceError("No file is left in this share.")

    async def renew(file: File) -> File:
        raise SluiceError(f"The link to {file.filename} has ended.", "The same command opens the share anew.")

    return await _Get(
        sluice, wish, Downloads(sluice, connections=wish.connections, rate=Rate(wish.rate), renew=renew)
    ).all(_laid_out(found, Path(wish.output or "."), ""))


class _Get:
    def __init__(self, sluice: Sluice, wish: Wish, downloads: Downloads | None = None) -> None:
        self._sluice, self._wish = sluice, wish
        self._downloads = downloads or Downloads(sluice, connections=wish.connections, rate=Rate(wish.rate))

    async def all(self, items: Sequence[Item]) -> int:
        wish, size = self._wish, sum(item.file.size for item in items if item.file)
        with Screen(quiet=wish.quiet) as screen, screen.counting(len(items), size) as count:

            async def work(item: Item) -> tuple[Path, File, float] | None:
                done = await self._get(item, screen, brief=len(items) > 1)
                count(item.file.size if item.file else 0)
                return done

            return await each(items, work, self._show, name=_name, at_once=wish.connections, as_json=wish.as_json)

    async def _get(self, item: Item, screen: Screen, *, brief: bool) -> tuple[Path, File, float] | None:
        file, wish = item.file or await self._sluice.file(item.id), self._wish
        with screen.meter(file.filename, brief=brief and file.size <= BRIEF_BYTES) as meter:
            if wish.output == STDOUT:
                await self._downloads.write(file, binary(), meter)
                return None
            target = item.target or target_of(wish.output, local_name(file.filename, otherwise=file.id))
            if item.base:
                _refuse_outside(target, item.base)
            if not wish.force and await asyncio.to_thread(_is_there, target, file):
                screen.tell(f"{target} is there already: {file.digests[SHA_256]}")
                return target, file, 0.0
            if item.target:
                _make_folder(target.parent)
            seconds = await self._downloads.save(file, target, meter, force=wish.force)
        held = "is verified:" if file.verified else "matches the sha-256 of the record, which is not verified:"
        if "verified" not in file.json:  # a share does not say
            held = "is what was shared:"
        screen.tell(f"{target} {held} {file.digests[SHA_256]}")
        return target, file, seconds

    def _show(self, _: Item, done: tuple[Path, File, float] | None) -> None:
        if done and self._wish.as_json:
            target, file, seconds = done
            print_json({"path": str(target), "file": file.json, "seconds": {"download": round(seconds, 3)}})


def _name(item: Item) -> object:
    return item.target or item.id


def target_of(output: str | None, name: str) -> Path:
    path = Path(output or name)
    return path / name if output and (path.is_dir() or output[-1] in {os.sep, os.altsep}) else path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SluiceError(f"{folder}: {error.strerror}.") from None


def _refuse_outside(target: Path, base: Path) -> None:
    """Others choose the folders below `base`: one of that name may be a link that leads to another place."""
    try:
        inside = target.parent.resolve().is_relative_to(base.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        raise SluiceError(f"{target.parent} leads out of {base}.", "Remove that link, or take another folder with -o.")


def _is_there(target: Path, file: File) -> bool:
    """Whether the target is a file of these very bytes."""
    with suppress(OSError):
        if file.digests.get(SHA_256) and not target.is_symlink() and target.is_file():
            with target.open("rb") as opened:
                if os.fstat(opened.fileno()).st_size == file.size:
                    return hashlib.file_digest(opened, "sha256").hexdigest() == file.digests[SHA_256]
    return False


def _laid_out(files: Sequence[File], base: Path, above: str) -> list[Item]:
    """Where each goes below `base`, `above` being left out of their folders. Equal names are told apart.

    Oldest first, so that a file that comes later changes no other's name, unless its folder has that name: no file can
    have the path of a folder.
    """
    files = sorted(files, key=lambda file: file.id)
    places = [_place((file.folder or "").removeprefix(above)) for file in files]
    taken = {same(folder) for place in places for folder in (place, *place.parents)}
    counts: dict[str, int] = {}  # so that a thousand equal names do not try a thousand numbers each
    items = []
    for file, place in zip(files, places, strict=True):
        name = local_name(file.filename, otherwise=file.id)
        path = place / name
        first = key = same(path)
        while key in taken:
            counts[first] = counts.get(first, 1) + 1
            path = place / numbered(name, counts[first])
            key = same(path)
        taken.add(key)
        items.append(Item(file.id, file, base / path, base))
    return items


def _place(folder: str) -> PurePath:
    return PurePath(*(local_name(part, otherwise="_") for part in folder.split("/") if part))
