"""HTTP/1.1 as the Runtime API's server needs it: one kept-alive connection, strict, with trailers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

import h11

# Bytes of a request's head, as in Go (net/http DefaultMaxHeaderBytes); awslambdaric sends X-Ray causes of up to 1 MiB.
HEAD_LIMIT = 1 << 20
# Bytes read from the socket at a time.
READ_SIZE = 64 * 1024


class Violation(Exception):
    """The runtime broke the protocol: an HTTP status for it, and what it did."""

    def __init__(self, status: HTTPStatus, what: str) -> None:
        super().__init__(what)
        self.status = status
        self.what = what


class Connection:
    """One kept-alive HTTP/1.1 connection of the runtime."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self.trailers: dict[str, str] = {}
        # Done when nothing more is read from it or answered.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(
        self, answer: Callable[["Connection", h11.Request], Awaitable[None]], violations: list[str]
    ) -> None:
        """Answer requests until the runtime hangs up or breaks the protocol; note the breach in `violations`."""
        try:
            while isinstance(request := await self._event(), h11.Request):
                try:
                    await answer(self, request)
                except Violation as violation:
                    violations.append(violation.what)
                    body = {"errorType": "InvalidRequest", "errorMessage": violation.what}
                    await self.reply(violation.status, body, [("Connection", "close")])
                async for _ in self.pieces():
                    pass
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            if not self._reader.at_eof():  # else it hung up half-way, which breaks its answer and nothing else
                violations.append(f"not HTTP: {error}")
        except ConnectionError:
            return
        finally:
            self.ended.set_result(None)

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[])
                await self._write(self._http.send(go_on))
            self._http.receive_data(await self._reader.read(READ_SIZE))
        return event

    async def pieces(self) -> AsyncIterator[bytes]:
        """What is left of the request's body, as it arrives; sets `trailers` at its end.

        Chunks that come in one read are one piece: the reader of a stream does not see where they began.
        """
        while self._http.their_state is h11.SEND_BODY:
            event, piece, broken = await self._event(), bytearray(), None
            try:
                while isinstance(event, h11.Data):
                    piece += event.data
                    event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                broken = error
            if piece:
                yield bytes(piece)
            if broken is not None:
                raise broken
            if isinstance(event, h11.EndOfMessage):
                self.trailers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}

    async def body(self, limit: int) -> bytes:
        """The whole body of a small request; raises `Violation` when it is longer than `limit` bytes."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > limit:
                raise Violation(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the payload is larger than {limit} bytes")
        return bytes(body)

    async def hung_up(self) -> None:
        """Return when the runtime closes; a request sent before its turn is a breach."""
        await self.body(limit=0)
        if await self._reader.read(1):
            raise Violation(HTTPStatus.BAD_REQUEST, "a request before the answer to the one before")

    async def reply(
        self, status: HTTPStatus, body: bytes | dict[str, str] = b"", headers: list[tuple[str, str]] | None = None
    ) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [("Content-Length", str(len(payload))), *(headers or [("Content-Type", "application/json")])]
        head = h11.Response(status_code=status, reason=status.phrase, headers=lines)
        parts = [self._http.send(event) for event in (head, h11.Data(data=payload), h11.EndOfMessage())]
        await self._write(b"".join(part for part in parts if part))

    async def _write(self, data: bytes | None) -> None:
        self._writer.write(data or b"")
        await self._writer.drain()


def headers_of(request: h11.Request) -> dict[str, str]:
    return {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
