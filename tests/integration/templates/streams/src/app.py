"""Tells a queue of each change; reports those of the kind `fail`, and raises for those of the kind `raise`."""

import json
import os
from typing import Any

import boto3

sqs = boto3.client("sqs")


def read(event: dict[str, Any], _context: object) -> dict[str, Any]:
    for record in event["Records"]:
        kind = record["dynamodb"].get("NewImage", {}).get("kind", {}).get("S")
        if kind == "raise":
            raise ValueError(kind)
        if kind == "fail":
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
        sqs.send_message(QueueUrl=os.environ["SEEN_URL"], MessageBody=json.dumps(record))
    return {"batchItemFailures": []}
