"""The API behind CloudFront: what does not come through CloudFront is refused.

An HTTP API has no origin access control. CloudFront sends a secret with each request instead, in a header that it
replaces where a viewer sends one. The secret is a JSON object, each of whose values counts: docs/how-to/cloudfront.md
says how one takes the place of another.
"""

import hmac
import json
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from sluice import problems, secrets
from sluice.errors import NotThroughCloudFront
from sluice.settings import Setting

HEADER = "x-sluice-cloudfront"


class ThroughCloudFront:
    """ASGI middleware: refuses what lacks the secret. The app is asked by `url`, at which people ask CloudFront."""

    def __init__(self, app: ASGIApp, secret: Setting[str], url: str) -> None:
        self._app = app
        self._secret = secret
        self._url = urlsplit(url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        offered = Headers(scope=scope).get(HEADER, "")
        if not is_known(offered, await run_in_threadpool(secrets.read, self._secret)):
            refusal = NotThroughCloudFront(f"Ask {self._url.geturl()} instead.")
            await problems.answer(refusal)(scope, receive, send)
            return
        # CloudFront asks the HTTP API by the API's own name, which no link and no redirect may show.
        asked = {**scope, "scheme": self._url.scheme, "server": (self._url.hostname, self._url.port)}
        headers = MutableHeaders(raw=list(scope["headers"]))
        headers["host"] = self._url.netloc
        del headers[HEADER]
        await self._app({**asked, "headers": headers.raw}, receive, send)


def is_known(offered: str, secret: str) -> bool:
    """Whether it is one of the secret's values. All are compared, in constant time: time tells nothing."""
    same = [hmac.compare_digest(one.encode(), offered.encode()) for one in values(secret)]
    return any(same)


@lru_cache(maxsize=2)
def values(secret: str) -> tuple[str, ...]:
    """Those that count. An empty one is none, or whoever sends nothing would be let in."""
    document = json.loads(secret)
    return tuple(value for value in document.values() if value)
