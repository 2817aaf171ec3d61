"""What this user has uploaded within the last day: after Ctrl-C the same command goes on with the files that are left.

A day, because as long does the server remember an Idempotency-Key. The server is still asked whether it has the file.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sluice_client.errors import SluiceError
from sluice_client.places import state_folder

REMEMBERED_SECONDS = 86_400
PATIENCE_SECONDS = 30.0  # while another `sluice` writes


class Journal:
    """The ids of files by deployment and fingerprint, which is a secret of the user's."""

    def __init__(self, api: str) -> None:
        """Raises OSError where nothing can be kept."""
        self._api = api
        path = state_folder() / "uploaded.sqlite"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        try:
            # Autocommit: what is written is there for whoever comes after `kill -9`.
            self._database = sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = OFF")  # a power failure may cost the last entries
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS uploaded"
                    " (api, fingerprint, file_id, moment, PRIMARY KEY (api, fingerprint))"
                )
                self._database.execute("DELETE FROM uploaded WHERE moment < ?", (time.time() - REMEMBERED_SECONDS,))
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from None

    def close(self) -> None:
        self._database.close()

    def file_id(self, fingerprint: str) -> str | None:
        wanted = "SELECT file_id FROM uploaded WHERE api = ? AND fingerprint = ?"
        with _as_ours(), closing(self._database.execute(wanted, (self._api, fingerprint))) as rows:
            found = rows.fetchone()
        return str(found[0]) if found else None

    def remember(self, fingerprint: str, file_id: str) -> None:
        entry = (self._api, fingerprint, file_id, time.time())
        with _as_ours():
            self._database.execute("INSERT OR REPLACE INTO uploaded VALUES (?, ?, ?, ?)", entry)


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise SluiceError(f"What was uploaded cannot be remembered: {error}.") from None
