"""Sees to it that S3 holds no more for an upload than was promised for it.

Only an upload whose client cuts the file as he likes can have more: a URL of a part cannot say how many bytes at most.
Whoever asks for the next URL is refused at once; this is for whoever asks for nothing any more.

IAM actions, besides the hashing job's: s3:ListMultipartUploadParts, s3:AbortMultipartUpload.
"""

from aws_lambda_powertools import Logger

from sluice import limits
from sluice.errors import FileNotFound, TooLarge
from sluice.files import File, Files, Status, in_days
from sluice.objects import Objects, UploadMissing

logger = Logger()


def measure(files: Files, objects: Objects, owner: str, file_id: str) -> File | None:
    """Abort the upload when S3 holds too much for it; the file while it has to be measured again later.

    A part that is on its way while an upload is aborted may be stored nevertheless, and the upload with it: so an ended
    one is aborted once more. https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
    """
    try:
        file = files.get(owner, file_id)
    except FileNotFound:
        return None
    if file.upload_id is None or file.status not in (Status.UPLOADING, Status.FAILED, Status.ABORTED):
        return None
    try:
        size = sum(part.size for part in objects.parts(file.key, file.upload_id))
    except UploadMissing:
        return None
    if file.status is Status.UPLOADING:
        if size <= file.most_bytes:
            return file
        logger.warning("an upload has more than was promised", file_id=file.id, received_bytes=size)
        forget_at = in_days(limits.REMEMBERED_DAYS)
        file = files.save(file, status=Status.FAILED, reason=TooLarge.code, expires_at=None, forget_at=forget_at)
    objects.abort(file.key, str(file.upload_id))
    return file
