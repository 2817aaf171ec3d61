"""Presigned S3 URLs (Signature Version 4), byte for byte those of botocore's `generate_presigned_url`, at less cost.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hmac
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from types_boto3_s3 import S3Client

# A URL dies with the credentials that signed it, and those of a Lambda function may have an hour left:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
URL_SECONDS = 3600
ALGORITHM = "AWS4-HMAC-SHA256"
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Signed:
    """A URL that allows one request until `expires_at` (epoch seconds); `headers` must be sent with it."""

    url: str
    headers: dict[str, str]
    expires_at: int


class Signer:
    """Signs for one bucket, with the credentials of a client. It makes no request."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        # Endpoints, regions and addressing styles are botocore's to know: one URL of its own tells what they come to.
        asked = urlsplit(client.generate_presigned_url("head_bucket", Params={"Bucket": bucket}))
        self.origin = f"{asked.scheme}://{asked.netloc}"
        self._root = asked.path.removesuffix("/")
        default = asked.port in (None, DEFAULT_PORTS[asked.scheme])
        self._host = str(asked.hostname) if default else asked.netloc
        self._region = parse_qs(asked.query)["X-Amz-Credential"][0].split("/")[2]
        # A client does not tell its credentials otherwise.
        signing: Any = client
        self._credentials: Credentials = signing._request_signer._credentials

    def sign(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        seconds: int | None = None,
    ) -> Signed:
        """A URL for exactly this request, good for `seconds`; `headers`, by lower-case name, bind whoever uses it.

        Of them `Signed` repeats all but the length, which every client sends by itself.
        """
        moment, seconds = int(time.time()), seconds or URL_SECONDS
        credentials = self._credentials.get_frozen_credentials()
        date_time = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
        scope = f"{date_time[:8]}/{self._region}/s3/aws4_request"
        path = f"{self._root}/{quote(key, safe='/~')}"
        signed = dict(sorted({"host": self._host, **(headers or {})}.items()))
        names = ";".join(signed)
        access_key, token = credentials.access_key, credentials.token
        pairs = [*encoded(query), *authentication(f"{access_key}/{scope}", date_time, seconds, names, token)]
        request = "\n".join(
            [
                *(method, path, "&".join(sorted(pairs))),
                *(f"{name}:{' '.join(value.split())}" for name, value in signed.items()),
                *("", names, "UNSIGNED-PAYLOAD"),
            ]
        )
        to_sign = "\n".join([ALGORITHM, date_time, scope, sha256(request.encode()).hexdigest()])
        signature = hmac.digest(signing_key(credentials.secret_key, scope), to_sign.encode(), "sha256").hex()
        return Signed(
            url=f"{self.origin}{path}?{'&'.join(pairs)}&X-Amz-Signature={signature}",
            headers={name.title(): value for name, value in signed.items() if name not in ("host", "content-length")},
            expires_at=moment + min(seconds, self.seconds_left()),
        )

    def seconds_left(self) -> int:
        """How long the credentials are good for; URL_SECONDS where that is longer, or is not known."""
        ends_within = getattr(self._credentials, "refresh_needed", None)
        if ends_within is None or not ends_within(URL_SECONDS):
            return URL_SECONDS
        # They do not tell the moment, but whether it comes within so many seconds.
        return bisect_left(range(1, URL_SECONDS), True, key=ends_within)


def encoded(parameters: Mapping[str, str]) -> list[str]:
    return [f"{name}={quote(value, safe='-._~')}" for name, value in parameters.items()]


@lru_cache(maxsize=16)  # many parts are signed in one second, and a session token is long
def authentication(credential: str, date_time: str, seconds: int, signed_headers: str, token: str | None) -> list[str]:
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": credential,
        "X-Amz-Date": date_time,
        "X-Amz-SignedHeaders": signed_headers,
        "X-Amz-Expires": str(seconds),
    }
    return encoded(parameters | ({"X-Amz-Security-Token": token} if token else {}))


@lru_cache(maxsize=2)  # the day's, and that of a day or of credentials that are ending
def signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key
