"""Takes S3's completion events from the queue and runs one hashing job for each; finishes what the API could not.

Where files are scanned for malware it takes GuardDuty's verdicts as well.

IAM action, besides those that Lambda needs to read the queue: sqs:SendMessage (hand_over, complete_upload, take_one,
await_scan).
"""

import json
import time
from contextlib import suppress
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.hasher import archives, excess
from functions.hasher.assembly import assemble
from functions.hasher.notifications import (
    Malformed,
    created,
    is_scan_result,
    meant,
    notification,
    put_at,
    records,
    request_ids,
    scanned,
)
from sluice import settings
from sluice.archives import Archive, ArchiveStatus
from sluice.errors import FileNotFound
from sluice.files import ENDED, File, Files, Status
from sluice.hashing import CONTRADICTIONS, DEADLINE_MARGIN_SECONDS, Job, Options, Work
from sluice.objects import Objects, Version
from sluice.queue import (
    MAX_DELAY_SECONDS,
    Queue,
    archive_to_build,
    scan_ends,
    scan_to_await,
    upload_to_complete,
    upload_to_measure,
)
from sluice.scans import PATIENCE_SECONDS, Scan, Scans, Verdict

logger = Logger()
metrics = Metrics()
tracer = Tracer()
files = Files.connect()
scans = Scans(files)
objects = Objects.connect()
builders = Objects.connect(archives.COPY_SECONDS, archives.CONNECTIONS)
queue = Queue.connect()
max_receives = settings.MAX_RECEIVES.read()
options = Options.read()
stream_limit = settings.STREAM_LIMIT_BYTES.read()


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
    """One message: the S3 notification in it. What is not about one of our files is taken quietly.

    Each record is tried, whatever becomes of the others. Raises what went wrong, so that the message comes again: all
    of it, as what is done is not done again. What cannot be understood ends in the dead letters so, but not at the cost
    of its neighbours, whose message would come again with it: from among them it goes back to the queue by itself.
    """
    last = int(message["attributes"]["ApproximateReceiveCount"]) >= max_receives
    try:
        told = notification(message["body"])
        if told.get("Event") == "s3:TestEvent":  # S3 sends one when the notification is configured
            logger.info("test event")
            return
        if file := meant(upload_to_complete, told):
            with logger.append_context_keys(**request_ids(told)):
                complete_upload(file, message["body"], context, last=last)
            return
        if archive := meant(archive_to_build, told):
            ids = request_ids(told)
            with logger.append_context_keys(**ids):
                build_archive(*archive, message["messageId"], context, last=last, request_id=ids.get("request_id"))
            return
        if file := meant(upload_to_measure, told):
            if still_open := excess.measure(files, objects, *file):
                queue.measure_later(still_open)
            return
        if file := meant(scan_to_await, told):
            await_scan(*file, scan_ends(told))
            return
        if is_scan_result(told):
            take_verdict(scanned(told, objects.bucket))
            return
        found = records(told)
    except Malformed:
        metrics.add_metric("Malformed", MetricUnit.Count, 1)
        raise
    failures: list[Exception] = []
    for record in found:
        try:
            take_one(record, message["messageId"], context, last=last, alone=len(found) == 1)
        except Exception as error:  # noqa: BLE001 - raised again after the last record
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(found)} records", failures)


def take_one(record: Any, message_id: str, context: LambdaContext, *, last: bool, alone: bool) -> None:
    try:
        named = created(record, objects.bucket)
        put_at(record)  # what cannot be read is malformed, and not a job that failed
    except Malformed:
        logger.exception("malformed record", record=record, message_id=message_id)
        metrics.add_metric("Malformed", MetricUnit.Count, 1)
        if alone:
            raise
        queue.send(json.dumps({"Records": [record]}))
        return
    if named is None:
        logger.info("not about a file of ours", event_name=record["eventName"], bucket=record["s3"]["bucket"]["name"])
    else:
        with logger.append_context_keys(**request_ids(record)):
            hash_one(record, named, message_id, context, last=last)


def complete_upload(file: tuple[str, str], body: str, context: LambdaContext, *, last: bool) -> None:
    """Finish a completion, or have the message come again for as long as S3 has the parts.

    What nobody completes S3 drops after a week, by the bucket's lifecycle rule: then the file fails.
    """
    seconds = seconds_left(context) - DEADLINE_MARGIN_SECONDS
    try:
        assemble(files, objects, *file, seconds, last=last)
    except Exception:
        if not last:
            raise
        logger.exception("not complete yet", file_id=file[1])
        queue.send(body, MAX_DELAY_SECONDS)


