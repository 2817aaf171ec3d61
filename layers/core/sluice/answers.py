"""JSON that nobody keeps on the way: most of it holds capabilities, which are worth as much as a password."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse

# RFC 9111, section 5.2.2.5; and no browser takes it for something else that it can run.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Answer(JSONResponse):
    """For an app's `default_response_class`, and for problems."""

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(content, status_code, {**HEADERS, **(headers or {})}, **more)
