"""What stands before moto's S3: it lets in what is signed rightly, and takes bodies to the disk as they come.

Without it moto asks for no signature and holds every body in memory. https://docs.aws.amazon.com/AmazonS3/latest/API/
"""

import io
import logging
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from moto.core.request import Request as MotoRequest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response
from moto.s3.utils import cors_matches_origin
from werkzeug.wrappers import Response

from local import forms
from local.bodies import MOST_BYTES, Announced, InMemory, Source, compare, receive
from local.checksums import PREFIX
from local.objects import Folder
from local.refusal import Refused, access_denied
from local.signatures import UNSIGNED_PAYLOAD, Request, Signatures, Signed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Where the body of a request is that became an object's; moto gets an empty one.
STORED = "local.stored"
# Whether the object comes by a form, as its event says.
posted: ContextVar[bool] = ContextVar("posted", default=False)
# The id of the request at hand, which its answer and its event have.
request_id: ContextVar[str] = ContextVar("request_id", default="")

# Of a body that is no object. The longest list of parts that S3 takes has 10,000, of 200 bytes each.
MEMORY_BYTES = 4 * 1024 * 1024
# How much of a body is read whose request is refused, so that a client that has not sent all comes to read why.
DRAINED_BYTES = 64 * 1024 * 1024

# Of a PUT to a key that is about the object and does not bring its bytes.
SUBRESOURCES = {"acl", "legal-hold", "retention", "tagging"}
# Of a form's fields what goes on as a header.
METADATA = {"cache-control", "content-disposition", "content-encoding", "content-language", "expires"}

QUERY_FORM = "application/x-www-form-urlencoded"  # how the older services of AWS are asked
XML = "application/xml"
# Of moto's headers those that this door writes itself, and the id of a request as other services call it.
WRITTEN_HERE = ("access-control-", "x-amz-request-id", "x-amzn-requestid")
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

_log = logging.getLogger(__name__)


