"""The data plane: streams contents and progress to whoever holds a link that allows it."""

import random

from fastapi import FastAPI

from functions.stream.routes import archives, contents, events, exports, feed, health
from sluice import problems, settings
from sluice.answers import Answer
from sluice.audit_log import Audited, AuditLog
from sluice.cloudfront import BehindCloudFront
from sluice.snapshot import after_restore

# Or all environments from one snapshot would draw the same: slots of a link, pauses before the next try.
after_restore(random.seed)

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
