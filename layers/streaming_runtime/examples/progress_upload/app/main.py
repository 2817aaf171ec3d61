import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import boto3
from fastapi import Body, FastAPI
from fastapi.responses import FileResponse
from pydantic import BaseModel

app = FastAPI()
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
BATCH = 25  # items; as many as DynamoDB takes at once


class Progress(BaseModel):
    imported: int
    of: int


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("index.html"))


@app.post("/import")
def upload(file: Annotated[bytes, Body(media_type="text/csv")]) -> Iterator[Progress]:
    rows = list(csv.DictReader(file.decode().splitlines()))
    for start in range(0, len(rows), BATCH):
        yield Progress(imported=start, of=len(rows))
        with table.batch_writer() as batch:
            for row in rows[start : start + BATCH]:
                batch.put_item(Item=row)
    yield Progress(imported=len(rows), of=len(rows))
