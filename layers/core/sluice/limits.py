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

# A Lambda-signed URL is about 1.3 KB and a buffered Lambda response at most 6 MB,
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 1,000 leave room for longer credentials.
MAX_PARTS_PER_ANSWER = 1_000

# Our own choices.
DEFAULT_PART_BYTES = 8 * MIB  # what the AWS SDKs and CLI use: little is sent again, 80 GB still fit into 10,000 parts
MAX_SINGLE_PUT_BYTES = DEFAULT_PART_BYTES  # a file of one part needs no multipart upload
MAX_FILENAME_CHARACTERS = 255  # what common file systems take
MAX_FINGERPRINT_BYTES = 1_024  # a DynamoDB sort key, which it is in the index of unfinished uploads
MAX_CONTENT_TYPE_CHARACTERS = 255  # RFC 6838, section 4.2: two names of at most 127 characters
UNFINISHED_DAYS = 7  # the template's lifecycle rule aborts unfinished uploads after as many


def part_size(size: int) -> int:
    """The bytes of each part but the last of a multipart upload of `size` bytes.

    The default, until 10,000 such parts no longer hold the file; then the least whole number of MiB that does.
    """
    least = -(-size // MAX_PARTS)
    return max(DEFAULT_PART_BYTES, -(-least // MIB) * MIB)


def part_count(size: int, part_size: int) -> int:
    """How many parts hold `size` bytes: an empty file has one, empty."""
    return max(1, -(-size // part_size))
