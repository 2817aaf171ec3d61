"""Which media types are meant: ranges as RFC 9110, section 12.5.1, has them, `*/*`, `image/*` or `application/pdf`."""

import re
from collections.abc import Iterable

# RFC 9110, section 5.6.2.
TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
ANY = "*/*"
_RANGE = re.compile(rf"\*/\*|(?!\*/){TOKEN}/{TOKEN}")


def ranges(listed: Iterable[str]) -> tuple[str, ...]:
    """The ranges in lower case, each once. Raises ValueError for what is none, and where there is none."""
    found = tuple(dict.fromkeys(one.strip().lower() for one in listed))
    for one in found:
        if not _RANGE.fullmatch(one):
            raise ValueError(f"{one[:40]!r} is neither a media type nor a range such as image/*")
    if not found:
        raise ValueError("at least one media type is needed")
    return found


def within(allowed: Iterable[str], content_type: str) -> bool:
    """Whether the type is in one of the `ranges`. Neither its parameters nor upper and lower case count."""
    name = content_type.partition(";")[0].strip().lower()
    kind = name.partition("/")[0]
    return any(one in (ANY, name, f"{kind}/*") for one in allowed)
