"""Event source mappings: what Lambda does between an SQS queue and a function.

Batches are received, run through the function and deleted; what the function did not manage stays in the queue, becomes
visible again after the queue's visibility timeout, and goes to the dead letters after as many receives as the queue
says. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.environments import Pool, Throttled, TimedOut, reason
from local.functions import named
from local.runtime_api import EnvironmentGone, FunctionError
from local.template import REGION, Resolver, Resource, Template, TemplateError
from local.terminal import say

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageAttributeValueOutputTypeDef, MessageTypeDef

# Invocations of one mapping at once, where the template allows more: a machine with a few cores does not go faster with
# them.
CONCURRENCY = 4

# Where a template says nothing; https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
DEFAULT_BATCH_SIZE = 10

# Messages in one receive, the most that SQS gives; seconds that it waits for one, fewer than its 20 so that the stack
# can end soon.
RECEIVE_LIMIT = 10
RECEIVE_WAIT_S = 2

# Seconds until the next try when a receive failed, or the function is throttled.
RETRY_S = 1

# Seconds that a received message is hidden, where a queue says nothing;
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
DEFAULT_VISIBILITY_S = 30

_KNOWN = {"BatchSize", "Enabled", "EventSourceArn", "FunctionName", "FunctionResponseTypes", "ScalingConfig"}


@dataclass(frozen=True)
class EventSource:
    """One mapping of a template: `queue` feeds `function` (logical id)."""

    name: str
    function: str
    queue_url: str
    queue_arn: str
    batch_size: int
    concurrency: int
    partial: bool  # ReportBatchItemFailures
    visibility_timeout: int  # seconds


def declared(template: Template, resolver: Resolver) -> list[EventSource]:
    """The event source mappings of a template."""
    queues = {resolver.attributes[name, "Arn"]: name for name in template.of_type("AWS::SQS::Queue")}
    sources = []
    for name, resource in template.of_type("AWS::Lambda::EventSourceMapping").items():
        properties = resolver(resource["Properties"])
        if ":dynamodb:" in properties["EventSourceArn"]:  # `local.streams` plays it
            continue
        if unknown := properties.keys() - _KNOWN:
            raise TemplateError(f"{name} sets {', '.join(sorted(unknown))}: nothing does that yet (local/queue.py)")
        if str(properties.get("Enabled", True)).lower() == "false":
            continue
        arn = properties["EventSourceArn"]
        if arn not in queues:
            raise TemplateError(f"{name}: {arn} is no queue of this template")
        allowed = int(properties.get("ScalingConfig", {}).get("MaximumConcurrency", CONCURRENCY))
        sources.append(
            EventSource(
                name=name,
                function=named(properties["FunctionName"], template, resolver),
                queue_url=resolver.refs[queues[arn]],
                queue_arn=arn,
                batch_size=int(properties.get("BatchSize", DEFAULT_BATCH_SIZE)),
                concurrency=min(allowed, CONCURRENCY),
                partial="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
                visibility_timeout=_visibility_timeout(template.resources[queues[arn]], resolver),
            )
        )
    return sources


def _visibility_timeout(queue: Resource, resolver: Resolver) -> int:
    said = {key: value for key, value in queue.get("Properties", {}).items() if key == "VisibilityTimeout"}
    return int(resolver(said).get("VisibilityTimeout", DEFAULT_VISIBILITY_S))


class Poller:
    """Plays one event source mapping."""

    def __init__(self, source: EventSource, pool: Pool, sqs: "SQSClient") -> None:
        self._source = source
        self._pool = pool
        self._sqs = sqs

    async def run(self) -> None:
        """Poll until cancelled. Receives only when there is a place to work, or messages would wait out their time."""
        places = asyncio.Semaphore(self._source.concurrency)
        async with asyncio.TaskGroup() as batches:
            while True:
                await places.acquire()
                try:
                    messages = await asyncio.to_thread(self._receive)
                except (BotoCoreError, ClientError) as error:
                    say(self._source.name, f"cannot receive: {error}")
                    await asyncio.sleep(RETRY_S)
                    messages = []
                if messages:
                    batches.create_task(self._work(messages)).add_done_callback(lambda _: places.release())
                else:
                    places.release()

    def _receive(self) -> "list[MessageTypeDef]":
        received = self._sqs.receive_message(
            QueueUrl=self._source.queue_url,
            MaxNumberOfMessages=min(self._source.batch_size, RECEIVE_LIMIT),
            WaitTimeSeconds=RECEIVE_WAIT_S,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return received.get("Messages", [])

    async def _work(self, messages: "list[MessageTypeDef]") -> None:
        event = {"Records": [record(message, self._source.queue_arn) for message in messages]}
        try:
            answer = await self._invoke(json.dumps(event).encode(), len(messages))
        except (EnvironmentGone, FunctionError, OSError, Throttled, TimedOut) as error:
            say(self._source.name, f"{len(messages)} message(s) go back to the queue: {reason(error)}")
            return
        sent = {message["MessageId"] for message in messages}
        failed = failures(answer, sent) if self._source.partial else set()
        if failed:
            say(
                self._source.name, f"{len(failed)} of {len(sent)} message(s) go back to the queue, as the function says"
            )
        done = [message for message in messages if message["MessageId"] not in failed]
        try:
            await asyncio.to_thread(self._delete, done)
        except (BotoCoreError, ClientError) as error:  # they come again, as they may from SQS
            say(self._source.name, f"cannot delete: {error}")

    async def _invoke(self, event: bytes, count: int) -> bytes:
        """Run the function. One that is throttled is tried again for as long as the messages are hidden from others."""
        until = time.monotonic() + self._source.visibility_timeout
        while True:
            try:
                response = await self._pool.invoke(event)
            except Throttled as error:
                if time.monotonic() + RETRY_S >= until:
                    raise
                say(self._source.name, f"{count} message(s) wait: {reason(error)}")
                await asyncio.sleep(RETRY_S)
            else:
                return b"".join([piece async for piece in response])

    def _delete(self, messages: "list[MessageTypeDef]") -> None:
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._source.queue_url, ReceiptHandle=message["ReceiptHandle"])


def record(message: "MessageTypeDef", queue_arn: str) -> dict[str, Any]:
    """A received message as it stands in a function's event."""
    attributes = {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()}
    digest = message.get("MD5OfMessageAttributes")
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        **({"md5OfMessageAttributes": digest} if digest else {}),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def _attribute(value: "MessageAttributeValueOutputTypeDef") -> dict[str, Any]:
    """A message's attribute, whose bytes are base64 in an event. The lists are what SQS keeps for later."""
    shown: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        shown["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        shown["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return shown


def failures(answer: bytes, sent: set[str]) -> set[str]:
    """Which of the message ids `sent` failed, by a function's answer. One that is not understood fails them all."""
    try:
        document = json.loads(answer or b"null")
    except ValueError:
        return sent
    if document is None:
        return set()
    if not isinstance(document, Mapping):
        return sent
    listed = document.get("batchItemFailures") or []
    if not isinstance(listed, list):
        return sent
    failed = {item.get("itemIdentifier") if isinstance(item, Mapping) else None for item in listed}
    return sent & failed if failed <= sent else sent
