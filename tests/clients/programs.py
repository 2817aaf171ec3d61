"""Programs that nobody here wrote."""

import os
import re
import shutil
import subprocess

import pytest

# Set where the programs have to be there (continuous integration): what is missing is then a failure.
REQUIRED = "SLUICE_REQUIRE_CLIENTS"
SECONDS = 120  # of one program on a busy machine
PROXIES = re.compile("_proxy$", re.IGNORECASE)


def run(program: str, *arguments: str) -> bytes:
    """What the program says on stdout. Skips, or fails where it is required, when it is not here."""
    if shutil.which(program) is None:
        reason = f"{program} is not here"
        if os.environ.get(REQUIRED):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    environ = {name: value for name, value in os.environ.items() if not PROXIES.search(name)}
    done = subprocess.run([program, *arguments], env=environ, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    return done.stdout
