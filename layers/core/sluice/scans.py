"""The malware scan: a hashed file is `scanning` until GuardDuty's verdict over the very version that was hashed.

Verdicts come in any order and more than once, also before the end of the hash. Who has a verdict keeps it and then
looks at the file; who ends a hash writes `scanning` and then looks for a verdict. Both read consistently, so one of the
two sees what the other has written, and no verdict is lost.

IAM actions: dynamodb:PutItem (keep), dynamodb:GetItem (settle), and what Files.get and Files.save do.
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sluice.errors import Conflict, FileNotFound
from sluice.files import TOMBSTONE_DAYS, File, Files, Status, in_days

PARTITION = "scans/"  # and the owner: no owner has a slash, so no list of files ever meets a verdict
# Longer than a message about the object can wait in the queue, after which nobody ends its hash any more.
REMEMBERED_DAYS = TOMBSTONE_DAYS
# How long a file is `scanning` at most. A scan takes seconds or minutes; EventBridge tries to deliver for a day,
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
PATIENCE_SECONDS = 25 * 3600


class Verdict(StrEnum):
    """https://docs.aws.amazon.com/guardduty/latest/ug/monitoring-malware-protection-s3-scans-gdu.html"""

    CLEAN = "NO_THREATS_FOUND"
    THREATS = "THREATS_FOUND"
    UNSUPPORTED = "UNSUPPORTED"  # encrypted, too large, too deeply nested
    ACCESS_DENIED = "ACCESS_DENIED"
    FAILED = "FAILED"


class Reason(StrEnum):
    """Why a file failed: the record's `reason`."""

    MALWARE = "malware"
    NOT_SCANNED = "not_scanned"


@dataclass(frozen=True, slots=True)
class Scan:
    """What GuardDuty says of one version of a file's object."""

    owner: str
    file_id: str
    version_id: str
    verdict: Verdict


class Scans:
    """The verdicts, kept beside the files."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._client, self._table = files.connection

    def keep(self, scan: Scan) -> None:
        """Note the verdict, unless a graver one over the same version is known."""
        severity = {":severity": {"N": str(_severity(scan.verdict))}}
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.put_item(
                TableName=self._table,
                Item={
                    **_key(scan.owner, scan.file_id, scan.version_id),
                    "verdict": {"S": scan.verdict},
                    "severity": severity[":severity"],
                    "forget_at": {"N": str(in_days(REMEMBERED_DAYS))},
                },
                ConditionExpression="attribute_not_exists(severity) OR severity < :severity",
                ExpressionAttributeValues=severity,
            )

    def settle(self, owner: str, file_id: str) -> File | None:
        """The file as the verdict over its version changes it; None where nothing changes.

        What is found later counts as well: a file that is `ready` fails when another scan finds malware in it.
        """
        return self._end(owner, file_id, given_up=False)

    def give_up(self, owner: str, file_id: str) -> File | None:
        """The same; without a verdict the file fails, as nobody may have what was not scanned."""
        return self._end(owner, file_id, given_up=True)

    def _end(self, owner: str, file_id: str, *, given_up: bool) -> File | None:
        while True:
            try:
                file = self._files.get(owner, file_id)
            except FileNotFound:
                return None
            if file.status not in (Status.SCANNING, Status.READY):
                return None
            changes = _changes(file, self._find(file), given_up=given_up)
            if not changes:
                return None
            with suppress(Conflict):  # its name was changed meanwhile
                return self._files.save(file, **changes)

    def _find(self, file: File) -> Verdict | None:
        key = _key(file.owner, file.id, str(file.version_id))
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return Verdict(item["verdict"]["S"]) if item else None


def _changes(file: File, verdict: Verdict | None, *, given_up: bool) -> dict[str, Any]:
    if verdict is Verdict.THREATS:
        return {"status": Status.FAILED, "reason": Reason.MALWARE, "verified": False}
    if file.status is Status.READY or (verdict is None and not given_up):
        return {}
    if verdict is Verdict.CLEAN:
        return {"status": Status.READY}
    return {"status": Status.FAILED, "reason": Reason.NOT_SCANNED, "verified": False}


def _severity(verdict: Verdict) -> int:
    """A scan that was made outweighs one that was not, and what one has found outweighs what another has not."""
    return {Verdict.THREATS: 2, Verdict.CLEAN: 1}.get(verdict, 0)


def _key(owner: str, file_id: str, version_id: str) -> dict[str, Any]:
    return {"owner": {"S": PARTITION + owner}, "id": {"S": f"{file_id}/{version_id}"}}