def build_archive(
    owner: str, archive_id: str, message_id: str, context: LambdaContext, *, last: bool, request_id: str | None
) -> None:
    """Run the job of one archive, and send the next message where it needs one."""
    left = partial(seconds_left, context)
    build = archives.Build(files, builders, message_id, left, options=options, stream_limit=stream_limit)
    try:
        archive = build.run(owner, archive_id, last=last)
        if archive and archive.status is ArchiveStatus.BUILDING:
            queue.build_later(archive, request_id)
            metrics.add_metric("HandOvers", MetricUnit.Count, 1)
    except Exception:
        if last and (given_up := build.give_up(owner, archive_id)):
            tell_archive(given_up)
        raise
    if archive and archive.status is not ArchiveStatus.BUILDING:
        tell_archive(archive)


def hash_one(
    record: dict[str, Any], named: tuple[str, str, Version], message_id: str, context: LambdaContext, *, last: bool
) -> None:
    """Run the job of one event, and send the next message where the file needs one.

    When this fails the last time that its message comes, the file fails with it.
    """
    owner, file_id, version = named
    job = Job(files, objects, message_id, partial(seconds_left, context), options)
    try:
        file = job.run(owner, file_id, version, put_at=put_at(record), last=last)
        if file and file.status is Status.HASHING:
            hand_over(record, file)
        elif options.malware_scan and (file is None or file.status is Status.SCANNING):
            file = settle(owner, file_id) or file
    except Exception:
        if last and (given_up := job.give_up(owner, file_id, version)):
            tell(given_up)
        raise
    finally:
        measure(job.work)
    if file is None:
        logger.info("nothing to do", file_id=file_id, event_name=record["eventName"])
    elif file.status in ENDED:
        tell(file)


def take_verdict(scan: Scan | None) -> None:
    if scan is None:
        logger.info("not about a file of ours")
        return
    refused = scan.verdict in (Verdict.ACCESS_DENIED, Verdict.FAILED)
    log = logger.error if refused else logger.info
    log("scanned", file_id=scan.file_id, version_id=scan.version_id, verdict=scan.verdict)
    metrics.add_metric("ScansFailed", MetricUnit.Count, int(refused))
    scans.keep(scan)
    if file := scans.settle(scan.owner, scan.file_id):
        tell(file)


def settle(owner: str, file_id: str) -> File | None:
    """The file as a verdict that came before the end of its hash leaves it; else it is looked at again later."""
    if file := scans.settle(owner, file_id):
        return file
    with suppress(FileNotFound):
        file = files.get(owner, file_id)
        if file.status is Status.SCANNING:
            queue.scan_later(file, int(time.time()) + PATIENCE_SECONDS)
    return None


def await_scan(owner: str, file_id: str, until: int) -> None:
    """Give up a file that nobody has scanned, so that who watches does not wait for ever.

    So it is with what arrived before the plan of GuardDuty did, or waits when that is taken away.
    """
    if time.time() < until:
        with suppress(FileNotFound):
            file = files.get(owner, file_id)
            if file.status is Status.SCANNING:
                queue.scan_later(file, until)
    elif ended := scans.give_up(owner, file_id):
        logger.error("never scanned", file_id=file_id)
        metrics.add_metric("ScansFailed", MetricUnit.Count, 1)
        tell(ended)


def hand_over(record: dict[str, Any], file: File) -> None:
    """Send the event once more, for the next invocation.

    The checkpoint is written and the lease given back by now. Whatever fails from there on lets our own message come
    again, so that there is one too many rather than one too few.
    """
    queue.send(json.dumps({"Records": [record]}), owner=file.owner)
    logger.info("handed over", file_id=file.id, hashed_bytes=file.hashed_bytes, size=file.size)
    metrics.add_metric("HandOvers", MetricUnit.Count, 1)


def measure(work: Work) -> None:
    if not work.seconds:  # a duplicate, or an end before the first byte
        return
    metrics.add_metric("HashedBytes", MetricUnit.Bytes, work.hashed_bytes)
    metrics.add_metric("HashSeconds", MetricUnit.Seconds, work.seconds)
    metrics.add_metric("ReadRetries", MetricUnit.Count, work.retries)
    metrics.add_metric("HashRate", MetricUnit.BytesPerSecond, work.hashed_bytes / work.seconds)


def tell_archive(archive: Archive) -> None:
    contradicted = archive.reason in archives.CONTRADICTIONS
    log = logger.error if contradicted else logger.info
    log("archive", archive_id=archive.id, status=archive.status, reason=archive.reason, size=archive.size)
    metrics.add_metric("Contradictions", MetricUnit.Count, int(contradicted))


def seconds_left(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000


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
