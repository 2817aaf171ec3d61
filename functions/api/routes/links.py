"""A file as the contract shows it: with links that carry their own permission."""

from typing import Any

from fastapi import Request

from sluice import capabilities, secrets, settings
from sluice.capabilities import Caller, Holder, Use
from sluice.files import File, rfc3339

stream_url = settings.STREAM_URL.read()
capability_seconds = settings.CAPABILITY_SECONDS.read()


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
    if Use.CONTENT in links:
        links["direct"] = f"{links[Use.CONTENT]}&direct=1"
    return file.public(to_owner=caller.in_person) | {"links": links}


def upload_capability(owner: str, expires_at: int, drop: str | None = None) -> tuple[str, dict[str, Any]]:
    """A capability to upload until `expires_at` (epoch seconds), and how the contract shows it."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    capability = capabilities.issue_upload(key, owner, expires_at, drop)
    return capability, {"capability": capability, "expires_at": rfc3339(expires_at)}
