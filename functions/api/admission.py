"""Which files are let in: the deployment's rules, the drop's, and the owner's quota."""

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.api.quotas import Quotas
from functions.api.schemas import CreateFile
from sluice import limits, media_types, settings
from sluice.capabilities import Caller
from sluice.drops import Drop, Drops
from sluice.errors import Busy, Conflict, ContentTypeRefused, DropFull, QuotaExceeded, TooLarge
from sluice.files import ClaimsRefused, File, Files, Mode

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

ATTEMPTS = 10  # at a transaction that others get in the way of: 3 s of waiting at most
LONGEST_WAIT_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Rules:
    """What the deployment says of every file and owner. Sizes in bytes; 0 is no quota."""

    max_file_bytes: int = limits.MAX_OBJECT_BYTES
    content_types: tuple[str, ...] = (media_types.ANY,)
    owner_bytes: int = 0
    owner_uploads: int = 0

    @classmethod
    def read(cls) -> "Rules":
        return cls(
            settings.MAX_FILE_BYTES.read(),
            settings.CONTENT_TYPES.read(),
            settings.OWNER_BYTES.read(),
            settings.OWNER_UPLOADS.read(),
        )


class FingerprintTaken(Exception):
    """Another request has begun an upload with this fingerprint at this moment."""


class Admission:
    """The only way to a new record."""

    def __init__(self, files: Files, rules: Rules | None = None) -> None:
        self._files = files
        self._rules = rules or Rules()
        self._drops = Drops(*files.connection)
        self._quotas = Quotas(*files.connection, self._rules.owner_bytes, self._rules.owner_uploads)

    def check(self, caller: Caller, wanted: CreateFile) -> Drop | None:
        """The drop that it would come through, if any. Raises TooLarge, ContentTypeRefused, DropNotFound."""
        drop = self._drops.get(caller.owner, caller.drop) if caller.drop else None
        most = self._most_bytes(drop)
        accepted = [("This deployment", self._rules.content_types)]
        if drop and drop.content_types is not None:
            accepted.append(("This drop", drop.content_types))
        if wanted.size is not None and wanted.size > most:
            raise TooLarge(f"A file has at most {most} bytes here.", limit=most, size=wanted.size)
        for who, allowed in accepted:
            if not media_types.accepts(allowed, wanted.content_type, wanted.filename):
                raise ContentTypeRefused(
                    f"{who} accepts {media_types.describe_ranges(allowed)}; "
                    f"{wanted.filename} is {media_types.describe(wanted.content_type)}.",
                    content_type=wanted.content_type,
                    allowed=list(allowed),
                )
        return drop

    def create(self, file: File, drop: Drop | None, fingerprint: "TransactWriteItemTypeDef | None" = None) -> File:
        """The new record, with its fingerprint, its place in the drop and its share of the quota, or none of the four.

        Raises FingerprintTaken, DropFull, QuotaExceeded; Busy where others are faster again and again.
        """
        quota = [self._quotas.claim(file.owner, file.size)] if self._quotas.limited else []
        place = [self._drops.claim(drop)] if drop else []
        known = [fingerprint] if fingerprint else []
        for attempt in range(ATTEMPTS):
            try:
                return self._files.create(file, [*place, *quota, *known])
            except ClaimsRefused as refused:
                if fingerprint and len(place) + len(quota) in refused.places:
                    raise FingerprintTaken from None  # whoever resumes needs neither place nor quota
                if drop and 0 in refused.places:
                    self._drops.get(drop.owner, drop.id)  # ended at this moment: then that is the reason
                    many = "1 file" if drop.max_files == 1 else f"{drop.max_files} files"
                    raise DropFull(f"It takes {many}.", limit=drop.max_files) from None
                self._recount(file, file.size, uploads=1)
            except Conflict:
                _pause(attempt)
        raise Busy("Many files are begun at this moment; ask again.")

    def measured(self, file: File, size: int, **changes: Any) -> File:
        """Save the size that nobody knew before, with its share of the quota.

        Raises TooLarge, QuotaExceeded; Conflict where the file was changed, Busy where others are faster all the time.
        """
        if file.size_limit is not None and size > file.size_limit:
            raise TooLarge(f"The file has at most {file.size_limit} bytes.", limit=file.size_limit, size=size)
        more = max(0, size - file.size)  # than was promised for it
        quota = [self._quotas.claim(file.owner, more, uploads=0)] if self._quotas.limited else []
        for attempt in range(ATTEMPTS):
            try:
                return self._files.save(file, quota, size=size, size_limit=None, **changes)
            except ClaimsRefused:
                self._recount(file, more, uploads=0)
            except Conflict:
                if self._files.get(file.owner, file.id).revision != file.revision:
                    raise
                _pause(attempt)
        raise Busy("Many files are completed at this moment; ask again.")

    def most_untold_bytes(self, drop: Drop | None, mode: Mode) -> int:
        """Of a file whose size nobody tells until it has arrived."""
        most = min(self._most_bytes(drop), self._rules.owner_bytes or limits.MAX_OBJECT_BYTES)
        if mode is Mode.MULTIPART:
            return most
        return min(most, limits.UNTOLD_POST_BYTES if self._rules.owner_bytes else limits.MAX_POST_BYTES)

    def _most_bytes(self, drop: Drop | None) -> int:
        most = min(self._rules.max_file_bytes, limits.MAX_OBJECT_BYTES)
        return most if drop is None or drop.max_file_bytes is None else min(most, drop.max_file_bytes)

    def _recount(self, file: File, size: int, uploads: int) -> None:
        try:
            self._quotas.recount(file.owner, size, uploads)
        except QuotaExceeded:
            if file.drop:  # what an owner has is nothing to tell strangers
                raise QuotaExceeded("The owner of this drop has no storage left.") from None
            raise


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(LONGEST_WAIT_SECONDS, 0.02 * 2**attempt)))  # noqa: S311 - no secret
