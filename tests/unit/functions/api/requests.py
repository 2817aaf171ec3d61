"""Requests whose bodies come in pieces, or break off."""

from starlette.requests import Request
from starlette.types import Message

DISCONNECT: Message = {"type": "http.disconnect"}


def sent(
    chunks: list[bytes], headers: dict[str, str] | None = None, *, whole: bool = True
) -> tuple[Request, list[Message]]:
    """A request whose body comes in these chunks, and the messages that are still to be read."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if whole else DISCONNECT)

    async def receive() -> Message:
        return messages.pop(0)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "PUT", "headers": raw}, receive), messages
