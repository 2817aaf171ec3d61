"""Streams of DynamoDB: what Lambda does between the changes of a table and a function.

A stream is a queue here, one shard whose messages come in order. What the function does not manage comes again, and
what is behind it waits, until it is given up: then the destination for failures hears of it.
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.environments import Pool, Throttled, TimedOut, reason
from local.functions import named
from local.queue import RECEIVE_LIMIT, RECEIVE_WAIT_S, RETRY_S, failures
from local.runtime_api import EnvironmentGone, FunctionError
from local.template import ACCOUNT, REGION, Resolver, Template, TemplateError
from local.terminal import say

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

# Lambda's own, where a template says nothing; https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
DEFAULT_BATCH_SIZE = 100

# Seconds that a change which is being worked on is hidden: nobody but its reader asks for it, and so it may be the most
# that SQS takes. When the stack ends meanwhile it comes again sooner (`--redelivery`).
HIDDEN_S = 43_200

# The images that a stream of each kind has, of the two that are told.
IMAGES = {
    "NEW_AND_OLD_IMAGES": {"NewImage", "OldImage"},
    "NEW_IMAGE": {"NewImage"},
    "OLD_IMAGE": {"OldImage"},
    "KEYS_ONLY": set[str](),
}

# What is heeded; a shard is read by one invocation at a time, no batch is waited for, and nothing grows old.
_KNOWN = {
    *("BatchSize", "BisectBatchOnFunctionError", "DestinationConfig", "Enabled", "EventSourceArn", "FilterCriteria"),
    *("FunctionName", "FunctionResponseTypes", "MaximumBatchingWindowInSeconds", "MaximumRecordAgeInSeconds"),
    *("MaximumRetryAttempts", "ParallelizationFactor", "StartingPosition"),
}


def stream_arn(table: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}/stream/local"


def queue_name(table: str) -> str:
    """Of the queue that plays the stream."""
    return f"{table[:68]}-stream.fifo"


@dataclass(frozen=True)
class Stream:
    """One mapping of a template: the changes of `table` feed `function` (logical id)."""

    name: str
    function: str
    function_arn: str
    table: str
    images: set[str]
    batch_size: int
    partial: bool  # ReportBatchItemFailures
    bisect: bool  # BisectBatchOnFunctionError
    attempts: int | None  # after the first; None for as many as it takes
    patterns: tuple[Mapping[str, Any], ...]  # one of which a change has to match, where there are some
    dead_letters_arn: str | None


def declared(template: Template, resolver: Resolver) -> list[Stream]:
    """The event source mappings of a template that read streams."""
    views = {stream_arn(resolver.refs[name]): name for name in template.of_type("AWS::DynamoDB::Table")}
    streams: dict[str, Stream] = {}
    for name, resource in template.of_type("AWS::Lambda::EventSourceMapping").items():
        properties = resolver(resource["Properties"])
        arn = properties["EventSourceArn"]
        if arn not in views or str(properties.get("Enabled", True)).lower() == "false":
            continue
        if unknown := properties.keys() - _KNOWN:
            raise TemplateError(f"{name} sets {', '.join(sorted(unknown))}: nothing does that yet (local/streams.py)")
        if arn in streams:
            raise TemplateError(f"{name} reads a stream that {streams[arn].name} reads: only one can, here")
        table = template.resources[views[arn]]["Properties"]
        attempts = int(properties.get("MaximumRetryAttempts", -1))
        patterns = [json.loads(one["Pattern"]) for one in properties.get("FilterCriteria", {}).get("Filters", [])]
        for pattern in patterns:
            _check(name, pattern)
        streams[arn] = Stream(
            name=name,
            function=named(properties["FunctionName"], template, resolver),
            function_arn=properties["FunctionName"],
            table=resolver.refs[views[arn]],
            images=IMAGES[resolver(table["StreamSpecification"])["StreamViewType"]],
            batch_size=int(properties.get("BatchSize", DEFAULT_BATCH_SIZE)),
            partial="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
            bisect=str(properties.get("BisectBatchOnFunctionError", False)).lower() == "true",
            attempts=None if attempts < 0 else attempts,
            patterns=tuple(patterns),
            dead_letters_arn=properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
        )
    return list(streams.values())


def _check(name: str, pattern: Any) -> None:
    for value in pattern.values():
        if isinstance(value, Mapping):
            _check(name, value)
        elif unknown := [one for one in value if isinstance(one, Mapping) and one.keys() != {"exists"}]:
            raise TemplateError(f"{name} filters by {unknown}: only values and `exists` are played here")


def matches(pattern: Mapping[str, Any], document: Any) -> bool:
    """Whether a filter lets a change in: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html"""
    for key, wanted in pattern.items():
        there = isinstance(document, Mapping) and key in document
        value = document[key] if there else None
        if isinstance(wanted, Mapping):
            if not matches(wanted, value):
                return False
        elif not any(one["exists"] == there if isinstance(one, Mapping) else there and one == value for one in wanted):
            return False
    return True


class Reader:
    """Plays one such mapping."""

    def __init__(self, stream: Stream, pool: Pool, sqs: "SQSClient") -> None:
        self._stream = stream
        self._pool = pool
        self._sqs = sqs
        self._url = ""
        self._most = stream.batch_size  # fewer after a failure that may be the fault of one change

    async def run(self) -> None:
        """Read until cancelled, one batch after the other."""
        name = queue_name(self._stream.table)
        self._url = (await asyncio.to_thread(self._sqs.get_queue_url, QueueName=name))["QueueUrl"]
        while True:
            try:
                messages = await asyncio.to_thread(self._receive)
                if messages:
                    await self._work(messages)
            except (BotoCoreError, ClientError) as error:  # changes come again, as they may from a stream
                say(self._stream.name, f"cannot go on: {error}")
                await asyncio.sleep(RETRY_S)

    def _receive(self) -> "list[MessageTypeDef]":
        return self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(self._most, RECEIVE_LIMIT),
            WaitTimeSeconds=RECEIVE_WAIT_S,
            VisibilityTimeout=HIDDEN_S,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        ).get("Messages", [])

    async def _work(self, messages: "list[MessageTypeDef]") -> None:
        every = [_seen(json.loads(message["Body"]), self._stream.images) for message in messages]
        wanted = [record for record in every if self._wants(record)]
        first = await self._first_failed(wanted) if wanted else None
        numbers = [_number(record) for record in every]
        done = messages if first is None else messages[: numbers.index(first)]
        await asyncio.to_thread(self._delete, done)
        if first is None:
            self._most = self._stream.batch_size
            return
        failed = messages[len(done) :]
        attempts = int(failed[0]["Attributes"]["ApproximateReceiveCount"])
        self._most = max(1, len(failed) // 2) if self._stream.bisect else self._stream.batch_size
        if self._stream.attempts is not None and attempts > self._stream.attempts:
            say(self._stream.name, f"{len(failed)} change(s) are given up after {attempts} attempts")
            await asyncio.to_thread(self._give_up, failed, every[len(done) :], attempts)
            return
        say(self._stream.name, f"{len(failed)} change(s) come again in {RETRY_S} s")
        await asyncio.sleep(RETRY_S)
        await asyncio.to_thread(self._release, failed)

    async def _first_failed(self, records: Sequence[Mapping[str, Any]]) -> str | None:
        """The number of the first change that the function did not manage."""
        numbers = [_number(record) for record in records]
        try:
            response = await self._pool.invoke(json.dumps({"Records": records}).encode())
            answer = b"".join([piece async for piece in response])
        except (EnvironmentGone, FunctionError, OSError, Throttled, TimedOut) as error:
            say(self._stream.name, f"{self._stream.function} failed: {reason(error)}")
            return numbers[0]
        failed = failures(answer, {*numbers}) if self._stream.partial else set()
        return next((number for number in numbers if number in failed), None)

    def _wants(self, record: Mapping[str, Any]) -> bool:
        return not self._stream.patterns or any(matches(pattern, record) for pattern in self._stream.patterns)

    def _delete(self, messages: "Sequence[MessageTypeDef]") -> None:
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _release(self, messages: "Sequence[MessageTypeDef]") -> None:
        for message in messages:
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )

    def _give_up(
        self, messages: "Sequence[MessageTypeDef]", records: Sequence[Mapping[str, Any]], attempts: int
    ) -> None:
        """Tell the destination, and go on behind them."""
        if self._stream.dead_letters_arn:
            told = {
                "version": "1.0",
                "requestContext": {
                    "functionArn": self._stream.function_arn,
                    "condition": "RetryAttemptsExhausted",
                    "approximateInvokeCount": attempts,
                },
                "DDBStreamBatchInfo": {
                    "startSequenceNumber": _number(records[0]),
                    "endSequenceNumber": _number(records[-1]),
                    "batchSize": len(records),
                    "streamArn": stream_arn(self._stream.table),
                },
                "Records": records,  # on AWS they can be read from the stream
            }
            name = self._stream.dead_letters_arn.rpartition(":")[2]
            url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
            self._sqs.send_message(QueueUrl=url, MessageBody=json.dumps(told))
        self._delete(messages)


def _seen(record: dict[str, Any], images: set[str]) -> dict[str, Any]:
    """As a stream shows it that has these images."""
    hidden = {"NewImage", "OldImage"} - images
    return {**record, "dynamodb": {key: value for key, value in record["dynamodb"].items() if key not in hidden}}


def _number(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])
