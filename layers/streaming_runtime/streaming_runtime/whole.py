"""Responses that go back as a whole: to a load balancer, which cannot stream, and for events that are no HTTP."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from .client import Client, Invocation
from .connection import Buffer
from .errors import Document, Fault

# Bytes of a response that is no stream: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
WHOLE_LIMIT = 6 * 1024 * 1024

Headers = Sequence[tuple[bytes, bytes]]
# What Lambda is given for a status, headers and a body. Raises `Fault` where that is a failure of the invocation.
Pack = Callable[[int, Headers, bytes], bytes]

# Content types whose bodies need no base64, with those that end in `+json` and `+xml`.
_TEXTS = ("text/", "application/json", "application/javascript", "application/xml")


def for_an_event(status: int, _headers: Headers, body: bytes) -> bytes:
    """The body as it is. What the app refuses has failed, so that its sender tries again or tells somebody."""
    if status >= HTTPStatus.BAD_REQUEST:
        said = body[:500].decode("utf-8", "replace")
        raise Fault("Runtime.EventRefused", f"The app answered the event with {status}: {said}")
    return body


def for_a_load_balancer(event: dict[str, Any]) -> Pack:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html#respond-to-load-balancer"""
    several = "multiValueHeaders" in event  # then it wants, and understands, no others

    def pack(status: int, headers: Headers, body: bytes) -> bytes:
        named = _named(headers)
        encoded = not _is_text(named)
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        response = {
            "statusCode": status,
            "statusDescription": f"{status} {phrase}".strip(),
            "isBase64Encoded": encoded,
            "body": base64.b64encode(body).decode() if encoded else body.decode(),
        }
        if several:
            response["multiValueHeaders"] = named
        else:
            # It takes one value a name; as a second cookie would be lost, its name is written in another case.
            response["headers"] = dict(_once(named))
        return json.dumps(response).encode()

    return pack


def _named(headers: Headers) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for name, value in headers:
        named.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return named


def _once(named: dict[str, list[str]]) -> Iterable[tuple[str, str]]:
    for name, values in named.items():
        if name != "set-cookie":
            yield name, ", ".join(values)
            continue
        for number, value in enumerate(values):
            letters = iter(f"{number:08b}"[::-1])
            yield "".join(c.upper() if c.isalpha() and next(letters, "0") == "1" else c for c in name), value


def _is_text(named: dict[str, list[str]]) -> bool:
    """Whether the body is UTF-8 for certain: a JSON string holds nothing else."""
    kind, *parameters = "".join(named.get("content-type", [])[:1]).lower().replace(" ", "").split(";")
    if named.get("content-encoding") or not (kind.startswith(_TEXTS) or kind.endswith(("+json", "+xml"))):
        return False
    charset = next((one.partition("=")[2].strip('"') for one in parameters if one.startswith("charset=")), "utf-8")
    return charset in ("utf-8", "utf8", "us-ascii")


class WholeResponse:
    """Collects what the app sends, and hands it over at the end. Takes the calls that `ResponseStream` takes."""

    def __init__(self, client: Client, invocation: Invocation, pack: Pack, status: int, headers: Headers) -> None:
        self._client = client
        self._invocation = invocation
        self._pack = pack
        self._status = status
        self._headers = headers
        self._body = bytearray()
        self._delivery: asyncio.Task[None] | None = None

    unsent = False

    async def flush(self) -> None:
        """Nothing is ever left."""

    def pass_on(self, chunk: bytes) -> bool:
        self._add(chunk)
        return True

    async def begin(self, _prelude: bytes, chunk: Buffer) -> None:
        self._add(chunk)

    async def write(self, *chunks: Buffer) -> None:
        for chunk in chunks:
            self._add(chunk)

    def _add(self, chunk: Buffer) -> None:
        if len(self._body) + len(chunk) > WHOLE_LIMIT:
            raise Fault("Runtime.ResponseTooLarge", f"A response that cannot stream has at most {WHOLE_LIMIT} bytes.")
        self._body += chunk

    async def end(self, *chunks: Buffer) -> None:
        await self.write(*chunks)
        await self.finish()

    async def finish(self) -> None:
        """Hand it over, once: who is cancelled meanwhile leaves it under way."""
        if self._delivery is None:
            self._delivery = asyncio.create_task(self._deliver())
        await asyncio.shield(self._delivery)

    async def fail(self, error: Document) -> None:
        await self._client.post_error(self._invocation, error)

    async def _deliver(self) -> None:
        try:
            packed = self._pack(self._status, self._headers, bytes(self._body))
        except Fault as fault:
            await self.fail(Document(fault, self._invocation.request_id))
        except UnicodeDecodeError as error:
            wrong = Fault("Runtime.MalformedResponse", f"The body is not the UTF-8 that its headers say: {error}")
            await self.fail(Document(wrong, self._invocation.request_id))
        else:
            await self._client.post_response(self._invocation, packed)
