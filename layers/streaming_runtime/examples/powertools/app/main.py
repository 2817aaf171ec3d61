import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

app = FastAPI()
resolver = LambdaFunctionUrlResolver()


class PlainText(StreamingResponse):
    media_type = "text/plain"


@app.get("/numbers", response_class=PlainText)
async def numbers(pause: float = 1) -> AsyncIterator[str]:
    for number in range(10):
        yield f"{number}\n"
        await asyncio.sleep(pause)


@resolver.get("/hello/<name>")
def hello(name: str) -> dict[str, str]:
    return {"hello": name}


# What no route above takes is the resolver's. It answers events and knows no ASGI: it is given the event, and what it
# gives back is written as a response. It has to be the last route.
@app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
def resolve(request: Request) -> Response:
    answer: dict[str, Any] = resolver.resolve(request.scope["aws.event"], request.scope["aws.context"])
    body = base64.b64decode(answer["body"]) if answer.get("isBase64Encoded") else answer.get("body", "")
    response = Response(body, answer["statusCode"], answer.get("headers"))
    for cookie in answer.get("cookies", ()):
        response.headers.append("set-cookie", cookie)
    return response
