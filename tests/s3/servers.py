"""S3 servers that check signatures, each a real process on loopback for as long as a block takes.

moto checks none. Of these none keeps every promise of S3; `promises` says which one lacks what.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import boto3
import pytest
from botocore.exceptions import ClientError

from sluice.objects import Objects
from tests.integration.world import BUCKET, KEYS, REGION, environment

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-s3" / "bin"
TOOLS = ROOT / ".tools"

KEY, SECRET = KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"]
TOKEN = "IQoJb3JpZ2luX2VjE/+tests=="  # what comes with the keys of a role

START_SECONDS = 30
STOP_SECONDS = 10
POLL_SECONDS = 0.02
LOG_CHARACTERS = 4000  # of a server's log that a failed test shows


class NotHere(Exception):
    """This machine lacks the server; the message says how to get it."""


@dataclass(frozen=True)
class Start:
    """How to start a server that listens on a port and keeps everything below a folder."""

    command: list[str | Path]
    environ: dict[str, str]
    token: str | None = TOKEN  # of the keys that it knows


@dataclass(frozen=True)
class Server:
    """A running server with an empty bucket, versioned where it knows versions."""

    name: str
    url: str
    log: Path
    token: str | None

    def objects(self, secret: str = SECRET) -> Objects:
        """The bucket as a function with a role would connect to it."""
        keys = {"AWS_SECRET_ACCESS_KEY": secret} | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})
        with environment(self.url, BUCKET_NAME=BUCKET, **keys), pytest.MonkeyPatch.context() as patch:
            patch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the keys that it found first
            return Objects.connect()

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_CHARACTERS:]


def ministack(folder: Path, port: int) -> Start:
    environ = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",  # else it believes any Authorization header, and checks presigned URLs only
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "MINISTACK_REGION": REGION,
        # It would listen on fixed ports and look for containers.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder / 'none'}",
    }
    return Start([program("ministack")], environ)


def rclone(folder: Path, port: int) -> Start:
    options = ["--config", os.devnull, "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    return Start([program("rclone"), "serve", "s3", *options, made(folder, "objects")], {})


def versitygw(folder: Path, port: int) -> Start:
    options = ["--port", f"127.0.0.1:{port}", "--access", KEY, "--secret", SECRET, "--region", REGION]
    # Without a sidecar it needs a file system with extended attributes.
    kept: list[str | Path] = ["--sidecar", made(folder, "metadata"), "--versioning-dir", made(folder, "versions")]
    return Start([program("versitygw"), *options, "posix", *kept, made(folder, "objects")], {}, token=None)


def moto(folder: Path, port: int) -> Start:
    keys = [KEY, SECRET, TOKEN]
    return Start(
        [program("moto"), "-m", "tests.s3.moto", str(port), folder, *keys], {"PYTHONPATH": os.pathsep.join(sys.path)}
    )


SERVERS: dict[str, Callable[[Path, int], Start]] = {
    "ministack": ministack,
    "moto": moto,
    "rclone": rclone,
    "versitygw": versitygw,
}
NEEDS_GO = {"versitygw"}


def program(name: str) -> Path:
    """Where make has put the server, or what runs it. Raises NotHere."""
    if name == "moto":
        return Path(sys.executable)
    found = sorted(TOOLS.glob(f"{name}-*/bin/{name}")) if name in NEEDS_GO else [ENVIRONMENT / name]
    if not found or not found[-1].exists():
        way = "builds it where Go is" if name in NEEDS_GO else "installs it"
        raise NotHere(f"{name} is left out: `make test-s3` {way}")
    return found[-1]


def made(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Server]:
    """The server with its bucket; `folder` is empty and its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = SERVERS[name](folder, port)
    log = folder / "log"
    # TMPDIR, HOME: some of them write files there, and none shall read its configuration from there.
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "HOME": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            start.command, env=environ | start.environ, stdout=output, stderr=subprocess.STDOUT, cwd=folder
        )
    server = Server(name, f"http://127.0.0.1:{port}", log, start.token)
    try:
        listening(process, server, port)
        make_bucket(server.objects())
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listening(process: subprocess.Popen[bytes], server: Server, port: int) -> None:
    """Wait until the process listens."""
    late = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"{server.name} has ended: {server.said()}"
        assert time.monotonic() < late, f"{server.name} does not listen: {server.said()}"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            Event().wait(POLL_SECONDS)
        else:
            return


def make_bucket(objects: Objects) -> None:
    client = objects._client
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    try:
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotImplemented":
            raise
