"""Makes archives: which files are in one is decided once, when it is asked for."""

import time
from datetime import datetime

from functions.api.schemas import CreateArchive
from functions.api.selection import SELECTING_SECONDS, Selection
from sluice import archives
from sluice.archives import Archive, Archives, ArchiveStatus, archive_filename
from sluice.errors import ArchiveNotFound, ArchiveTooLarge, Conflict, EmptyArchive
from sluice.files import File, Files, Status
from sluice.limits import MAX_ARCHIVE_BYTES, MAX_ARCHIVE_FILES
from sluice.objects import Objects
from sluice.queue import Queue
from sluice.shares import Share, Shares

# How long the archive of a share that failed is not tried again: each attempt copies what it can.
FAILED_SECONDS = 600


class Archiver:
    """Begins and deletes archives."""

    def __init__(self, files: Files, objects: Objects, queue: Queue, stream_limit: int) -> None:
        self.archives = Archives(*files.connection, objects)
        self._files = files
        self._selection = Selection(files)
        self._shares = Shares(*files.connection)
        self._objects = objects
        self._queue = queue
        self._stream_limit = stream_limit

    def begin(self, owner: str, wanted: CreateArchive, share: Share | None = None) -> Archive:
        """The archive of the files that are wanted; the hasher sees to what it needs before it is `ready`.

        Of a `share` there is one archive: as often as somebody asks for it, until one of its files has changed.

        Raises FileNotFound, NotReady, InvalidFolder, DropNotFound, EmptyArchive, TooManyFiles, ArchiveTooLarge, Busy.
        """
        files = self._selected(owner, wanted) if share is None else self._shared(share)
        members = archives.members_of(files)
        layout = archives.layout(members)
        known = self.archives.id_of_share(owner, share.id) if share else None
        if known and (made := self._made(owner, known, layout.etag)):
            return made
        if layout.size > MAX_ARCHIVE_BYTES:
            raise ArchiveTooLarge("S3 takes no object of so many bytes.", limit=MAX_ARCHIVE_BYTES, size=layout.size)
        streams = layout.size <= self._stream_limit and all(member.crc32 for member in members)
        archive = Archive(
            owner=owner,
            filename=wanted.filename or (archive_filename(share) if share else _filename(wanted)),
            share=share.id if share else None,
            status=ArchiveStatus.READY if streams else ArchiveStatus.BUILDING,
            count=len(members),
            size=layout.size,
            etag=layout.etag,
        )
        try:
            self.archives.create(archive, members, known)
        except Conflict:
            if share and (made := self.archives.of_share(owner, share.id)):
                return made
            raise
        if not streams:
            # Where this fails, nobody has heard of the archive, and whoever asks for that of a share sends it anew.
            self._queue.build_later(archive)
        return archive

    def _made(self, owner: str, archive_id: str, etag: str) -> Archive | None:
        """The archive of a share that can be had, or will be; None where another one has to be made."""
        try:
            made = self.archives.get(owner, archive_id)
        except ArchiveNotFound:
            return None
        failed = made.status is ArchiveStatus.FAILED
        if made.etag != etag or (failed and _age_seconds(made) > FAILED_SECONDS):
            return None
        if made.status is ArchiveStatus.BUILDING and made.lease_until <= time.time():
            self._queue.build_later(made)  # nobody works on it: its message may never have been sent
        return made

    def delete(self, archive: Archive) -> None:
        """Forget the archive, and then what S3 has of it: no job goes on with one that has no record."""
        self.archives.delete(archive)
        for name, upload_id in archive.uploads.items():
            self._objects.abort(f"{archive.prefix}{name}", upload_id)
        self._objects.delete_below(archive.prefix)

    def _shared(self, share: Share) -> list[File]:
        """What is left of the share's files."""
        found = self._files.many(share.owner, self._shares.file_ids(share), SELECTING_SECONDS)
        files = [file for file in found if file.status is Status.READY]
        if not files:
            raise EmptyArchive("No file of the share is left.")
        return files

    def _selected(self, owner: str, wanted: CreateArchive) -> list[File]:
        """The oldest first: of two with one name it keeps it."""
        files = self._selection.select(owner, wanted, MAX_ARCHIVE_FILES)
        if not files:
            raise EmptyArchive("No file there is ready.")
        return files if wanted.files is not None else sorted(files, key=lambda file: file.id)


def _age_seconds(archive: Archive) -> float:
    return time.time() - datetime.fromisoformat(archive.created_at).timestamp()


def _filename(wanted: CreateArchive) -> str:
    return f"{(wanted.folder or '').rpartition('/')[2] or 'files'}.zip"
