"""What can be said of an object's bytes without reading them: S3 checked them when it took them."""

from collections.abc import Collection, Mapping
from typing import Any

from sluice.files import File, Mode, Status
from sluice.objects import Head

LOCK = "sha-256"


def verdict_by_s3(
    file: File,
    head: Head,
    asked: Collection[str],
    put: Mapping[str, str] | None = None,
    *,
    malware_scan: bool = False,
) -> dict[str, Any] | None:
    """The changes that make the file `ready` by S3's own digests of it, or `scanning`; None where it has to be read.

    S3 has compared a PUT with the SHA-256 that it was locked to: the sender's, or that of a body which was `put` from
    here. Its ETag is the MD5. All digests that are `asked` for and all that the sender declared have to be among those
    that S3 has, and hold. What contradicts is read, to be sure.
    """
    known = head.checksums
    expected = {**file.declared, **(put or {})}
    # Who sends a form, or parts as he likes, may have promised another size.
    plain = file.mode is Mode.SINGLE and file.own_parts is None and file.size_limit is None
    whole = plain and head.version.size == file.size
    if not whole or LOCK not in expected or not {*asked, *expected} <= known.keys():
        return None
    if any(known[name] != value for name, value in expected.items()):
        return None
    return {
        "status": Status.SCANNING if malware_scan else Status.READY,
        "digests": known,
        "crc32": known.get("crc32"),
        "verified": bool(file.declared),
        "received_bytes": file.size,
        "hashed_bytes": file.size,
        "etag": head.version.etag,
        "version_id": head.version.version_id,
        "expires_at": None,
        "forget_at": None,
    }
