"""Passes each message on to a second queue, but fails as a message asks."""

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
        else:
            sqs.send_message(QueueUrl=os.environ["DONE_URL"], MessageBody=f"{record['eventSource']} {record['body']}")
    return {"batchItemFailures": failed}
