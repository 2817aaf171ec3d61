"""Handlers that tell a queue which function was told what."""

import json
import os
from pathlib import Path
from typing import Any

import boto3

sqs = boto3.client("sqs")


def tell(event: dict[str, Any], context: Any) -> None:
    told = {"function": context.function_name, "event": event}
    sqs.send_message(QueueUrl=os.environ["SEEN_URL"], MessageBody=json.dumps(told))


def tell_third(event: dict[str, Any], context: Any) -> None:
    """Fails twice for each message, and tells with the third attempt."""
    tries = Path(os.environ["HOME"]) / f"tries-{event['Records'][0]['Sns']['MessageId']}"
    seen = len(tries.read_text()) if tries.exists() else 0
    if seen < 2:
        tries.write_text("." * (seen + 1))
        raise RuntimeError(f"attempt {seen + 1}")
    tries.unlink()
    tell(event, context)
