"""Every error that a client can cause: a stable code, an HTTP status and a title, answered as RFC 9457 problem+json."""

from typing import Any, ClassVar

# Streams end after a minute, or are given up after that, and some of many are older than others.
TOO_MANY_STREAMS_SECONDS = 10


class Problem(Exception):
    """One kind of error. `detail` says what happened this time; `extra` becomes further members of the problem."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The problem details object of RFC 9457, section 3."""
        return problem(self.code, self.status, self.title, self.detail, **self.extra)


def problem(code: str, status: int, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    return {
        "type": f"urn:sluice:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        **extra,
    }


class InvalidJson(Problem):
    code, status, title = "invalid_json", 400, "The body is not JSON"


class IncompleteBody(Problem):
    code, status, title = "incomplete_body", 400, "The body is not as long as it was said to be"


class InvalidDigest(Problem):
    code, status, title = "invalid_digest", 422, "The digest in a header cannot be understood"


class DigestMismatch(Problem):
    code, status, title = "digest_mismatch", 422, "The body is not the one that was promised"


class IdempotencyKeyReused(Problem):
    code, status, title = "idempotency_key_reused", 422, "The key stands for another request"


class BodyTooLarge(Problem):
    code, status, title = "body_too_large", 413, "The body is too large"


class InvalidRequest(Problem):
    code, status, title = "invalid_request", 422, "The request is not what the contract asks for"


class InvalidFilename(Problem):
    code, status, title = "invalid_filename", 422, "The filename cannot be kept"


class InvalidFolder(Problem):
    code, status, title = "invalid_folder", 422, "The folder cannot be kept"


class InvalidPartNumber(Problem):
    code, status, title = "invalid_part_number", 422, "There is no such part"


class InvalidPartDigest(Problem):
    code, status, title = "invalid_part_digest", 422, "The part's digest is not of the kind that was promised"


class PartDigestNeeded(Problem):
    code, status, title = "part_digest_needed", 409, "The parts of this file are locked to their digests"


class InvalidCursor(Problem):
    code, status, title = "invalid_cursor", 422, "The cursor is not one of ours"


class TooLarge(Problem):
    code, status, title = "file_too_large", 413, "The file is too large"


class ContentTypeRefused(Problem):
    code, status, title = "content_type_refused", 415, "Files of this type are not taken"


class QuotaExceeded(Problem):
    code, status, title = "quota_exceeded", 403, "The owner has no room left"


class DropFull(Problem):
    code, status, title = "drop_full", 403, "The drop has taken all the files that it takes"


class Unauthorized(Problem):
    code, status, title = "unauthorized", 401, "A valid access token is needed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})  # RFC 6750, section 3


class InvalidToken(Unauthorized):
    """A token of an issuer that counts for nothing here; its code says why (RFC 6750, section 3.1)."""

    code, status, title = "invalid_token", 401, "The token is not valid"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{self.title}"'}


class TokenExpired(InvalidToken):
    code, status, title = "token_expired", 401, "The token has expired"


class WrongIssuer(InvalidToken):
    code, status, title = "wrong_issuer", 401, "The token is from another issuer"


class WrongAudience(InvalidToken):
    code, status, title = "wrong_audience", 401, "The token was made for somebody else"


class WrongAlgorithm(InvalidToken):
    code, status, title = "wrong_algorithm", 401, "The token is not signed as it has to be"


class UnknownKey(InvalidToken):
    code, status, title = "unknown_key", 401, "The token is signed with a key that its issuer does not have"


class AccessDenied(Problem):
    code, status, title = "access_denied", 403, "This account may not use this deployment"


class SignInUnavailable(Problem):
    """The issuer's keys cannot be had, and none are known from before."""

    code, status, title = "sign_in_unavailable", 503, "The sign-in service does not answer"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "5"})


class SignInNeeded(Problem):
    code, status, title = "sign_in_needed", 403, "This takes a person, not an access token"


