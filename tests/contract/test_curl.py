"""The curl lines of docs/api.md, as a person would paste them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT, Stack

(LINES,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
NEEDED = ("bash", "curl", "jq", "sha256sum")


def test_the_curl_lines_do_what_they_say(stack: Stack, tmp_path: Path) -> None:
    """Every line succeeds, and what they print is what the text around them promises."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.skip(f"the lines need {', '.join(missing)}")
    ran = subprocess.run(
        ["bash", "-eu", "-c", LINES],
        cwd=tmp_path,
        env={**os.environ, "API": stack.api, "TOKEN": stack.token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    received, event, found, downloaded, pipe, small, digests, page, folder, holiday, code = ran.stdout.splitlines()
    assert received == '{"received":2,"missing":0}'
    assert event == "event: ready"
    assert downloaded.split()[0] == found
    assert small in ("assembling", "hashing", "ready")
    assert '"sha-256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"' in digests
    assert page.startswith(f"{stack.api}/#drop=")
    assert (pipe, folder, holiday) == ("13", "2026/summer", "holiday.mov")
    assert code == "file_not_found"
