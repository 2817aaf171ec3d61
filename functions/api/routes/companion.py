"""The S3 part of the protocol between Uppy and its Companion, for `@uppy/aws-s3` as it is: 5.1 and 6.

https://github.com/transloadit/uppy/blob/main/packages/%40uppy/companion/src/server/controllers/s3.ts

Uppy sends no token across origins, so the path carries a capability to upload. What the client calls the upload's id is
the file's; it sends the key along, and both have to be those of one record. The client alone decides how it cuts a
file, and tells the size only where the page puts it into the metadata (`size`, in bytes): so its URLs are not locked to
a part's size, and everything is checked when it completes.

Of a folder that was dropped upon it, Uppy tells each file's path in the metadata (`relativePath`), the file's name at
its end. Metadata is whatever the page and its plugins put there: what cannot be kept is left out, and no upload fails
for it.
"""

import json
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Annotated, Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from functions.api import auth
from functions.api.auth import Caller
from functions.api.bodies import Route
from functions.api.connections import uploads
from functions.api.parts import MAX_NUMBERS_CHARACTERS, part_numbers
from functions.api.routes import links
from functions.api.schemas import CompletedPart, CreateFile, check_folder, check_metadata
from sluice import audit, limits, media_types, problems, settings
from sluice.answers import Answer
from sluice.errors import FileNotFound, InvalidFolder, Problem, WrongState
from sluice.files import File, Mode, Status

SIZE = re.compile(r"\d{1,15}", re.ASCII)
MEMBER = re.compile(r"metadata\[(.+)\]")  # of the metadata in a query
# Of the metadata what is a member of the file itself, or says where it is.
ELSEWHERE = {"name", "type", "size", "relativePath"}
NOTHING = {"null", "undefined"}  # as JavaScript makes text of it
bucket = settings.BUCKET_NAME.read()


