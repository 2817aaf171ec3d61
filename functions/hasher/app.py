"""Takes S3's completion events from the queue and runs one hashing job for each."""

from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes import S3Event
from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import settings
from sluice.files import Files, Status, owner_and_id
from sluice.hashing import Job
from sluice.objects import Objects, Version

logger = Logger()
metrics = Metrics()
tracer = Tracer()
# A batch that failed as a whole is still answered message by message, so that none is tried again in vain.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
files = Files.connect()
objects = Objects.connect()
max_receives = settings.MAX_RECEIVES.read()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event, take, processor, context)


@tracer.capture_method(capture_response=False)
def take(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """One message: the S3 notification in it. What is not about one of our files is taken quietly."""
    metrics.add_metric("Messages", MetricUnit.Count, 1)
    notification = record.json_body
    if notification.get("Event") == "s3:TestEvent":  # S3 sends one when the notification is configured
        logger.info("test event")
        return
    try:
        for created in S3Event(notification).records:
            hash_one(created, lambda_context, last=int(record.attributes.approximate_receive_count) >= max_receives)
    except Exception:  # Powertools turns it into a batch item failure without a word
        logger.exception("message goes back to the queue", message_id=record.message_id)
        raise


def hash_one(record: S3EventRecord, context: LambdaContext, *, last: bool) -> None:
    """Run the job of one event. When it fails the last time that its message comes, the file fails with it."""
    key = unquote_plus(record.s3.get_object.key)
    named = owner_and_id(key)
    ours = record.event_name.startswith("ObjectCreated:") and record.s3.bucket.name == objects.bucket
    if not ours or not named:
        logger.info("not about a file of ours", event_name=record.event_name, bucket=record.s3.bucket.name)
        return
    owner, file_id = named
    told = record.s3.get_object
    version = Version(key, told.etag, told.size, told.version_id or None)
    job = Job(files, objects, context.aws_request_id, lambda: context.get_remaining_time_in_millis() / 1000)
    try:
        ended = job.run(owner, file_id, version)
    except Exception:
        if last:
            job.give_up(owner, file_id)
        raise
    if ended is None:
        logger.info("nothing to do", file_id=file_id, event_name=record.event_name)
        return
    logger.info("verdict", file_id=file_id, status=ended.status, reason=ended.reason, size=ended.size)
    metrics.add_metric("FilesReady" if ended.status is Status.READY else "FilesFailed", MetricUnit.Count, 1)
    metrics.add_metric("HashedBytes", MetricUnit.Bytes, ended.hashed_bytes)
