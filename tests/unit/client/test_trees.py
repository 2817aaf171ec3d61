"""Which files of a folder go where."""

import os
from pathlib import Path

import pytest

from sluice_client.trees import Globs, walk

ALL = Globs()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in ("a.jpg", "2024/b.jpg", "2024/b.tmp", "2024/trip/c.jpg", "cache/d.jpg", ".hidden"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"12")
    return root


def walked(
    root: Path, folder: str | None = None, globs: Globs = ALL, *, follow: bool = False
) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Found as `folder | path`; what was skipped, and what failed, with the reasons."""
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    found = walk(
        root,
        folder,
        globs,
        follow=follow,
        skipped=lambda path, why: skipped.update({path.name: why}),
        failed=lambda path, error: failed.update({path.name: error.strerror or ""}),
    )
    return [f"{each.folder} | {each.path.name}" for each in found], skipped, failed


def test_folders_are_kept(tree: Path) -> None:
    """The folder's own name as well, below the one that was asked for; in the order of names."""
    found, skipped, failed = walked(tree, "mine")
    assert found == [
        "mine/photos | .hidden",
        "mine/photos/2024 | b.jpg",
        "mine/photos/2024 | b.tmp",
        "mine/photos/2024/trip | c.jpg",
        "mine/photos | a.jpg",
        "mine/photos/cache | d.jpg",
    ]
    assert not skipped
    assert not failed


def test_the_present_folder_has_no_name(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`put -r .` puts what is in it."""
    monkeypatch.chdir(tree)
    assert "None | a.jpg" in walked(Path())[0]
    assert "x | a.jpg" in walked(Path(), "x")[0]


@pytest.mark.parametrize(
    ("globs", "names"),
    [
        (Globs(include=["*.jpg"]), ["b.jpg", "c.jpg", "a.jpg", "d.jpg"]),
        (Globs(include=["*.jpg"], exclude=["cache"]), ["b.jpg", "c.jpg", "a.jpg"]),
        (Globs(exclude=["*.jpg", ".*"]), ["b.tmp"]),
        (Globs(include=["2024/*"]), ["b.jpg", "b.tmp", "c.jpg"]),
        (Globs(exclude=["2024/trip"], include=["2024/*.jpg"]), ["b.jpg"]),
        (Globs(include=["B.JPG"]), []),
    ],
)
def test_globs(tree: Path, globs: Globs, names: list[str]) -> None:
    """Of names, or with a slash of paths; an excluded folder takes all that is in it along."""
    assert [each.split(" | ")[1] for each in walked(tree, None, globs)[0]] == names


def test_links_are_not_followed_unless_asked(tree: Path) -> None:
    """Each is told. With -L files and folders behind them go, but no folder within itself."""
    (tree / "link.jpg").symlink_to("a.jpg")
    (tree / "loop").symlink_to(".")
    (tree / "nowhere").symlink_to("missing")
    found, skipped, failed = walked(tree)
    assert set(skipped) == {"link.jpg", "loop", "nowhere"}
    assert len(found) == 6
    assert not failed
    found, skipped, failed = walked(tree, follow=True)
    assert len(found) == 7
    assert set(skipped) == {"loop"}
    assert failed == {"nowhere": "No such file or directory"}


def test_what_is_no_file_is_told(tree: Path) -> None:
    """A FIFO in a folder would be waited for, for ever."""
    os.mkfifo(tree / "fifo")
    assert walked(tree)[1] == {"fifo": "neither a file nor a folder"}


def test_a_folder_that_is_gone_is_told(tree: Path) -> None:
    """And no traceback."""
    assert walked(tree / "nowhere")[2] == {"nowhere": "No such file or directory"}
