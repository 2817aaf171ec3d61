"""Small bodies, which need no presigned URL: a file in one request, and the digests of a body that nobody keeps."""

import hashlib
import json
from collections.abc import Collection
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from functions.api import connections, content_digest, openapi
from functions.api.auth import Owner
from functions.api.bodies import Route, received
from functions.api.idempotency import First
from functions.api.routes.links import serialize
from functions.api.schemas import CreateFile
from sluice import audit, digests, settings
from sluice.capabilities import Caller
from sluice.digests import Digests
from sluice.errors import IdempotencyKeyReused, InvalidRequest
from sluice.files import File, Status
from sluice.limits import MAX_BODY_BYTES, MAX_IDEMPOTENCY_KEY_CHARACTERS

router = APIRouter(route_class=Route)
# Of those that the hasher computes what this function can: it has no awscrt.
_names = {"sha-256", *filter(digests.available, settings.HASH_DIGESTS.read())}


@router.put("/files/{filename}", status_code=201, **openapi.PUT_SMALL_FILE)
async def put_small_file(
    request: Request, response: Response, caller: Owner, filename: str, folder: str | None = None
) -> dict[str, Any]:
    """A small file in one request."""
    key = _idempotency_key(request)
    promised = content_digest.promised(request.headers)
    body = bytearray()
    with _digests(promised) as hashed:
        async for chunk in received(request, MAX_BODY_BYTES):
            hashed.update(chunk)
            body += chunk
        found = hashed.hexdigests()
    content_digest.check(promised, found)
    content_type = request.headers.get("content-type", "")
    try:
        told: dict[str, Any] = {"content_type": content_type, "digests": promised, "folder": folder}
        wanted = CreateFile(filename=filename, size=len(body), **told)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
    file = await run_in_threadpool(_store, caller, wanted, bytes(body), found["sha-256"], key)
    audit.note(file=file.id)
    answer = serialize(request, caller, file)
    response.headers["Location"] = answer["links"]["self"]
    return answer | {"digests": found | file.digests}


@router.post("/digest", **openapi.DIGEST_BODY)
async def digest_body(request: Request, _: Owner) -> dict[str, Any]:
    """What the body is; nothing of it stays. More than some 4.5 MB do not fit into an event of Lambda's."""
    promised = content_digest.promised(request.headers)
    with _digests(promised) as hashed:
        async for chunk in received(request):
            hashed.update(chunk)
        found = hashed.hexdigests()
    content_digest.check(promised, found)
    return {"digests": found, "size": hashed.offset}


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key and len(key) > MAX_IDEMPOTENCY_KEY_CHARACTERS:
        raise InvalidRequest(f"An Idempotency-Key has at most {MAX_IDEMPOTENCY_KEY_CHARACTERS} characters.")
    return key


def _digests(promised: Collection[str]) -> Digests:
    return Digests(_names | set(filter(digests.available, promised)))


def _store(caller: Caller, wanted: CreateFile, body: bytes, sha256: str, key: str | None) -> File:
    """The file, whose bytes S3 has and has compared with their `sha256`.

    Raises IdempotencyKeyReused, and what `Uploads.begin` and `Uploads.put` do.
    """
    file = _first(caller, wanted, sha256, key) if key else connections.uploads.begin(caller, wanted)[0]
    if file.status is not Status.UPLOADING:
        return file
    return connections.uploads.put(file, body, sha256)


def _first(caller: Caller, wanted: CreateFile, sha256: str, key: str) -> File:
    """The file that this key stands for: a new one, or that of an earlier attempt, however far it came."""
    asked = json.dumps([wanted.model_dump(), sha256], sort_keys=True)
    request = hashlib.sha256(asked.encode()).hexdigest()
    key = f"{caller.capability or ''}\0{key}"  # what one capability began is nothing to another, or to the owner's keys
    first = connections.idempotency_keys.get(caller.owner, key)
    if first is None:
        file, _ = connections.uploads.begin(caller, wanted)
        first = connections.idempotency_keys.remember(caller.owner, key, First(file.id, request))
        if first.file_id == file.id:
            return file
        connections.uploads.delete(file)  # an attempt of the same moment was faster
    if first.request != request:
        raise IdempotencyKeyReused("Take a new key for another file, name, content type or digest.")
    return connections.files.get(caller.owner, first.file_id)
