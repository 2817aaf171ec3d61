"""Everything that can be set from outside, each with its meaning; read from the environment, missing ones are named."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from sluice import media_types
from sluice.limits import MAX_OBJECT_BYTES, MIB

T = TypeVar("T")


class SettingError(Exception):
    """A setting is missing or cannot be understood; the message names it."""


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One environment variable. Without a default it must be set; where that is empty, it may be empty."""

    name: str
    parse: Callable[[str], T]
    help: str
    default: str | None = None

    def read(self, environ: Mapping[str, str] = os.environ) -> T:
        """The value. Raises SettingError."""
        text = environ.get(self.name) or self.default  # an empty variable is a forgotten one
        if text is None:
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


def whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("a whole number is needed, 0 for no limit")
    return number


def flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false is needed")
    return text == "true"


def several(text: str) -> int:
    number = int(text)
    if number < 2:
        raise ValueError("a whole number above 1 is needed")
    return number


def seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError("a number above 0 is needed")
    return number


def switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("`on` or `off` is needed")
    return text == "on"


def names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))


def media_ranges(text: str) -> tuple[str, ...]:
    return media_types.ranges(text.split(","))


def base_url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("an http(s) URL is needed")
    return text.rstrip("/")


def issuer_url(text: str) -> str | None:
    """As the issuer writes itself: a slash at the end is a part of the name."""
    if not text:
        return None
    url = urlsplit(text)
    # OpenID Connect Discovery 1.0, section 3: https, no query, no fragment. A loopback host is the one of a test.
    if (url.scheme != "https" and url.hostname not in LOOPBACK) or url.query or url.fragment or not url.hostname:
        raise ValueError("an https URL without a query is needed")
    return text


def scopes(text: str) -> str:
    if "openid" not in text.split():
        raise ValueError("`openid` must be among them")
    return " ".join(text.split())


LOOPBACK = ("127.0.0.1", "localhost", "::1")

