"""What of S3 the signed URLs lean on, and which of the servers does not keep it.

A server that lacks a promise is expected to break it: the day it keeps it, the test says so, and the line here goes.
"""

from collections.abc import Iterable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice.objects import ObjectForbidden
from sluice.reader import Unreadable
from tests.s3.servers import SERVERS

FORMS = "takes no forms"
NEWER = "knows neither SHA-512 nor MD5 as a checksum"
RANGES = "answers a range with 200 and without Content-Range"

# How a test ends where its promise is not kept; anything else is a fault of the test.
BROKEN = (AssertionError, pytest.fail.Exception, ClientError, ObjectForbidden, Unreadable)

# promise -> server -> why it is not kept there
LACKING: dict[str, dict[str, str]] = {
    "an upload by its URLs": {},
    "a part sent again replaces the first": {"rclone": "streams its parts: one that is written cannot be replaced"},
    "a body that breaks off is not stored": {},
    "completing checks the size": {"rclone": "does not know x-amz-mp-object-size"},
    "an upload that is over takes no parts": {},
    "a single PUT by its URL": {},
    "a single PUT happens once": {"rclone": "ignores If-None-Match"},
    "a part's URL allows nothing else": {},
    "a PUT's URL allows nothing else": {},
    "a digest that was signed is checked": {"rclone": "does not look at checksums"},
    "an upload of locked parts": {"rclone": "does not look at checksums"},
    "a newer digest that was signed is checked": {"rclone": "does not look at checksums", "ministack": NEWER},
    "an upload of parts locked by a newer digest": {"rclone": "does not look at checksums", "ministack": NEWER},
    "x-amz headers have to be signed": {"ministack": "takes those that nobody signed"},
    "an unknown access key is refused": {},
    "a session token is part of the URL": {"versitygw": "knows no keys that come with a token"},
    "an old URL is refused": {},
    "an upload by a form": {"rclone": FORMS},
    "a form is locked to its size": {"rclone": FORMS},
    "a form allows nothing else": {"rclone": FORMS},
    "reading": {},
    "reading by ranges": {"rclone": RANGES},
    "reading a version by ranges": {"rclone": "has no versions", "ministack": "ignores Range where a version is named"},
    "a wrong secret is forbidden": {},
    "an old URL is signed again": {
        "rclone": "answers an old URL with 400, S3 with 403",
    },
    "another object is noticed": {},
    "another object is noticed half-way": {"rclone": RANGES},
    "what is gone is missing": {},
    "a version that is gone is missing": {"rclone": "has no versions"},
    "a download comes with its names": {"ministack": "ignores them where a version is named"},
    "a download is of its version": {"rclone": "has no versions"},
    "a download's URL allows nothing else": {},
}


def promise(name: str) -> pytest.MarkDecorator:
    """The test, once for each server; where the promise is not kept the test has to fail."""
    return pytest.mark.parametrize("server", list(servers(name)), indirect=True)


def servers(name: str) -> Iterable[Any]:
    lacking = LACKING[name]
    for server in SERVERS:
        if server in lacking:
            reason = f"{server} {lacking[server]}"
            yield pytest.param(server, marks=pytest.mark.xfail(reason=reason, raises=BROKEN, strict=True))
        else:
            yield server
