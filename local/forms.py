"""A form that a browser POSTs to a bucket, which moto half knows: it looks at no policy, and its answer has neither the
headers that S3's has (ETag, Location) nor those that let a page of another origin read it.

So the form becomes the PUT that it means, when the policy allows its size.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def understood(moto: "WSGIApplication") -> "WSGIApplication":
    """`moto`, with forms."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        if environ["REQUEST_METHOD"] != "POST" or not environ.get("CONTENT_TYPE", "").startswith("multipart/form-data"):
            return moto(environ, start_response)
        request = Request(environ)
        # S3 does not look at the case of a field's name.
        fields = {name.lower(): value for name, value in request.form.items()}
        data = request.files["file"].stream.read()
        refusal = _refusal(fields.get("policy", ""), len(data))
        answer = refusal or Response.from_app(moto, _put(request, fields, data).environ)
        if answer.status_code == 200:
            answer.status_code = int(fields.get("success_action_status", 204))
            answer.headers["Location"] = request.base_url.rstrip("/") + f"/{quote(fields['key'])}"
        return answer(environ, start_response)

    return application


def _put(request: Request, fields: dict[str, str], data: bytes) -> Request:
    headers = {"Host": request.host, "Content-Type": fields.get("content-type", "binary/octet-stream")}
    if "Origin" in request.headers:
        headers["Origin"] = request.headers["Origin"]
    path = f"{request.path.rstrip('/')}/{fields['key']}"
    put = Request.from_values(path, request.host_url, method="PUT", data=data, headers=headers)
    put.environ["RAW_URI"] = quote(path)  # where moto looks first
    return put


def _refusal(policy: str, size: int) -> Response | None:
    """S3's word for a file that is smaller or larger than the policy allows."""
    conditions = json.loads(base64.b64decode(policy))["conditions"] if policy else []
    for condition in conditions:
        match condition:
            case ["content-length-range", least, most] if not int(least) <= size <= int(most):
                code = "EntityTooSmall" if size < int(least) else "EntityTooLarge"
                return Response(f"<Error><Code>{code}</Code></Error>", 400, content_type="application/xml")
    return None
