"""By what an unfinished upload is found again: a secret of this user and this file.

Whoever knows a fingerprint goes on with its upload, and two files that share one would be mixed. So it is an HMAC over
where the file is and which file it is there, with a key that never leaves this machine.
"""

import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from sluice_client.places import state_folder
from sluice_client.sources import Source

KEY_BYTES = 32  # as many as the digest of the HMAC has: RFC 2104, section 3


def fingerprint(source: Source, key: bytes) -> str:
    """The same as long as path, device, inode, size and time of change are, and what it is to be called."""
    device, inode = source.identity
    known = [b"%d" % number for number in (device, inode, source.size, source.modified)]
    label = json.dumps(astuple(source.label)).encode()
    return hmac.new(key, b"\0".join([os.fsencode(source.path.resolve()), *known, label]), hashlib.sha256).hexdigest()


def user_key() -> bytes:
    """The key of this user, made when it is first asked for. Raises OSError where it can be neither read nor kept."""
    path = state_folder() / "fingerprint-key"
    with suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f".{secrets.token_hex(8)}.new")
    try:
        made.touch(mode=0o600, exist_ok=False)
        with made.open("wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link appears whole and replaces nothing: of several processes one wins, and all read its key.
        with suppress(FileExistsError):
            path.hardlink_to(made)
    finally:
        made.unlink(missing_ok=True)
    return _read(path)


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise OSError(f"{path} is not a key of {KEY_BYTES} bytes; remove it")
    return key
