"""Signature Version 4 as S3 checks it: of a request's headers, of a URL, of the pieces of a body, of a form's policy.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hmac
import re
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from local.refusal import Refused, access_denied

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_CHUNKS = {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"}
PAYLOADS = {UNSIGNED_PAYLOAD, UNSIGNED_CHUNKS, *SIGNED_CHUNKS}
NOTHING = sha256().hexdigest()

SKEW_SECONDS = 15 * 60  # how far a client's clock may be from S3's
LONGEST_SECONDS = 7 * 24 * 3600  # the life of a URL

PARAMETERS = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")
HEADER = re.compile(rf"{ALGORITHM}\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]+)\s*")


@dataclass(frozen=True)
class Keys:
    """A pair of keys that S3 knows, and the session tokens that it takes with them; None is no token."""

    access: str
    secret: str
    tokens: tuple[str | None, ...] = (None,)


@dataclass(frozen=True)
class Request:
    """Of a request what can be signed. The path and the query are as they were sent, not decoded."""

    method: str
    path: str
    query: str
    environ: "WSGIEnvironment"

    def header(self, name: str) -> str | None:
        key = name.upper().replace("-", "_")
        return self.environ.get(key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}")

    def parameters(self) -> dict[str, str]:
        return {name.decode(): value.decode(errors="replace") for name, value in _pairs(self.query)}


@dataclass(frozen=True)
class Scope:
    """What a signing key is good for."""

    access: str
    date: str
    region: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/s3/aws4_request"


@dataclass(frozen=True)
class Signed:
    """A request that has been signed rightly, and what the pieces of its body go on from."""

    payload: str
    key: bytes
    scope: Scope
    moment: str
    signature: str


@dataclass(frozen=True)
class Signatures:
    """Of those who have these keys."""

    keys: Mapping[str, Keys] = field(default_factory=dict)

    @classmethod
    def of(cls, *keys: Keys) -> "Signatures":
        return cls({one.access: one for one in keys})

    def check(self, request: Request, region: str | None) -> Signed:
        """Raises Refused. `region` is the bucket's, where there is one."""
        given = request.parameters()
        authorization = request.header("authorization")
        signed_url = "X-Amz-Algorithm" in given or "X-Amz-Signature" in given
        if authorization and signed_url:
            raise Refused(
                400,
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                "Signature query string parameter or the Authorization header should be "
                "specified",
            )
        if signed_url:
            return self._url(request, given, region)
        if authorization:
            return self._headers(request, authorization, region)
        if "Signature" in given:
            raise _unsupported()
        raise access_denied()

    def check_policy(self, fields: Mapping[str, str], region: str | None) -> None:
        """That the policy of a form is what somebody with these keys signed. Raises Refused."""
        if "signature" in fields:
            raise _unsupported()
        for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"):
            if name not in fields:
                raise Refused(
                    400,
                    "InvalidArgument",
                    f"Bucket POST must contain a field named '{name}'.  If it is specified, "
                    "please check the order of the fields.",
                    {"ArgumentName": name},
                )
        if fields["x-amz-algorithm"] != ALGORITHM:
            raise _unsupported()
        try:
            scope = _scope(fields["x-amz-credential"], fields["x-amz-date"], region)
        except ValueError as error:
            raise Refused(400, "InvalidArgument", str(error)) from None
        key = self._key(scope, fields.get("x-amz-security-token"))
        _compare(fields["x-amz-signature"], _sign(key, fields["policy"]), fields["policy"])

    def _url(self, request: Request, given: Mapping[str, str], region: str | None) -> Signed:
        if given.get("X-Amz-Algorithm") != ALGORITHM:
            raise _parameters('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"')
        if any(name not in given for name in PARAMETERS):
            raise _parameters(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
        moment, lasts = given["X-Amz-Date"], given["X-Amz-Expires"]
        try:
            scope = _scope(given["X-Amz-Credential"], moment, region)
            began = _seconds(moment)
        except ValueError as error:
            raise _parameters(str(error)) from None
        if not lasts.isdecimal():
            raise _parameters("X-Amz-Expires should be a number")
        if int(lasts) > LONGEST_SECONDS:
            raise _parameters("X-Amz-Expires must be less than a week (in seconds)")
        key = self._key(scope, given.get("X-Amz-Security-Token"))
        now = time.time()
        if began - now > SKEW_SECONDS:
            raise access_denied("Request is not yet valid", ServerTime=_iso(now))
        if now > began + int(lasts):
            raise access_denied(
                "Request has expired",
                **{"X-Amz-Expires": lasts, "Expires": _iso(began + int(lasts)), "ServerTime": _iso(now)},
            )
        return _checked(
            request,
            names=given["X-Amz-SignedHeaders"].split(";"),
            payload=UNSIGNED_PAYLOAD,
            key=key,
            scope=scope,
            moment=moment,
            signature=given["X-Amz-Signature"],
        )

    def _headers(self, request: Request, authorization: str, region: str | None) -> Signed:
        match = HEADER.fullmatch(authorization)
        if not match:
            if not authorization.startswith(ALGORITHM):
                raise _unsupported()
            raise _malformed(
                "The authorization header is malformed; it must contain Credential, SignedHeaders and Signature."
            )
        credential, names, signature = match.groups()
        payload = request.header("x-amz-content-sha256")
        if payload is None:
            raise Refused(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        if payload not in PAYLOADS and not re.fullmatch("[0-9a-f]{64}", payload):
            raise Refused(
                400,
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            )
        moment = request.header("x-amz-date") or _of_date(request.header("date"))
        try:
            began = _seconds(moment)
        except ValueError:
            raise access_denied("AWS authentication requires a valid Date or x-amz-date header") from None
        try:
            scope = _scope(credential, moment, region)
        except ValueError as error:
            raise _malformed(f"The authorization header is malformed; {error}") from None
        key = self._key(scope, request.header("x-amz-security-token"))
        now = time.time()
        if abs(now - began) > SKEW_SECONDS:
            raise Refused(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                {
                    "RequestTime": moment,
                    "ServerTime": _iso(now),
                    "MaxAllowedSkewMilliseconds": str(SKEW_SECONDS * 1000),
                },
            )
        return _checked(
            request,
            names=names.split(";"),
            payload=payload,
            key=key,
            scope=scope,
            moment=moment,
            signature=signature,
        )

    def _key(self, scope: Scope, token: str | None) -> bytes:
        keys = self.keys.get(scope.access)
        if keys is None or (token is None and None not in keys.tokens):
            raise Refused(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
                {"AWSAccessKeyId": scope.access},
            )
        if token not in keys.tokens:
            raise Refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        key = f"AWS4{keys.secret}".encode()
        for part in (scope.date, scope.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


@dataclass
class Chunks:
    """Checks the pieces of a body, each of which is signed together with the one before."""

    signed: Signed

    def __post_init__(self) -> None:
        self._previous = self.signed.signature

    def check(self, digest: str, signature: str) -> None:
        """`digest` is the piece's, in hex. Raises Refused."""
        self._check("PAYLOAD", signature, NOTHING, digest)

    def check_trailer(self, lines: str, signature: str) -> None:
        self._check("TRAILER", signature, sha256(lines.encode()).hexdigest())

    def _check(self, kind: str, signature: str, *digests: str) -> None:
        signed = self.signed
        text = "\n".join([f"{ALGORITHM}-{kind}", signed.moment, str(signed.scope), self._previous, *digests])
        _compare(signature, _sign(signed.key, text), text)
        self._previous = signature


def _checked(
    request: Request, *, names: list[str], payload: str, key: bytes, scope: Scope, moment: str, signature: str
) -> Signed:
    unsigned = [name for name in ("host", *_of_amazon(request.environ)) if name not in names]
    if unsigned:
        raise access_denied(
            "There were headers present in the request which were not signed", HeadersNotSigned=", ".join(unsigned)
        )
    canonical = "\n".join(
        [
            request.method,
            quote(unquote_to_bytes(request.path), safe="/-._~"),
            _canonical_query(request.query),
            *(f"{name}:{' '.join((request.header(name) or '').split())}" for name in names),
            "",
            ";".join(names),
            payload,
        ]
    )
    # WSGI has headers as latin-1, whatever they are.
    digest = sha256(canonical.encode("latin-1")).hexdigest()
    text = "\n".join([ALGORITHM, moment, str(scope), digest])
    _compare(signature, _sign(key, text), text, CanonicalRequest=canonical)
    return Signed(payload, key, scope, moment, signature)


def _of_amazon(environ: "WSGIEnvironment") -> list[str]:
    """The headers that S3 wants to be signed wherever they are sent."""
    preserved = environ.get("moto.preserved_header_names") or {}
    keys = [key for key in environ if key.startswith("HTTP_X_AMZ_")]
    return [preserved.get(key, key.removeprefix("HTTP_").replace("_", "-")).lower() for key in keys]


def _canonical_query(query: str) -> str:
    # S3 takes a plus for a blank, as forms have it.
    pairs = [(quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in _pairs(query)]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "X-Amz-Signature")


def _pairs(query: str) -> list[tuple[bytes, bytes]]:
    split = [pair.replace("+", " ").partition("=") for pair in query.split("&") if pair]
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in split]


def _scope(credential: str, moment: str, region: str | None) -> Scope:
    """Raises ValueError with what S3 says of it."""
    access, *rest = credential.rsplit("/", 4)
    match rest:
        case [date, found, service, "aws4_request"]:
            pass
        case _:
            raise ValueError(
                'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
            )
    if service != "s3":
        raise ValueError(f'incorrect service "{service}". This endpoint belongs to "s3".')
    if date != moment[:8]:
        raise ValueError(f'Invalid credential date "{date}". This date is not the same as X-Amz-Date: "{moment[:8]}".')
    if region is not None and found != region:
        raise ValueError(f"the region '{found}' is wrong; expecting '{region}'")
    return Scope(access, date, found)


def _seconds(moment: str) -> int:
    if not re.fullmatch(r"\d{8}T\d{6}Z", moment):
        raise ValueError("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    return timegm(time.strptime(moment, "%Y%m%dT%H%M%SZ"))


def _of_date(date: str | None) -> str:
    """A header `Date` as x-amz-date would have it."""
    try:
        return time.strftime("%Y%m%dT%H%M%SZ", time.strptime(date or "", "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError:
        return ""


def _sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("latin-1", "replace"), "sha256").hex()


def _compare(signature: str, right: str, text: str, **details: str) -> None:
    if not hmac.compare_digest(signature.encode(), right.encode()):
        raise Refused(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            {"StringToSign": text, "SignatureProvided": signature, **details},
        )


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _parameters(message: str) -> Refused:
    return Refused(400, "AuthorizationQueryParametersError", message)


def _malformed(message: str) -> Refused:
    return Refused(400, "AuthorizationHeaderMalformed", message)


def _unsupported() -> Refused:
    return Refused(
        400,
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
