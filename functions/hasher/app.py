"""Takes S3's completion events from the queue and runs one hashing job for each; finishes what the API could not.

IAM action, besides those that Lambda needs to read the queue: sqs:SendMessage (hand_over, complete_upload).
"""

import json
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.hasher import excess
from functions.hasher.assembly import assemble
from sluice import settings
from sluice.files import ENDED, File, Files, owner_and_id
from sluice.hashing import CONTRADICTIONS, DEADLINE_MARGIN_SECONDS, Job, Options, Work
from sluice.objects import Objects, Version
from sluice.queue import MAX_DELAY_SECONDS, Queue, upload_to_complete, upload_to_measure

logger = Logger()
metrics = Metrics()
tracer = Tracer()
files = Files.connect()
objects = Objects.connect()
queue = Queue.connect()
max_receives = settings.MAX_RECEIVES.read()
options = Options.read()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Answer with the messages that have to come again, also when it is all of them:
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    failed = [message["messageId"] for message in event["Records"] if not taken(message, context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def taken(message: dict[str, Any], context: LambdaContext) -> bool:
    metrics.add_metric("Messages", MetricUnit.Count, 1)
    try:
        take(message, context)
    except Exception:
        logger.exception("message goes back to the queue", message_id=message["messageId"])
        return False
    return True


@tracer.capture_method(capture_response=False)
def take(message: dict[str, Any], context: LambdaContext) -> None:
    """One message: the S3 notification in it. What is not about one of our files is taken quietly."""
    notification = json.loads(message["body"])
    if notification.get("Event") == "s3:TestEvent":  # S3 sends one when the notification is configured
        logger.info("test event")
        return
    last = int(message["attributes"]["ApproximateReceiveCount"]) >= max_receives
    if file := upload_to_complete(notification):
        complete_upload(file, message["body"], context, last=last)
        return
    if file := upload_to_measure(notification):
        if still_open := excess.measure(files, objects, *file):
            queue.measure_later(still_open)
        return
    for created in notification["Records"]:
        hash_one(created, message["messageId"], context, last=last)


def complete_upload(file: tuple[str, str], body: str, context: LambdaContext, *, last: bool) -> None:
    """Finish a completion, or have the message come again for as long as S3 has the parts.

    What nobody completes S3 drops after a week, by the bucket's lifecycle rule: then the file fails.
    """
    seconds = context.get_remaining_time_in_millis() / 1000 - DEADLINE_MARGIN_SECONDS
    try:
        assemble(files, objects, *file, seconds, last=last)
    except Exception:
        if not last:
            raise
        logger.exception("not complete yet", file_id=file[1])
        queue.send(body, MAX_DELAY_SECONDS)


def hash_one(record: dict[str, Any], message_id: str, context: LambdaContext, *, last: bool) -> None:
    """Run the job of one event, and send the next message where the file needs one.

    When this fails the last time that its message comes, the file fails with it. The event's shape:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    event_name, bucket, told = record["eventName"], record["s3"]["bucket"]["name"], record["s3"]["object"]
    key = unquote_plus(told["key"])
    named = owner_and_id(key)
    ours = event_name.startswith("ObjectCreated:") and bucket == objects.bucket
    if not ours or not named:
        logger.info("not about a file of ours", event_name=event_name, bucket=bucket)
        return
    owner, file_id = named
    version = Version(key, told["eTag"], told["size"], told.get("versionId") or None)
    job = Job(files, objects, message_id, lambda: context.get_remaining_time_in_millis() / 1000, options)
    try:
        file = job.run(owner, file_id, version, put_at=moment(record.get("eventTime")), last=last)
        if file and file.status not in ENDED:
            hand_over(record, file)
    except Exception:
        if last and (given_up := job.give_up(owner, file_id, version)):
            tell(given_up)
        raise
    finally:
        measure(job.work)
    if file is None:
        logger.info("nothing to do", file_id=file_id, event_name=event_name)
    elif file.status in ENDED:
        tell(file)


def hand_over(record: dict[str, Any], file: File) -> None:
    """Send the event once more, for the next invocation.

    The checkpoint is written and the lease given back by now. Whatever fails from there on lets our own message come
    again, so that there is one too many rather than one too few.
    """
    queue.send(json.dumps({"Records": [record]}), owner=file.owner)
    logger.info("handed over", file_id=file.id, hashed_bytes=file.hashed_bytes, size=file.size)
    metrics.add_metric("HandOvers", MetricUnit.Count, 1)


def moment(text: str | None) -> float:
    """When S3 had stored the object, in epoch seconds; events of before have no time to tell."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def measure(work: Work) -> None:
    if not work.seconds:  # a duplicate, or an end before the first byte
        return
    metrics.add_metric("HashedBytes", MetricUnit.Bytes, work.hashed_bytes)
    metrics.add_metric("HashSeconds", MetricUnit.Seconds, work.seconds)
    metrics.add_metric("ReadRetries", MetricUnit.Count, work.retries)
    metrics.add_metric("HashRate", MetricUnit.BytesPerSecond, work.hashed_bytes / work.seconds)


def tell(file: File) -> None:
    """The verdict, for logs, graphs and the alarm."""
    contradicted = file.reason in CONTRADICTIONS
    log = logger.error if contradicted else logger.info
    log(
        "verdict",
        file_id=file.id,
        status=file.status,
        reason=file.reason,
        mismatch=file.mismatch,
        size=file.size,
        version_id=file.version_id,
    )
    metrics.add_metric("Contradictions", MetricUnit.Count, int(contradicted))
    # In a document of its own: a dimension counts for all metrics that it stands beside.
    with single_metric("Verdicts", MetricUnit.Count, 1) as verdict:
        verdict.add_dimension("reason", file.reason or file.status)
