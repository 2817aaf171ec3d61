"""Folders for the bytes of objects: on a disk, and gone with those who made them."""

import os
from pathlib import Path

import pytest

from local import scratch

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdb /tmp/disk xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "memory"), [("/var/tmp", False), ("/tmp", True), ("/tmp/a", True), ("/tmp/disk/a", False)]
)
def test_memory_is_told_from_a_disk(path: str, memory: bool) -> None:
    """By the file system that is mounted nearest."""
    assert scratch.in_memory(Path(path), MOUNTS) == memory


def test_tmpdir_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever it is: somebody chose it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(scratch, "in_memory", lambda _: True)
    assert scratch.place() == tmp_path


def test_folders_of_the_dead_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that nobody has any more tells them; the living keep theirs."""
    monkeypatch.setattr(scratch, "place", lambda: tmp_path)
    dead, living = scratch.make(), scratch.make()
    assert dead.path.exists()
    os.close(dead.lock)
    new = scratch.make()
    assert set(tmp_path.iterdir()) == {living.path, new.path}
    for one in (living, new):
        os.close(one.lock)