class S3:
    """The door to moto's S3."""

    def __init__(self, folder: Folder, signatures: Signatures) -> None:
        self.folder = folder
        self._signatures = signatures

    def __call__(
        self, moto: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ.setdefault("HTTP_HOST", f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}")
        asked = MotoRequest(environ)
        bucket, key = _target(asked)
        if environ["REQUEST_METHOD"] == "OPTIONS":  # a preflight, which nobody signs and moto answers by the rules
            return moto(environ, start_response)
        request_id.set(secrets.token_hex(8).upper())
        start = _with_cors(environ, bucket, start_response)
        source = Source(environ["wsgi.input"], _length(environ))
        request = Request(environ["REQUEST_METHOD"], asked.raw_path, environ.get("QUERY_STRING", ""), environ)
        try:
            region = bucket.region_name if bucket else None
            if request.method == "POST" and not key and forms.is_form(request.header("content-type") or ""):
                return self._post(moto, request, source, bucket)(environ, start)
            signed = self._signatures.check(request, region)
            self._take(request, source, signed, key)
            try:
                return moto(environ, start)
            finally:
                environ.pop(STORED, None)  # what moto has not kept goes now, and not when its answer has been read
        except Refused as refusal:
            source.drain(DRAINED_BYTES)
            return _answer(request, refusal)(environ, start)
        except Exception:  # noqa: BLE001 - logged; S3 says so as well, and a page can read it
            _log.exception("%s %s", request.method, request.path)
            broken = Refused(500, "InternalError", "We encountered an internal error. Please try again.")
            return _answer(request, broken)(environ, start)

    def _take(self, request: Request, source: Source, signed: Signed, key: str) -> None:
        announced = Announced.of(request, signed.payload)
        environ = request.environ
        if request.method == "PUT" and key and not request.header("x-amz-copy-source"):
            is_object = not SUBRESOURCES & request.parameters().keys()
        else:
            is_object = False
        most = MOST_BYTES if is_object else MEMORY_BYTES
        if announced.size > most:
            raise Refused(
                400,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
                {"ProposedSize": str(announced.size), "MaxSizeAllowed": str(most)},
            )
        if is_object:
            with self.folder.writer(announced.algorithms) as writer:
                receive(source, announced, signed, writer)
                environ[STORED] = writer.finish()
            data = b""
        else:
            body = InMemory()
            receive(source, announced, signed, body)
            data = body.value()
        environ["wsgi.input"] = io.BytesIO(data)
        if "CONTENT_LENGTH" in environ or data:
            environ["CONTENT_LENGTH"] = str(len(data))
        # It is decoded now, and what came behind it is a header like others.
        environ["HTTP_X_AMZ_CONTENT_SHA256"] = UNSIGNED_PAYLOAD
        if announced.checksum:
            name, value = announced.checksum
            environ["HTTP_" + (PREFIX + name).upper().replace("-", "_")] = value

    def _post(self, moto: "WSGIApplication", request: Request, source: Source, bucket: FakeBucket | None) -> Response:
        reading = forms.parse(source, request.header("content-type") or "")
        form = reading.form()
        if "policy" not in form.fields:
            raise access_denied()
        if bucket is None:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        self._signatures.check_policy(form.fields, bucket.region_name)
        least, most = forms.check(form, bucket.name)
        put = _put(request, form)
        announced = Announced.of(put, UNSIGNED_PAYLOAD)
        with self.folder.writer(announced.algorithms) as writer:
            reading.file(writer, least, most)
            compare(announced, writer)
            put.environ[STORED] = writer.finish()
        source.drain(DRAINED_BYTES)
        token = posted.set(True)
        try:
            answer = Response.from_app(moto, put.environ)
        finally:
            posted.reset(token)
            del put.environ[STORED]
        if answer.status_code == 200:
            _created(answer, request, form, bucket.name)
        return answer


def stand_before_moto(door: S3) -> None:
    """Whatever server of moto's is started in this process."""
    dispatch = DomainDispatcherApplication.__call__

    def call(self: DomainDispatcherApplication, environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        if not _is_s3(self, environ):
            return dispatch(self, environ, start_response)
        return door(partial(dispatch, self), environ, start_response)

    DomainDispatcherApplication.__call__ = call  # type: ignore[method-assign]


def _is_s3(moto: DomainDispatcherApplication, environ: "WSGIEnvironment") -> bool:
    """Whether moto would have S3 answer. It reads a whole body, while all others wait, where it takes it for a form."""
    hidden = environ.get("CONTENT_TYPE", "")
    if environ["REQUEST_METHOD"] == "POST" and hidden.startswith(QUERY_FORM) and _length(environ) <= MEMORY_BYTES:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(_length(environ)))
    else:
        environ["CONTENT_TYPE"] = ""
    try:
        app: Any = moto.get_application(environ)
    finally:
        environ["CONTENT_TYPE"] = hidden
    return getattr(app, "service", None) == "s3"  # which others may not have, when they are wrapped


def _target(asked: MotoRequest) -> tuple[FakeBucket | None, str]:
    """The bucket, where it exists, and the key."""
    response = S3Response()
    response.headers, response.request, response.raw_path = asked.headers, asked, asked.raw_path
    name, key = response.parse_bucket_name_from_url(asked, asked.raw_url), response.parse_key_name()
    if name not in s3_backends.bucket_accounts:
        return None, key
    partition, account = s3_backends.bucket_accounts[name]
    return s3_backends[account][partition].get_bucket(name), key


def _put(request: Request, form: forms.Form) -> Request:
    """What a form means, for moto: signed, so that it may replace an object."""
    path = f"{request.path.rstrip('/')}/{quote(form.key)}"
    credential = form.fields["x-amz-credential"]
    headers = {name: value for name, value in form.fields.items() if name.startswith("x-amz-") or name in METADATA}
    given = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ = {key: value for key, value in request.environ.items() if not key.startswith("HTTP_X_AMZ_")} | given
    environ |= {
        "CONTENT_LENGTH": "0",
        "CONTENT_TYPE": form.fields.get("content-type", "binary/octet-stream"),
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0",
        "PATH_INFO": f"{request.environ['PATH_INFO'].rstrip('/')}/{form.key}".encode().decode("latin-1"),
        "QUERY_STRING": "",
        "RAW_URI": path,
        "REQUEST_METHOD": "PUT",
        "REQUEST_URI": path,
        "wsgi.input": io.BytesIO(),
    }
    return Request("PUT", path, "", environ)


def _created(answer: Response, request: Request, form: forms.Form, bucket: str) -> None:
    """The answer to a form, made of that to the PUT."""
    location = (
        f"{request.environ['wsgi.url_scheme']}://{request.header('host')}{request.path.rstrip('/')}/{quote(form.key)}"
    )
    told = {"bucket": bucket, "key": form.key, "etag": answer.headers["ETag"]}
    answer.headers["Location"] = location
    redirect = form.fields.get("success_action_redirect", form.fields.get("redirect"))
    status = form.fields.get("success_action_status")
    if redirect:
        answer.status_code = 303
        answer.headers["Location"] = f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(told)}"
    elif status == "201":
        elements = {"Location": location, "Bucket": bucket, "Key": form.key, "ETag": told["etag"]}
        document = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in elements.items())
        answer.status_code = 201
        answer.content_type = XML
        answer.data = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{document}</PostResponse>'
    elif status != "200":
        answer.status_code = 204


def _answer(request: Request, refusal: Refused) -> Response:
    return Response(b"" if request.method == "HEAD" else refusal.document(), refusal.status, content_type=XML)


def _with_cors(environ: "WSGIEnvironment", bucket: FakeBucket | None, start: "StartResponse") -> "StartResponse":
    """With its id, and what the bucket's rules say of this origin: on a refusal as well, which a page may read."""
    ours = _cors(bucket, environ.get("HTTP_ORIGIN"), environ["REQUEST_METHOD"])

    def start_response(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        theirs = [(name, value) for name, value in headers if not name.lower().startswith(WRITTEN_HERE)]
        return start(status, [*theirs, ("x-amz-request-id", request_id.get()), *ours], *error)

    return start_response


def _cors(bucket: FakeBucket | None, origin: str | None, method: str) -> list[tuple[str, str]]:
    """The first rule that allows the method to the origin counts.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html
    """
    for rule in bucket.cors if bucket and origin else ():
        origins, methods = _listed(rule.allowed_origins), _listed(rule.allowed_methods)
        if origin and cors_matches_origin(origin, origins) and method in methods:
            whose = [("Access-Control-Allow-Origin", "*")]
            if "*" not in origins:
                whose = [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
            exposed = _listed(rule.exposed_headers)
            return [
                *whose,
                ("Access-Control-Allow-Methods", ", ".join(methods)),
                *([("Access-Control-Expose-Headers", ", ".join(exposed))] if exposed else []),
                *([("Access-Control-Max-Age", str(rule.max_age_seconds))] if rule.max_age_seconds else []),
                ("Vary", VARY),
            ]
    return []


def _listed(value: Any) -> list[str]:
    """moto has one as it is and several as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _length(environ: "WSGIEnvironment") -> int:
    text = environ.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdecimal() else 0