class AdminOnly(Problem):
    code, status, title = "admin_only", 403, "Only an administrator may do this"


class TokenNotFound(Problem):
    code, status, title = "token_not_found", 404, "There is no such access token"


class NotThroughCloudFront(Problem):
    code, status, title = "not_through_cloudfront", 403, "This address answers to CloudFront alone"


class InvalidCapability(Problem):
    code, status, title = "invalid_capability", 403, "The link does not allow this"


class ExpiredCapability(Problem):
    code, status, title = "expired_capability", 403, "The link has expired"


class OwnerOnly(Problem):
    code, status, title = "owner_only", 403, "Only the owner may do this"


class DropNotFound(Problem):
    code, status, title = "drop_not_found", 404, "There is no such drop"


class ShareNotFound(Problem):
    code, status, title = "share_not_found", 404, "There is no such share"


class ShareUsedUp(Problem):
    code, status, title = "share_used_up", 403, "The share's downloads are used up"


class WrongPassword(Problem):
    code, status, title = "wrong_password", 403, "The password is not that of the share"


class TooManyTries(Problem):
    code, status, title = "too_many_tries", 429, "Too many wrong passwords"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Try again in {seconds} seconds.", headers={"Retry-After": str(seconds)})


class TooManyStreams(Problem):
    code, status, title = "too_many_streams", 429, "The link has too many open streams"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": str(TOO_MANY_STREAMS_SECONDS)})


class NothingToShare(Problem):
    code, status, title = "nothing_to_share", 409, "There is no file to share"


class TooManyFiles(Problem):
    code, status, title = "too_many_files", 422, "These are more files than one share can have"


class FileNotFound(Problem):
    code, status, title = "file_not_found", 404, "There is no such file"


class ArchiveNotFound(Problem):
    code, status, title = "archive_not_found", 404, "There is no such archive"


class ArchiveNotReady(Problem):
    code, status, title = "archive_not_ready", 409, "The archive is not ready"


class EmptyArchive(Problem):
    code, status, title = "archive_empty", 422, "There is nothing to put into the archive"


class ArchiveTooLarge(Problem):
    code, status, title = "archive_too_large", 422, "The archive would be larger than an object"


class PageNotBuilt(Problem):
    code, status, title = "page_not_built", 404, "The page was not built"


class DigestsDiffer(Problem):
    code, status, title = "digests_differ", 409, "A digest contradicts the one that was declared before"


class DigestsNeeded(Problem):
    code, status, title = "digests_needed", 409, "Only the sender's digests can tell whose bytes these are"


class WrongState(Problem):
    code, status, title = "wrong_state", 409, "The file's state does not allow this"


class PartsMissing(Problem):
    code, status, title = "parts_missing", 409, "Parts of the file have not arrived"


class PartsDiffer(Problem):
    code, status, title = "parts_differ", 409, "The parts listed are not those that arrived"


class NotReady(Problem):
    code, status, title = "not_ready", 409, "The file is not ready"


class ContentMissing(Problem):
    code, status, title = "object_missing", 410, "The bytes of the file are gone"


class ContentChanged(Problem):
    code, status, title = "object_changed", 409, "Other bytes are stored in place of the file's"


class ContentForbidden(Problem):
    code, status, title = "object_forbidden", 409, "S3 does not let the bytes of the file be read"


class Conflict(Problem):
    """Somebody else changed the record between our reading and our writing it."""

    code, status, title = "conflict", 409, "The file was changed at the same time"


class PreconditionFailed(Problem):
    code, status, title = "precondition_failed", 412, "The file is not the one that the request means"


class RangeNotSatisfiable(Problem):
    code, status, title = "range_not_satisfiable", 416, "The file has no such range"


class Busy(Problem):
    """AWS refused for now (throttling, 503) and went on refusing through the client's own retries."""

    code, status, title = "busy", 503, "A service that this needs is busy"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "2"})
