"""Which files a share is made of: those that were named, or what is ready in a folder or a drop at this moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from functions.api.schemas import CreateShare, check_folder
from sluice.drops import Drops
from sluice.errors import FileNotFound, NothingToShare, NotReady, TooManyFiles
from sluice.files import BATCH_KEYS, ID, File, Files, Status
from sluice.limits import MAX_SHARED_FILES
from sluice.listing import Filter, Listing

# The API function has 29 s, of which the list of 100,000 ids takes some to write.
CHOOSING_SECONDS = 20.0
LISTED = 1_000  # files in one page: 1 MB of records, and one read of the index


@dataclass(frozen=True, slots=True)
class Chosen:
    """The ids of files, and the bytes of all of them."""

    ids: list[str]
    size: int


def choose(files: Files, listing: Listing, drops: Drops, owner: str, wanted: CreateShare) -> Chosen:
    """The owner's files that are wanted.

    Raises FileNotFound and NotReady for one that was named, InvalidFolder, DropNotFound, NothingToShare, TooManyFiles,
    Busy.
    """
    if wanted.files is not None:
        pages = _named(files, owner, list(dict.fromkeys(wanted.files)))
    else:
        folder = check_folder(wanted.folder) if wanted.folder else wanted.folder  # "": what is in no folder
        pages = _listed(listing, owner, Filter(status=Status.READY, folder=folder, drop=wanted.drop))
    ids: list[str] = []
    size, until = 0, monotonic() + CHOOSING_SECONDS
    for listed in pages:
        # Guests of a drop choose the folder of what they send: it is shared by its drop, or by its id.
        page = listed if wanted.folder is None else [file for file in listed if file.drop is None]
        ids += [file.id for file in page]
        size += sum(file.size for file in page)
        if len(ids) > MAX_SHARED_FILES:
            raise TooManyFiles(f"A share has at most {MAX_SHARED_FILES:,} files.", limit=MAX_SHARED_FILES)
        if monotonic() > until:
            raise TooManyFiles(f"There are more files than can be looked at in {CHOOSING_SECONDS:.0f} s. Share fewer.")
    if not ids:
        if wanted.drop is not None:
            drops.get(owner, wanted.drop)
        raise NothingToShare("No file in it is ready.")
    return Chosen(ids, size)


def _named(files: Files, owner: str, ids: list[str]) -> Iterator[list[File]]:
    for start in range(0, len(ids), BATCH_KEYS):
        some = ids[start : start + BATCH_KEYS]
        found = {file.id: file for file in files.several(owner, filter(ID.fullmatch, some))}
        for one in some:
            if one not in found:
                raise FileNotFound("You have no file with this id.", id=one)
            if found[one].status is not Status.READY:
                raise NotReady(f"The file is {found[one].status}.", id=one, state=found[one].status)
        yield [found[one] for one in some]


def _listed(listing: Listing, owner: str, wanted: Filter) -> Iterator[list[File]]:
    cursor = None
    while True:
        page, cursor = listing.page(owner, LISTED, cursor, wanted)
        yield page
        if cursor is None:
            return
