"""`python -m tests.sam.engine COMMAND...`: runs a command where a Docker engine answers.

An engine that answers is taken as it is. Where none does, root on a Debian gets one of its own, together with the
command in namespaces of their own: processes, mounts, network. Their first process is ours, and with it the kernel ends
all of them: dockerd, containerd, containers, mounts, bridges, whoever is killed and however. The command has all ports
to itself, and reaches nothing outside. What stays on the disk after a SIGKILL is removed by the next run.
"""

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sam.image import NotHere, stand_in

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".aws-sam"
# Why there is no engine, for the command that runs without one.
MISSING = "SLUICE_NO_ENGINE"

START_SECONDS = 60
STOP_SECONDS = 30
POLL_SECONDS = 0.2
# Debian has dockerd in a folder that a plain user's PATH leaves out.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
# The engine's sockets need a short path, and its layers a file system that overlayfs can lie on: /var/tmp is both.
FOLDERS, PREFIX = Path("/var/tmp"), "sluice-docker-"
CGROUPS = Path("/sys/fs/cgroup")


class Engine:
    """A running Docker engine, spoken to by its command line client."""

    def __init__(self, host: str | None = None) -> None:
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
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def answers(self) -> bool:
        return self.succeeds("info", seconds=START_SECONDS)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    match sys.argv[1:]:
        case ["--within", folder, *command]:
            return _within(Path(folder), command)
        case ["--own", *command]:
            return _in_an_engine_of_our_own(command)
        case command if Engine().answers():
            return subprocess.run(command, check=False).returncode
        case command if reason := _lacking():
            return _without(reason, command)
        case command:
            return _in_an_engine_of_our_own(command)


def _lacking() -> str | None:
    """What this machine lacks to start an engine."""
    if not shutil.which("docker"):
        return "there is no `docker` command; on Debian as root: apt-get install docker.io debootstrap"
    if os.geteuid() != 0 or not shutil.which("dockerd", path=PATH):
        return "no Docker engine answers, and starting one takes root and `dockerd`; start Docker"
    lacking = [name for name in ("unshare", "setpriv") if not shutil.which(name)]
    return f"no Docker engine answers, and starting one takes util-linux: {', '.join(lacking)}" if lacking else None


def _in_an_engine_of_our_own(command: list[str]) -> int:
    try:
        stand_in(CACHE)  # while there is a network to make it from
    except NotHere as missing:
        return _without(str(missing), command)
    remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=FOLDERS))
    try:
        with _locked(folder):
            # We end it, whether by a return, a signal or our death; with it ends `unshare`'s child, and all within.
            bound = ["setpriv", "--pdeathsig", "KILL"]
            apart = ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--mount", "--net"]
            within = [sys.executable, "-m", "tests.sam.engine", "--within", str(folder), *command]
            process = subprocess.Popen([*bound, *apart, *within])
            try:
                return process.wait()
            finally:
                process.kill()
                process.wait()
    finally:
        _remove(folder)


def _within(folder: Path, command: list[str]) -> int:
    """Start the engine and run the command: the first process of the namespaces."""
    _raise_loopback()
    try:
        with _started(folder) as engine:
            return subprocess.run(command, check=False, env=engine.environment).returncode
    except NotHere as missing:
        return _without(str(missing), command)


def _without(reason: str, command: list[str]) -> int:
    return subprocess.run(command, check=False, env={**os.environ, MISSING: reason}).returncode


def _raise_loopback() -> None:
    """What `ip link set lo up` does, which not every machine has."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP of <net/if.h>
    with socket.socket() as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(any_socket, get_flags, request), 16)
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", b"lo", flags | up))


@contextmanager
def _started(folder: Path) -> Iterator[Engine]:
    dockerd = shutil.which("dockerd", path=PATH)
    assert dockerd
    host = f"unix://{folder}/docker.sock"
    command = [dockerd, "--host", host, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
    command += ["--pidfile", f"{folder}/pid", "--cgroup-parent", f"/{folder.name}"]
    # Containers reach the command and nothing beyond it: there is nothing to filter.
    command += ["--iptables=false", "--ip6tables=false"]
    log = folder / "dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    own = Engine(host)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not own.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text().splitlines()[-10:])
                raise NotHere(f"dockerd does not come up on this machine:\n{tail}")
            time.sleep(POLL_SECONDS)
        yield own
    finally:
        process.terminate()  # so that it ends its containers in peace; the kernel ends what is left
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# ---------------------------------------------------------------- what is left on the disk


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Says that the folder is in use for as long as this process lives."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove_leftovers() -> None:
    """Remove the folders of engines that were killed."""
    for folder in FOLDERS.glob(f"{PREFIX}*"):
        # One without a lock is just being made, or being removed.
        if (folder / "lock").exists():
            with (folder / "lock").open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                _remove(folder)


def _remove(folder: Path) -> None:
    for cgroup in (CGROUPS / folder.name, *CGROUPS.glob(f"*/{folder.name}")):
        for empty, _, _ in os.walk(cgroup, topdown=False):
            Path(empty).rmdir()
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
