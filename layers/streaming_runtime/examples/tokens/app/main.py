import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict

import httpx
from fastapi import Body, FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx_sse import aconnect_sse


class State(TypedDict):
    model: httpx.AsyncClient


class PlainText(StreamingResponse):
    media_type = "text/plain"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """One client for all requests of an environment, so that its connections are kept."""
    headers = {"authorization": f"Bearer {os.environ['API_KEY']}"}
    async with httpx.AsyncClient(base_url=os.environ["BASE_URL"], headers=headers, timeout=60) as client:
        yield {"model": client}


app = FastAPI(lifespan=lifespan)


@app.post("/answer", response_class=PlainText)
async def answer(request: Request, question: Annotated[str, Body(media_type="text/plain")]) -> AsyncIterator[str]:
    client: httpx.AsyncClient = request.state.model
    messages = [{"role": "user", "content": question}]
    asked = {"model": os.environ["MODEL"], "stream": True, "messages": messages}
    async with aconnect_sse(client, "POST", "chat/completions", json=asked) as source:
        source.response.raise_for_status()
        async for event in source.aiter_sse():
            if event.data == "[DONE]":
                return
            for choice in event.json()["choices"]:
                if token := choice["delta"].get("content"):
                    yield token
