"""The data plane: streams contents and progress to whoever holds a link that allows it."""

from fastapi import FastAPI

from functions.stream.routes import archives, contents, events, exports, feed, health
from sluice import problems, settings
from sluice.answers import Answer
from sluice.audit_log import Audited, AuditLog
from sluice.cloudfront import BehindCloudFront

# No redirects to a path without a slash at its end: they have no body, and a Function URL may not end such an answer.
app = FastAPI(
    title="Sluice streams",
    version="1",
    docs_url=None,
    redoc_url=None,
    redirect_slashes=False,
    default_response_class=Answer,
)
problems.install(app)
events.install(app)
for group in (health, contents, events, archives, feed, exports):
    app.include_router(group.router)
app.add_middleware(Audited, log=AuditLog.connect(), unheard={"/healthz"})
if settings.CLOUDFRONT.read():
    app.add_middleware(BehindCloudFront)
