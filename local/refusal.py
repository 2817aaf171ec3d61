"""What S3 says where it refuses a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Refused(Exception):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

    status: int
    code: str
    message: str
    details: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> bytes:
        told = {"Code": self.code, "Message": self.message, **self.details}
        elements = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in told.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{elements}</Error>'.encode()


def access_denied(message: str = "Access Denied", **details: str) -> Refused:
    return Refused(403, "AccessDenied", message, details)
