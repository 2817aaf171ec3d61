"""The control plane: creates, signs, completes, aborts and lists. No file's bytes pass through it."""

import hmac
import json
from collections.abc import Sequence
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from fastapi import Body, Depends, FastAPI, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from mangum import Mangum

from functions.api.models import CompleteFile, CreateFile
from functions.api.uploads import FIRST_PARTS, Uploads, part_numbers
from sluice import capabilities, problems, secrets, settings
from sluice.capabilities import Use
from sluice.errors import Unauthorized
from sluice.files import File, Files, Status
from sluice.objects import Objects, Part

MAX_PAGE = 100  # files in one page of the list: about 100 KB of answer

logger = Logger()
files = Files.connect()
uploads = Uploads(files, Objects.connect())
stream_url = settings.STREAM_URL.read()
capability_seconds = settings.CAPABILITY_SECONDS.read()

app = FastAPI(title="Sluice", version="1", docs_url=None, redoc_url=None)
problems.install(app)


def caller(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> str:
    """The owner whose token the request carries. Raises Unauthorized."""
    tokens = json.loads(secrets.read(settings.ACCESS_TOKEN_SECRET))
    offered = credentials.credentials.encode() if credentials else b""
    # Every token is compared, each in constant time, so that the time tells nothing about any of them.
    owners = [owner for owner, token in tokens.items() if hmac.compare_digest(token.encode(), offered)]
    if not (offered and owners):
        raise Unauthorized("Send `Authorization: Bearer <access token>`.")
    return str(owners[0])


Owner = Annotated[str, Depends(caller)]


def own_file(owner: Owner, file_id: Annotated[str, Path(alias="id")]) -> File:
    """The caller's file. Raises FileNotFound, for other owners' files as well."""
    return files.get(owner, file_id)


Own = Annotated[File, Depends(own_file)]


def shown(request: Request, file: File) -> dict[str, Any]:
    """The file as the contract shows it, with fresh links."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    links = {"self": f"{str(request.base_url).rstrip('/')}/files/{file.id}"}
    for use in Use:
        capability = capabilities.issue(key, file.owner, file.id, use, capability_seconds)
        links[use] = f"{stream_url}/files/{file.id}/{use}?capability={capability}"
    return file.public() | {"links": links}


def transfer(file: File, arrived: Sequence[Part], numbers: str | None = None) -> dict[str, Any]:
    """URLs for the parts asked for, without `numbers` for the first that are missing; and what has arrived."""
    if numbers is None:
        have = {part.number for part in arrived}
        wanted = [number for number in range(1, file.part_count + 1) if number not in have][:FIRST_PARTS]
    else:
        wanted = part_numbers(numbers, file.part_count)
    received = [{"number": part.number, "size": part.size, "etag": part.etag} for part in arrived]
    return {"parts": uploads.sign(file, wanted), "received": received}


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/files", status_code=201)
def create(request: Request, response: Response, owner: Owner, wanted: CreateFile) -> dict[str, Any]:
    file, new = uploads.begin(owner, wanted)
    answer = shown(request, file) | transfer(file, [] if new else uploads.received(file))
    response.status_code = 201 if new else 200
    response.headers["Location"] = answer["links"]["self"]
    return answer


@app.get("/files")
def index(
    request: Request,
    owner: Owner,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: str | None = None,
    status: Status | None = None,
) -> dict[str, Any]:
    page, following = files.page(owner, limit, cursor, status)
    return {"items": [shown(request, file) for file in page], "next": following}


@app.get("/files/{id}")
def show(request: Request, file: Own) -> dict[str, Any]:
    return shown(request, file)


@app.get("/files/{id}/parts")
def parts(file: Own, numbers: str | None = None) -> dict[str, Any]:
    return transfer(file, uploads.received(file), numbers)


@app.post("/files/{id}/complete", status_code=202)
def complete(request: Request, file: Own, body: Annotated[CompleteFile | None, Body()] = None) -> dict[str, Any]:
    return shown(request, uploads.complete(file, body.parts if body else None))


@app.delete("/files/{id}", status_code=204)
def delete(file: Own) -> None:
    uploads.delete(file)


_mangum = Mangum(app, lifespan="off")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    return _mangum(event, context)
