"""The passwords of shares: kept as a hash by scrypt, and tried a few times only.

Each try is counted before anything is computed, so a hundred at once get no more of them than one after the other; a
right one is given back.
"""

import base64
import hashlib
import hmac
import os
import unicodedata

from pydantic import SecretStr

from sluice.errors import WrongPassword
from sluice.shares import Share, Shares

# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt: of the settings that it calls
# equal, the one that takes 32 MiB. An environment with 1,024 MB may work on several at once (Managed Instances).
COST, BLOCK, PARALLEL = 2**15, 8, 3
MEMORY_BYTES = 2 * 128 * BLOCK * COST  # what OpenSSL may use; it needs a little more than half of that
SALT_BYTES, HASH_BYTES = 16, 32


def hashed(password: SecretStr) -> str:
    """As the record keeps it: `scrypt:<N>:<r>:<p>:<salt>:<hash>`, so that other settings can follow."""
    salt = os.urandom(SALT_BYTES)
    return _written(password, salt, COST, BLOCK, PARALLEL)


def matches(kept: str, password: SecretStr) -> bool:
    """Whether it is the password that was kept; how long this takes tells nothing."""
    _, cost, block, parallel, salt, _ = kept.split(":")
    return hmac.compare_digest(kept, _written(password, base64.b64decode(salt), int(cost), int(block), int(parallel)))


def check(shares: Shares, share: Share, offered: SecretStr | None) -> None:
    """Raises WrongPassword, TooManyTries; ShareNotFound where the share ended a moment ago."""
    if share.password is None:
        return
    if offered is None:  # whoever does not know that there is one has not tried
        raise WrongPassword("This share has a password. Ask whoever gave you the link.")
    tried = shares.take_try(share)
    if not matches(share.password, offered):
        raise WrongPassword("This is not the password of the share.")
    shares.give_try_back(share, tried)


def _written(password: SecretStr, salt: bytes, cost: int, block: int, parallel: int) -> str:
    # The same letters are other bytes on other keyboards (NIST SP 800-63B, section 3.1.1.2).
    text = unicodedata.normalize("NFKC", password.get_secret_value()).encode()
    found = hashlib.scrypt(text, salt=salt, n=cost, r=block, p=parallel, maxmem=MEMORY_BYTES, dklen=HASH_BYTES)
    parts = (base64.b64encode(part).decode() for part in (salt, found))
    return ":".join(["scrypt", *map(str, (cost, block, parallel)), *parts])
