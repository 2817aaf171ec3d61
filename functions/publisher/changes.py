"""What a change of the table means for those who wait for events.

DynamoDB's stream has a change once it is committed, and the change alone says what to send: whoever dies between a
verdict and its event has lost nothing. The same change makes the same events, with the same ids, however often it is
read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sluice import downloads, files
from sluice.downloads import DOWNLOADS, Download, Ending
from sluice.files import File, Status


class Kind(StrEnum):
    """The `detail-type`."""

    FILE_READY = "File Ready"
    FILE_FAILED = "File Failed"
    FILE_ABORTED = "File Aborted"
    DROP_RECEIVED = "Drop Received"
    SHARE_DOWNLOADED = "Share Downloaded"


OF_STATUS = {Status.READY: Kind.FILE_READY, Status.FAILED: Kind.FILE_FAILED, Status.ABORTED: Kind.FILE_ABORTED}


@dataclass(frozen=True, slots=True)
class Event:
    """One event: of a file as it was at this revision, or of a download that ended. `time` is when that happened."""

    kind: Kind
    time: str
    subject: File | Download

    @property
    def id(self) -> str:
        """By which a receiver knows an event that it has had before."""
        return f"{self.kind.lower().replace(' ', '-')}:{self.subject.id}:{self.subject.revision}"


def events(record: Mapping[str, Any]) -> list[Event]:
    """The events of one record of the stream. Raises what a record that cannot be understood leads to."""
    change = record["dynamodb"]
    partition: str = change["Keys"]["owner"]["S"]
    old, new = change.get("OldImage"), change.get("NewImage")
    if partition.startswith(DOWNLOADS):
        return _of_download(old, new)
    if "/" in partition:  # no owner has one: this is none of a file
        return []
    moment = _seconds(change["ApproximateCreationDateTime"])
    return _of_file(old and files.from_item(old), new and files.from_item(new), moment)


def _seconds(moment: float | str) -> float:
    """Since the epoch: Lambda has a number, and text has who reads the stream by the command line."""
    return datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else float(moment)


def _of_file(old: File | None, new: File | None, moment: float) -> list[Event]:
    if new is None:
        # Nobody writes when an upload expires: the stream hears of it when the TTL takes the record away.
        if old is None or old.status is not Status.UPLOADING or old.expires_at is None or old.expires_at > moment:
            return []
        new = files.expired(old, old.expires_at)
    elif old is not None and old.status is new.status and not (new.verified and not old.verified):
        return []
    if new.status not in OF_STATUS:
        return []
    kinds = [OF_STATUS[new.status]]
    if new.status is Status.READY and new.drop is not None:
        kinds.append(Kind.DROP_RECEIVED)
    return [Event(kind, new.updated_at, new) for kind in kinds]


def _of_download(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[Event]:
    if (last := new or old) is None or "share" not in last or (old and "ended" in old):
        return []
    download = downloads.from_item(last)
    if new is None:  # forgotten a day later: whoever sent it died before he could say how it ended
        download = replace(download, ended=Ending.BROKEN)
    return [Event(Kind.SHARE_DOWNLOADED, last["changed"]["S"], download)] if download.ended else []
