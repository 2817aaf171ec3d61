"""What the lines of an export are, and how they are sent. Over a real table: tests/integration/test_exports.py."""

import csv
import io
import json
import subprocess
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.stream.exports import (
    COLUMNS,
    FORMULA,
    MARGIN_SECONDS,
    Csv,
    Export,
    JsonLines,
    Sha256Sum,
    Unfinished,
    accepts_gzip,
    gzipped,
    row,
    within,
)
from sluice.files import _PUBLIC, File, Status
from tests.unit.core.records import a_file

ALL: tuple[type[Export], ...] = (JsonLines, Csv, Sha256Sum)
SHA256 = "0" * 64


def ready(**changes: Any) -> File:
    return a_file(**{"status": Status.READY, "digests": {"sha-256": SHA256, "md5": "1" * 32}} | changes)


def text(kind: type[Export], *files: File) -> str:
    return b"".join(kind.lines([[*files]])).decode()


def cells(*files: File) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text(Csv, *files), newline="")))


def test_json_lines_are_the_files_as_the_api_shows_them() -> None:
    """Without links, to their owner; one line each, whatever is in a name."""
    files = [ready(filename="a\u2028b \N{GRINNING FACE}.txt", drop="d" * 26), a_file(metadata={"a": "x\ny"})]
    lines = text(JsonLines, *files).split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [file.public(to_owner=True) for file in files]


def test_csv_has_a_column_for_each_member_of_a_file() -> None:
    """Digests have one each; `part_*`, `resumes` and `fingerprint` are of no use when an upload is over."""
    left_out = {"digests", "part_size", "part_count", "part_digest", "resumes", "fingerprint"}
    assert {*COLUMNS} - {"sha-256", "md5", "sha-512", "sha", "crc64nvme", "crc32c", "crc32"} == {*_PUBLIC} - left_out
    assert {one.name for one in fields(File)} >= {*_PUBLIC} - {"part_count"}


def test_csv_is_rfc_4180() -> None:
    """CRLF at each end, quotes where they are needed and doubled inside; null is nothing."""
    file = ready(filename='a,"b".txt', folder="x\ny", metadata={"k": "v"}, verified=True)
    assert text(Csv).endswith("\r\n")
    assert text(Csv).count("\r\n") == 1
    assert '"a,""b"".txt"' in text(Csv, file)
    (cell,) = cells(file)
    assert (cell["filename"], cell["folder"], cell["verified"]) == ('a,"b".txt', "x\ny", "true")
    assert (cell["sha-256"], cell["md5"], cell["sha-512"]) == (SHA256, "1" * 32, "")
    assert (cell["size"], cell["drop"], json.loads(cell["metadata"])) == (str(file.size), "", {"k": "v"})


@pytest.mark.parametrize("begin", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "'", "'=1"])
def test_no_name_is_a_formula(begin: str) -> None:
    """Strangers name files, and owners open the table: an apostrophe comes before it, and can be taken off again."""
    (cell,) = cells(ready(filename=begin, folder=begin, content_type=begin))
    assert cell["filename"] == cell["folder"] == cell["content_type"] == f"'{begin}"


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_name_comes_back_from_csv(name: str) -> None:
    """A reader that takes one apostrophe off has the name; none begins as a formula does."""
    (cell,) = cells(ready(filename=name))
    shown = cell["filename"]
    assert (shown.removeprefix("'")) == name
    assert not FORMULA.match(shown) or shown[0] == "'"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (None, "plain.txt"),
        ("a/b c", "d e.txt"),
        (None, "back\\slash"),
        (None, "new\nline"),
        (None, "-"),
        (None, "-x"),
        (None, " leading and trailing "),
        ("*", "\N{GRINNING FACE}"),
    ],
)
def test_sha256sum_checks_what_was_downloaded(tmp_path: Path, folder: str | None, name: str) -> None:
    """With its folders, and names that coreutils escape: `sha256sum -c` says OK of the very bytes, and of no others."""
    path = tmp_path / (folder or "") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"hello")
    digest = subprocess.run(["sha256sum"], input=b"hello", capture_output=True, check=True).stdout.split()[0].decode()
    listed = text(Sha256Sum, ready(folder=folder, filename=name, digests={"sha-256": digest}))
    for content, status in ((b"hello", 0), (b"hallo", 1)):
        path.write_bytes(content)
        done = subprocess.run(["sha256sum", "--strict", "-c"], input=listed.encode(), cwd=tmp_path, check=False)
        assert done.returncode == status


def test_sha256sum_has_ready_files_alone() -> None:
    """Of others nobody can say that their bytes are right."""
    others = [ready(status=status) for status in Status if status is not Status.READY]
    assert text(Sha256Sum, *others, ready(filename="a"), ready(digests={})) == f"{SHA256}  a\n"


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_an_answer_with_a_body(kind: type[Export]) -> None:
    """A blank line, or the names of the columns: a Function URL may never end an answer without a body."""
    assert text(kind) == (",".join(COLUMNS) + "\r\n" if kind is Csv else "\n")


@pytest.mark.parametrize("kind", ALL)
def test_each_page_is_sent_when_it_was_read(kind: type[Export]) -> None:
    """Compressed as well: what has come can be read before the next page is asked for."""
    asked = 0

    def pages() -> Iterator[list[File]]:
        nonlocal asked
        for asked in range(1, 4):
            yield [] if asked == 2 else [ready(filename=f"page{asked}")]

    reader = zlib.decompressobj(wbits=31)
    chunks = gzipped(kind.lines(pages()))
    assert b"page1" in reader.decompress(next(chunks))
    assert asked == 1
    assert b"page3" in reader.decompress(next(chunks))
    reader.decompress(b"".join(chunks))
    assert reader.eof


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ALL)
def test_memory_does_not_grow_with_the_files(kind: type[Export], compressed: bool) -> None:
    """Ten times as many take no more."""
    files = [ready(filename=f"a file of page {number}", metadata={"a": "b" * 200}) for number in range(100)]

    def peak(pages: int) -> int:
        made: Iterable[bytes] = kind.lines(files for _ in range(pages))
        tracemalloc.start()
        for _ in gzipped(iter(made)) if compressed else made:
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(40) < peak(4) + 100_000


def test_it_breaks_off_before_lambda_does() -> None:
    """After as many bytes as one answer holds, and before the invocation's end; never as if it had ended."""
    chunks = within(iter([b"12", b"34", b"5"]), 4, lambda: 900.0)
    assert [next(chunks) for _ in range(3)] == [b"", b"12", b"34"]
    with pytest.raises(Unfinished):
        next(chunks)
    late = within(iter([b"12", b"34"]), 100, lambda: MARGIN_SECONDS - 1)
    assert [next(late), next(late)] == [b"", b"12"]
    with pytest.raises(Unfinished):
        next(late)
    assert b"".join(within(iter([b"12", b"34"]), 4, lambda: 900.0)) == b"1234"


def test_the_end_in_the_last_seconds_is_the_end() -> None:
    """What is complete is not broken off because time is short."""
    assert b"".join(within(iter([b"12"]), 4, lambda: 1.0)) == b"12"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("br", False),
        ("gzip;q=nan", False),
        ("gzipped", False),
    ],
)
def test_gzip_where_it_is_asked_for(header: str, accepted: bool) -> None:
    """By RFC 9110's weights."""
    assert accepts_gzip(header) is accepted


def test_a_row_has_as_many_cells_as_there_are_columns() -> None:
    """Whatever the file lacks."""
    assert len(row(a_file())) == len(COLUMNS)
