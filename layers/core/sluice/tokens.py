"""Who the owners are, and which access tokens let them in: the JSON object of the secret ACCESS_TOKEN_SECRET.

Each owner has a token or a list of tokens, so that a new one can be given out before the old one ends. A token is kept
as `sha256:<hex>` of it: who reads the secret learns who there is, and lets nobody in. Access tokens have 256 random
bits, so that a fast hash is enough (https://pages.nist.gov/800-63-4/sp800-63b.html#lookupsecrets). A token that stands
there as it is works as well: it was put there by hand, and should be replaced.

Owners who sign in have names of their own, which begin with SIGNED_IN. They are not in the secret, unless to be kept
out: `{"oidc.alice": null}` ends their access and all that was given out in their names.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from functools import lru_cache

from aws_lambda_powertools import Logger

from sluice.files import OWNER

SIGNED_IN = "oidc."
HASHED = "sha256:"
_HASHED = re.compile(f"{HASHED}[0-9a-f]{{64}}")

logger = Logger()


def hashed(token: str) -> str:
    """As the secret keeps it."""
    return HASHED + hashlib.sha256(token.encode()).hexdigest()


def owner_of(token: str, secret: str) -> str | None:
    """Whose access token it is, by the secret's value. All are compared in constant time: time tells nothing."""
    offered = hashed(token)
    found = [owner for owner, known in parse(secret).items() for one in known if hmac.compare_digest(one, offered)]
    return found[0] if token and found else None


def is_owner(name: str, secret: str, *, sign_in: bool) -> bool:
    """Whether this owner (still) has access. With an owner all ends that was given out in his name."""
    if name.startswith(SIGNED_IN):
        return sign_in and name not in parse(secret)
    return name in parse(secret)


def owners(secret: str) -> list[str]:
    """Those who have an entry of their own."""
    return [name for name in parse(secret) if not name.startswith(SIGNED_IN)]


@lru_cache(maxsize=2)
def parse(text: str) -> Mapping[str, tuple[str, ...]]:
    """Owner -> the hashes of his tokens. Who cannot own files is left out, and the log says so: the others go on."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        logger.error("The secret of the access tokens is no JSON object: nobody gets in")
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for owner, value in document.items():
        tokens = value if isinstance(value, list) else [value]
        if owner.startswith(SIGNED_IN):
            found[owner] = ()
            if value is not None:
                logger.error("Owners who sign in have no tokens in the secret: this one is kept out", owner=owner[:40])
        elif not OWNER.fullmatch(owner):
            logger.error("An owner of the secret cannot own files: it would not fit into a key", owner=owner[:40])
        elif not all(isinstance(token, str) for token in tokens):
            logger.error("An owner of the secret has something else than tokens", owner=owner)
        else:
            found[owner] = tuple(token if _HASHED.fullmatch(token) else hashed(token) for token in tokens if token)
    return found