TABLE_NAME = Setting("TABLE_NAME", str, "The DynamoDB table of the files' records.")
BUCKET_NAME = Setting("BUCKET_NAME", str, "The S3 bucket of the files' bytes.")
ACCESS_TOKEN_SECRET = Setting(
    "ACCESS_TOKEN_SECRET",
    str,
    "The Secrets Manager secret (name or ARN) with a JSON object: owner -> hashes of tokens.",
)
CAPABILITY_KEY_SECRET = Setting(
    "CAPABILITY_KEY_SECRET", str, "The Secrets Manager secret (name or ARN) with the key that signs capabilities."
)
OIDC_ISSUER = Setting(
    "OIDC_ISSUER",
    issuer_url,
    "The OpenID Connect issuer at which people sign in; empty means that nobody signs in.",
    "",
)
OIDC_CLIENT_ID = Setting("OIDC_CLIENT_ID", str, "The client id of the page and the command at the issuer.", "")
OIDC_AUDIENCE = Setting(
    "OIDC_AUDIENCE",
    str,
    "The audience that tokens must have; empty means OIDC_CLIENT_ID. If it is a URL, clients ask for it.",
    "",
)
OIDC_SCOPE = Setting("OIDC_SCOPE", scopes, "The scopes that clients ask for at sign-in.", "openid offline_access")
OIDC_OWNER_CLAIM = Setting("OIDC_OWNER_CLAIM", str, "The claim that names the owner of the files.", "sub")
OIDC_GROUPS_CLAIM = Setting("OIDC_GROUPS_CLAIM", str, "The claim that lists the groups of a person.", "groups")
OIDC_USER_GROUP = Setting("OIDC_USER_GROUP", str, "The group that may sign in; empty means everybody.", "")
OIDC_ADMIN_GROUP = Setting(
    "OIDC_ADMIN_GROUP",
    str,
    "The group that sees the drops and shares of all owners; empty means nobody.",
    "",
)
STREAM_URL = Setting(
    "STREAM_URL", base_url, "Where the stream function answers; the links to contents and events begin so."
)
CLOUDFRONT = Setting("CLOUDFRONT", switch, "Whether only CloudFront can reach the function: `on` or `off`.", "off")
CLOUDFRONT_SECRET = Setting(
    "CLOUDFRONT_SECRET",
    str,
    "The Secrets Manager secret (name or ARN) with what CloudFront sends, as a JSON object; empty means no CloudFront.",
    "",
)
PUBLIC_URL = Setting("PUBLIC_URL", base_url, "Where CloudFront answers for the API; read with CLOUDFRONT_SECRET only.")
CAPABILITY_SECONDS = Setting(
    "CAPABILITY_SECONDS", positive, "How long a link that the API hands out may be used, in seconds.", str(6 * 3600)
)
MAX_FILE_BYTES = Setting(
    "MAX_FILE_BYTES", positive, "The most bytes of one file; S3 takes no more than 48.8 TiB.", str(MAX_OBJECT_BYTES)
)
CONTENT_TYPES = Setting(
    "CONTENT_TYPES",
    media_ranges,
    "What is accepted, content types and extensions by commas: `image/*,application/pdf,.heic`, or `*/*` for any.",
    media_types.ANY,
)
OWNER_BYTES = Setting("OWNER_BYTES", whole, "The most bytes of one owner, stored or promised; 0 means no limit.", "0")
OWNER_UPLOADS = Setting("OWNER_UPLOADS", whole, "The most unfinished uploads of one owner; 0 means no limit.", "0")
TRANSFER_ACCELERATION = Setting(
    "TRANSFER_ACCELERATION",
    flag,
    "Whether the URLs of uploads and downloads lead to S3's accelerated endpoint: `true` or `false`.",
    "false",
)
STREAM_LIMIT_BYTES = Setting(
    "STREAM_LIMIT_BYTES",
    positive,
    "The most bytes of one streamed response; more is answered by a redirect to S3. Lambda allows 200 MB.",
    str(190 * MIB),
)
STREAMS_PER_LINK = Setting(
    "STREAMS_PER_LINK",
    whole,
    "The most streams and downloads that one link holds open at once; 0 means no limit.",
    "16",
)
QUEUE_URL = Setting(
    "QUEUE_URL",
    base_url,
    "The SQS queue of the completed objects; a job that is out of time sends the next message there, as does the API "
    "where S3 takes long to complete one.",
)
MAX_RECEIVES = Setting(
    "MAX_RECEIVES", several, "How often the queue gives a message out before it goes to the dead letters.", "5"
)
HASH_DIGESTS = Setting(
    "HASH_DIGESTS",
    names,
    "The digests of every file, sha-256 among them; what a client declares and S3's own checksum come on top.",
    "sha-256,md5",
)
MALWARE_SCAN = Setting(
    "MALWARE_SCAN", switch, "Whether a file waits for the verdict of GuardDuty's scan before it is `ready`.", "off"
)
READ_PART_BYTES = Setting(
    "READ_PART_BYTES",
    positive,
    "The bytes of one buffer, and of one range where there are several connections.",
    str(8 * MIB),
)
READ_CONNECTIONS = Setting(
    "READ_CONNECTIONS", positive, "Connections to S3 over which one object is read; 1 means one plain stream.", "4"
)
CHECKPOINT_SECONDS = Setting(
    "CHECKPOINT_SECONDS", seconds, "The most between two checkpoints of a hashing job; each is one write.", "1"
)
SLICE_SECONDS = Setting(
    "SLICE_SECONDS",
    seconds,
    "How long one invocation hashes before the file goes to the end of the queue, so that no file waits for long ones.",
    "60",
)
AUDIT_LOG_GROUP = Setting(
    "AUDIT_LOG_GROUP",
    str,
    "The CloudWatch log group of the audit record; without one its lines are in each function's own log.",
    "",
)
LEASE_SECONDS = Setting(
    "LEASE_SECONDS", positive, "How long after its last checkpoint a hashing job is taken for dead.", "60"
)
EVENT_BUS_NAME = Setting("EVENT_BUS_NAME", str, "The EventBridge bus that events are sent to.")
EVENT_SOURCE = Setting("EVENT_SOURCE", str, "The `source` of the events: `sluice.` and the name of the stack.")
DEAD_LETTERS_URL = Setting(
    "DEAD_LETTERS_URL", base_url, "The SQS queue of the changes that the publisher cannot make events of."
)

ALL: tuple[Setting[Any], ...] = (
    TABLE_NAME,
    BUCKET_NAME,
    ACCESS_TOKEN_SECRET,
    CAPABILITY_KEY_SECRET,
    OIDC_ISSUER,
    OIDC_CLIENT_ID,
    OIDC_AUDIENCE,
    OIDC_SCOPE,
    OIDC_OWNER_CLAIM,
    OIDC_GROUPS_CLAIM,
    OIDC_USER_GROUP,
    OIDC_ADMIN_GROUP,
    STREAM_URL,
    CLOUDFRONT,
    CLOUDFRONT_SECRET,
    PUBLIC_URL,
    CAPABILITY_SECONDS,
    MAX_FILE_BYTES,
    CONTENT_TYPES,
    OWNER_BYTES,
    OWNER_UPLOADS,
    TRANSFER_ACCELERATION,
    STREAM_LIMIT_BYTES,
    STREAMS_PER_LINK,
    QUEUE_URL,
    MAX_RECEIVES,
    HASH_DIGESTS,
    MALWARE_SCAN,
    READ_PART_BYTES,
    READ_CONNECTIONS,
    CHECKPOINT_SECONDS,
    SLICE_SECONDS,
    LEASE_SECONDS,
    AUDIT_LOG_GROUP,
    EVENT_BUS_NAME,
    EVENT_SOURCE,
    DEAD_LETTERS_URL,
)
