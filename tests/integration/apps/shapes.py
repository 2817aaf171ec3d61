"""What FastAPI and Starlette have beside plain streams: middleware, handlers, mounts, ranges, listeners, threads."""

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, Header, HTTPException, Request, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HERE = Path(__file__).parent

logger = logging.getLogger("app")


class Busy(Exception):
    """Has a handler of its own."""


class Line(BaseModel):
    number: int
    text: str


class FailingMiddleware(BaseHTTPMiddleware):
    """Raises where the header `x-fail` says."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        where = request.headers.get("x-fail")
        if where == "http-before":
            raise LookupError(where)
        response = await call_next(request)
        if where == "http-between":
            raise LookupError(where)
        if where == "http-after":
            return StreamingResponse(self._half(), headers=response.headers)
        return response

    async def _half(self) -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError("http-after")


class FailingAsgi:
    """The same without Starlette's help."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        where = dict(scope.get("headers", ())).get(b"x-fail", b"").decode()

        async def failing(message: Message) -> None:
            await send(message)
            if where == "asgi-after" and message["type"] == "http.response.body" and message.get("more_body"):
                raise LookupError(where)

        if where == "asgi-before":
            raise LookupError(where)
        await self._app(scope, receive, failing)


app = FastAPI()
app.add_middleware(FailingMiddleware)
app.add_middleware(FailingAsgi)
app.mount("/static", StaticFiles(directory=HERE / "static"))
mounted = FastAPI()
app.mount("/mounted", mounted)


zipped = GZipMiddleware(app, minimum_size=0)


@app.exception_handler(Busy)
async def busy(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"busy": str(error), "path": request.url.path}, 409, {"retry-after": "1"})


@app.get("/busy")
async def raise_busy() -> None:
    raise Busy("the handler's")


@app.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, {"short": True}, {"x-handle": "spout"})


@app.api_route("/stream", methods=["GET", "HEAD"], response_class=StreamingResponse)
async def stream() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


@app.get("/gated")
async def gated(gate: Path, name: str = "", first: int = 5) -> StreamingResponse:
    """`first` random bytes, then what comes through the pipe; says its name before, after and in a thread."""

    async def chunks() -> AsyncIterator[bytes]:
        logger.warning("%s begins", name)
        yield random.Random(first).randbytes(first)
        text = await asyncio.to_thread(read, gate, name)
        logger.warning("%s ends", name)
        yield text

    return StreamingResponse(chunks())


@app.get("/blocking")
def blocking(gate: Path, name: str = "") -> StreamingResponse:
    """The same without `async`."""

    def chunks() -> Iterator[bytes]:
        yield b"first"
        yield read(gate, name)

    return StreamingResponse(chunks())


@app.get("/blocked")
def blocked(gate: Path) -> str:
    return read(gate, "").decode()


def read(gate: Path, name: str) -> bytes:
    """Waits until the other end of the pipe is opened."""
    logger.warning("%s waits", name)
    text = gate.read_bytes()
    logger.warning("%s goes on", name)
    return text


@app.post("/digest")
async def digest(request: Request) -> dict[str, object]:
    sha256, size = hashlib.sha256(), 0
    async for chunk in request.stream():
        sha256.update(chunk)
        size += len(chunk)
    return {"sha256": sha256.hexdigest(), "size": size}


@app.get("/events", response_class=EventSourceResponse)
async def events(last_event_id: Annotated[int, Header()] = -1) -> AsyncIterator[ServerSentEvent]:
    for number in range(last_event_id + 1, 5):
        yield ServerSentEvent(data={"number": number}, id=str(number))


@app.get("/lines")
async def lines() -> AsyncIterator[Line]:
    for number in range(3):
        yield Line(number=number, text="ü\n" * number)


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(HERE / "static" / "alphabet.txt")


@mounted.get("/where")
async def where(request: Request) -> dict[str, str]:
    return {
        "root_path": request.scope["root_path"],
        "path": request.url.path,
        "link": request.app.url_path_for("where"),
    }


@app.delete("/gone", status_code=204)
async def gone() -> None:
    """Has no body."""


@app.get("/cookies")
async def cookies() -> Response:
    response = Response(b"jar")
    response.set_cookie("flavour", "oat", path="/")
    response.set_cookie("flavour", "rye", path="/other", expires=0)
    return response


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()


@app.get("/background")
async def background(tasks: BackgroundTasks) -> StreamingResponse:
    async def fails() -> None:
        raise LookupError("too late")

    tasks.add_task(fails)
    return StreamingResponse(iter([b"whole"]), background=tasks)
