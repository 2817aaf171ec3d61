"""`sluice put`."""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from sluice_client import errors, fingerprints, streams
from sluice_client.batches import each
from sluice_client.contract import Sluice
from sluice_client.digests import SHA_256, Running
from sluice_client.errors import Misuse, Problem
from sluice_client.journal import Journal
from sluice_client.names import checksum_line
from sluice_client.output import print_json, print_line
from sluice_client.progress import Screen, complain, say
from sluice_client.rates import Rate
from sluice_client.records import File
from sluice_client.sources import Label, Source
from sluice_client.states import Status
from sluice_client.threads import apart
from sluice_client.trees import Globs, walk
from sluice_client.uploads import WHOLE_BYTES, Uploaded, Uploads

STDIN = Path("-")
FILES_PER_CONNECTION = 2  # at once: while one is on its way, another is read, or waits for its verdict
BRIEF_BYTES = 4 * 1024 * 1024  # of many files, only larger ones have a line or a bar of their own
READ_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    name: str | None = None
    folder: str | None = None
    content_type: str | None = None
    recursive: bool = False
    follow: bool = False
    globs: Globs = field(default_factory=Globs)
    again: bool = False
    dry_run: bool = False
    shown: str = SHA_256  # the digest that is printed
    connections: int = 4
    rate: float | None = None  # bytes a second
    as_json: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    path: Path
    label: Label
    size: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an item: `uploaded` is None where it was there already, and `file` where it would be sent."""

    file: File | None
    digests: dict[str, str]
    uploaded: Uploaded | None


async def put(sluice: Sluice, paths: Sequence[Path], wish: Wish) -> int:
    """Uploads each, and prints its digest of the name `wish.shown`."""
    with ExitStack() as stack:
        screen = stack.enter_context(Screen(quiet=wish.quiet))
        putting = _Put(sluice, wish, screen)
        items = putting.listed(paths)
        putting.remember(stack)
        if wish.recursive and not wish.again:
            await putting.look(items)
        with screen.counting(len(items), sum(item.size for item in items)) as count:

            async def work(item: Item) -> Done:
                done = await putting.put(item, brief=len(items) > 1)
                count(item.size)
                return done

            at_once = FILES_PER_CONNECTION * wish.connections
            worst = await each(
                items, work, putting.show, name=lambda item: item.path, at_once=at_once, as_json=wish.as_json
            )
        return max(worst, putting.worst)


class _Put:
    def __init__(self, sluice: Sluice, wish: Wish, screen: Screen) -> None:
        self._sluice, self._wish, self._screen = sluice, wish, screen
        self._uploads = Uploads(sluice, connections=wish.connections, rate=Rate(wish.rate))
        self._key: bytes | None = None
        self._journal: Journal | None = None
        self._there: dict[tuple[str | None, str], list[File]] = {}
        self.worst = errors.OK

    def listed(self, paths: Sequence[Path]) -> list[Item]:
        """The files, those of folders in the order of their names."""
        wish, items = self._wish, []
        for path in paths:
            if wish.recursive and path.is_dir():
                found = walk(
                    path, wish.folder, wish.globs, follow=wish.follow, skipped=self._skipped, failed=self._failed
                )
                for each in found:
                    label = Label.of(each.path, folder=each.folder, content_type=wish.content_type)
                    items.append(Item(each.path, label, each.size))
            else:
                label = Label.of(path, name=wish.name, folder=wish.folder, content_type=wish.content_type)
                items.append(Item(path, label, _size(path)))
        return items

    def remember(self, stack: ExitStack) -> None:
        """Have a memory of what earlier runs began and ended, where this machine lets us."""
        try:
            self._key = fingerprints.user_key()
            self._journal = stack.enter_context(closing(Journal(self._sluice.api)))
        except OSError as error:
            say(f"sluice: uploads that are interrupted will not be resumed: {error}")

    async def look(self, items: Sequence[Item]) -> None:
        """Learn which files there are in the folders that files go to."""
        below = [self._wish.folder] if self._wish.folder else [item.label.folder for item in items]
        tops = {folder.split("/")[0] if folder and not self._wish.folder else folder for folder in below}
        try:
            for top in [None] if None in tops else sorted(filter(None, tops)):
                async for file in self._sluice.files(status=Status.READY, folder=top):
                    if file.verified:
                        self._there.setdefault((file.folder, file.filename), []).append(file)
        except Problem as refusal:
            if refusal.code != "owner_only":  # a capability to upload sees nothing
                raise

    async def put(self, item: Item, *, brief: bool) -> Done:
        wish, label = self._wish, item.label
        names = tuple({SHA_256, wish.shown})  # the SHA-256 is always there: it is what `get` will compare
        if _is_stream(item.path):
            if wish.dry_run:
                return Done(None, {}, None)
            return await self._put_stream(item, names)
        source = Source.open(item.path, label)
        fingerprint = fingerprints.fingerprint(source, self._key) if self._key else None
        if not wish.again and (file := await self._already(source, fingerprint, names)):
            self._screen.tell(f"{item.path} is {file.id}: there already, verified")
            return Done(file, dict(file.digests), None)
        if wish.dry_run:
            return Done(None, {}, None)
        if wish.again and source.size <= WHOLE_BYTES:
            fingerprint = None  # by which the server would know it, and answer with what it has
        brief = brief and source.size <= BRIEF_BYTES
        with self._screen.meter(label.filename, brief=brief) as meter:
            uploaded = await self._uploads.put(source, meter, names=names, fingerprint=fingerprint)
        if self._journal and fingerprint:
            self._journal.remember(fingerprint, uploaded.file.id)
        return self._done(item, uploaded)

    async def _put_stream(self, item: Item, names: tuple[str, ...]) -> Done:
        with self._screen.meter(item.label.filename) as meter, ExitStack() as stack:
            if item.path == STDIN:
                if sys.stdin is None:
                    raise Misuse("stdin is closed.")
                descriptor = sys.stdin.fileno()
            else:
                try:  # opening a FIFO waits for somebody who writes
                    descriptor = await apart(lambda: os.open(item.path, os.O_RDONLY))
                except OSError as error:
                    raise Misuse(f"{error.strerror}.") from None
                stack.callback(os.close, descriptor)
            return self._done(item, await streams.put(self._uploads, descriptor, item.label, meter, names=names))

    def _done(self, item: Item, uploaded: Uploaded) -> Done:
        verified = uploaded.file.verified
        verdict = "verified" if verified else "hashed, not verified by the server; the digests are equal"
        self._screen.tell(f"{_shown(item)} is {uploaded.file.id}: {verdict}")
        return Done(uploaded.file, uploaded.digests, uploaded)

    async def _already(self, source: Source, fingerprint: str | None, names: tuple[str, ...]) -> File | None:
        """The file that has these bytes already, under this name, and verified."""

        def fits(file: File) -> bool:
            found = (file.filename, file.folder, file.size)
            wanted = (source.label.filename, source.label.folder, source.size)
            return file.status == Status.READY and file.verified and found == wanted and set(names) <= set(file.digests)

        if self._journal and fingerprint and (file_id := self._journal.file_id(fingerprint)):
            try:
                file = await self._sluice.file(file_id)
            except Problem as refusal:
                if refusal.code != "file_not_found":
                    raise
            else:
                if fits(file):
                    return file
        candidates = [f for f in self._there.get((source.label.folder, source.label.filename), []) if fits(f)]
        if candidates:
            digest = await _sha256(source)
            for file in candidates:
                if file.digests[SHA_256] == digest:
                    return file
        return None

    def show(self, item: Item, done: Done) -> None:
        wish = self._wish
        if wish.as_json:
            sent = done.uploaded
            seconds = {"upload": sent.upload_seconds, "hash": sent.hash_seconds} if sent else {}
            document = {
                "path": str(item.path),
                "file": done.file.json if done.file else None,
                "already_there": done.file is not None and done.uploaded is None,
                "seconds": {phase: round(each, 3) for phase, each in seconds.items()},
            }
            print_json(document)
        elif wish.dry_run:
            if done.file is None:
                print_line(str(item.path))
        else:
            print_line(checksum_line(done.digests[wish.shown], _shown(item)))

    def _skipped(self, path: Path, why: str) -> None:
        self._screen.tell(f"{path} is skipped: {why}")

    def _failed(self, path: Path, error: OSError) -> None:
        complaint = Misuse(f"{error.strerror or error}.")
        complain(complaint, path)
        self.worst = max(self.worst, complaint.exit_code)


def _shown(item: Item) -> str:
    return item.label.filename if item.path == STDIN else str(item.path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # told where it is opened
        return 0


def _is_stream(path: Path) -> bool:
    if path == STDIN:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


async def _sha256(source: Source) -> str:
    """Raises WrongBytes when the file changes meanwhile."""
    running = Running([SHA_256])
    for offset in range(0, source.size, READ_BYTES):
        await running.update(await source.read(offset, min(READ_BYTES, source.size - offset)))
    return running.hexdigests()[SHA_256]
