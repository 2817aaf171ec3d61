"""Every limit of S3 and Lambda that the code leans on, with its unit and source; and the rule for part sizes."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# Amazon S3 multipart upload limits, https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * MIB  # the last part may be smaller
MAX_PART_BYTES = 5 * GIB
MAX_OBJECT_BYTES = MAX_PARTS * MAX_PART_BYTES  # 48.8 TiB
LIST_PARTS_PAGE = 1_000  # parts
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html: of one PUT or POST
MAX_POST_BYTES = 5 * GIB

# A Lambda-signed URL is about 1.3 KB and a buffered Lambda response at most 6 MB,
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 1,000 leave room for longer credentials.
MAX_PARTS_PER_ANSWER = 1_000

# A body that is no text reaches Lambda as base64 within an event of 6 MiB, on the same page.
MAX_BODY_BYTES = 4 * MIB

# Of a request in JSON, where no limit of its own says otherwise: fifty media ranges are 13 KB, a fingerprint is 6 KB.
MAX_JSON_BYTES = 64 * KIB
# Of one part in a list of parts: its number, ETag and digest of at most 128 hex digits are 210 with their names, and
# the rest is for whitespace and what else a client lists. 10,000 parts then fit into an event as well.
PART_JSON_BYTES = 320

# Our own choices.
DEFAULT_PART_BYTES = 8 * MIB  # what the AWS SDKs and CLI use
USUAL_PARTS = 1_000  # one page of S3's list and one answer with URLs: how many parts a file has while that is no burden
USUAL_PART_BYTES = 64 * MIB  # as large as a part gets for that: what a broken connection sends again
MAX_SINGLE_PUT_BYTES = DEFAULT_PART_BYTES  # a file of one part needs no multipart upload
# What Uppy sends in one request by itself: so much of an owner's quota is promised to one whose size nobody tells.
UNTOLD_POST_BYTES = 100 * MIB
# Bytes per second of one connection to S3. S3 gives one about 100 MB/s, and Lambda's network has 75 MB/s in all: less
# than a thousandth of that is a connection that is broken or misused, and a new one helps more than patience.
LEAST_READ_RATE = 32 * KIB
MAX_FILENAME_CHARACTERS = 255  # what common file systems take
MAX_FOLDER_BYTES = 1_024  # of UTF-8: what S3 takes for a whole key
MAX_METADATA = 20  # strings of one file
MAX_METADATA_BYTES = 2_048  # of their names and texts together, as S3 takes of an object's own
MAX_TITLE_CHARACTERS = 200  # of what strangers are shown: a headline
MAX_OWNER_NAME_CHARACTERS = 100  # of a person or an organisation, as strangers are shown it
MAX_MESSAGE_CHARACTERS = 2_000  # a page of text
MAX_ID_CHARACTERS = 26
MAX_ARCHIVE_FILES = 100_000  # one archive: the list of them is read for every request
# Less than an object has: two levels of parts need some that have less than 5 GiB each.
MAX_ARCHIVE_BYTES = 48 * 1024 * GIB
MAX_ARCHIVE_JSON_BYTES = 4 * MIB  # a request that names so many: each id with quotes, comma and blank has 30
MAX_FINGERPRINT_BYTES = 1_024  # a DynamoDB sort key, which it is in the index of unfinished uploads
MAX_CONTENT_TYPES = 50  # media ranges and extensions in one drop
MAX_MEDIA_RANGE_CHARACTERS = 255  # RFC 6838, section 4.2: two names of at most 127 characters
MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
MAX_DIGEST_HEADER_CHARACTERS = 2_048  # every digest that is known here in base64 has some 400
MAX_CAPABILITY_CHARACTERS = 1_024  # a JWT of ours with an owner of 128 characters has some 400
MAX_CAPABILITY_SECONDS = 7 * 86_400  # of one to upload in an owner's name: nothing ends it earlier
MAX_OWNER_CHARACTERS = 128  # of the name that is the table's key (files.OWNER)
MAX_TOKEN_SECONDS = 366 * 86_400  # of an access token for a machine
MAX_TOKEN_NAME_CHARACTERS = 100
MAX_DROP_FILES = 1_000_000
MAX_DROP_SECONDS = 366 * 86_400
MAX_SHARED_FILES = 100_000  # 1.6 MB of ids
MAX_SHARE_SECONDS = 366 * 86_400
MAX_SHARE_DOWNLOADS = 1_000_000_000
MAX_PASSWORD_BYTES = 256  # of UTF-8: more makes no password better, and hashing should cost the same for all
# The two names and as much for parameters: lists of codecs (RFC 6381) have up to 100 characters. A redirect to S3
# carries the type percent-encoded, beside a filename, in a URL that should stay below 8,000 (RFC 9110, section 4.1).
MAX_CONTENT_TYPE_CHARACTERS = 512
UNFINISHED_DAYS = 7  # the template's lifecycle rule aborts unfinished uploads after as many
REMEMBERED_DAYS = 7  # how long the record of an upload that came to nothing says why


def part_size(size: int) -> int:
    """The bytes of each part but the last of a multipart upload of `size` bytes: a whole number of MiB.

    As many as make USUAL_PARTS, within DEFAULT_PART_BYTES and USUAL_PART_BYTES: few requests, and little to send again.
    More only where 10,000 parts would not hold the file.
    """
    usual = min(_mebibytes(size, USUAL_PARTS), USUAL_PART_BYTES)
    return max(DEFAULT_PART_BYTES, usual, _mebibytes(size, MAX_PARTS))


def _mebibytes(size: int, parts: int) -> int:
    """The least whole number of MiB, in bytes, of which `parts` hold `size` bytes."""
    return -(-size // (parts * MIB)) * MIB


def part_count(size: int, part_size: int) -> int:
    """How many parts hold `size` bytes: an empty file has one, empty."""
    return max(1, -(-size // part_size))
