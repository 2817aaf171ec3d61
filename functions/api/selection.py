"""Which files somebody means: those that he names, or what is ready in a folder or a drop at this moment."""

from time import monotonic
from typing import Protocol

from functions.api.schemas import check_folder
from sluice.drops import Drops
from sluice.errors import FileNotFound, NotReady, TooManyFiles
from sluice.files import ID, File, Files, Status
from sluice.listing import Filter, Listing

# The API function has 29 s, of which a list of 100,000 files takes some to write.
SELECTING_SECONDS = 20.0
LISTED = 1_000  # files in one page: 1 MB of records, and one read of the index


class Wanted(Protocol):
    """One of the three is not None. The folder "" means what is in none."""

    @property
    def files(self) -> list[str] | None: ...

    @property
    def folder(self) -> str | None: ...

    @property
    def drop(self) -> str | None: ...


class Selection:
    """Of all owners."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._listing = Listing(files)
        self._drops = Drops(*files.connection)

    def select(self, owner: str, wanted: Wanted, most: int, *, guests: bool = True) -> list[File]:
        """The owner's files, in the order of their names here, else newest first; none where nothing is ready.

        Without `guests` a folder has nothing that came through a drop: whoever comes through one chooses the folder of
        what he sends. Raises FileNotFound and NotReady for one that was named, InvalidFolder, DropNotFound,
        TooManyFiles for more than `most`, Busy.
        """
        if wanted.files is not None:
            return self._named(owner, wanted.files)
        folder = check_folder(wanted.folder) if wanted.folder else wanted.folder
        found: list[File] = []
        until = monotonic() + SELECTING_SECONDS
        asked = Filter(status=Status.READY, folder=folder, drop=wanted.drop)
        for page in self._listing.pages(owner, asked, size=LISTED):
            found += page if guests or folder is None else [file for file in page if file.drop is None]
            if len(found) > most:
                raise TooManyFiles(f"At most {most:,} files can be taken together.", limit=most)
            if monotonic() > until:
                raise TooManyFiles(f"There are more files than can be looked at in {SELECTING_SECONDS:.0f} s.")
        if not found and wanted.drop is not None:
            self._drops.get(owner, wanted.drop)
        return found

    def _named(self, owner: str, ids: list[str]) -> list[File]:
        wanted = dict.fromkeys(ids)
        files = self._files.many(owner, filter(ID.fullmatch, wanted), SELECTING_SECONDS)
        known = {file.id for file in files}
        for missing in (one for one in wanted if one not in known):
            raise FileNotFound("You have no file with this id.", id=missing[:40])
        for file in files:
            if file.status is not Status.READY:
                raise NotReady(f"The file {file.id} is {file.status}.", id=file.id, state=file.status)
        return files
