"""Presigned part URLs against botocore's: how many a second, and what a thousand of them weigh. No request is made."""

import hashlib
import hmac
import json
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.carriers import versions
from bench.report import cell, number, processor, table
from sluice.signing import URL_SECONDS, Signer

LEAST_RATIO = 4.0
ROUNDS = 7
SECONDS = 1.0  # of one way in one round
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.2
BUCKET, KEY, UPLOAD, SIZE = "bench", "files/default/01m7z2a3z8163h38qzq6y7y8bz", "u" * 128, 8 * 1024 * 1024
PARTS = 1_000  # in one answer
OURS, BOTOCORE, FLOOR = "ours", "botocore `generate_presigned_url`", "floor: its sha-256 and HMAC alone"
# A user's keys have no token; a Lambda function's has about a thousand characters, + and / among them.
TOKENS = {"without a session token": None, "with a session token of 1,000": "IQoJb3JpZ2luX2VjEA+/" * 50}


def bench(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Measure, and print the tables. `cpus` is the runtime bench's alone."""
    del cpus
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        for title, token in TOKENS.items():
            for name, sign in ways(token).items():
                samples[title][name].append(rate(sign, seconds))
    print(f"{processor()}. Python {platform.python_version()}, {versions('boto3')}.\n")
    print(tables(samples))
    print(f"\n{PARTS} part URLs with the longer token: {number(answer_bytes() / 1e6, 2)} MB of JSON.")
    if json_path is not None:
        json_path.write_text(json.dumps(samples, indent=1) + "\n")


def ways(token: str | None) -> dict[str, Callable[[], object]]:
    client = connect(token)
    signer = Signer(client, BUCKET)
    params = {"Bucket": BUCKET, "Key": KEY, "UploadId": UPLOAD, "PartNumber": 7, "ContentLength": SIZE}
    request = signer.sign("PUT", KEY, {}).url.encode()
    return {
        OURS: lambda: part(signer, 7),
        BOTOCORE: lambda: client.generate_presigned_url("upload_part", Params=params, ExpiresIn=URL_SECONDS),
        FLOOR: lambda: hmac.digest(b"k" * 32, hashlib.sha256(request).digest(), "sha256"),
    }


def connect(token: str | None) -> Any:
    return boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        aws_session_token=token,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )


def part(signer: Signer, which: int) -> str:
    return signer.sign("PUT", KEY, {"uploadId": UPLOAD, "partNumber": str(which)}, {"content-length": str(SIZE)}).url


def rate(sign: Callable[[], object], seconds: float) -> float:
    """Calls a second."""
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        sign()
        done += 1
    return done / passed


def answer_bytes() -> int:
    signer = Signer(connect(list(TOKENS.values())[-1]), BUCKET)
    return len(json.dumps([part(signer, which) for which in range(1, PARTS + 1)]))


def tables(samples: dict[str, dict[str, list[float]]]) -> str:
    rows = []
    for title, of in samples.items():
        ratio = statistics.median(of[OURS]) / statistics.median(of[BOTOCORE])
        met = "yes" if ratio >= LEAST_RATIO else "**no**"
        rows.append([title, *(cell(of[name], 0) for name in (OURS, BOTOCORE, FLOOR)), f"{number(ratio, 1)} {met}"])
    return table(
        [
            "URLs a second, median (min to max)",
            *(OURS, BOTOCORE, FLOOR),
            f"ours / botocore, at least {number(LEAST_RATIO, 0)}",
        ],
        rows,
    )
