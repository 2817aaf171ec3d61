"""API destinations of EventBridge: rules whose events go to an HTTP address.

moto sends such a request once, without the event. Here a rule puts its events into a queue that no template names, and
each is sent until it is taken, given up after some attempts, or refused for good.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html
"""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.asynchronous import RETRY_RECEIVE_S, event_rules
from local.queue import RECEIVE_WAIT_S
from local.template import ACCOUNT, REGION, Resolver, Template, TemplateError
from local.terminal import say

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

# Seconds until an event that was not taken is sent again. EventBridge goes on for a day; here somebody watches.
RETRY_AFTER_S = (1, 2, 4, 8)

# Seconds for an answer, and the answers after which EventBridge tries again, beside 5xx;
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html
ANSWER_S = 5
RETRIED = {401, 407, 409, 429}

# Seconds that an event which is being sent is hidden: longer than all attempts take.
HIDDEN_S = 120


@dataclass(frozen=True)
class Webhook:
    """One target of a rule: what is in `queue` goes to `url`."""

    rule: str  # logical id
    target: str
    queue: str
    url: str
    method: str
    header: tuple[str, str]
    dead_letters_arn: str | None

    @property
    def queue_arn(self) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.queue}"


def declared(template: Template, resolver: Resolver) -> list[Webhook]:
    """The targets of a template's rules that are API destinations."""
    destinations = {
        resolver.attributes[name, "Arn"]: resolver(resource["Properties"])
        for name, resource in template.of_type("AWS::Events::ApiDestination").items()
    }
    headers = {
        resolver.attributes[name, "Arn"]: _header(name, resolver(resource["Properties"]))
        for name, resource in template.of_type("AWS::Events::Connection").items()
    }
    found = []
    for rule, said in event_rules(template).items():
        for target in resolver(said["Targets"]):
            if (destination := destinations.get(target["Arn"])) is None:
                continue
            if unknown := target.keys() - {"Arn", "DeadLetterConfig", "Id", "RetryPolicy"}:
                raise TemplateError(f"{rule} sets {', '.join(sorted(unknown))}: nothing does that yet (local/webhooks)")
            found.append(
                Webhook(
                    rule=rule,
                    target=target["Id"],
                    queue=f"{resolver.refs[rule]}-{target['Id']}",
                    url=destination["InvocationEndpoint"],
                    method=destination["HttpMethod"],
                    header=headers[destination["ConnectionArn"]],
                    dead_letters_arn=target.get("DeadLetterConfig", {}).get("Arn"),
                )
            )
    return found


def _header(name: str, said: Mapping[str, Any]) -> tuple[str, str]:
    if said["AuthorizationType"] != "API_KEY":
        raise TemplateError(f"{name} authorizes by {said['AuthorizationType']}: only API_KEY is played here")
    key = said["AuthParameters"]["ApiKeyAuthParameters"]
    return key["ApiKeyName"], key["ApiKeyValue"]


class Sender:
    """Empties one such queue, an event at a time."""

    def __init__(self, webhook: Webhook, sqs: "SQSClient") -> None:
        self._webhook = webhook
        self._sqs = sqs

    async def run(self) -> None:
        """Send until cancelled."""
        url = (await asyncio.to_thread(self._sqs.get_queue_url, QueueName=self._webhook.queue))["QueueUrl"]
        while True:
            try:
                for message in await asyncio.to_thread(self._receive, url):
                    refusal = await self._deliver(message["Body"])
                    if refusal and self._webhook.dead_letters_arn:
                        await asyncio.to_thread(self._bury, message["Body"], refusal)
                    await asyncio.to_thread(
                        self._sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
                    )
            except (BotoCoreError, ClientError) as error:
                say(self._webhook.queue, f"cannot go on: {error}")
                await asyncio.sleep(RETRY_RECEIVE_S)

    def _receive(self, url: str) -> "list[MessageTypeDef]":
        return self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=RECEIVE_WAIT_S,
            VisibilityTimeout=HIDDEN_S,
        ).get("Messages", [])

    async def _deliver(self, event: str) -> str | None:
        """None where it was taken, else why it is given up."""
        for wait in (*RETRY_AFTER_S, None):
            status, refusal = await asyncio.to_thread(_sent, self._webhook, event)
            if refusal is None:
                return None
            passing = status is None or status >= 500 or status in RETRIED
            if wait is None or not passing:
                say(self._webhook.queue, f"the webhook did not take an event: {refusal}; it is given up")
                return refusal
            say(self._webhook.queue, f"the webhook did not take an event: {refusal}; once more in {wait} s")
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt has no pause behind it")

    def _bury(self, event: str, refusal: str) -> None:
        name = str(self._webhook.dead_letters_arn).rpartition(":")[2]
        url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        why: Any = {"ERROR_MESSAGE": {"DataType": "String", "StringValue": refusal}}
        self._sqs.send_message(QueueUrl=url, MessageBody=event, MessageAttributes=why)


def _sent(webhook: Webhook, event: str) -> tuple[int | None, str | None]:
    """The status of the answer, None where none came; and what is wrong with it, None where nothing is."""
    document = json.loads(event)
    document.pop("ingestion-time", None)  # moto's own
    request = urllib.request.Request(  # noqa: S310 - an address that the template's parameter names
        webhook.url, json.dumps(document).encode(), method=webhook.method
    )
    request.add_header("Content-Type", "application/json; charset=utf-8")
    request.add_header("User-Agent", "Amazon/EventBridge/ApiDestinations")
    request.add_header(*webhook.header)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 # nosec B310 - as above
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, f"{error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return None, str(error)
