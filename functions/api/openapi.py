"""What the API answers, as its OpenAPI document tells it: shapes, examples, and the problems of each route."""

import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Annotated, Any, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from sluice import errors
from sluice.archives import ArchiveStatus
from sluice.errors import Problem
from sluice.files import Mode, Status
from sluice.problems import MEDIA_TYPE

# The problems of every route that this kind of caller may use, and of every route with a JSON body.
SIGN_IN = (
    *(errors.InvalidToken, errors.TokenExpired, errors.WrongIssuer, errors.WrongAudience, errors.WrongAlgorithm),
    *(errors.UnknownKey, errors.AccessDenied, errors.SignInUnavailable),
)
ANYONE = (errors.Unauthorized, *SIGN_IN, errors.ExpiredCapability, errors.DropNotFound, errors.Busy)
OWNER = (*ANYONE, errors.OwnerOnly)
MEANT_OWNER = (*OWNER, errors.AdminOnly, errors.InvalidRequest)
BODY = (errors.InvalidJson, errors.InvalidRequest, errors.IncompleteBody, errors.BodyTooLarge)
# Of every file that is begun.
ADMISSION = (
    *(errors.InvalidFilename, errors.InvalidFolder, errors.TooLarge, errors.ContentTypeRefused),
    *(errors.QuotaExceeded, errors.DropFull, errors.Conflict),
)

SUMMARY = "Files of any size straight into S3, hashed as they arrive."
DESCRIPTION = """\
Errors are problems (RFC 9457) with a stable `code`. Times are RFC 3339 in UTC, sizes bytes, digests lower-case hex by
their RFC 9530 names. The bearer token is an access token of the deployment or, for uploads and to open a share, a
capability."""

FILE_ID = "01m7z2a3z8163h38qzq6y7y8bz"
EMPTY_SHA256_BASE64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

Text = Annotated[str, Field(min_length=1)]
Bytes = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1, le=10_000)]
# RFC 3339, UTC.
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
# Lower-case hex by RFC 9530 name.
Hex = Annotated[str, Field(pattern="^([0-9a-f]{2})+$")]


