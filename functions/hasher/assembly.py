"""Sees a completion through that the API could not wait for, so that nothing is lost after its 202.

IAM actions, besides the hashing job's: s3:ListMultipartUploadParts, s3:PutObject (to complete), s3:GetObject (to see
whether there is an object by now).
"""

from contextlib import suppress

from aws_lambda_powertools import Logger

from sluice import limits
from sluice.errors import Conflict, FileNotFound
from sluice.files import UPLOAD_MISSING, File, Files, Status, in_days
from sluice.objects import ObjectMissing, Objects, ObjectTaken, UploadMissing

logger = Logger()


def assemble(files: Files, objects: Objects, owner: str, file_id: str, seconds: float, *, last: bool) -> None:
    """Have S3 put the parts together of a file that is still `assembling`; its event begins the hashing job, as ever.

    Where S3 knows neither an upload nor an object it may be at it: raises ObjectMissing, so that the message comes
    again, and on the `last` receive the file has failed. Raises Undecided, after `seconds` at the latest.
    """
    try:
        file = files.get(owner, file_id)
    except FileNotFound:  # deleted meanwhile
        return
    if file.status is not Status.ASSEMBLING or file.upload_id is None:
        return
    try:
        # They are whole: that was looked at before the file became `assembling`.
        objects.complete(file.key, file.upload_id, objects.parts(file.key, file.upload_id), file.size, seconds)
    except (UploadMissing, ObjectTaken):
        try:
            objects.head(file.key)
        except ObjectMissing:
            if not last:
                raise
            logger.exception("lost between upload and object", file_id=file.id)
            _fail(files, file)


def _fail(files: Files, file: File) -> None:
    """Unless somebody else got on with it. Whoever only renamed it did not: no further message will come."""
    forget_at = in_days(limits.REMEMBERED_DAYS)
    with suppress(FileNotFound):
        while file.status is Status.ASSEMBLING:
            try:
                files.save(file, status=Status.FAILED, reason=UPLOAD_MISSING, forget_at=forget_at)
            except Conflict:
                file = files.get(file.owner, file.id)
            else:
                return
