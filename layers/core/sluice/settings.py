"""Everything that can be set from outside, each with its meaning; read from the environment, missing ones are named."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice.limits import MIB

T = TypeVar("T")


class SettingError(Exception):
    """A setting is missing or cannot be understood; the message names it."""


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One environment variable. Without a default it must be set."""

    name: str
    parse: Callable[[str], T]
    help: str
    default: str | None = None

    def read(self, environ: Mapping[str, str] = os.environ) -> T:
        """The value. Raises SettingError."""
        text = environ.get(self.name) or self.default  # an empty variable is a forgotten one
        if not text:
            raise SettingError(f"{self.name} is not set: {self.help}")
        try:
            return self.parse(text)
        except ValueError as error:
            raise SettingError(f"{self.name}={text!r} cannot be used: {error}") from None


def positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError("a whole number above 0 is needed")
    return number


def base_url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("an http(s) URL is needed")
    return text.rstrip("/")


TABLE_NAME = Setting("TABLE_NAME", str, "The DynamoDB table of the files' records.")
BUCKET_NAME = Setting("BUCKET_NAME", str, "The S3 bucket of the files' bytes.")
ACCESS_TOKEN_SECRET = Setting(
    "ACCESS_TOKEN_SECRET", str, "The Secrets Manager secret (name or ARN) with a JSON object of owner -> bearer token."
)
CAPABILITY_KEY_SECRET = Setting(
    "CAPABILITY_KEY_SECRET", str, "The Secrets Manager secret (name or ARN) with the key that signs capabilities."
)
STREAM_URL = Setting(
    "STREAM_URL", base_url, "Where the stream function answers; the links to contents and events begin so."
)
CAPABILITY_SECONDS = Setting(
    "CAPABILITY_SECONDS", positive, "How long a link that the API hands out may be used, in seconds.", str(6 * 3600)
)
STREAM_LIMIT_BYTES = Setting(
    "STREAM_LIMIT_BYTES",
    positive,
    "The most bytes of one streamed response; more is answered by a redirect to S3. Lambda allows 200 MB.",
    str(190 * MIB),
)
MAX_RECEIVES = Setting(
    "MAX_RECEIVES", positive, "How often the queue gives a message out before it goes to the dead letters.", "5"
)

ALL: tuple[Setting[str] | Setting[int], ...] = (
    TABLE_NAME,
    BUCKET_NAME,
    ACCESS_TOKEN_SECRET,
    CAPABILITY_KEY_SECRET,
    STREAM_URL,
    CAPABILITY_SECONDS,
    STREAM_LIMIT_BYTES,
    MAX_RECEIVES,
)
