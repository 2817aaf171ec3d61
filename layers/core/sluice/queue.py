"""The hasher's queue, as the API and the hasher itself use it.

IAM action: sqs:SendMessage (send).
"""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from sluice import audit, settings
from sluice.archives import Archive
from sluice.files import File

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

ASSEMBLING = "Assembling"  # what such a message says, where S3's have `Records`
ARCHIVING = "Archiving"  # the same of an archive that is not ready at once
SCANNING = "Scanning"  # the same of a file that waits for the verdict of its malware scan
MEASURING = "Measuring"  # the same of an upload whose client chooses the sizes of its parts
DELAY_SECONDS = 120  # until somebody looks: S3 is done with most objects by then, and its event has come

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
MAX_DELAY_SECONDS = 900


class Queue:
    """Messages to the hasher."""

    def __init__(self, url: str) -> None:
        self._url = url

    @classmethod
    def connect(cls) -> "Queue":
        return cls(settings.QUEUE_URL.read())

    @cached_property
    def _client(self) -> "SQSClient":
        # Most requests do without it, so it is made when it is first asked for. Those who send have seconds left.
        config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=1, read_timeout=2)
        return boto3.client("sqs", config=config)

    def send(self, body: str, delay_seconds: int = 0, owner: str | None = None) -> None:
        """A message as the hasher takes it, which it gets `delay_seconds` from now, at most MAX_DELAY_SECONDS.

        With an `owner` it is in his group: whoever has many such messages waits for himself, and nobody else for him.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
        """
        group: Any = {"MessageGroupId": owner} if owner else {}
        self._client.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds, **group)

    def complete_later(self, file: File) -> None:
        """Let the hasher see to it that S3 puts the file's parts together, once it is `assembling`.

        Sent before anything else of a completion, so that no `assembling` file is without its message.
        """
        self.send(_message(ASSEMBLING, file, audit.request_id()), DELAY_SECONDS)

    def measure_later(self, file: File) -> None:
        """Let the hasher see that S3 holds no more for this upload than was promised for it."""
        self.send(_message(MEASURING, file), MAX_DELAY_SECONDS)

    def scan_later(self, file: File, until: int) -> None:
        """Let the hasher see whether the file has been scanned, which fails when it has not been by then.

        `until` is in epoch seconds.
        """
        told = {"owner": file.owner, "id": file.id, "until": until}
        self.send(json.dumps({SCANNING: told}), MAX_DELAY_SECONDS)

    def build_later(self, archive: Archive, request_id: str | None = None) -> None:
        """Let the hasher do what an archive needs before it is `ready`, or go on with it.

        `request_id` is that of the request that wants it, where it is not the one at hand.
        """
        self.send(_message(ARCHIVING, archive, request_id or audit.request_id()), owner=archive.owner)


def _message(kind: str, about: File | Archive, request_id: str | None = None) -> str:
    """With the id of the request that it goes back to, where there is one: the hasher's log names it."""
    asked = {"request_id": request_id} if request_id else {}
    return json.dumps({kind: {"owner": about.owner, "id": about.id, **asked}})


def archive_to_build(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """The owner and the id of the archive that a message of `build_later` means; None for any other message."""
    meant = message.get(ARCHIVING)
    return (meant["owner"], meant["id"]) if meant else None


def upload_to_measure(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """The owner and the id of the file that a message of `measure_later` means; None for any other message."""
    meant = message.get(MEASURING)
    return (meant["owner"], meant["id"]) if meant else None


def scan_to_await(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """The owner and the id of the file that a message of `scan_later` means; None for any other message."""
    meant = message.get(SCANNING)
    return (meant["owner"], meant["id"]) if meant else None


def scan_ends(message: Mapping[str, Any]) -> int:
    """Until when a message of `scan_later` lets the file wait, in epoch seconds."""
    until = message[SCANNING].get("until")
    return until if isinstance(until, int) else 0


def upload_to_complete(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """The owner and the id of the file that a message of `complete_later` means; None for any other message."""
    told = message.get(ASSEMBLING)
    return (told["owner"], told["id"]) if told else None
