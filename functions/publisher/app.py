"""Takes the changes of the table from its stream, and sends the events that they mean.

A change whose events could not be sent comes again, and those behind it with it: an event is sent at least once. A
change that cannot be understood would come again until the stream forgets it, and hold up all others meanwhile: it
goes to the dead letters as it is, so that it can be taken again by a version that understands it.

IAM action, besides those that Lambda needs to read the stream: sqs:SendMessage (understood).
"""

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.publisher.bus import Bus
from functions.publisher.changes import Event, events
from functions.publisher.details import Details
from sluice import settings
from sluice.files import Files
from sluice.queue import Queue

logger = Logger()
metrics = Metrics()
tracer = Tracer()
details = Details(*Files.connect().connection)
bus = Bus.connect()
dead_letters = Queue(settings.DEAD_LETTERS_URL.read())


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Answer with the first change that has to come again; Lambda goes on from there:
    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
    """
    told = [(record["dynamodb"], one) for record in event["Records"] for one in understood(record)]
    unsent = bus.send([(one.kind, details.of(one)) for _, one in told])
    metrics.add_metric("EventsSent", MetricUnit.Count, len(told) - len(unsent))
    for place, (_, one) in enumerate(told):
        log = logger.error if place in unsent else logger.info
        log("event", event=one.id, sent=place not in unsent)
    again = [told[min(unsent)][0]["SequenceNumber"]] if unsent else []
    return {"batchItemFailures": [{"itemIdentifier": sequence_number} for sequence_number in again]}


def understood(record: Mapping[str, Any]) -> list[Event]:
    """Its events; none where it has become a dead letter."""
    try:
        return events(record)
    except Exception:
        logger.exception("a change that cannot be understood", event_id=record.get("eventID"))
        dead_letters.send(json.dumps({"Records": [record]}))
        return []
