"""The data plane: streams contents and progress to whoever holds a link that allows it."""

from fastapi import FastAPI

from functions.stream.routes import contents, events, health
from sluice import problems
from sluice.answers import Answer

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
for group in (health, contents, events):
    app.include_router(group.router)
