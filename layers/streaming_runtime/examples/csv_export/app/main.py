import csv
import io
import os
from collections.abc import Iterable, Iterator
from typing import Any

import boto3
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
COLUMNS = ("id", "name", "price")
PAGE_SIZE = 1000  # items; DynamoDB gives at most 1 MB at once


class CsvResponse(StreamingResponse):
    media_type = "text/csv"


def pages() -> Iterator[list[dict[str, Any]]]:
    """The whole table. DynamoDB is asked for a page when the client has taken the one before."""
    page = table.scan(Limit=PAGE_SIZE)
    yield page["Items"]
    while "LastEvaluatedKey" in page:
        page = table.scan(Limit=PAGE_SIZE, ExclusiveStartKey=page["LastEvaluatedKey"])
        yield page["Items"]


def written(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


@app.get("/items.csv", response_class=CsvResponse)
def export() -> Iterator[str]:
    yield written([COLUMNS])
    for items in pages():
        yield written([item.get(column, "") for column in COLUMNS] for item in items)
