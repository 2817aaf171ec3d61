import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client.errors import Misuse, SluiceError, WrongBytes
from sluice_client.sources import Label, Source

CONTENT = os.urandom(100_007)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sources") / "file.txt"
    path.write_bytes(CONTENT)
    return path


def read(source: Source, offset: int, size: int) -> bytes:
    return bytes(asyncio.run(source.read(offset, size)))


@given(st.data())
def test_a_slice_is_exactly_that(path: Path, data: st.DataObject) -> None:
    """Any slice has its bytes and no others."""
    offset = data.draw(st.integers(0, len(CONTENT)))
    size = data.draw(st.integers(0, len(CONTENT) - offset))
    assert read(Source.open(path), offset, size) == CONTENT[offset : offset + size]


def test_what_the_server_is_told(path: Path) -> None:
    """The name, the size, the type that the name suggests."""
    source = Source.open(path)
    assert (source.label, source.size) == (Label("file.txt", None, "text/plain"), len(CONTENT))
    wanted = Label.of(path, name="b.pdf", folder="a/b")
    assert Source.open(path, wanted).label == Label("b.pdf", "a/b", "application/pdf")


@pytest.mark.parametrize("change", ["touch", "grow", "shrink", "replace"])
def test_a_change_is_noticed(tmp_path: Path, change: str) -> None:
    """Reading and confirming both refuse a file that is not what it was."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    source = Source.open(path)
    source.confirm()
    if change == "touch":
        os.utime(path, ns=(0, source.modified + 1))
    elif change == "replace":
        (tmp_path / "other").write_bytes(b"12345")
        (tmp_path / "other").replace(path)
        os.utime(path, ns=(0, source.modified))
    else:
        os.truncate(path, 9 if change == "grow" else 2)
    with pytest.raises(WrongBytes, match="changed"):
        source.confirm()
    with pytest.raises(WrongBytes, match="changed"):
        read(source, 0, 5)


def test_only_regular_files_have_a_size(tmp_path: Path) -> None:
    """Folders, pipes and names of nothing are misuse, each told as what it is."""
    os.mkfifo(tmp_path / "pipe")
    for path, message in ((tmp_path, "a folder"), (tmp_path / "pipe", "neither"), (tmp_path / "nothing", "No such")):
        with pytest.raises(Misuse, match=message):
            Source.open(path)


def test_a_file_that_went_away_is_told(tmp_path: Path) -> None:
    """Removed after it was opened first: an error with its name, not a traceback."""
    path = tmp_path / "file"
    path.write_bytes(b"1")
    source = Source.open(path)
    path.unlink()
    with pytest.raises(SluiceError, match="No such file"):
        source.confirm()


def test_a_slice_that_ends_early_is_no_slice(path: Path) -> None:
    """The file ends before the bytes that were asked for."""
    with pytest.raises(WrongBytes, match="changed"):
        read(Source.open(path), len(CONTENT) - 1, 2)


def test_a_name_that_is_no_unicode_can_be_sent(tmp_path: Path) -> None:
    """A byte that is no UTF-8 becomes the replacement character."""
    path = tmp_path / os.fsdecode(b"a\xff")
    path.write_bytes(b"")
    assert Source.open(path).label.filename == "a\N{REPLACEMENT CHARACTER}"
