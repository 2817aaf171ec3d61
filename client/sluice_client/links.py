"""Links that were given to people: of a page, with a capability in the fragment."""

import base64
import json
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlsplit

from sluice_client.errors import Misuse
from sluice_client.records import ID

NOT_A_LINK = "It is the link that `sluice share` printed, or what follows `#share=` in it."


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A share, what opens it, and the address of its API where the link has it."""

    share_id: str
    capability: str
    api: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Misuse."""
        capability, api = text.strip(), None
        if "://" in capability:
            parts = urlsplit(capability)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise Misuse("The link is no http(s) URL.", NOT_A_LINK)
            api = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
            capability = parse_qs(parts.fragment).get("share", [""])[0]
        return cls(_record(capability), capability, api)


def _record(capability: str) -> str:
    """The id that a capability, a JWT, says it is for. Whether that is true is the server's to find out."""
    try:
        payload = capability.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        found = str(claims["record"])
    except (IndexError, ValueError, KeyError, TypeError):
        raise Misuse("This is no link to a share.", NOT_A_LINK) from None
    if not ID.fullmatch(found):
        raise Misuse("This is no link to a share.", NOT_A_LINK)
    return found
