"""One pinned version of an object as an ordered stream of buffers that survives broken connections."""

import random
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError
from urllib3.exceptions import HTTPError

from sluice.limits import MIB
from sluice.objects import Objects, Version

BUFFER_BYTES = MIB  # what is held of the object at a time
ATTEMPTS = 6  # in a row without a single new byte, on top of the SDK's own retries of a request that was not answered
FIRST_PAUSE_SECONDS = 0.2  # doubled with each attempt, times a random factor so that many readers do not return at once

# What a connection that breaks under an answer raises, on its way through urllib3 and botocore.
BROKEN = (HTTPClientError, IncompleteReadError, ResponseStreamingError, HTTPError, HTTPException, OSError)


def read(objects: Objects, version: Version, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Buffers of at most BUFFER_BYTES that together are the bytes from `start` up to `stop` (exclusive; None: the end).

    A broken answer is asked for again from the byte reached. Raises ObjectMissing and ObjectChanged at once, and
    botocore's or urllib3's error when ATTEMPTS in a row brought nothing.
    """
    position, end, attempt = start, version.size if stop is None else stop, 0
    while position < end:
        try:
            with closing(objects.read(version, position, end)) as body:
                while position < end:
                    buffer = body.read(min(BUFFER_BYTES, end - position))
                    if not buffer:
                        raise IncompleteReadError(actual_bytes=position, expected_bytes=end)
                    yield buffer
                    position, attempt = position + len(buffer), 0
        except (ClientError, *BROKEN) as error:
            attempt += 1
            if attempt == ATTEMPTS or (isinstance(error, ClientError) and not _passing(error)):
                raise
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret


def _passing(error: ClientError) -> bool:
    """Whether S3 may answer the same request later: 500, 503 SlowDown and their kin."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
