"""`sluice put -r` against `aws s3 cp --recursive` and `rclone copy`: the same folders onto the same local S3 server.

The rivals store bytes under names, and that is all; what the command sends is hashed and verified, and has records. So
its seconds hold three functions and a table besides, on the same CPUs. The tools take turns in one run.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from bench.environment import BenchError
from bench.report import number, processor, table

ROOT = Path(__file__).parent.parent
SMALL, SMALL_BYTES = 1_000, 1_000
LARGE, LARGE_BYTES = 10, 64_000_000
QUICK_SMALL, QUICK_LARGE = 100, 2
ROUNDS = 3
BUCKET, REGION = "rivals", "eu-west-1"
MISSING = "is not on the PATH: `pip install awscli` and Debian's `rclone` bring them"

Command = Callable[[Path, str], list[str]]


def bench(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Measure, and print the table. `cpus` is the runtime bench's alone."""
    del cpus
    small, large = (QUICK_SMALL, QUICK_LARGE) if quick else (SMALL, LARGE)
    commands = _commands()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, _stack() as stack:
        trees = {
            f"{small:,} files of {SMALL_BYTES // 1000} KB": _tree(Path(folder) / "small", small, SMALL_BYTES),
            f"{large} files of {LARGE_BYTES // 1_000_000} MB": _tree(Path(folder) / "large", large, LARGE_BYTES),
        }
        samples = _measured(commands, trees, stack, 1 if quick else ROUNDS, Path(folder))
    print(f"{processor()}. Median of {1 if quick else ROUNDS}; the stack and the tools share the CPUs.\n")
    print(table(["tool", *(f"{name}, s" for name in trees)], [[tool, *map(_median, each)] for tool, each in samples]))
    if json_path is not None:
        json_path.write_text(json.dumps(samples, indent=1) + "\n")


def _commands() -> dict[str, Command]:
    """The tools that are here. What is missing is said."""
    sluice = [sys.executable, "-m", "sluice_client", "put", "-q", "--again", "-r"]
    found: dict[str, Command] = {"sluice put -r": lambda tree, _: [*sluice, str(tree)]}
    if aws := shutil.which("aws"):
        found["aws s3 cp --recursive"] = lambda tree, prefix: [
            *(aws, "s3", "cp", "--recursive", "--only-show-errors"),
            *(str(tree), f"s3://{BUCKET}/{prefix}/"),
        ]
    if rclone := shutil.which("rclone"):
        found["rclone copy"] = lambda tree, prefix: [rclone, "copy", str(tree), f"rival:{BUCKET}/{prefix}"]
    for name in ("aws", "rclone"):
        if not shutil.which(name):
            print(f"bench: {name} {MISSING}", file=sys.stderr)
    return found


def _measured(
    commands: dict[str, Command], trees: dict[str, Path], stack: dict[str, str], rounds: int, folder: Path
) -> list[tuple[str, list[list[float]]]]:
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}
    variables = (
        os.environ
        | keys
        | {
            "AWS_ENDPOINT_URL": stack["aws"],
            "SLUICE_API": stack["api"],
            "SLUICE_TOKEN": stack["token"],
            "PYTHONPATH": str(ROOT / "client"),
            "XDG_STATE_HOME": str(folder / "state"),
            "NO_PROXY": "127.0.0.1",
            "RCLONE_CONFIG_RIVAL_TYPE": "s3",
            "RCLONE_CONFIG_RIVAL_PROVIDER": "Other",
            "RCLONE_CONFIG_RIVAL_ENDPOINT": stack["aws"],
            "RCLONE_CONFIG_RIVAL_REGION": REGION,
            "RCLONE_CONFIG_RIVAL_ENV_AUTH": "true",
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
        }
    )
    s3: Any = boto3.client(
        "s3",
        endpoint_url=stack["aws"],
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    # So that the first round waits for no start of a function.
    warm = [sys.executable, "-m", "sluice_client", "put", "-q", "--again", "-r", str(ROOT / "client")]
    subprocess.run(warm, env=variables, capture_output=True, check=False)
    seconds: dict[str, list[list[float]]] = {tool: [[] for _ in trees] for tool in commands}
    for round_ in range(rounds):
        for place, tree in enumerate(trees.values()):
            for tool, command in commands.items():
                print(f"round {round_ + 1}: {tool} {tree.name}", file=sys.stderr)
                begun = time.perf_counter()
                done = subprocess.run(
                    command(tree, f"{round_}-{tree.name}-{tool.split()[0]}"),
                    env=variables,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                seconds[tool][place].append(time.perf_counter() - begun)
                if done.returncode:
                    raise BenchError(f"{tool}: {done.stderr[-2000:]}")
    return list(seconds.items())


def _tree(folder: Path, count: int, size: int) -> Path:
    for each in range(count):
        path = folder / f"{each // 100:02}" / f"{each:04}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return folder


@contextmanager
def _stack() -> Iterator[dict[str, str]]:
    """What the ready line of a stack of its own says."""
    ports = [f"--{door}-port=0" for door in ("api", "stream", "aws")]
    with subprocess.Popen(
        [sys.executable, "-m", "local.up", "--parent", str(os.getpid()), *ports],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            word, _, said = (process.stdout.readline() if process.stdout else "").partition(" ")
            if word != "ready":
                raise BenchError("the local stack did not start; `make up` says why")
            ready: dict[str, str] = json.loads(said)
            yield ready
        finally:
            process.terminate()


def _median(samples: list[float]) -> str:
    return number(statistics.median(samples), 1)
