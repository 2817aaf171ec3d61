"""The control plane: creates, signs, completes, aborts and lists. No bytes but those of small files pass through it."""

from typing import Any
from urllib.parse import quote

from aws_lambda_powertools import Logger
from fastapi import FastAPI
from mangum import Mangum

from functions.api import openapi
from functions.api.cloudfront import ThroughCloudFront
from functions.api.routes import (
    archives,
    capabilities,
    companion,
    drops,
    files,
    health,
    links,
    page,
    shares,
    sign_in,
    small_files,
    tokens,
)
from sluice import problems, settings
from sluice.answers import Answer
from sluice.audit_log import Audited, AuditLog
from sluice.cloudfront import BehindCloudFront

logger = Logger()

app = FastAPI(
    title="Sluice", version="1", summary=openapi.SUMMARY, docs_url=None, redoc_url=None, default_response_class=Answer
)
problems.install(app)
for routes in (health, files, small_files, archives, capabilities, drops, shares, sign_in, tokens, companion, page):
    app.include_router(routes.router)
app.include_router(shares.holders)
app.include_router(sign_in.public)
openapi.install(app, links.stream_url)
# The page asks for a token itself, and a monitor has none: nobody's action is in what is open.
app.add_middleware(Audited, log=AuditLog.connect(), unheard={"/", "/assets/{name}", "/auth", "/healthz"})
# The last that is added is the first that is asked.
if settings.CLOUDFRONT_SECRET.read():
    app.add_middleware(BehindCloudFront)
    app.add_middleware(ThroughCloudFront, secret=settings.CLOUDFRONT_SECRET, url=settings.PUBLIC_URL.read())

_mangum = Mangum(app, lifespan="off")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    # Mangum decodes the path, which the HTTP API has done already: `100%25.txt` would become another name.
    http = event["requestContext"]["http"]
    http["path"] = quote(http["path"])
    return _mangum(event, context)
