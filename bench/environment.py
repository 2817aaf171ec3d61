"""An execution environment: the processes of one carrier, started as Lambda starts them, on CPUs of their own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from bench.carriers import LAYER, ROOT, Carrier
from bench.service import Invocation, Service

# Seconds for a start, and for one invocation or a batch of them; far more than any should need.
PATIENCE = 120.0
# Seconds between two looks at whether the processes are still there.
LOOK_EVERY = 1.0
# Bytes of an environment's log that are shown when it fails.
LOG_TAIL = 4000


class BenchError(Exception):
    """A carrier did not do what it was to do; the message says what, and what it printed."""


class Memory(NamedTuple):
    """Bytes of all processes together."""

    pss: int
    peak_rss: int


class Environment:
    """A carrier's processes and the service that they talk to. Use as a context manager."""

    def __init__(self, carrier: Carrier, app: str = "app", *, cpus: set[int], concurrency: int = 1) -> None:
        """`app` is an attribute of `bench.app`, `concurrency` how many invocations may be out at once."""
        self.carrier = carrier
        self.service = Service()
        self.started_at = 0.0
        self._cpus = cpus
        self._concurrency = concurrency
        self._app = app
        self._processes: list[subprocess.Popen[bytes]] = []
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        self._closing.callback(self.service.close)
        self._log = self._closing.enter_context(tempfile.TemporaryFile())
        self._closing.callback(self._end)
        words = {"app": self._app, "port": str(free_port())}
        variables = self._variables() | {name: value.format(**words) for name, value in self.carrier.variables.items()}
        with _on(self._cpus):
            self.started_at = time.monotonic()
            try:
                for command in self.carrier.commands:
                    self._start([word.format(**words) for word in command], variables)
            except OSError:
                self._closing.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _end(self) -> None:
        for pid in list(self._tree()):
            os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def _variables(self) -> dict[str, str]:
        """What Lambda sets, and where the packages are."""
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(LAYER)]),
            "LAMBDA_TASK_ROOT": str(ROOT),
            "_HANDLER": f"bench.app.{self._app}",
            "AWS_LAMBDA_RUNTIME_API": self.service.address,
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "WARN",
            "AWS_REGION": "eu-west-1",
        }
        return variables | ({"AWS_LAMBDA_MAX_CONCURRENCY": str(self._concurrency)} if self._concurrency > 1 else {})

    def _start(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        process = subprocess.Popen(
            command, env=variables, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        self._processes.append(process)

    def wait_until_ready(self) -> float:
        """Seconds from the start of the first process to the first `/next`."""
        self._wait_for(self.service.ready, time.monotonic() + PATIENCE)
        return self.service.ready_at - self.started_at

    def invoke(self, *events: bytes, keep: bool = False) -> list[Invocation]:
        """Have events answered, one directly after the other, or as many at once as the environment asks for."""
        invocations = [Invocation(event, keep) for event in events]
        for invocation in invocations:
            self.service.submit(invocation)
        self.wait_for(invocations)
        return invocations

    def wait_for(self, invocations: Sequence[Invocation]) -> None:
        """Wait until all are answered and the environment has asked for more. Raises `BenchError` for a failure."""
        until = time.monotonic() + PATIENCE
        for invocation in invocations:
            self._wait_for(invocation.settled, until)
            if invocation.failure:
                raise self.broken(invocation.failure)

    def _wait_for(self, event: threading.Event, until: float) -> None:
        while not event.wait(LOOK_EVERY):
            if any(process.poll() is not None for process in self._processes):
                raise self.broken("a process ended")
            if time.monotonic() > until:
                raise self.broken(f"nothing came for {PATIENCE} s")

    def cpu_seconds(self) -> float:
        """CPU time of all threads of all processes so far, by the scheduler's account: in ns, not in clock ticks."""
        accounts = (account for pid in self._tree() for account in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(account.read_text().split()[0]) for account in accounts) / 1e9

    def memory(self) -> Memory:
        pids = list(self._tree())
        return Memory(
            sum(_kilobytes(pid, "smaps_rollup", "Pss:") for pid in pids) * 1024,
            sum(_kilobytes(pid, "status", "VmHWM:") for pid in pids) * 1024,
        )

    def threads(self) -> int:
        return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in self._tree())

    def broken(self, what: str) -> BenchError:
        self._log.seek(0)
        said = self._log.read()[-LOG_TAIL:].decode("utf-8", "replace")
        return BenchError(f"{self.carrier.name}: {what}. Its log ends:\n{said}")

    def _tree(self) -> Iterator[int]:
        waiting = [process.pid for process in self._processes if process.poll() is None]
        while waiting:
            pid = waiting.pop()
            yield pid
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, children.read_text().split())


def run_pinned(module: str, *arguments: str, cpus: set[int]) -> str:
    """What a module prints that runs as a process of its own on these CPUs."""
    with _on(cpus):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
    return done.stdout


@contextmanager
def _on(cpus: set[int]) -> Iterator[None]:
    """Let this thread, and so the processes that it starts meanwhile, run on these CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _kilobytes(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
