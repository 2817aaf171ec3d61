"""The folder that keeps what the stack holds over a restart: `make up DATA=dir`.

Everything but the bytes of S3 objects is a record of one SQLite database, and each record is a JSON document of what is
needed, not of moto's classes: another version of moto reads it as well. A record is written before the request that
changed it is answered. What was written survives the death of any process, SIGKILL too. The database stays whole when
the machine loses power, but may then lack the last moments: nothing waits for the disk.
"""

import base64
import contextlib
import fcntl
import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

# Of the records. Another number is not read: the folder says which version wrote it.
FORMAT = 1

DATABASE = "state.db"
LOCK = "lock"
OBJECTS = "objects"

# Seconds in which a stack that was killed a moment ago, and its moto, let go of the folder.
LOCK_WAIT_S = 5
LOCK_RETRY_S = 0.05

# Seconds that one process of the stack waits for the other's transaction. Each takes a few milliseconds.
BUSY_S = 30

# Bytes of the write-ahead log that stay allocated once its contents are in the database.
LOG_BYTES = 4 * 1024 * 1024

_OWNER_ONLY = 0o700
_OWNER_READS = 0o600


class Unusable(Exception):
    """The folder cannot keep this stack's data; the message says why and what to do."""


@dataclass(frozen=True)
class Record:
    """One thing that is kept: an item of a table, a message of a queue. A `value` of None is the end of it."""

    kind: str
    parent: str
    id: str
    value: Any = None


class _Request(threading.local):
    """What a thread has begun by `together`."""

    open: contextlib.ExitStack | None = None
    error: BaseException | None = None


class Folder:
    """A folder that belongs to one stack at a time, until `close`, and to that stack's moto for as long as it lives."""

    def __init__(self, path: Path, lock: int, store: "Store") -> None:
        self.path = path
        self.lock = lock
        self.store = store

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Make the folder if it is not there, readable by its owner only, and lock it. Raises `Unusable`."""
        path = path.expanduser().absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
            inside = {entry.name for entry in path.iterdir()}
            if inside and not inside & {LOCK, DATABASE}:
                raise Unusable(f"{path} has other files in it: use an empty folder, or one of a stack before")
            # Also where the folder was there before, and whatever the umask: contents and tokens lie in it.
            if stat.S_IMODE(path.stat().st_mode) != _OWNER_ONLY:
                path.chmod(_OWNER_ONLY)
            lock = _opened(path / LOCK)
        except (FileExistsError, NotADirectoryError) as error:
            raise Unusable(f"{error.filename} is a file, and DATA has to be a folder") from error
        except OSError as error:
            raise Unusable(f"{path} cannot keep data: {error.strerror} ({error.filename})") from error
        try:
            _lock(lock, path)
            os.close(_opened(path / DATABASE))  # its log gets the same mode
            store = Store(path)
        except OSError as error:
            os.close(lock)
            raise Unusable(f"{path} cannot keep data: {error.strerror} ({error.filename or LOCK})") from error
        except Unusable:
            os.close(lock)
            raise
        return cls(path, lock, store)

    def close(self) -> None:
        self.store.close()
        os.close(self.lock)


class Store:
    """The records of a folder. Whoever is in a `transaction` holds `lock`, and may hold it around more than that."""

    def __init__(self, folder: Path) -> None:
        """Raises `Unusable` where another version wrote the folder, or something else than a stack."""
        self.lock = threading.RLock()
        self._depth = 0
        self._request = _Request()
        self._connection = sqlite3.connect(
            folder / DATABASE, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(folder)
        except sqlite3.Error as error:
            self._connection.close()
            raise Unusable(
                f"{folder / DATABASE} is unusable: {error}. Use another folder, or empty this one"
            ) from error
        except Unusable:
            self._connection.close()
            raise

    def _prepare(self, folder: Path) -> None:
        execute = self._connection.execute
        (written,) = execute("PRAGMA user_version").fetchone()
        if written not in (0, FORMAT):
            raise Unusable(
                f"{folder} was written in format {written}, and this version knows format {FORMAT}."
                " Run the version that wrote it, or use another folder"
            )
        execute("PRAGMA auto_vacuum = FULL")  # before the first table: the file shrinks as records go
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        with self.transaction():
            execute(
                "CREATE TABLE IF NOT EXISTS record (place INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
                " parent TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (kind, parent, id))"
            )
            execute(f"PRAGMA user_version = {FORMAT}")

    def read(self, kind: str, parent: str) -> list[Record]:
        """The records of one parent, in the order in which they were first written."""
        with self.lock:
            rows = self._connection.execute(
                "SELECT id, value FROM record WHERE kind = ? AND parent = ? ORDER BY place", (kind, parent)
            ).fetchall()
        return [Record(kind, parent, name, loads(value)) for name, value in rows]

    def parents(self, kind: str) -> list[str]:
        with self.lock:
            rows = self._connection.execute("SELECT DISTINCT parent FROM record WHERE kind = ?", (kind,)).fetchall()
        return [parent for (parent,) in rows]

    def write(self, records: Iterable[Record]) -> None:
        """All of them or none."""
        with self.transaction():
            for record in records:
                if record.value is None:
                    self._connection.execute(
                        "DELETE FROM record WHERE kind = ? AND parent = ? AND id = ?",
                        (record.kind, record.parent, record.id),
                    )
                else:
                    self._connection.execute(
                        "INSERT INTO record (kind, parent, id, value) VALUES (?, ?, ?, ?)"
                        " ON CONFLICT (kind, parent, id) DO UPDATE SET value = excluded.value",
                        (record.kind, record.parent, record.id, dumps(record.value)),
                    )

    def forget(self, kind: str, parent: str) -> None:
        """End all records of one parent."""
        with self.transaction():
            self._connection.execute("DELETE FROM record WHERE kind = ? AND parent = ?", (kind, parent))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written in the block is written together, at its end. One inside another is part of it."""
        with self.lock:
            if self._request.open and not self._depth:
                self._request.open.enter_context(self._transaction())
            try:
                with self._transaction():
                    yield
            except BaseException as error:
                self._request.error = error
                raise

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What this thread writes in the block is one transaction, from the first write to the end of the block.

        It fails there if one of the writes did, whoever may have taken no notice of that.
        """
        with contextlib.ExitStack() as stack:
            self._request.open, self._request.error = stack, None
            try:
                yield
            finally:
                self._request.open = None
            if self._request.error is not None:
                raise self._request.error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.lock:
            if not self._depth:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if not self._depth:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if not self._depth:
                self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def dumps(value: Any) -> str:
    """`value` as JSON; bytes are an object with the one key `$bytes`."""
    return json.dumps(value, default=_encoded, separators=(",", ":"))


def loads(text: str) -> Any:
    return json.loads(text, object_hook=_decoded)


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {"$bytes": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value)} has no place in a record")


def _decoded(document: dict[str, Any]) -> Any:
    match document:
        case {"$bytes": str(text)} if len(document) == 1:
            return base64.b64decode(text)
    return document


def _opened(path: Path) -> int:
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_READS)
    os.fchmod(opened, _OWNER_READS)
    return opened


def _lock(lock: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unusable(f"{path} is in use by another stack. End that one, or use another folder") from None
        time.sleep(LOCK_RETRY_S)
