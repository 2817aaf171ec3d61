"""What hashing a terabyte and watching a file cost, modelled: prices, assumptions, and what was measured here."""

import math
from typing import NamedTuple

from bench.report import table

# USD in us-east-1, beyond the free tiers and below every discount, as price lists of 2024 to 2026 have them.
LAMBDA_GB_SECOND = {"arm64": 0.0000133334, "x86_64": 0.0000166667}  # https://aws.amazon.com/lambda/pricing/
LAMBDA_REQUEST = 0.20 / 1e6
S3_GET = 0.0004 / 1e3  # https://aws.amazon.com/s3/pricing/, standard storage; traffic within the region is free
S3_LIST = 0.005 / 1e3
DYNAMODB_WRITE_UNIT = 0.625 / 1e6  # https://aws.amazon.com/dynamodb/pricing/on-demand/, 1 KB of an item
DYNAMODB_READ_UNIT = 0.125 / 1e6  # 4 KB of an item, read consistently
S3_PUT = 0.005 / 1e3
HTTP_API_REQUEST = 1.00 / 1e6  # https://aws.amazon.com/api-gateway/pricing/
AUDIT_LINE = 500 * 0.50 / 1e9  # bytes of a line, https://aws.amazon.com/cloudwatch/pricing/
SQS_REQUEST = 0.40 / 1e6  # https://aws.amazon.com/sqs/pricing/, standard queue

TERABYTE = 1e12
# MB of a function with one vCPU, https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
VCPU_MB = 1769
# Seconds of an invocation that hash: the 15 minutes less the margin for a checkpoint and the next message.
SLICE_SECONDS = 60
PART_BYTES = 8 * 1024 * 1024
CHECKPOINT_SECONDS = 1
# A record with the states of three digests has between 1 and 2 KB.
CHECKPOINT_WRITE_UNITS = 2
# Received, deleted, and sent by the invocation before; empty receives of an idle queue are the same whatever is hashed.
SQS_REQUESTS_A_SLICE = 3


class Network(NamedTuple):
    """What S3 to Lambda is assumed to carry, and the memory that is paid for it."""

    mb_per_s: float
    memory_mb: int
    why: str


NETWORKS = (
    Network(75, 512, "the usual network of a function, the template's least memory"),
    Network(75, 1769, "the same, one vCPU"),
    Network(75, 3008, "the same, the template's memory"),
    Network(150, 3008, "twice that"),
    Network(375, 10240, "the most, which needs the most memory"),
)


class Bill(NamedTuple):
    """One terabyte; USD."""

    mb_per_s: float
    seconds: float
    slices: int
    gb_seconds: float
    gets: float
    writes: float
    requests: float

    def compute(self, architecture: str) -> float:
        return self.gb_seconds * LAMBDA_GB_SECOND[architecture]

    def total(self, architecture: str) -> float:
        return self.compute(architecture) + self.gets + self.writes + self.requests


def bill(mb_per_s: float, memory_mb: int) -> Bill:
    seconds = TERABYTE / 1e6 / mb_per_s
    slices = math.ceil(seconds / SLICE_SECONDS)
    return Bill(
        mb_per_s,
        seconds,
        slices,
        gb_seconds=seconds * memory_mb / 1024,
        gets=TERABYTE / PART_BYTES * S3_GET,
        writes=seconds / CHECKPOINT_SECONDS * CHECKPOINT_WRITE_UNITS * DYNAMODB_WRITE_UNIT,
        requests=slices * (LAMBDA_REQUEST + SQS_REQUESTS_A_SLICE * SQS_REQUEST),
    )


def tables(cpu_s_per_gb: float, slowest_cpu_s_per_gb: float, mb_per_s: float) -> str:
    """The bill at assumed network rates, and at the measured rate; both digests, ranges over TLS.

    `slowest_cpu_s_per_gb` is the slowest digest's alone, which no second vCPU makes faster.
    """
    rows = [
        _row(
            f"{network.mb_per_s:,.0f} MB/s: {network.why}",
            network.memory_mb,
            min(network.mb_per_s, network.memory_mb / VCPU_MB * 1e3 / cpu_s_per_gb, 1e3 / slowest_cpu_s_per_gb),
        )
        for network in NETWORKS
    ]
    rows.append(_row("the rate measured here, beside nginx on the same CPUs: two vCPUs", 2 * VCPU_MB, mb_per_s))
    head = ["network", "memory, MB", "MB/s", "hours", "slices", "GB-s", "GB-s, arm64", "GB-s, x86_64", "GETs", "writes"]
    head += ["messages", "total, arm64", "total, x86_64"]
    return "\n\n".join((_assumptions(cpu_s_per_gb), table(head, rows)))


