"""Failures in the shape in which Lambda takes them: errorMessage, errorType, requestId, stackTrace."""

import base64
import importlib
import json
import traceback
from pathlib import Path

# Bytes of all trailers. Lambda's Runtime API is a Go server, whose limit is its read buffer (net/http, transfer.go:
# "This limits the trailer to the underlying buffer size, typically 4kB"). A longer one would lose the whole failure.
TRAILER_LIMIT = 4096
TYPE_HEADER = "Lambda-Runtime-Function-Error-Type"
CAUSE_HEADER = "Lambda-Runtime-Function-XRay-Error-Cause"
BODY_TRAILER = "Lambda-Runtime-Function-Error-Body"

# What is left of it for the JSON: base64 turns 3 bytes into 4; the names, the type and the line ends take up to 512.
_TRAILED_JSON_LIMIT = (TRAILER_LIMIT - 512) // 4 * 3
_TYPE_LIMIT = 128
# More frames than that do not fit, whatever they say.
_TRAILED_FRAMES = 64

# Bytes of the cause that X-Ray shows. Go's server takes heads of 1 MB (net/http, DefaultMaxHeaderBytes); nobody reads
# that much of a trace.
CAUSE_LIMIT = 64 * 1024
_CAUSE_MESSAGE = 4096  # characters of it

# Characters of a message. An exception may carry a whole document; Lambda takes 6 MB, and the log is paid by the byte.
MESSAGE_LIMIT = 256 * 1024

# Files whose frames are not the app's: this package, and the import system.
_NOT_THE_APPS = (__file__.rpartition("/")[0], "<frozen importlib", importlib.__file__)


class Fault(Exception):
    """A failure that the runtime itself finds, under a type like `Runtime.HandlerNotFound`."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def _words(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_LIMIT]
    except Exception as unspeakable:  # noqa: BLE001 - the app's own code, and its invocation must have a response
        return f"its message cannot be shown: {type(unspeakable).__name__}"


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # the app may have removed it
        return ""


class Document:
    """One failure as Lambda takes it, in the body of a request or in trailers.

    The stack trace begins with the app's first frame: the runtime's own frames and those of the import system tell the
    reader nothing.
    """

    def __init__(self, error: BaseException, request_id: str = "") -> None:
        self.error_type = error.error_type if isinstance(error, Fault) else type(error).__name__
        self.message = _words(error)
        self.request_id = request_id
        # A fault of the runtime's own making leads to what made it; anything else to where it was raised itself.
        cause = error.__cause__ if isinstance(error, Fault) else None
        frames = traceback.extract_tb((cause or error).__traceback__)
        self._frames = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_APPS)]
        self.stack_trace = traceback.StackSummary.from_list(self._frames).format()

    def json(self) -> bytes:
        return self._json(self.message, self.stack_trace)

    def trailers(self) -> dict[str, str]:
        """The failure as trailers, shortened to what fits: outer frames go first, then the end of the message."""
        message, frames = self.message[:_TRAILED_JSON_LIMIT], self.stack_trace[-_TRAILED_FRAMES:]
        while len(encoded := self._json(message, frames)) > _TRAILED_JSON_LIMIT:
            if frames:
                frames = frames[1:]
            else:
                message = message[: len(message) // 2]
        return {TYPE_HEADER: self.header_type, BODY_TRAILER: base64.b64encode(encoded).decode("ascii")}

    def cause(self) -> str:
        """What X-Ray shows of the failure, as the managed runtime writes it, without outer frames that do not fit."""
        frames = self._frames
        while True:
            stack = [{"label": frame.name, "path": frame.filename, "line": frame.lineno} for frame in frames]
            message, kind = self.message[:_CAUSE_MESSAGE], self.error_type[:_TYPE_LIMIT]
            cause = {
                "working_directory": _folder(),
                "exceptions": [{"message": message, "type": kind, "stack": stack}],
                "paths": sorted({frame.filename for frame in frames}),
            }
            text = json.dumps(cause)
            if len(text) <= CAUSE_LIMIT:
                return text
            frames = frames[len(frames) // 2 + 1 :]

    @property
    def header_type(self) -> str:
        """The type as a header takes it: a class may be named in any script."""
        printable = (char if char.isascii() and char.isprintable() else "?" for char in self.error_type[:_TYPE_LIMIT])
        return "".join(printable)

    def _json(self, message: str, frames: list[str]) -> bytes:
        document = {
            "errorMessage": message,
            "errorType": self.error_type[:_TYPE_LIMIT],
            "requestId": self.request_id,
            "stackTrace": frames,
        }
        return json.dumps(document).encode("ascii")
