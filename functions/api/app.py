"""The control plane: creates, signs, completes, aborts and lists. No bytes but those of small files pass through it."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from aws_lambda_powertools import Logger
from fastapi import Body, FastAPI, Query, Request, Response
from mangum import Mangum

from functions.api import companion, contract, grants, page, small
from functions.api.callers import Anyone, InPerson, Own
from functions.api.links import shown
from functions.api.models import CompleteFile, CreateFile, SignParts
from functions.api.parts import FIRST_PARTS, check_part_numbers, part_numbers
from functions.api.stores import files, uploads
from sluice import problems
from sluice.files import File, Status
from sluice.objects import Part

MAX_PAGE = 100  # files in one page of the list: about 100 KB of answer

logger = Logger()

app = FastAPI(title="Sluice", version="1", summary=contract.SUMMARY, docs_url=None, redoc_url=None)
problems.install(app)
app.include_router(grants.router)
app.include_router(companion.router)
app.include_router(small.router)
app.include_router(page.router)


def transfer(file: File, arrived: Sequence[Part], numbers: str | None = None) -> dict[str, Any]:
    """URLs for the parts asked for, without `numbers` for the first that are missing; and what has arrived."""
    if numbers is None and file.part_digest:
        wanted = []  # nobody but the client knows what is to be signed
    elif numbers is None:
        have = {part.number for part in arrived}
        wanted = [number for number in range(1, file.part_count + 1) if number not in have][:FIRST_PARTS]
    else:
        wanted = part_numbers(numbers, file.part_count)
    return {"parts": uploads.sign(file, wanted), "received": received(arrived)}


def received(arrived: Sequence[Part]) -> list[dict[str, Any]]:
    return [{"number": part.number, "size": part.size, "etag": part.etag} for part in arrived]


@app.get("/healthz", **contract.HEALTH)
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/files", status_code=201, **contract.CREATE)
def create(request: Request, response: Response, caller: Anyone, wanted: CreateFile) -> dict[str, Any]:
    """Promise a file, or take an unfinished upload up again by its fingerprint."""
    file, new = uploads.begin(caller, wanted)
    answer = shown(request, caller, file) | transfer(file, [] if new else uploads.received(file))
    response.status_code = 201 if new else 200
    response.headers["Location"] = answer["links"]["self"]
    return answer


@app.get("/files", **contract.INDEX)
def index(
    request: Request,
    caller: InPerson,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: str | None = None,
    status: Status | None = None,
) -> dict[str, Any]:
    """The caller's files, newest first."""
    page, following = files.page(caller.owner, limit, cursor, status)
    return {"items": [shown(request, caller, file) for file in page], "next": following}


@app.get("/files/{id}", **contract.SHOW)
def show(request: Request, caller: Anyone, file: Own) -> dict[str, Any]:
    """The file with fresh links."""
    return shown(request, caller, file)


@app.get("/files/{id}/parts", **contract.PARTS)
def parts(file: Own, numbers: Annotated[str | None, Query(examples=["1-100,205"])] = None) -> dict[str, Any]:
    """Fresh URLs for these parts, at most 1,000; without `numbers`, for the first 100 that are missing."""
    return transfer(file, uploads.received(file), numbers)


@app.post("/files/{id}/parts", **contract.LOCKED_PARTS)
def locked_parts(file: Own, wanted: SignParts) -> dict[str, Any]:
    """Fresh URLs for parts of a file with a `part_digest`, each of which takes the bytes of this digest alone."""
    digests = {part.number: part.digest for part in wanted.parts}
    check_part_numbers(digests, file.part_count)
    return {"parts": uploads.sign(file, sorted(digests), digests), "received": received(uploads.received(file))}


@app.post("/files/{id}/complete", status_code=202, **contract.COMPLETE)
def complete(
    request: Request, caller: Anyone, file: Own, body: Annotated[CompleteFile | None, Body()] = None
) -> dict[str, Any]:
    """Make the parts one object, as often as asked. Without `parts` the server asks S3 which there are."""
    return shown(request, caller, uploads.complete(file, body.parts if body else None))


@app.delete("/files/{id}", status_code=204, **contract.DELETE)
def delete(caller: Anyone, file: Own) -> None:
    """Give an upload up, or, with an access token, delete the file and its object."""
    if caller.in_person:
        uploads.delete(file)
    else:
        uploads.give_up(file)


contract.tell(app)
_mangum = Mangum(app, lifespan="off")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    # Mangum decodes the path, which the HTTP API has done already: `100%25.txt` would become another name.
    http = event["requestContext"]["http"]
    http["path"] = quote(http["path"])
    return _mangum(event, context)
