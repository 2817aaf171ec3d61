"""The digests that a request brings along, RFC 9530: `Repr-Digest` and `Content-Digest`, which are the same for bytes
that are kept as they are sent."""

import base64
import binascii
import re
from collections.abc import Mapping

from starlette.datastructures import Headers

from functions.api.schemas import DIGEST_CHARACTERS
from sluice.errors import DigestMismatch, InvalidDigest
from sluice.limits import MAX_DIGEST_HEADER_CHARACTERS

# A member of a dictionary whose value is a byte sequence, with parameters that mean nothing here: RFC 8941, section 3.
_MEMBER = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):[ \t]*(?:;[^,]*)?")


def promised(headers: Headers) -> dict[str, str]:
    """Name -> lower-case hex of those digests that are known here. Raises InvalidDigest."""
    found: dict[str, str] = {}
    for header in ("repr-digest", "content-digest"):
        text = ",".join(headers.getlist(header))
        if len(text) > MAX_DIGEST_HEADER_CHARACTERS:
            raise InvalidDigest(f"{header} may have at most {MAX_DIGEST_HEADER_CHARACTERS} characters.")
        for member in filter(str.strip, text.split(",")):
            match = _MEMBER.fullmatch(member)
            if not match:
                raise InvalidDigest(f"{header}: {member.strip()[:60]!r} is not as in `sha-256=:<base64>:`.")
            name, encoded = match.groups()
            if name not in DIGEST_CHARACTERS:
                continue
            value = _hex(header, name, encoded)
            check({name: value}, found)
            found[name] = value
    return found


def check(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raises DigestMismatch for a digest that is in both and not the same."""
    for name in expected.keys() & found.keys():
        if expected[name] != found[name]:
            raise DigestMismatch(
                f"The {name} of the body is not the one that was promised; nothing was kept.",
                name=name,
                expected=expected[name],
                found=found[name],
            )


def _hex(header: str, name: str, text: str) -> str:
    try:
        value = base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        value = ""
    if len(value) != DIGEST_CHARACTERS[name]:
        raise InvalidDigest(f"{header}: {name} has {DIGEST_CHARACTERS[name] // 2} bytes in base64.")
    return value
