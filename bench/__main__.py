"""`python -m bench`: all benches, or the one that is named."""

import argparse
import sys
from pathlib import Path

from bench import archives, command, hashing, presign, runtime, small_files, starts, stream
from bench.environment import BenchError

BENCHES = {
    "runtime": runtime.bench,
    "hashing": hashing.bench,
    "presign": presign.bench,
    "small-files": small_files.bench,
    "feed": stream.feed,
    "exports": stream.exports,
    "command": command.bench,
    "archives": archives.bench,
    "starts": starts.bench,
}

HELP = """\
Measures what Sluice claims about its speed, always as ratios in one run: machines differ, and are noisy.
Tables (Markdown) go to stdout, progress to stderr. Linux, and two CPUs at least.

  runtime   layers/streaming_runtime against the Lambda Web Adapter with uvicorn, against Mangum, and against the floor,
            a bare socket: the same FastAPI app behind the same Runtime API on loopback. Three to six minutes.
  hashing   layers/core/sluice's reader and digests against boto3, smart_open, Powertools, curl, a server in Go and the
            bare hash: 2 GiB from nginx on loopback. With what a terabyte costs on Lambda. Seven minutes.
  presign   layers/core/sluice/signing.py against botocore's generate_presigned_url: the same URLs. Half a minute.
  small-files  files of 100 KB that S3 has compared with their SHA-256, against those that the hasher reads. A minute.
  feed      the stream function with up to 200 watchers of the feed in one environment. Two minutes.
  exports   100,000 records as JSON Lines, CSV and for sha256sum, against a plain generator. Ten minutes.
  command   `sluice put -r` against `aws s3 cp --recursive` and `rclone copy` onto the same local S3. Ten minutes.
  archives  an archive of 1,000 files that is streamed, against zipstream-ng and stream-zip. Seven minutes.
  starts    the start of the API and of the stream function, and what a snapshot leaves out of it. A minute.

A carrier or a rival that is missing is left out, and the output says what to do about it.
"""

ENVIRONMENT = """\
environment:
  BENCH_LWA   path of a `lambda-adapter` binary, instead of the one that `make bench` builds in .tools/

bench/README.md says how to read the tables. Leave the machine alone meanwhile.
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=HELP,
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bench", nargs="?", choices=BENCHES, help="which (all)")
    parser.add_argument("--quick", action="store_true", help="a minute: enough to see that it works, not to quote")
    parser.add_argument(
        "--cpus", type=int, choices=(1, 2), default=1, help="CPUs of an environment (1, a function of up to 1,769 MB)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE as well")
    options = parser.parse_args()
    try:
        for name in [options.bench] if options.bench else BENCHES:
            BENCHES[name](quick=options.quick, cpus=options.cpus, json_path=options.json)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
