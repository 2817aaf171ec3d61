"""Asynchronous invocations: what S3, SNS, EventBridge and schedules tell a function, and nobody waits for.

All but schedules put what they have into a queue that no template names: the mailbox of a function.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.environments import Pool, Throttled, TimedOut, reason
from local.functions import named
from local.runtime_api import EnvironmentGone, FunctionError
from local.template import ACCOUNT, REGION, Resolver, Resource, Template
from local.terminal import say

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

# Seconds until a failed invocation is tried again. Lambda takes one minute, then two; here somebody watches.
RETRY_AFTER_S = (1, 2)

# Invocations of one mailbox at once.
CONCURRENCY = 10

# Messages in one receive, the most that SQS gives; seconds that it waits for one, so that the stack can end soon.
RECEIVE_LIMIT = 10
RECEIVE_WAIT_S = 2

# Seconds until the next try when a receive failed.
RETRY_RECEIVE_S = 1


@dataclass(frozen=True)
class Mailbox:
    """Where a function's messages of one sender wait."""

    name: str  # of the queue
    sender: str  # s3, sns or events
    function: str  # logical id

    @property
    def queue_arn(self) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"


def mailbox(function_arn: str, sender: str, template: Template, resolver: Resolver) -> Mailbox:
    function = named(function_arn, template, resolver)
    return Mailbox(f"{resolver.refs[function]}-{sender}", sender, function)


def mailboxes(template: Template, resolver: Resolver) -> set[Mailbox]:
    """Those that a template needs."""
    told = [
        (configuration["Function"], "s3")
        for bucket in template.of_type("AWS::S3::Bucket").values()
        for configuration in bucket.get("Properties", {})
        .get("NotificationConfiguration", {})
        .get("LambdaConfigurations", [])
    ]
    told += [
        (subscription["Endpoint"], "sns")
        for subscription in subscriptions(template)
        if resolver(subscription["Protocol"]) == "lambda"
    ]
    targets = [target["Arn"] for rule in event_rules(template).values() for target in rule["Targets"]]
    told += [(arn, "events") for arn in targets if is_function(resolver(arn))]
    return {mailbox(resolver(arn), sender, template, resolver) for arn, sender in told}


def event_rules(template: Template) -> dict[str, Resource]:
    """The properties of the rules for events, by logical id; not resolved. Those for times are schedules.

    Without the roles of their targets, which do not exist here.
    """
    rules = {name: rule["Properties"] for name, rule in template.of_type("AWS::Events::Rule").items()}
    return {name: _without_roles(rule) for name, rule in rules.items() if "EventPattern" in rule}


def _without_roles(rule: Resource) -> Resource:
    targets = [{key: value for key, value in target.items() if key != "RoleArn"} for target in rule["Targets"]]
    return {**rule, "Targets": targets}


def is_function(arn: str) -> bool:
    """Whether an ARN is of Lambda."""
    return arn.startswith("arn:aws:lambda:")


def subscriptions(template: Template) -> list[dict[str, Any]]:
    """Of all topics, as `AWS::SNS::Subscription` writes them; not resolved."""
    found = [resource["Properties"] for resource in template.of_type("AWS::SNS::Subscription").values()]
    for name, topic in template.of_type("AWS::SNS::Topic").items():
        inline = topic.get("Properties", {}).get("Subscription", [])
        found += [{"TopicArn": {"Ref": name}, **subscription} for subscription in inline]
    return found


async def deliver(name: str, pool: Pool, event: bytes) -> None:
    """Run the function on an event whose answer nobody wants; try again as often as Lambda does."""
    for wait in (*RETRY_AFTER_S, None):
        try:
            async for _ in await pool.invoke(event):
                pass
        except (EnvironmentGone, FunctionError, OSError, Throttled, TimedOut) as error:
            then = "it is given up" if wait is None else f"once more in {wait} s"
            say(name, f"{pool.function.name} failed: {reason(error)}; {then}")
        else:
            return
        if wait is not None:
            await asyncio.sleep(wait)


class Listener:
    """Empties one mailbox."""

    def __init__(self, box: Mailbox, pool: Pool, sqs: "SQSClient") -> None:
        self._box = box
        self._pool = pool
        self._sqs = sqs

    async def run(self) -> None:
        """Listen until cancelled."""
        url = (await asyncio.to_thread(self._sqs.get_queue_url, QueueName=self._box.name))["QueueUrl"]
        places = asyncio.Semaphore(CONCURRENCY)
        async with asyncio.TaskGroup() as invocations:
            while True:
                try:
                    bodies = await asyncio.to_thread(self._take, url)
                except (BotoCoreError, ClientError) as error:
                    say(self._box.name, f"cannot receive: {error}")
                    await asyncio.sleep(RETRY_RECEIVE_S)
                    continue
                for event in filter(None, map(EVENTS[self._box.sender], bodies)):
                    await places.acquire()
                    work = deliver(self._box.name, self._pool, json.dumps(event).encode())
                    invocations.create_task(work).add_done_callback(lambda _: places.release())

    def _take(self, url: str) -> list[str]:
        received = self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=RECEIVE_LIMIT, WaitTimeSeconds=RECEIVE_WAIT_S
        ).get("Messages", [])
        for message in received:
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in received]


def _of_s3(body: str) -> dict[str, Any] | None:
    """The event in a message of S3's. With a new configuration S3 sends a test, which functions never see."""
    document: dict[str, Any] = json.loads(body)
    return document if "Records" in document else None


def _of_sns(body: str) -> dict[str, Any]:
    """The event in a message of SNS's: two names are spelt otherwise for a queue than for a function."""
    told: dict[str, Any] = json.loads(body)
    attributes = told.get("MessageAttributes", {})
    spelling = {"SigningCertURL": "SigningCertUrl", "UnsubscribeURL": "UnsubscribeUrl"}
    sns = {spelling.get(key, key): value for key, value in told.items()}
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{told['TopicArn']}:{told['MessageId']}",
                "Sns": {"Subject": None, **sns, "MessageAttributes": attributes},
            }
        ]
    }


EVENTS: dict[str, Callable[[str], dict[str, Any] | None]] = {"s3": _of_s3, "sns": _of_sns, "events": json.loads}
