"""Bytes on a disk that are sliced, put together and given back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.objects import CHUNK_BYTES, Folder, Stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("objects"))


def files(folder: Folder) -> list[Path]:
    return list(folder.path.iterdir())


PLACES = st.one_of(st.none(), st.integers(-40, 40))


@given(st.lists(st.binary(max_size=9), max_size=5), st.lists(st.tuples(PLACES, PLACES), max_size=3))
def test_it_is_sliced_as_bytes_are(
    folder: Folder, parts: list[bytes], slices: list[tuple[int | None, int | None]]
) -> None:
    """Whatever it was put together of, and slices of slices too."""
    stored, data = Stored.joined(map(folder.stored, parts)), b"".join(parts)
    for start, stop in slices:
        stored, data = stored[start:stop], data[start:stop]
    assert (len(stored), bytes(stored), bool(stored)) == (len(data), data, bool(data))


def test_it_is_read_in_pieces(folder: Folder) -> None:
    """None is larger than what an answer may hold in memory."""
    stored = folder.stored(bytes(3 * CHUNK_BYTES + 1))
    assert list(map(len, stored)) == [CHUNK_BYTES] * 3 + [1]


def test_a_file_goes_with_the_last_that_refers_to_it(folder: Folder) -> None:
    """An object of its bytes keeps it, and so does an answer that is under way."""
    part = folder.stored(b"some bytes")
    whole = Stored.joined([part])
    del part
    answer = iter(whole[5:])
    del whole
    assert len(files(folder)) == 1
    assert b"".join(answer) == b"bytes"
    del answer
    assert files(folder) == []


def test_what_breaks_off_leaves_no_file(folder: Folder) -> None:
    """Nor does what has no bytes."""

    def break_off() -> None:
        with folder.writer() as writer:
            writer.write(b"half")
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        break_off()
    with folder.writer() as writer:
        assert len(writer.finish()) == 0
    assert files(folder) == []


def test_checksums_are_of_what_was_written(folder: Folder) -> None:
    """Those that were asked for come from the writing, all others from reading."""
    with folder.writer(["CRC32"]) as writer:
        writer.write(b"1234")
        writer.write(b"56789")
        stored = writer.finish()
    assert stored.checksums.keys() == {"CRC32", "MD5"}
    assert stored.checksum("CRC32") == "y/Q5Jg=="  # the check value of CRC-32
    assert stored.checksum("CRC32C") == "4waSgw=="