class CompanionRoute(Route):
    """Answers problems as Companion does: its own clients read `error`, and Uppy 5 shows people `message`."""

    async def authenticate(self, request: Request) -> None:
        capability = request.path_params["capability"]
        request.state.caller = await run_in_threadpool(auth.capability_caller, capability)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_as_companion(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as problem:
                return _refusal(problem)
            except RequestValidationError as error:
                return _refusal(problems.of_request(error))
            except (ClientError, BotoCoreError) as error:
                if busy := problems.of_aws(error):
                    return _refusal(busy)
                raise

        return handle_as_companion


class Refusal(BaseModel):
    """What Companion's clients are told. `code` is the problem's, as in the rest of the API."""

    error: str
    message: str
    code: str


router = APIRouter(
    prefix="/companion/{capability}/s3",
    route_class=CompanionRoute,
    include_in_schema=False,  # Companion's contract and its shape of errors, not ours
)


class NewUpload(BaseModel):
    filename: str
    type: str | None = None
    metadata: dict[str, Any] | None = None


class SentPart(BaseModel):
    number: Annotated[int, Field(alias="PartNumber", ge=1, le=limits.MAX_PARTS)]
    etag: Annotated[str, Field(alias="ETag", min_length=1, max_length=200)]


class SentParts(BaseModel):
    max_bytes: ClassVar = limits.MAX_PARTS * limits.PART_JSON_BYTES

    parts: Annotated[list[SentPart], Field(min_length=1, max_length=limits.MAX_PARTS, fail_fast=True)]


def guest(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Guest = Annotated[Caller, Depends(guest)]


def own_upload(asking: Guest, upload_id: str, key: str) -> File:
    """The multipart upload that both its id and its key mean. Raises FileNotFound, whichever of them is wrong."""
    file = auth.find_file(asking, upload_id)
    if file.key != key or file.own_parts is None:
        raise FileNotFound("There is no such upload.")
    return file


Upload = Annotated[File, Depends(own_upload)]


@router.get("/params")
def one_post(
    request: Request,
    asking: Guest,
    filename: str,
    kind: Annotated[str | None, Query(alias="type")] = None,
) -> dict[str, Any]:
    """A form for the whole file. Nobody says when it has been sent: S3's event does."""
    members = [(MEMBER.fullmatch(name), value) for name, value in request.query_params.items()]
    metadata = {match[1]: value for match, value in members if match}
    file = uploads.begin_as_cut(asking, _described(filename, kind, metadata), Mode.SINGLE)
    audit.note(file=file.id)
    form = uploads.sign_post(file)
    return {"method": "POST", "url": form.url, "fields": form.fields, "expires": _seconds_until(form.expires_at)}


@router.post("/multipart")
def begin(asking: Guest, new: NewUpload) -> dict[str, str]:
    file = uploads.begin_as_cut(asking, _described(new.filename, new.type, new.metadata or {}), Mode.MULTIPART)
    audit.note(file=file.id)
    return {"key": file.key, "uploadId": file.id, "bucket": bucket}


@router.get("/multipart/{upload_id}")
def list_parts(file: Upload) -> list[dict[str, Any]]:
    """What S3 has. Of a complete upload it knows no parts any more, and a client that asks may not send them again."""
    parts = uploads.sent(file)
    if parts is None:
        # Nobody compares ETags any more, but Uppy 6 takes a part without one for a part that is missing.
        return [{"PartNumber": number, "ETag": f'"{file.id}"'} for number in range(1, file.part_count + 1)]
    return [{"PartNumber": part.number, "ETag": f'"{part.etag}"', "Size": part.size} for part in parts]


@router.get("/multipart/{upload_id}/batch")
def sign_many(
    file: Upload, numbers: Annotated[str, Query(alias="partNumbers", max_length=MAX_NUMBERS_CHARACTERS)]
) -> dict[str, dict[str, str]]:
    wanted = part_numbers(numbers, limits.MAX_PARTS)
    uploads.check_excess(file)
    return {"presignedUrls": {str(number): uploads.sign_as_cut(file, number).url for number in wanted}}


@router.get("/multipart/{upload_id}/{number}")
def sign(file: Upload, number: Annotated[int, Path(ge=1, le=limits.MAX_PARTS)]) -> dict[str, Any]:
    uploads.check_excess(file)
    signed = uploads.sign_as_cut(file, number)
    return {"url": signed.url, "expires": _seconds_until(signed.expires_at)}


@router.post("/multipart/{upload_id}/complete")
def complete(request: Request, file: Upload, sent: SentParts) -> dict[str, str]:
    """Make the parts one object, as often as a client asks. `location` is where the file tells what becomes of it."""
    file = uploads.complete(file, [CompletedPart(number=part.number, etag=part.etag) for part in sent.parts])
    if file.status in (Status.FAILED, Status.ABORTED):
        raise WrongState(f"The upload has {file.status}: {file.reason}.", state=file.status)
    return {"location": f"{links.base_url(request)}/files/{file.id}", "key": file.key, "bucket": bucket}


@router.delete("/multipart/{upload_id}")
def give_up(file: Upload) -> dict[str, str]:
    """Give the upload up. A file that is complete stays: Uppy 5 gives up whatever it had no answer about."""
    uploads.give_up(file)
    return {}


def _refusal(problem: Problem) -> Answer:
    audit.note(code=problem.code)
    status = 400 if problem.status == 422 else problem.status
    refusal = Refusal(error=problem.detail, message=problem.detail, code=problem.code)
    return Answer(refusal.model_dump(), status, problem.headers)


def _described(filename: str, kind: str | None, metadata: Mapping[str, Any]) -> CreateFile:
    """The file, with a type that its name suggests where the browser knew none.

    Then the browser says nothing, Uppy `application/octet-stream`, and Uppy 5 may say "undefined".
    """
    told: dict[str, Any] = {"filename": filename, "size": _size(metadata.get("size"))}
    told |= {"folder": folder(metadata.get("relativePath")), "metadata": kept(metadata)}
    known = "" if kind == media_types.UNKNOWN else kind or ""
    try:
        return CreateFile(**told, content_type=known)
    except ValidationError:
        return CreateFile(**told)


def folder(relative_path: object) -> str | None:
    """The folders in front of the file's name, None where there are none, or none that can be kept."""
    if not isinstance(relative_path, str) or relative_path in NOTHING:
        return None
    path = "/".join(segment for segment in relative_path.split("/")[:-1] if segment not in ("", "."))
    try:
        return check_folder(path) if path else None
    except InvalidFolder:
        return None


def kept(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    """Those of its texts, numbers and truths that fit, the first ones first."""
    found: dict[str, str] = {}
    for name, value in metadata.items():
        if name in ELSEWHERE or not isinstance(value, str | int | float):
            continue
        text = value if isinstance(value, str) else json.dumps(value)  # as JavaScript would say it
        if text in NOTHING:
            continue
        with suppress(ValueError):  # too much, or half a character
            found = check_metadata(found | {name: text})
    return found or None


def _size(value: object) -> int | None:
    """The size in bytes where the page gives it, as a number or as text, None where it does not."""
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if SIZE.fullmatch(text) else None


def _seconds_until(moment: int) -> int:
    return max(0, moment - int(time.time()))