STREAM_MB = 1024  # of the stream function in the template
STREAM_SECONDS = 60  # after which a stream of events ends: functions/stream/routes/events.py


class Watching(NamedTuple):
    """What one watcher makes the stream function ask for: reads of a record and lists of 1,000 parts, each second."""

    what: str
    reads: float
    lists: float

    def a_minute(self) -> tuple[float, float, float]:
        """Lambda on x86_64 (its request included), DynamoDB, S3; USD."""
        function = 60 * STREAM_MB / 1024 * LAMBDA_GB_SECOND["x86_64"] + 60 / STREAM_SECONDS * LAMBDA_REQUEST
        return function, 60 * self.reads * DYNAMODB_READ_UNIT, 60 * self.lists * S3_LIST


# The pause between two reads grows from 0.1 s by half each time to 1 s: at a change each second five reads fit in.
WATCHING = (
    Watching("nothing changes", 1, 0),
    Watching("hashing, with a checkpoint each second", 5, 0),
    Watching("uploading up to 1,000 parts, and none arrives", 1, 1),
    Watching("uploading, parts arrive", 2, 2),
)


def watching() -> str:
    """The bill of one watcher, a minute and an hour."""
    rows = []
    for one in WATCHING:
        each = one.a_minute()
        usd = [*(f"{price:.6f}" for price in each), f"**{sum(each):.5f}**", f"**{60 * sum(each):.3f}**"]
        rows.append([one.what, f"{one.reads:g}", f"{one.lists:g}", *usd])
    head = ["while", "reads/s", "lists/s", "Lambda, a minute", "DynamoDB", "S3", "total, a minute", "total, an hour"]
    return table(head, rows)


ACCOUNT_STREAMS = 1_000  # environments that an account may run at once, unless AWS has raised its quota
STREAMS_PER_LINK, LANES = 16, 10  # StreamsPerLink of the template; layers/core/sluice/open_streams.py
RENEWALS_AN_HOUR = 3_600 / 25  # of a lease: the same module
STREAM_HOUR = STREAM_MB / 1024 * LAMBDA_GB_SECOND["x86_64"] * 3_600
API_REQUESTS_A_SECOND = 500  # ApiRequestsPerSecond of the template
API_SECONDS = 0.05  # of the API function, 1,024 MB, for one request: estimated
API_HOUR = 3_600 * API_REQUESTS_A_SECOND
API_CALL = HTTP_API_REQUEST + LAMBDA_REQUEST + API_SECONDS * LAMBDA_GB_SECOND["x86_64"] + AUDIT_LINE
PASSWORD_SECONDS = 0.45  # of the API function
TOLD_UNITS = 3  # write units of what a download tells the feed each second
NEW_FILE_UNITS, DROPPED_FILE_UNITS = 3, 7
ARCHIVE_GETS = 100  # a second, of an archive of tiny files: estimated
EXPORTED = 100_000 / 29  # records a second, each a read unit where there is a filter
REFUSALS = 50  # a second, by each environment: 20 ms each, estimated


class Holder(NamedTuple):
    """The worst that the holder of a link can do in an hour: USD of an open stream, and of requests to the API."""

    link: str
    does: str
    stream: float  # an hour of one, besides Lambda
    lanes: int = 1
    requests: float = 0

    def before(self) -> float:
        """As many streams as the account may run."""
        return ACCOUNT_STREAMS * (STREAM_HOUR + self.stream) * bool(self.lanes) + self.requests

    def after(self) -> float:
        """As many as the link may have, each with its lease."""
        lease = RENEWALS_AN_HOUR * DYNAMODB_WRITE_UNIT
        return STREAMS_PER_LINK * self.lanes * (STREAM_HOUR + self.stream + lease) + self.requests


