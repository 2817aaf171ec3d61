"""Handlers of the item routes."""

import json
import os
from typing import Any

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def put(event: dict[str, Any], _context: object) -> dict[str, Any]:
    item = {"id": event["pathParameters"]["id"], "name": json.loads(event["body"])["name"]}
    table.put_item(Item=item)
    return {"statusCode": 201, "body": json.dumps(item)}


def get(event: dict[str, Any], _context: object) -> Any:
    if event["routeKey"] == "GET /items":
        return sorted(item["id"] for item in table.scan()["Items"])
    item = table.get_item(Key={"id": event["pathParameters"]["id"]}).get("Item")
    return item or {"statusCode": 404, "body": "no such item"}
