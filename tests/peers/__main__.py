"""Run the test suites of Starlette and FastAPI with each request carried by the streaming runtime (`make test-peers`).

A suite runs twice, with events of either payload version, in its own folder and with its own configuration of pytest;
`carried.plugin` is what makes the difference.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.peers.suites import ROOT, SUITES, Suite, unpacked

PAYLOADS = ("2.0", "1.0")
# The plugin is not `tests.peers.carried` there, because the suites have a package `tests` of their own.
PATH = (Path(__file__).parent, ROOT, ROOT / "layers" / "streaming_runtime")


def run(suite: Suite, payload: str, more: list[str]) -> bool:
    """Whether all of it is as expected."""
    folder = unpacked(suite.project)
    command = [
        *(sys.executable, "-m", "pytest", "-p", "carried.plugin", "-p", "no:cacheprovider", "-q"),
        *("--peer", suite.project, "--payload", payload),
        # A test that hangs ends the run, and every thread's stack says where it hung.
        *("-c", "pyproject.toml", "-o", "faulthandler_timeout=120", "-o", "faulthandler_exit_on_timeout=true"),
        # It rewrites tests whose snapshots have changed, and complains that it cannot in several processes.
        *("-p", "no:inline_snapshot"),
        # FastAPI's tests that write into the working directory are one group.
        *("--numprocesses", "2", "--dist", "loadgroup"),
        *more,
        *suite.modules(folder),
    ]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATH))}
    return subprocess.run(command, cwd=folder, env=environ, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--suite", choices=[suite.project for suite in SUITES], help="this one only")
    parser.add_argument("--payload", choices=PAYLOADS, help="events of this version only")
    chosen, more = parser.parse_known_args()
    results = [
        run(suite, payload, more)
        for suite in SUITES
        for payload in PAYLOADS
        if chosen.suite in {None, suite.project} and chosen.payload in {None, payload}
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
