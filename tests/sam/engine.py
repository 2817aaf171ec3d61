"""A Docker engine: the one that runs here, or one of our own for as long as it is needed."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 30
POLL_SECONDS = 0.2
# Debian has dockerd in a folder that a plain user's PATH leaves out.
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class NotHere(Exception):
    """This machine lacks what is needed; the message says what, and how to get it."""


class Engine:
    """A running Docker engine, spoken to by its command line client."""

    def __init__(self, host: str | None) -> None:
        self.environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}

    def __call__(self, *arguments: str) -> str:
        """The standard output of `docker ...`. Raises CalledProcessError, its reason on stderr."""
        return subprocess.run(
            ["docker", *arguments], env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    def succeeds(self, *arguments: str, seconds: float | None = None) -> bool:
        try:
            done = subprocess.run(
                ["docker", *arguments], check=False, env=self.environment, capture_output=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine that the Docker client finds; where none answers and we may, one of our own. Raises NotHere."""
    if not shutil.which("docker"):
        raise NotHere("there is no `docker` command; on Debian as root: apt-get install docker.io debootstrap")
    found = Engine(None)
    if found.succeeds("info", seconds=START_SECONDS):
        yield found
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")
    if not dockerd or os.geteuid() != 0:
        raise NotHere("no Docker engine answers, and starting one takes root and `dockerd`; start Docker")
    # The engine's sockets need a short path, and its layers a file system that overlayfs can lie on: /var/tmp is both.
    folder = Path(tempfile.mkdtemp(prefix="sluice-docker-", dir="/var/tmp"))
    try:
        with _started(dockerd, folder) as own:
            yield own
    finally:
        shutil.rmtree(folder)


@contextmanager
def _started(dockerd: str, folder: Path) -> Iterator[Engine]:
    host = f"unix://{folder}/docker.sock"
    log = folder / "dockerd.log"
    command = [
        dockerd,
        *(
            "--host",
            host,
            "--data-root",
            f"{folder}/data",
            "--exec-root",
            f"{folder}/exec",
            "--pidfile",
            f"{folder}/pid",
        ),
        # The functions need this machine and nothing beyond it, so no packet filter is touched.
        *("--iptables=false", "--ip6tables=false"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    own = Engine(host)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not own.succeeds("info"):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text().splitlines()[-10:])
                raise NotHere(f"dockerd does not come up on this machine:\n{tail}")
            time.sleep(POLL_SECONDS)
        yield own
    finally:
        process.terminate()  # it ends its containers, and containerd, which it has started itself
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
