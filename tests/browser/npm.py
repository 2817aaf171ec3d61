"""What comes from npm."""

import fcntl
import subprocess
from pathlib import Path


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in `folder`. When it fails, the failure shows what it said."""
    ran = subprocess.run(["npm", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"npm {' '.join(arguments)} failed:\n{ran.stdout}{ran.stderr}"


def install(folder: Path) -> None:
    """Install what the lock of `folder` says, once: a second `npm ci` takes away what the first is used for."""
    lock, done = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    with lock.open() as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
            npm(folder, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
