"""What a function knows of a request that came through CloudFront, and what CloudFront is told of its answer.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html
"""

from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def viewer_address(forwarded: str, connection: str | None) -> str | None:
    """The address of whoever asked CloudFront, from X-Forwarded-For and the address of the connection.

    CloudFront appends what it sees to what the viewer says. An HTTP API appends CloudFront's own address, which is that
    of the connection; AWS does not say whether a Function URL does. Where no address is found it is the connection's.
    """
    hops = forwarded.split(",")
    if _address(hops[-1]) == _address(connection or ""):
        hops.pop()
    return (_address(hops[-1]) if hops else None) or connection


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return None


class BehindCloudFront:
    """ASGI middleware for an app that only CloudFront can reach: its client is the viewer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = scope.get("client")
        forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        address = viewer_address(forwarded, connection[0] if connection else None)

        async def send_uncached(message: Message) -> None:
            # CloudFront gives one answer to all who ask for the same path at the same time, whoever they are, unless it
            # says that it may not be kept.
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("cache-control", "no-store")
            await send(message)

        await self._app({**scope, "client": (address, 0) if address else None}, receive, send_uncached)
