"""A file as the contract shows it: with links that carry their own permission."""

from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request

from sluice import capabilities, secrets, settings
from sluice.capabilities import ALL_FILES, Caller, Holder, Use
from sluice.files import File, Status, rfc3339
from sluice.listing import Filter

stream_url = settings.STREAM_URL.read()
capability_seconds = settings.CAPABILITY_SECONDS.read()
malware_scan = settings.MALWARE_SCAN.read()


def base_url(request: Request) -> str:
    """Where this API answers, without a slash at its end."""
    return str(request.base_url).rstrip("/")


def serialize(request: Request, caller: Caller, file: File) -> dict[str, Any]:
    """The file with fresh links. A capability to upload is a letter box: what is in cannot be taken out by it."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    links = {"self": f"{base_url(request)}/files/{file.id}"}
    for use in capabilities.LINKS if caller.in_person else (Use.EVENTS,):
        capability = capabilities.issue(key, Holder(file.owner), file.id, use, capability_seconds)
        links[use] = f"{stream_url}/files/{file.id}/{use}?capability={capability}"
    # Where files are scanned S3 sends none that is not `ready`, however sure its digests are.
    if Use.CONTENT in links and (file.status is Status.READY or not malware_scan):
        links["direct"] = f"{links[Use.CONTENT]}&direct=1"
    return file.public(to_owner=caller.in_person) | {"links": links}


def list_links(owner: str, cursor: str, wanted: Filter) -> dict[str, str]:
    """The feed from this cursor on, of all files; and the exports of those that the list was asked for."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)

    def link(path: str, use: Use, **query: str | None) -> str:
        capability = capabilities.issue(key, Holder(owner), ALL_FILES, use, capability_seconds)
        given = {name: value for name, value in query.items() if value is not None}
        # A space as %20, not as `+`, which stands for itself in what CloudFront signs.
        return f"{stream_url}/{path}?{urlencode({'capability': capability, **given}, quote_via=quote)}"

    filters = {name: getattr(wanted, name) for name in ("status", "folder", "drop", "q")}
    return {
        "events": link("events", Use.FEED, cursor=cursor),
        "jsonl": link("files.jsonl", Use.EXPORT, **filters),
        "csv": link("files.csv", Use.EXPORT, **filters),
        "sha256sum": link("files.sha256", Use.EXPORT, **filters),
    }


def upload_capability(owner: str, expires_at: int, drop: str | None = None) -> tuple[str, dict[str, Any]]:
    """A capability to upload until `expires_at` (epoch seconds), and how the contract shows it."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    capability = capabilities.issue_upload(key, owner, expires_at, drop)
    return capability, {"capability": capability, "expires_at": rfc3339(expires_at)}
