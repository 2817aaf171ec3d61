"""Cross-origin answers of a door, as the template's CORS configuration says.

The door answers a preflight itself, and what it says about origins replaces what the function says.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html,
https://docs.aws.amazon.com/lambda/latest/api/API_Cors.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.payload import Headers, Request


@dataclass(frozen=True)
class Cors:
    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int | None = None  # seconds
    credentials: bool = False

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "Cors":
        """From a Function URL's `Cors`, or from an HTTP API's, whose keys differ by their first letter only."""
        known = {key[0].upper() + key[1:]: value for key, value in configuration.items()}
        return cls(
            origins=tuple(known.get("AllowOrigins", ())),
            methods=tuple(method.upper() for method in known.get("AllowMethods", ())),
            headers=tuple(header.lower() for header in known.get("AllowHeaders", ())),
            exposed=tuple(known.get("ExposeHeaders", ())),
            max_age=known.get("MaxAge"),
            credentials=bool(known.get("AllowCredentials", False)),
        )

    def preflight(self, request: Request) -> Headers | None:
        """The headers that answer a preflight, none for what is not allowed; None when `request` is no preflight."""
        method = request.header(b"access-control-request-method")
        if not self.origins or request.method != "OPTIONS" or not request.header(b"origin") or not method:
            return None
        asked = {name.strip().lower() for name in request.header(b"access-control-request-headers").split(",")} - {""}
        allowed = self._origin(request)
        if not allowed or not {"*", method} & {*self.methods} or not ("*" in self.headers or asked <= {*self.headers}):
            return []
        headers = [
            *allowed,
            (b"access-control-allow-methods", ",".join(self.methods).encode()),
            (b"access-control-allow-headers", ",".join(self.headers).encode()),
        ]
        if self.max_age is not None:
            headers.append((b"access-control-max-age", str(self.max_age).encode()))
        return headers

    def apply(self, request: Request, headers: Headers) -> Headers:
        """An answer's headers with those that let the page at `Origin` read it."""
        if not self.origins:
            return headers
        kept = [(name, value) for name, value in headers if not name.startswith(b"access-control-")]
        allowed = self._origin(request)
        if allowed and self.exposed:
            allowed.append((b"access-control-expose-headers", ",".join(self.exposed).encode()))
        return [*kept, *allowed, (b"vary", b"Origin")]

    def _origin(self, request: Request) -> Headers:
        origin = request.header(b"origin")
        if not origin or not any(_matches(origin, pattern) for pattern in self.origins):
            return []
        allowed = "*" if "*" in self.origins and not self.credentials else origin
        credentials = [(b"access-control-allow-credentials", b"true")] if self.credentials else []
        return [(b"access-control-allow-origin", allowed.encode()), *credentials]


def _matches(origin: str, pattern: str) -> bool:
    return pattern in ("*", origin) or (pattern.endswith("://*") and origin.startswith(pattern[:-1]))
