"""HTTP to the event of payload format 1.0, that of a REST API, and a function's answer back to HTTP.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from local.payload import Answer, Headers, MalformedAnswer, Request, content_of, headers_of, parsed, status_of
from local.router import Stage
from local.template import ACCOUNT

VERSION = "1.0"

# What an answer may say. A REST API refuses one that says anything else.
KNOWN = {"body", "cookies", "headers", "isBase64Encoded", "multiValueHeaders", "statusCode"}

# Of a caller whom AWS knows; here it knows nobody.
_NOBODY = dict.fromkeys(
    (
        *("accessKey", "accountId", "apiKey", "apiKeyId", "caller", "cognitoAuthenticationProvider"),
        *(
            "cognitoAuthenticationType",
            "cognitoIdentityId",
            "cognitoIdentityPoolId",
            "principalOrgId",
            "user",
            "userArn",
        ),
    )
)


def event(
    request: Request,
    *,
    api_id: str,
    path: str,
    resource: str,
    stage: Stage,
    path_parameters: Mapping[str, str],
    binary: bool,
    version: str | None = None,
) -> bytes:
    """The event for `request`, as JSON; with `binary` the body is base64. Only an HTTP API's says its `version`."""
    now = time.time()
    domain, _, port = request.header(b"host").partition(":")
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        # As clients of HTTP/1.1 write names; the door had them in lower case only.
        headers.setdefault(name.decode("latin-1").title(), []).append(value.decode("latin-1"))
    forwarded = ", ".join([*headers.get("X-Forwarded-For", []), request.client])
    headers |= {"X-Forwarded-For": [forwarded], "X-Forwarded-Port": [port or "80"], "X-Forwarded-Proto": ["http"]}
    query: dict[str, list[str]] = {}
    for key, item in parse_qsl(request.query.decode("latin-1"), keep_blank_values=True):
        query.setdefault(key, []).append(item)
    body = base64.b64encode(request.body).decode() if binary else request.body.decode(errors="replace")
    document = {
        **({"version": version} if version else {}),
        "resource": resource,
        "path": path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(path_parameters) or None,
        "stageVariables": dict(stage.variables) or None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": api_id,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "extendedRequestId": request.id,
            "httpMethod": request.method,
            "identity": {
                **_NOBODY,
                "sourceIp": request.client,
                "userAgent": request.header(b"user-agent"),
            },
            "path": request.path.decode("latin-1"),
            "protocol": request.protocol,
            "requestId": request.id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": resource,
            "resourcePath": resource,
            "stage": stage.name,
        },
        "body": body if request.body else None,
        "isBase64Encoded": bool(request.body) and binary,
    }
    return json.dumps(document).encode()


def answer(payload: bytes, *, default_type: str, decoded: bool) -> Answer:
    """What a buffered answer says. One in base64 is decoded only if `decoded`. Raises `MalformedAnswer`."""
    document = parsed(payload)
    if not isinstance(document, dict):
        raise MalformedAnswer("it is no object with a statusCode, headers and a body")
    if unknown := document.keys() - KNOWN:
        raise MalformedAnswer(f"it says {', '.join(sorted(unknown))}, which no answer may")
    content = content_of(document, decoded=bool(decoded and document.get("isBase64Encoded")))
    return Answer(status_of({"statusCode": 200, **document}), headers(document, default_type), content)


def prelude(payload: bytes, default_type: str) -> Answer:
    """What the prelude of a streamed answer says. Raises `MalformedAnswer`."""
    document = parsed(payload)
    if not isinstance(document, dict):
        raise MalformedAnswer("its prelude is not an object")
    return Answer(status_of({"statusCode": 200, **document}), headers(document, default_type))


def headers(document: Mapping[str, Any], default_type: str) -> Headers:
    """All headers of an answer. One that has several values counts, and not what `headers` says of it."""
    several = document.get("multiValueHeaders") or {}
    if not isinstance(several, dict) or not all(isinstance(values, list) for values in several.values()):
        raise MalformedAnswer("its multiValueHeaders are not lists by name")
    single = document.get("headers") or {}
    if not isinstance(single, dict):
        raise MalformedAnswer("its headers are no object")
    taken = {name.lower() for name in several}
    rest = {name: value for name, value in single.items() if name.lower() not in taken}
    made = headers_of({**document, "headers": rest}, default_type)
    if "content-type" in taken:
        made = [(name, value) for name, value in made if name != b"content-type"]
    for name, values in several.items():
        for value in values:
            alone = headers_of({"headers": {name: value}}, default_type)
            made += [pair for pair in alone if pair[0] == name.lower().encode()]
    return made
