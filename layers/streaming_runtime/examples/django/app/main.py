import asyncio
import logging
import os
from collections.abc import AsyncIterator

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

# A project has `DJANGO_SETTINGS_MODULE` in its template, and `Handler: project.asgi.application`.
settings.configure(
    ALLOWED_HOSTS=["*"],  # a Function URL's name is known after the first deployment
    LOGGING_CONFIG=None,  # Lambda's log is set up already
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ["SECRET_KEY"],
)
logger = logging.getLogger(__name__)


async def ticks(pause: float) -> AsyncIterator[str]:
    number = 0
    try:
        while True:
            yield f"data: {number}\n\n"
            number += 1
            await asyncio.sleep(pause)
    finally:
        logger.warning("stopped after %d ticks", number)


async def events(request: HttpRequest) -> StreamingHttpResponse:
    pause = float(request.GET.get("pause", 1))
    return StreamingHttpResponse(ticks(pause), content_type="text/event-stream")


urlpatterns = [path("events", events)]
app = get_asgi_application()
