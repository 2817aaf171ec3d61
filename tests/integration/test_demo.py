"""`make demo` without a file, as a person runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import ROOT, thorough

DEMO_SECONDS = 300  # on a busy machine


@thorough
def test_the_demo_shows_the_whole(tmp_path: Path) -> None:
    """A file in and out; a folder in, verified, shared, and out as one archive by the share's link; nothing is left."""
    done = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the same in the download") == 2
    told = re.search(r"holiday/, (\d+) files, ([\d,]+) bytes: all verified", done.stdout)
    assert told
    assert re.search(r"share    http://127\.0\.0\.1:\d+/#share=\.\.\., for 1 download", done.stdout)
    assert f"taken by that link: all {told[1]} files are the same" in done.stdout
    assert not list(tmp_path.glob("sluice-demo-*"))
