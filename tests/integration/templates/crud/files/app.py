"""A handler that answers with its event."""

import json
from typing import Any


def echo(event: dict[str, Any], _context: object) -> dict[str, Any]:
    if event.get("queryStringParameters") and "malformed" in event["queryStringParameters"]:
        return {"statusCode": 200, "body": {}}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