class Shown(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Mismatch(Shown):
    """What contradicts the file: `expected` was promised, or is what S3 says; `found` is there. Numbers as text."""

    name: str
    expected: str
    found: str


DIRECT = "The same by a redirect to S3, whatever the size. Where files are scanned for malware only a ready one has it."


class FileLinks(Shown):
    """Absolute URLs. `content` and `events` carry a capability of six hours: keep them as you keep a password."""

    self: str
    content: Annotated[str, Field(description="For the access token alone.")] = ""
    direct: Annotated[str, Field(description=DIRECT)] = ""
    events: str


class FileInfo(Shown):
    """A file from the promise to upload it to its end.

    Not `File`: generated clients have that name for bytes, and browsers as well.
    """

    id: Annotated[str, Field(pattern="^[0-9a-hjkmnp-tv-z]{26}$", examples=[FILE_ID])]
    status: Status
    revision: Annotated[int, Field(ge=1)]
    filename: Annotated[str, Field(examples=["holiday.mov"])]
    folder: Annotated[str | None, Field(examples=["2026/summer"], description="A relative path.")]
    metadata: Annotated[dict[str, str] | None, Field(description="What its sender or its owner notes about it.")]
    size: Annotated[Bytes | None, Field(examples=[314_572_800], description="`null` while only its client knows it.")]
    content_type: Annotated[str, Field(examples=["video/quicktime"])]
    mode: Mode
    part_size: Annotated[
        Bytes | None, Field(examples=[8_388_608], description="`null` where its client cuts the file as it likes.")
    ]
    part_count: Annotated[Number | None, Field(examples=[38], description="`null` while only its client knows it.")]
    part_digest: Annotated[str | None, Field(description="The digest that each part's URL is locked to.")]
    received_bytes: Bytes
    hashed_bytes: Bytes
    resumes: Annotated[bool, Field(description="Whether hashing that is interrupted goes on where it was.")]
    digests: Annotated[dict[str, Hex], Field(examples=[{"sha-256": EMPTY_SHA256}])]
    mismatch: Mismatch | None
    etag: str | None
    version_id: str | None
    verified: Annotated[
        bool,
        Field(description="Whether the sender's own digest, of the whole or of every part, was compared."),
    ]
    reason: Annotated[str | None, Field(description="Why it failed or was aborted.")]
    fingerprint: str | None
    drop: Annotated[str | None, Field(description="The drop that it came through, for the owner alone.")]
    created_at: Moment
    updated_at: Moment
    expires_at: Annotated[Moment | None, Field(description="When an upload that nobody completes goes away.")]
    links: FileLinks


class Part(Shown):
    """PUT exactly these `size` bytes of the file, from `offset` on, to `url` with `headers`, before `expires_at`.

    Where both are `null` the client cuts the file: every part but the last has at least 5 MiB.
    """

    number: Number
    offset: Bytes | None
    size: Bytes | None
    url: str
    headers: dict[str, str]
    expires_at: Moment


class ReceivedPart(Shown):
    """A part that S3 has, of its right size."""

    number: Number
    size: Bytes
    etag: str
    digest: Annotated[Hex | None, Field(description="By the file's `part_digest`, as S3 checked it.")]


class PartList(Shown):
    parts: list[Part]
    received: list[ReceivedPart]


class CreatedFile(FileInfo, PartList):
    """A file with the first of its parts that are missing, and those that S3 has."""


class ListLinks(Shown):
    """Absolute URLs with capabilities of six hours; the exports have the files that the list was asked for."""

    events: Annotated[str, Field(description="What happens to all files, from the moment of this list on.")]
    jsonl: str
    csv: str
    sha256sum: Annotated[str, Field(description="For `sha256sum -c`.")]


class FileList(Shown):
    """The caller's files, newest first; `next` is the cursor of the page that follows."""

    items: list[FileInfo]
    next: str | None
    links: ListLinks


class Health(Shown):
    status: Annotated[str, Field(examples=["ok"])]


class CompanionLink(Shown):
    companion: Annotated[str, Field(description="Uppy's `companionUrl` or `endpoint`.")]


class Capability(Shown):
    """Who holds it uploads in the owner's name: keep it as you keep a password."""

    capability: str
    expires_at: Moment
    links: CompanionLink


OwnerName = Annotated[str | None, Field(description="Whose it is, as the owner has typed it.")]


class DropLink(Shown):
    self: str


class DropLinks(DropLink, CompanionLink):
    page: Annotated[str, Field(description="What to give to people: a page for uploading, and nothing else.")]


class DropRules(Shown):
    """What a guest of a drop may know."""

    title: str | None
    message: str | None
    owner_name: OwnerName
    max_file_bytes: Bytes | None
    content_types: list[str] | None
    files_left: Bytes
    expires_at: Moment


class Drop(Shown):
    """A letter box through which people without an account upload to an owner."""

    id: Annotated[str, Field(examples=[FILE_ID])]
    title: str | None
    message: str | None
    owner_name: OwnerName
    max_files: Annotated[int, Field(ge=1)]
    max_file_bytes: Bytes | None
    content_types: list[str] | None
    files: Annotated[Bytes, Field(description="That were ever begun, whatever became of them.")]
    created_at: Moment
    expires_at: Moment
    links: DropLink


class DropList(Shown):
    """The owner's drops that have not ended, newest first; `next` is the cursor of the page that follows."""

    items: list[Drop]
    next: str | None


class LinkedDrop(Drop):
    links: DropLinks


class CreatedDrop(LinkedDrop):
    capability: str


class ShareLinks(Shown):
    self: str


class SharePageLinks(ShareLinks):
    page: Annotated[str, Field(description="What to give to people: a page for downloading, and nothing else.")]


class Share(Shown):
    """A link through which people without an account take files out. Which files is fixed when it is made."""

    id: Annotated[str, Field(examples=[FILE_ID])]
    title: str | None
    message: str | None
    owner_name: OwnerName
    count: Annotated[int, Field(ge=1, description="Files, when it was made.")]
    size: Annotated[Bytes, Field(description="Of all of them, when it was made.")]
    downloads: Annotated[Bytes, Field(description="That were made: of a file, or of the archive.")]
    max_downloads: Annotated[int, Field(ge=1)] | None
    has_password: bool
    created_at: Moment
    expires_at: Moment
    links: ShareLinks


class LinkedShare(Share):
    links: SharePageLinks


class CreatedShare(LinkedShare):
    capability: str


class ShareList(Shown):
    """The owner's shares, newest first; `next` is the cursor of the page that follows."""

    items: list[Share]
    next: str | None


class SharedFileLinks(Shown):
    content: Annotated[str, Field(description="With `&direct=1` a redirect to S3, whatever the size.")]


class SharedFile(Shown):
    """What whoever holds a share learns of a file."""

    id: Annotated[str, Field(examples=[FILE_ID])]
    filename: str
    folder: str | None
    size: Bytes
    content_type: str
    digests: dict[str, Hex]
    links: SharedFileLinks


class OpenedShareLinks(Shown):
    archive: Annotated[str, Field(description="All of them as one ZIP.")]


class OpenedShare(Shown):
    """At most 1,000 of the files; `next` is the cursor of those that follow. The links end with the share."""

    title: str | None
    message: str | None
    owner_name: OwnerName
    downloads_left: Annotated[int, Field(ge=0, description="Of all files together; null: no limit.")] | None
    expires_at: Moment
    files: list[SharedFile]
    next: str | None
    links: OpenedShareLinks


Endpoint = Annotated[str | None, Field(description="Null where the issuer has none.")]


class SignIn(Shown):
    """The OpenID Connect issuer, and what to ask it for: by authorization code with PKCE, or by the device flow."""

    issuer: str
    client_id: str
    scope: str
    resource: Annotated[str | None, Field(description="RFC 8707: to be sent with every request for a token.")]
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    revocation_endpoint: Endpoint
    device_authorization_endpoint: Endpoint
    end_session_endpoint: Endpoint


class Auth(Shown):
    """How people sign in; `sign_in` is null where access tokens alone let in."""

    sign_in: SignIn | None


class Me(Shown):
    """Who asks, and what is asked."""

    owner: Annotated[str, Field(examples=["oidc.alice"])]
    admin: bool
    token: Annotated[str | None, Field(description="The id of the access token, where one was made for a machine.")]
    version: Annotated[str, Field(examples=["0.9.0"], description="Of the deployment.")]


class OwnerList(Shown):
    """Owners in the order of the alphabet, at most 10,000."""

    items: list[str]


class AccessToken(Shown):
    """A token for a machine."""

    id: Annotated[str, Field(examples=[FILE_ID])]
    name: Annotated[str, Field(examples=["nightly backup"])]
    created_at: Moment
    expires_at: Moment


class CreatedToken(AccessToken):
    """The token is shown this once."""

    token: str


class TokenList(Shown):
    """The owner's tokens that have not ended, newest first; `next` is the cursor of the page that follows."""

    items: list[AccessToken]
    next: str | None


class ArchiveLinks(Shown):
    """Absolute URLs. `content` and `events` carry a capability of six hours: keep them as you keep a password."""

    self: str
    content: Annotated[
        str | None, Field(description="Null where a share has a password, which only `POST /archives` is told.")
    ]
    events: str


class Archive(Shown):
    """Many files as one ZIP, for a day."""

    id: Annotated[str, Field(examples=[FILE_ID])]
    status: ArchiveStatus
    filename: Annotated[str, Field(examples=["holiday.zip"])]
    count: Annotated[int, Field(ge=1, description="How many files are in it.")]
    size: Bytes
    built_bytes: Annotated[Bytes, Field(description="That S3 has put together, where it has to.")]
    reason: Annotated[str | None, Field(description="Why it failed.")]
    file: Annotated[str | None, Field(description="The id of the file for which it failed.")]
    created_at: Moment
    expires_at: Annotated[Moment, Field(description="When it goes away by itself.")]
    links: ArchiveLinks


class BodyDigests(Shown):
    """What a body is."""

    digests: Annotated[dict[str, Hex], Field(examples=[{"sha-256": EMPTY_SHA256}])]
    size: Bytes


class ProblemDetails(BaseModel):
    """RFC 9457. Members beyond these depend on the `code`."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["urn:sluice:problem:file_not_found"])]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    code: Annotated[str, Field(description="Stable: decide by this one.")]


PROBLEM = "Problem"  # what the document calls ProblemDetails: here the name is an exception's
LOCATION = {"Location": {"description": "Where it is.", "required": True, "schema": {"type": "string"}}}


def describe(
    operation_id: str, tag: str, answers: Mapping[int, Any], *problems: type[Problem], **more: Any
) -> dict[str, Any]:
    """Arguments of a route: what generated clients call it, and what it answers.

    That is a model by status, or one of several, or None, with a Location where something was made, and problems.
    """
    responses: dict[int, dict[str, Any]] = {}
    for status, model in answers.items():
        told = [(kind.__doc__ or "").partition("\n")[0] for kind in get_args(model) or (model,)]
        responses[status] = {"description": " ".join(told), "model": model} if model else {}
        if status == HTTPStatus.CREATED and model not in (Capability, CreatedToken):
            responses[status]["headers"] = LOCATION
    responses |= failures(problems)
    summary = re.sub("[A-Z]", lambda capital: f" {capital[0].lower()}", operation_id).capitalize()
    route = {"operation_id": operation_id, "summary": summary, "tags": [tag], "responses": responses}
    return {**route, "response_model": None, **more}


def failures(problems: Collection[type[Problem]]) -> dict[int, dict[str, Any]]:
    """Each code is an example of its status."""
    responses = {}
    for status in sorted({problem.status for problem in problems}):
        ours = {problem.code: problem for problem in problems if problem.status == status}
        content = {
            "schema": {"$ref": f"#/components/schemas/{PROBLEM}"},
            "examples": {code: {"summary": problem.title, "value": example(problem)} for code, problem in ours.items()},
        }
        responses[status] = {"description": ", ".join(f"`{code}`" for code in ours), "content": {MEDIA_TYPE: content}}
    return responses


def example(problem: type[Problem]) -> dict[str, Any]:
    return {
        "type": f"urn:sluice:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": f"{problem.title}.",
        "code": problem.code,
    }


def header(name: str, description: str, example: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "example": example, "schema": {"type": "string"}}


DIGEST_HEADERS = [
    header(name, "RFC 9530: what the body has to be.", f"sha-256=:{EMPTY_SHA256_BASE64}:")
    for name in ("Repr-Digest", "Content-Digest")
]
REPEATABLE = header("Idempotency-Key", "The same within a day means the same file.", "8e03978e-40d5-43dd-bc93")

# What FastAPI does not know of: a body of bytes, as the route reads it as a stream, and headers that it reads itself.
BYTES = {
    "parameters": DIGEST_HEADERS,
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}

HEALTH = describe("getHealth", "health", {200: Health})
CREATE = describe("createFile", "files", {200: CreatedFile, 201: CreatedFile}, *ANYONE, *BODY, *ADMISSION)
INDEX = describe(
    "listFiles",
    "files",
    {200: FileList},
    *(*OWNER, errors.InvalidRequest, errors.InvalidCursor, errors.InvalidFolder),
)
CHANGE = describe(
    "changeFile",
    "files",
    {200: FileInfo},
    *(*OWNER, *BODY, errors.FileNotFound, errors.WrongState, errors.InvalidFilename, errors.InvalidFolder),
)
SHOW = describe("getFile", "files", {200: FileInfo}, *ANYONE, errors.FileNotFound)
PARTS = describe(
    "listParts",
    "files",
    {200: PartList},
    *(*ANYONE, errors.FileNotFound, errors.WrongState, errors.InvalidPartNumber, errors.PartDigestNeeded),
    *(errors.InvalidRequest, errors.TooLarge, errors.Conflict),
)
LOCKED_PARTS = describe(
    "signParts",
    "files",
    {200: PartList},
    *(*ANYONE, *BODY, errors.FileNotFound, errors.WrongState, errors.InvalidPartNumber, errors.InvalidPartDigest),
    *(errors.TooLarge, errors.Conflict),
)
COMPLETE = describe(
    "completeFile",
    "files",
    {202: FileInfo},
    *(*ANYONE, *BODY, errors.FileNotFound, errors.WrongState, errors.PartsMissing, errors.PartsDiffer),
    *(errors.Conflict, errors.TooLarge, errors.QuotaExceeded, errors.DigestsDiffer, errors.DigestsNeeded),
)
DELETE = describe("deleteFile", "files", {204: None}, *ANYONE, errors.FileNotFound, errors.Conflict, errors.WrongState)
PUT_SMALL_FILE = describe(
    "putSmallFile",
    "files",
    {201: FileInfo},
    *(*OWNER, *ADMISSION, errors.InvalidRequest, errors.IncompleteBody, errors.BodyTooLarge),
    *(errors.InvalidDigest, errors.DigestMismatch, errors.IdempotencyKeyReused, errors.FileNotFound),
    openapi_extra=BYTES | {"parameters": [*DIGEST_HEADERS, REPEATABLE]},
)
DIGEST_BODY = describe(
    "digestBody",
    "digests",
    {200: BodyDigests},
    *OWNER,
    errors.IncompleteBody,
    errors.InvalidDigest,
    errors.DigestMismatch,
    openapi_extra=BYTES,
)
AUTH = describe("getAuth", "sign-in", {200: Auth}, errors.SignInUnavailable)
ME = describe("getMe", "sign-in", {200: Me}, *OWNER)
LIST_OWNERS = describe("listOwners", "sign-in", {200: OwnerList}, *OWNER, errors.AdminOnly)
CREATE_TOKEN = describe("createToken", "sign-in", {201: CreatedToken}, *OWNER, *BODY, errors.SignInNeeded)
LIST_TOKENS = describe(
    "listTokens", "sign-in", {200: TokenList}, *MEANT_OWNER, errors.SignInNeeded, errors.InvalidCursor
)
REVOKE_TOKEN = describe("deleteToken", "sign-in", {204: None}, *MEANT_OWNER, errors.SignInNeeded, errors.TokenNotFound)
CAPABILITY = describe("createCapability", "capabilities", {201: Capability}, *OWNER, *BODY)
OPEN_DROP = describe("createDrop", "drops", {201: CreatedDrop}, *OWNER, *BODY)
CREATE_ARCHIVE = describe(
    "createArchive",
    "archives",
    {201: Archive},
    *(*OWNER, *BODY, errors.FileNotFound, errors.NotReady, errors.EmptyArchive, errors.ArchiveTooLarge),
    *(errors.InvalidFilename, errors.InvalidFolder, errors.TooManyFiles, errors.ShareNotFound, errors.ShareUsedUp),
    *(errors.WrongPassword, errors.TooManyTries),
)
SHOW_ARCHIVE = describe("getArchive", "archives", {200: Archive}, *OWNER, errors.ArchiveNotFound, errors.ShareNotFound)
DELETE_ARCHIVE = describe(
    "deleteArchive", "archives", {204: None}, *OWNER, errors.ArchiveNotFound, errors.ShareNotFound
)
LIST_DROPS = describe("listDrops", "drops", {200: DropList}, *MEANT_OWNER, errors.InvalidCursor)
SHOW_DROP = describe("getDrop", "drops", {200: LinkedDrop | DropRules}, *OWNER)
END_DROP = describe("deleteDrop", "drops", {204: None}, *MEANT_OWNER)
CREATE_SHARE = describe(
    "createShare",
    "shares",
    {201: CreatedShare},
    *(*OWNER, *BODY, errors.FileNotFound, errors.NotReady, errors.InvalidFolder),
    *(errors.NothingToShare, errors.TooManyFiles),
)
LIST_SHARES = describe("listShares", "shares", {200: ShareList}, *MEANT_OWNER, errors.InvalidCursor)
SHOW_SHARE = describe("getShare", "shares", {200: LinkedShare}, *OWNER, errors.ShareNotFound)
END_SHARE = describe("deleteShare", "shares", {204: None}, *MEANT_OWNER, errors.ShareNotFound)
OPEN_SHARE = describe(
    "openShare",
    "shares",
    {200: OpenedShare},
    *(*BODY, errors.Unauthorized, errors.Busy, errors.ShareNotFound, errors.ShareUsedUp, errors.WrongPassword),
    *(errors.TooManyTries, errors.InvalidCursor),
)


# The stream function's routes, whose app this function cannot import: each is deployed alone.
LINK = (errors.InvalidCapability, errors.ExpiredCapability, errors.FileNotFound, errors.Busy)
STORED = (errors.ContentMissing, errors.ContentChanged, errors.ContentForbidden)
CONTENT = (
    *(*LINK, *STORED, errors.NotReady, errors.PreconditionFailed, errors.InvalidRequest),
    *(errors.ShareNotFound, errors.ShareUsedUp),
)
CONTENT_HEADERS = ("ETag", "Last-Modified", "Repr-Digest", "Content-Disposition", "Content-Security-Policy")
CONDITIONS = ("If-Range", "If-Match", "If-None-Match", "If-Unmodified-Since", "If-Modified-Since")
BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def stream_paths(stream_url: str) -> dict[str, Any]:
    """The paths of the stream host, with a server of their own."""
    servers = [{"url": stream_url, "description": "The stream host: `links` lead there."}]
    content = {
        "tags": ["content"],
        "description": "Needs no token: the capability is that of `links.content` or `links.direct`.",
        "parameters": [
            *LINK_PARAMETERS,
            query("direct", "By a redirect to S3 at once, whatever the size.", {"type": "boolean"}),
            query("disposition", "`inline` where the type is safe to be shown.", DISPOSITION),
            *(optional(name) for name in ("Range", *CONDITIONS)),
        ],
        "security": [],
    }
    told = {name: {"schema": {"type": "string"}} for name in CONTENT_HEADERS}
    answers: dict[str, Any] = {
        "200": {"description": "The bytes, of the type that was declared.", "headers": told},
        "304": {"description": "`If-None-Match` names it, or it is no newer than `If-Modified-Since`."},
        "307": {
            "description": "Too many bytes for one answer, or none, or too many streams, or `direct`: S3 sends them.",
            "headers": LOCATION,
        },
    }
    whole = answers["200"] | {"content": BINARY}
    part = {"206": {"description": "The range that was asked for.", "headers": told, "content": BINARY}}
    refused = {str(status): told for status, told in failures((*CONTENT, errors.RangeNotSatisfiable)).items()}
    bodiless = {status: {"description": told["description"]} for status, told in refused.items() if status != "416"}
    followed = {
        "200": {"description": "Progress, and how it ended.", "content": {"text/event-stream": {"schema": TEXT}}},
        "204": {"description": "The last event has been sent before: an EventSource stays away."},
    }
    events = {
        "operationId": "getEvents",
        "summary": "Events",
        "tags": ["content"],
        "description": "Server-sent events: `progress`, then `ready`, `failed` or `aborted`. Needs no token.",
        "parameters": [*LINK_PARAMETERS, optional("Last-Event-ID")],
        "responses": followed
        | {str(status): told for status, told in failures((*LINK, errors.TooManyStreams)).items()},
        "security": [],
    }
    return {
        "/files/{id}/content": {
            "servers": servers,
            "get": {
                "operationId": "getContent",
                "summary": "Content",
                **content,
                "responses": answers | {"200": whole} | part | refused,
            },
            "head": {
                "operationId": "headContent",
                "summary": "Headers of the content",
                **content,
                "responses": answers | bodiless,
            },
        },
        "/files/{id}/events": {"servers": servers, "get": events},
        **all_files_paths(servers),
        **archive_paths(servers),
    }


def all_files_paths(servers: list[dict[str, Any]]) -> dict[str, Any]:
    """The feed and the exports: the links of a list."""
    refused = (
        *(errors.InvalidCapability, errors.ExpiredCapability, errors.Busy, errors.InvalidRequest),
        errors.TooManyStreams,
    )
    feed = {
        "operationId": "getFeed",
        "summary": "Feed",
        "tags": ["content"],
        "description": (
            "Server-sent events of all files: `file`, `deleted`, `download`. "
            "Needs no token: take `links.events` of a list."
        ),
        "parameters": [
            CAPABILITY_PARAMETER,
            query("cursor", "Where to begin; `Last-Event-ID` says more.", TEXT),
            optional("Last-Event-ID"),
        ],
        "responses": {
            "200": {"description": "What happens, as it happens.", "content": {"text/event-stream": {"schema": TEXT}}},
            **{str(status): told for status, told in failures((*refused, errors.InvalidCursor)).items()},
        },
        "security": [],
    }
    return {"/events": {"servers": servers, "get": feed}} | {
        f"/files.{name}": {
            "servers": servers,
            "get": {
                "operationId": operation,
                "summary": f"Files as {words}",
                "tags": ["content"],
                "description": "Files as the list has them. Needs no token: take the link of a list.",
                "parameters": [
                    CAPABILITY_PARAMETER,
                    query("status", "In this state.", {"type": "string", "enum": [*Status]}),
                    query("folder", "In and below this folder.", TEXT),
                    query("drop", "Through this drop.", TEXT),
                    query("q", "With this in their name.", {"type": "string", "minLength": 1}),
                    query("after", "Go on behind the file with this id.", TEXT),
                    optional("Accept-Encoding"),
                ],
                "responses": {
                    # Generators that do not know application/jsonl find a type that they know behind it.
                    "200": {"description": "A line for each file.", "content": {media_type: {"schema": TEXT}} | BINARY},
                    **{str(status): told for status, told in failures((*refused, errors.FileNotFound)).items()},
                },
                "security": [],
            },
        }
        for name, operation, words, media_type in (
            ("jsonl", "exportJsonLines", "JSON Lines", "application/jsonl"),
            ("csv", "exportCsv", "CSV", "text/csv"),
            ("sha256", "exportSha256Sums", "lines for `sha256sum -c`", "text/plain"),
        )
    }


def archive_paths(servers: list[dict[str, Any]]) -> dict[str, Any]:
    """Those of the stream host for archives."""
    link = (errors.InvalidCapability, errors.ExpiredCapability, errors.ArchiveNotFound, errors.Busy)
    problems = (*link, *STORED, errors.ArchiveNotReady, errors.PreconditionFailed, errors.InvalidRequest)
    of_a_stream = (errors.RangeNotSatisfiable, errors.TooManyStreams)
    refused = {str(status): told for status, told in failures((*problems, *of_a_stream)).items()}
    of_share = (errors.ShareNotFound, errors.ShareUsedUp, *of_a_stream)
    shared = {str(status): told for status, told in failures((*problems, *of_share)).items()}
    told = {name: {"schema": TEXT} for name in ("ETag", "Content-Disposition")}
    answers: dict[str, Any] = {
        "200": {"description": "The ZIP.", "headers": told},
        "304": {"description": "`If-None-Match` names it."},
        "307": {"description": "Too many bytes for one answer: S3 sends them.", "headers": LOCATION},
    }
    # Generators that do not know application/zip find a type that they know behind it.
    zipped = {"content": {"application/zip": BINARY["application/octet-stream"], **BINARY}}
    part = {"206": {"description": "The range that was asked for.", "headers": told, **zipped}}
    asked = {str(problem.status) for problem in problems}  # by HEAD
    bodiless = {status: {"description": one["description"]} for status, one in refused.items() if status in asked}
    content = {
        "tags": ["archives"],
        "description": "Needs no token: the capability is that of `links.content`.",
        "parameters": [
            *LINK_PARAMETERS,
            *(optional(name) for name in ("Range", "If-Range", "If-Match", "If-None-Match")),
        ],
        "security": [],
    }
    followed = {
        "200": {"description": "Progress, and how it ended.", "content": {"text/event-stream": {"schema": TEXT}}},
        "204": {"description": "The last event has been sent before: an EventSource stays away."},
    }
    return {
        "/archives/{id}/content": {
            "servers": servers,
            "get": {
                "operationId": "getArchiveContent",
                "summary": "Content of an archive",
                **content,
                "responses": answers | {"200": answers["200"] | zipped} | part | refused,
            },
            "head": {
                "operationId": "headArchiveContent",
                "summary": "Headers of an archive",
                **content,
                "responses": answers | bodiless,
            },
        },
        "/shares/{id}/archive": {
            "servers": servers,
            "get": {
                "operationId": "getSharedArchive",
                "summary": "Content of a share's archive",
                **content,
                "description": "Needs no token: the capability is that of `links.archive` of an opened share.",
                "responses": answers | {"200": answers["200"] | zipped} | part | shared,
            },
            "head": {
                "operationId": "headSharedArchive",
                "summary": "Headers of a share's archive",
                **content,
                "description": "Needs no token: the capability is that of `links.archive` of an opened share.",
                "responses": answers
                | {status: {"description": one["description"]} for status, one in shared.items() if status != "429"},
            },
        },
        "/archives/{id}/events": {
            "servers": servers,
            "get": {
                "operationId": "getArchiveEvents",
                "summary": "Events of an archive",
                "tags": ["archives"],
                "description": "Server-sent events: `progress`, then `ready` or `failed`. Needs no token.",
                "parameters": [*LINK_PARAMETERS, optional("Last-Event-ID")],
                "responses": followed
                | {str(status): told for status, told in failures((*link, errors.TooManyStreams)).items()},
                "security": [],
            },
        },
    }


TEXT = {"type": "string"}
DISPOSITION = {"type": "string", "enum": ["attachment", "inline"]}
CAPABILITY_PARAMETER = {"name": "capability", "in": "query", "required": True, "schema": TEXT}
LINK_PARAMETERS = [{"name": "id", "in": "path", "required": True, "schema": TEXT}, CAPABILITY_PARAMETER]


def optional(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": TEXT}


def query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


TAGS = [
    {"name": "files", "description": "Begin, send, complete, list and delete."},
    {"name": "content", "description": "The stream host: bytes and progress."},
    {"name": "archives", "description": "Many files as one ZIP."},
    {"name": "drops", "description": "Let people without an account upload."},
    {"name": "shares", "description": "Let people without an account download."},
    {"name": "capabilities", "description": "Upload without an access token."},
    {"name": "sign-in", "description": "How people sign in, and access tokens for machines."},
    {"name": "digests", "description": "What a body is."},
    {"name": "health", "description": "For monitors."},
]


def install(app: FastAPI, stream_url: str) -> None:
    """Have the app tell its contract, and that of the stream host, at `/openapi.json`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=DESCRIPTION,
                routes=app.routes,
                tags=TAGS,
            )
            # FastAPI knows the models of single routes alone, and this one belongs to all.
            document["components"]["schemas"][PROBLEM] = ProblemDetails.model_json_schema() | {"title": PROBLEM}
            for path in document["paths"].values():
                for operation in path.values():
                    _tidy(operation)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            for schema in document["components"]["schemas"].values():
                for member in schema.get("properties", {}).values():
                    # Generated types take a member with a default for one that is always there, in requests as well.
                    member.pop("default", None)
            document["paths"] |= stream_paths(stream_url)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _tidy(operation: dict[str, Any]) -> None:
    """Take out what FastAPI says of every route and no route of ours does."""
    refused = operation["responses"].get("422", {}).get("content", {})
    if "application/json" in refused:
        del operation["responses"]["422"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        # A body that may be left out is no null: generated clients would send one.
        models = [schema for schema in content["schema"].get("anyOf", ()) if "$ref" in schema]
        if models:
            (content["schema"],) = models
