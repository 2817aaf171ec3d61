"""The export that one would write: a generator of lines over boto3's paginator, in a StreamingResponse."""

import json
import os
from collections.abc import Iterator

import boto3
from boto3.dynamodb.types import TypeDeserializer
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
client = boto3.client("dynamodb")
deserialize = TypeDeserializer().deserialize


@app.get("/files.jsonl")
def jsonl() -> StreamingResponse:
    return StreamingResponse(_lines(), media_type="application/jsonl")


def _lines() -> Iterator[str]:
    pages = client.get_paginator("query").paginate(
        TableName=os.environ["TABLE_NAME"],
        KeyConditionExpression="#owner = :owner",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":owner": {"S": "bench"}},
        ScanIndexForward=False,
    )
    for page in pages:
        for item in page["Items"]:
            record = {name: deserialize(value) for name, value in item.items()}
            yield json.dumps(record, default=int, ensure_ascii=False) + "\n"
