import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client.errors import Misuse, SluiceError, Unverified
from sluice_client.sources import READ_BYTES, Source

CONTENT = os.urandom(3 * READ_BYTES + 7)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sources") / "file.txt"
    path.write_bytes(CONTENT)
    return path


def read(source: Source, offset: int, size: int) -> list[bytes]:
    async def run() -> list[bytes]:
        return [chunk async for chunk in source.slice(offset, size)]

    return asyncio.run(run())


@given(st.data())
def test_a_slice_is_exactly_that(path: Path, data: st.DataObject) -> None:
    """Any slice has its bytes and no others, in chunks of at most READ_BYTES."""
    offset = data.draw(st.integers(0, len(CONTENT)))
    size = data.draw(st.integers(0, len(CONTENT) - offset))
    chunks = read(Source.open(path), offset, size)
    assert b"".join(chunks) == CONTENT[offset : offset + size]
    assert all(0 < len(chunk) <= READ_BYTES for chunk in chunks)


def test_digests_are_hashlibs(path: Path) -> None:
    """One read gives all that were asked for."""
    digests = asyncio.run(Source.open(path).digests(("sha-256", "md5")))
    assert digests == {
        "sha-256": hashlib.sha256(CONTENT).hexdigest(),
        "md5": hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
    }


def test_what_the_server_is_told(path: Path) -> None:
    """The name, the size, the type that the name suggests."""
    source = Source.open(path)
    assert (source.filename, source.size, source.content_type) == ("file.txt", len(CONTENT), "text/plain")


def test_fingerprints_tell_files_apart(tmp_path: Path) -> None:
    """The same file has the same; another name, size or time of change another."""
    path = tmp_path / "a"
    path.write_bytes(b"1")
    os.utime(path, ns=(0, 1_000_000_000))
    first = Source.open(path).fingerprint
    assert Source.open(path).fingerprint == first
    os.utime(path, ns=(0, 2_000_000_000))
    later = Source.open(path).fingerprint
    renamed = Source.open(path.rename(tmp_path / "b")).fingerprint
    (tmp_path / "b").write_bytes(b"12")
    os.utime(tmp_path / "b", ns=(0, 2_000_000_000))
    assert len({first, later, renamed, Source.open(tmp_path / "b").fingerprint}) == 4


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
    with pytest.raises(Unverified, match="changed"):
        source.confirm()
    with pytest.raises(Unverified, match="changed"):
        read(source, 0, 5)


def test_a_file_cut_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    """A slice that ends early is no slice."""
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * READ_BYTES))
    source = Source.open(path)

    async def run() -> None:
        async for _ in source.slice(0, 2 * READ_BYTES):
            os.truncate(path, READ_BYTES)

    with pytest.raises(Unverified, match="changed"):
        asyncio.run(run())


def test_only_regular_files_have_a_size(tmp_path: Path) -> None:
    """Folders, pipes and names of nothing are misuse, told with the name."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(Misuse, match=path.name):
            Source.open(path)


def test_a_file_that_went_away_is_told(tmp_path: Path) -> None:
    """Removed after it was opened first: an error with its name, not a traceback."""
    path = tmp_path / "file"
    path.write_bytes(b"1")
    source = Source.open(path)
    path.unlink()
    with pytest.raises(SluiceError, match="No such file"):
        source.confirm()


def test_a_name_that_is_no_unicode_can_be_sent(tmp_path: Path) -> None:
    """A byte that is no UTF-8 becomes the replacement character; the fingerprint still knows the true name."""
    one, other = (tmp_path / os.fsdecode(name) for name in (b"a\xff", b"a\xfe"))
    for path in (one, other):
        path.write_bytes(b"")
        os.utime(path, ns=(0, 0))
    assert Source.open(one).filename == "a\N{REPLACEMENT CHARACTER}"
    assert Source.open(one).fingerprint != Source.open(other).fingerprint
