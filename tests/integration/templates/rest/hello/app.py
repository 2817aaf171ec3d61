"""A handler with a requirement of its own; it answers with its event, or as the path asks."""

import base64
import importlib.util
import json
from typing import Any

import boto3
import inflection  # type: ignore[import-not-found]  # the function's own requirement, not this environment's


def handler(event: dict[str, Any], _context: object) -> Any:
    match event["path"].rpartition("/")[2]:
        case "own":
            found = [name for name in ("boto3", "inflection", "moto") if importlib.util.find_spec(name)]
            return {"statusCode": 200, "body": json.dumps([inflection.pluralize("octopus"), boto3.__name__, found])}
        case "malformed":
            return {"status": 200}
        case "text":
            return "text"
        case "raise":
            raise RuntimeError("as asked")
        case "image":
            body = base64.b64encode(b"\x89PNG").decode()
            return {"statusCode": 200, "headers": {"Content-Type": "image/png"}, "body": body, "isBase64Encoded": True}
        case "cookies":
            several = {"Set-Cookie": ["a=1", "b=2"], "X-Seen": ["yes"]}
            return {"statusCode": 201, "headers": {"x-seen": "no", "x-one": 1}, "multiValueHeaders": several}
    return {"statusCode": 200, "body": json.dumps(event)}
