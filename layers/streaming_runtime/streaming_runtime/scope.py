"""An HTTP event as an ASGI scope and a body: Function URLs and HTTP APIs (payload 2.0), REST APIs (1.0).

Mangum's handlers do the work; what they leave out is set here.
"""

import json
from typing import Any
from urllib.parse import quote, unquote

from mangum.handlers.api_gateway import APIGateway, HTTPGateway
from mangum.types import LambdaConfig

from . import asgi
from .context import LambdaContext
from .errors import Fault

# Characters of a path that stand for themselves (RFC 3986, 3.3), and the sign of those that are encoded.
_PATH_SAFE = "/:@!$&'()*+,;=~%"

_CONFIG = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])


def http_request(payload: bytes, context: LambdaContext) -> tuple[asgi.Scope, bytes]:
    """The scope and the body of an event in JSON. Raises `Fault` when the event is no HTTP request."""
    try:
        event = json.loads(payload)
        handler = _handler(event, context)
        scope, body = dict(handler.scope), handler.body
        raw_path, root_path = _raw_path(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Fault(
            "Runtime.NotAnHttpRequest",
            "This function answers HTTP requests: the event must be one of a Function URL, an HTTP API or a REST API. "
            f"({type(error).__name__}: {error})",
        ) from None
    scope |= {
        "asgi": asgi.VERSION,
        # ASGI wants the prefix in both: Mangum's path of a REST API lacks the stage.
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("ascii"),
        "root_path": root_path,
        "headers": [(name, value) for name, value in scope["headers"]],
    }
    return scope, body


def _handler(event: Any, context: Any) -> HTTPGateway | APIGateway:
    for handler in (HTTPGateway, APIGateway):
        if handler.infer(event, context, _CONFIG):
            return handler(event, context, _CONFIG)
    raise KeyError("requestContext")


def _raw_path(event: dict[str, Any]) -> tuple[str, str]:
    """The path as the client sent it, percent-encoded, and the part of it that is the stage and not the app's."""
    request = event["requestContext"]
    if event.get("version") == "2.0":
        raw_path = event["rawPath"]
        prefix = "" if request.get("stage", "$default") == "$default" else "/" + request["stage"]
    else:
        raw_path = request.get("path") or event["path"]
        prefix = raw_path.removesuffix(event["path"])
    # Some doors decode the path and some do not. What is encoded already stays as it is.
    raw_path = quote(raw_path or "/", safe=_PATH_SAFE)
    return raw_path, prefix if raw_path == prefix or raw_path.startswith(prefix + "/") else ""
