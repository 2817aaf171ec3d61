"""`python -m tests.sam.artifacts`: whether Lambda can run what `sam build` made; a line for each fault."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

BUILD = Path(__file__).parents[2] / ".aws-sam" / "build"

# A function and its layers together may have 250 MB unzipped: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
# Ours is far below, and a dependency that changes this should be noticed while it is small.
BUDGET_BYTES = 100 * 10**6

EXPECTED = [
    "ApiFunction/functions/api/app.py",
    "HasherFunction/functions/hasher/app.py",
    "StreamFunction/functions/stream/app.py",
    "CoreLayer/python/sluice/settings.py",
    "CoreLayer/python/boto3/__init__.py",
    "HasherLayer/python/awscrt/checksums.py",
    "StreamingRuntimeLayer/python/streaming_runtime/__main__.py",
    "StreamingRuntimeLayer/streaming-bootstrap",
]


def faults(build: Path) -> Iterator[str]:
    """What is wrong with the artifacts in `build`, a line each."""
    yield from (f"missing: {path}" for path in EXPECTED if not (build / path).is_file())
    if not os.access(build / "StreamingRuntimeLayer/streaming-bootstrap", os.X_OK):
        yield "streaming-bootstrap is not executable"
    yield from (f"bytecode: {path.relative_to(build)}" for path in build.rglob("__pycache__"))
    # Lambda's interpreter loads what is built for it alone: no other version, no other machine.
    machine = {"x86_64": "x86_64", "arm64": "aarch64"}[os.environ.get("ARCH", "x86_64")]
    for library in build.glob("*Layer/python/**/*.so"):
        if f"cpython-313-{machine}-linux-gnu" not in library.name and "abi3" not in library.name:
            yield f"not for python3.13 on {machine}: {library.relative_to(build)}"
    largest = max(map(_bytes, build.glob("*Function"))) + sum(map(_bytes, build.glob("*Layer")))
    if largest > BUDGET_BYTES:
        yield f"a function with all layers has {largest / 1e6:.0f} MB; {BUDGET_BYTES / 1e6:.0f} MB are allowed here"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    found = list(faults(BUILD))
    for fault in found:
        print(f"build: {fault}", file=sys.stderr)
    if found:
        raise SystemExit(1)
    for folder in sorted(BUILD.glob("*/")):
        print(f"{folder.name:24} {_bytes(folder) / 1e6:6.1f} MB")


if __name__ == "__main__":
    main()
