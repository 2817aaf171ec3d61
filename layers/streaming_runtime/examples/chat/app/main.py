import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import boto3
from boto3.dynamodb.conditions import Key
from fastapi import FastAPI, Header, Request
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

app = FastAPI()
dynamodb = boto3.resource("dynamodb")
table = dynamodb.Table(os.environ["TABLE"])
POLL_S = 0.5
LAST_SECONDS_MS = 5000  # of an invocation, in which the stream ends by itself


class Message(BaseModel):
    author: str
    text: str


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("index.html"))


@app.post("/rooms/{room}/messages", status_code=201)
def post(room: str, message: Message) -> int:
    number = last_number(room) + 1
    while True:
        try:
            table.put_item(
                Item={"room": room, "number": number, **message.model_dump()},
                ConditionExpression="attribute_not_exists(room)",
            )
        except dynamodb.meta.client.exceptions.ConditionalCheckFailedException:
            number += 1  # somebody else was faster
        else:
            return number


# The numbers of a room have no gaps, and each is only taken after the one before it: a reader who goes on after the
# last that it has seen misses none.
@app.get("/rooms/{room}/messages", response_class=EventSourceResponse)
def read(request: Request, room: str, last_event_id: Annotated[int, Header(ge=0)] = 0) -> Iterator[ServerSentEvent]:
    context = request.scope["aws.context"]
    yield ServerSentEvent(retry=200, comment="the browser comes back this fast")
    while context.get_remaining_time_in_millis() > LAST_SECONDS_MS:
        after = Key("room").eq(room) & Key("number").gt(last_event_id)
        for item in table.query(KeyConditionExpression=after, ConsistentRead=True)["Items"]:
            if item["number"] != last_event_id + 1:
                break  # DynamoDB read past a number before it was taken: the next query has it
            last_event_id += 1
            yield ServerSentEvent(id=str(last_event_id), data=Message.model_validate(item))
        time.sleep(POLL_S)


def last_number(room: str) -> int:
    newest = table.query(KeyConditionExpression=Key("room").eq(room), ScanIndexForward=False, Limit=1)
    items: list[dict[str, Any]] = newest["Items"]
    return int(items[0]["number"]) if items else 0
