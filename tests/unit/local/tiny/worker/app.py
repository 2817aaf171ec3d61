"""Passes each message on to a second queue, or its whole record, or fails: as the message asks."""

import json
import os
from typing import Any

import boto3

sqs = boto3.client("sqs")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    failed = []
    for record in event["Records"]:
        if record["body"] == "raise":
            raise RuntimeError("as asked")
        if record["body"] == "fail":
            failed.append({"itemIdentifier": record["messageId"]})
        elif record["body"] == "show":
            sqs.send_message(QueueUrl=os.environ["DONE_URL"], MessageBody=json.dumps(record))
        else:
            sqs.send_message(QueueUrl=os.environ["DONE_URL"], MessageBody=f"{record['eventSource']} {record['body']}")
    return {"batchItemFailures": failed}