_LOOKS = 3_600 * (2 * DYNAMODB_READ_UNIT + 2 * S3_LIST)
_TOLD = 3_600 * TOLD_UNITS * DYNAMODB_WRITE_UNIT
_GETS = 3_600 * ARCHIVE_GETS * S3_GET
_CREATING = API_CALL + S3_PUT
HOLDERS = (
    Holder("content", "reads slowly", _TOLD),
    Holder("events", "watches an upload whose parts arrive", _LOOKS),
    Holder("feed", "watches while 100 files a second change", 60 * (2_800 + 6_000) * DYNAMODB_READ_UNIT),
    Holder("export", "reads all files again and again, with a filter", 3_600 * EXPORTED * DYNAMODB_READ_UNIT),
    Holder("archive", "reads one of tiny files again and again", _TOLD + _GETS),
    Holder(
        "share",
        "reads its archive by many openings, and opens it with its password",
        _TOLD + _GETS,
        LANES,
        API_HOUR * (API_CALL + (PASSWORD_SECONDS - API_SECONDS) * LAMBDA_GB_SECOND["x86_64"]),
    ),
    Holder(
        "drop",
        "begins uploads and watches them",
        _LOOKS,
        LANES,
        API_HOUR * (_CREATING + DROPPED_FILE_UNITS * DYNAMODB_WRITE_UNIT),
    ),
    Holder(
        "capability to upload",
        "the same",
        _LOOKS,
        LANES,
        API_HOUR * (_CREATING + NEW_FILE_UNITS * DYNAMODB_WRITE_UNIT),
    ),
    Holder(
        "Companion",
        "begins uploads",
        0,
        0,
        API_HOUR * (_CREATING + DROPPED_FILE_UNITS * DYNAMODB_WRITE_UNIT),
    ),
)


def worst() -> str:
    """What the worst holder of one link can cost in an hour, besides traffic and storage."""
    rows = [
        [
            *(one.link, one.does, f"{one.stream:.3f}", f"{STREAMS_PER_LINK * one.lanes}"),
            *(f"{one.requests:.1f}", f"{one.before():,.0f}", f"**{one.after():,.1f}**"),
        ]
        for one in HOLDERS
    ]
    head = ["link", "its holder", "a stream, besides Lambda", "streams", "requests", "before", "now"]
    return table(head, rows)


def flood() -> float:
    """An hour of requests to the stream host that are refused, by every environment that the account may run."""
    refusals = ACCOUNT_STREAMS * REFUSALS * 3_600
    return ACCOUNT_STREAMS * STREAM_HOUR + refusals * (LAMBDA_REQUEST + AUDIT_LINE)


def _row(title: str, memory_mb: int, mb_per_s: float) -> list[str]:
    one = bill(mb_per_s, memory_mb)
    usd = [one.compute("arm64"), one.compute("x86_64"), one.gets, one.writes]
    return [
        title,
        f"{memory_mb:,}",
        f"{one.mb_per_s:,.0f}",
        f"{one.seconds / 3600:.1f}",
        f"{one.slices}",
        f"{one.gb_seconds:,.0f}",
        *(f"{price:.3f}" for price in usd),
        f"{one.requests:.5f}",
        *(f"**{one.total(architecture):.2f}**" for architecture in LAMBDA_GB_SECOND),
    ]


def _assumptions(cpu_s_per_gb: float) -> str:
    arm64, x86_64 = (f"{price:.10f}" for price in LAMBDA_GB_SECOND.values())
    return f"""\
USD for one object of 10^12 bytes, sha-256 and md5. Assumed:

- us-east-1, as price lists of 2024 to 2026 have them, without free tiers: Lambda {arm64} (arm64) and {x86_64} \
(x86_64) a GB-second
  and {LAMBDA_REQUEST * 1e6:.2f} a million requests, S3 {S3_GET * 1e6:.2f} a million GETs, DynamoDB \
{DYNAMODB_WRITE_UNIT * 1e6:.3f} a million write units, SQS {SQS_REQUEST * 1e6:.2f} a million requests.
- Lambda's network, which AWS does not publish: about 75 MB/s, up to 375 MB/s with 10 GB of memory.
- {VCPU_MB:,} MB are one vCPU, as fast as a CPU here: {cpu_s_per_gb:.2f} CPU s per GB, TLS included. With less CPU than
  the network needs, a function hashes as fast as its CPU can.
- Ranges of {PART_BYTES // 1024**2} MiB. With one connection there is one GET a slice instead, and that column is 0.
- A checkpoint every {CHECKPOINT_SECONDS} s, of {CHECKPOINT_WRITE_UNITS} write units; slices of {SLICE_SECONDS} s, \
with {SQS_REQUESTS_A_SLICE} SQS requests each.
- Not in it: storing the object, the upload's requests, logs and traces, and the empty receives of an idle queue
  (Lambda's pollers make some hundred thousand a month, within SQS's free million)."""
