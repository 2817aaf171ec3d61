import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from functions.api.schemas import (
    ChangeFile,
    CompleteFile,
    CreateCapability,
    CreateDrop,
    CreateFile,
    SignParts,
    check_filename,
    check_folder,
)
from sluice.digests import SUPPORTED, Digests
from sluice.errors import InvalidFilename, InvalidFolder
from sluice.limits import MAX_CONTENT_TYPES, MAX_FOLDER_BYTES, MAX_METADATA_BYTES

GOOD: dict[str, Any] = {"filename": "a.txt", "size": 1}
REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        "x" * 255,
        "é" * 255,
        "Übung 雪.txt",
        "🎉👩\u200d👩\u200d👧.png",  # a family is joined by zero-width joiners
        "שלום\u200f.txt",
        "\u200eabc\u061c",
        'say "hi".txt',
        "100%;a=b,c.txt",
        "it's.txt",
        "...",
        ".bashrc",
        "a..b",
        "con",
    ],
)
def test_a_name_that_people_use_is_kept_as_it_is(name: str) -> None:
    """Emoji, quotes, honest right-to-left marks: a name is data, and comes back unchanged."""
    assert check_filename(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\u3000",
        ".",
        "..",
        "x" * 256,
        "x" * 300,
        "../secret",
        "..\\secret",
        "a/b",
        "/",
        "C:\\x",
        "a\r\nSet-Cookie: x=1",
        "a\nb",
        "a\tb",
        "a\0b",
        "a\x7fb",
        "a\x85b",
        "\ud800",
        *(f"photo{character}gnp.exe" for character in REORDERING),
    ],
)
def test_a_name_that_could_mislead_is_refused(name: str) -> None:
    """Paths, control characters, half characters, overrides of the writing direction, more than 255 characters."""
    with pytest.raises(InvalidFilename):
        check_filename(name)


@given(st.text(st.characters(), max_size=300))
def test_what_is_kept_is_one_printable_component(name: str) -> None:
    """Whatever passes fits a header after encoding, is one path component, and reorders nothing around it."""
    try:
        kept = check_filename(name)
    except InvalidFilename as error:
        assert name not in error.detail or len(name) < 3  # noqa: PT017 - the message must not repeat a hostile name
        return
    assert kept == name
    assert kept.encode()
    assert 0 < len(kept) <= 255
    assert not set(kept) & set("/\\\r\n\0" + REORDERING)
    assert not any(unicodedata.category(character) == "Cc" for character in kept)


def test_a_promise_needs_a_name_and_a_size_only() -> None:
    """Everything else has a default."""
    wanted = CreateFile.model_validate(GOOD)
    assert (wanted.content_type, wanted.fingerprint, wanted.digests) == ("text/plain", None, {})


@pytest.mark.parametrize("said", [{}, {"content_type": None}, {"content_type": ""}, {"content_type": " "}])
def test_a_type_that_nobody_says_is_guessed(said: dict[str, Any]) -> None:
    """Browsers do not know HEIC, and say nothing or an empty text."""
    assert CreateFile.model_validate(GOOD | said | {"filename": "IMG_1.HEIC"}).content_type == "image/heic"
    assert CreateFile.model_validate(GOOD | said | {"filename": "a"}).content_type == "application/octet-stream"


def test_a_type_that_somebody_says_is_kept() -> None:
    """Also where the name suggests another one."""
    wanted = CreateFile.model_validate(GOOD | {"content_type": "application/octet-stream"})
    assert wanted.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": "1"},
        {"size": 1.0},
        {"size": 1.5},
        {"size": True},
        {"filename": 7},
        {"filename": None},
        {"owner": "alice"},
        {"content_type": "text"},
        {"content_type": "text/html\r\nX-Evil: 1"},
        {"content_type": "text/html\n"},
        {"content_type": "text/" + "x" * 600},
        {"content_type": 7},
        {"content_type": "téxt/html"},
        {"fingerprint": ""},
        {"fingerprint": "x" * 1025},
        {"fingerprint": "雪" * 342},
        {"fingerprint": "\ud800"},
        {"digests": {"sha-1": "a" * 40}},
        {"digests": {"sha-256": "A" * 64}},
        {"digests": {"sha-256": "a" * 63}},
        {"digests": {"sha-256": "a" * 63 + "\n"}},
        {"digests": {"md5": "g" * 32}},
        {"digests": {"md5": "\u0661" * 32}},
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(change: dict[str, Any]) -> None:
    """Types are not guessed, unknown members are refused, and every value fits where it will be kept or sent."""
    with pytest.raises(ValidationError):
        CreateFile.model_validate(GOOD | change)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"content_type": "text/plain; charset=utf-8"},
        {"content_type": 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"'},
        {"content_type": "application/vnd.oasis.opendocument.text"},
        {"fingerprint": "雪" * 341},
        {"digests": {"sha-256": "0123456789abcdef" * 4, "md5": "f" * 32}},
    ],
)
def test_a_promise_at_the_edges_is_taken(change: dict[str, Any]) -> None:
    """An empty file, a type with a parameter, a fingerprint of 1,023 bytes, both digests."""
    CreateFile.model_validate(GOOD | change)


def test_every_digest_that_the_hasher_computes_may_be_declared() -> None:
    """In lower-case hex, as long as it is."""
    with Digests(SUPPORTED) as empty:
        CreateFile.model_validate(GOOD | {"digests": empty.hexdigests()})


@pytest.mark.parametrize(
    "parts",
    [
        [{"number": 0, "etag": "a"}],
        [{"number": 10_001, "etag": "a"}],
        [{"number": "1", "etag": "a"}],
        [{"number": 1, "etag": ""}],
        [{"number": 1, "etag": "a" * 201}],
        [{"number": 1}],
        [{"number": 1, "etag": "a", "size": 1}],
        [{"number": 1, "etag": "a"}] * 10_001,
    ],
)
def test_parts_that_s3_cannot_have_are_refused(parts: list[dict[str, Any]]) -> None:
    """Numbers from 1 to 10,000 with an ETag, at most as many."""
    with pytest.raises(ValidationError):
        CompleteFile.model_validate({"parts": parts})


MANY = {str(number): 0 for number in range(100_000)}


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (CreateFile, MANY),
        (CreateFile, GOOD | {"digests": MANY}),
        (CreateCapability, MANY),
        (CreateDrop, MANY),
        (CreateDrop, {"max_files": 1, "expires_in": 1, "content_types": [0] * 100_000}),
        (SignParts, {"parts": [MANY] * 1_000}),
        (SignParts, {"parts": [0] * 1_000}),
        (CompleteFile, {"parts": [MANY] * 10_000}),
        (CompleteFile, {"parts": [{}] * 10_000}),
        (CompleteFile, MANY | {"parts": None}),
    ],
)
def test_the_more_is_wrong_the_less_is_said(model: type[BaseModel], value: Any) -> None:
    """A hundred thousand mistakes are not a hundred thousand errors: the work is bounded, and so is the answer."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(value)
    assert refused.value.error_count() <= MAX_CONTENT_TYPES + 1


def test_one_strange_member_is_named() -> None:
    """As long as there are fewer than there could be."""
    with pytest.raises(ValidationError, match="owner"):
        CreateFile.model_validate(GOOD | {"owner": "alice"})


@pytest.mark.parametrize(
    "path",
    ["a", "a/b", "2026/Übung 雪/🎉", "a" * 255, "/".join(["x" * 255] * 4), ".git/..a", "a b/ c", "x/" * 511 + "x"],
)
def test_a_folder_that_people_use_is_kept_as_it_is(path: str) -> None:
    """Any names with slashes between them, up to 1,024 bytes."""
    assert check_folder(path) == path
    assert CreateFile(**GOOD, folder=path).folder == path


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/a", "a/", "a//b", ".", "..", "./a", "a/./b", "../a", "a/../b", "a/..", " ", "a/ /b", "a/\u3000"),
        *("a\\b", "C:\\x", "..\\a", "a/b\\..\\c", "a\nb", "a/\0", "a/\x7f/b", "a/\x85", "\ud800", "a/\udc00/b"),
        *(f"a/x{character}gnp" for character in REORDERING),
        *("a" * 256, "b/" + "a" * 256, "/".join(["x" * 255] * 5), "é/" * 341 + "éé", "a/" * 512 + "a"),
    ],
)
def test_a_folder_that_leads_elsewhere_or_misleads_is_refused(path: str) -> None:
    """Absolute paths, segments that are empty or are no names, backslashes, and more than 1,024 bytes."""
    with pytest.raises(InvalidFolder) as raised:
        check_folder(path)
    assert len(raised.value.detail) < 200
    assert path not in raised.value.detail or len(path) < 4


@given(st.text(st.characters() | st.sampled_from("/\\."), max_size=60))
def test_what_is_kept_is_a_path_of_names(path: str) -> None:
    """Whatever passes is made of segments each of which could be a filename."""
    try:
        kept = check_folder(path)
    except InvalidFolder:
        return
    assert all(check_filename(segment) == segment for segment in kept.split("/"))
    assert len(kept.encode()) <= MAX_FOLDER_BYTES


@pytest.mark.parametrize("metadata", [{"a": "b"}, {"ü": "雪\n"}, {"k": ""}, {str(n): "x" * 100 for n in range(20)}])
def test_metadata_is_kept_as_it_is(metadata: dict[str, str]) -> None:
    """Texts by name, also empty ones."""
    assert CreateFile(**GOOD, metadata=metadata).metadata == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        *({"a": 1}, {"a": None}, {"a": {}}, ["a"], "a", {"": "x"}, {"a": "\ud800"}, {"\ud800": "a"}),
        *({str(n): "" for n in range(21)}, {"a": "x" * MAX_METADATA_BYTES}, {"é" * 1_000: "é" * 25}),
    ],
)
def test_metadata_that_cannot_be_kept_is_refused(metadata: Any) -> None:
    """What is no text, has no name, or is too much; with one fault, however much it is."""
    with pytest.raises(ValidationError) as raised:
        CreateFile(**GOOD, metadata=metadata)
    assert raised.value.error_count() == 1


def test_nothing_is_no_folder_and_no_metadata() -> None:
    """An empty folder means none, as in the filter of the list."""
    file = CreateFile(**GOOD, folder="", metadata={})
    assert (file.folder, file.metadata) == (None, None)


@pytest.mark.parametrize("changes", [{}, {"filename": "b"}, {"folder": None}, {"folder": "a", "metadata": {"a": "b"}}])
def test_a_change_is_what_was_sent(changes: dict[str, Any]) -> None:
    """What is left out is no change, and `null` is one."""
    assert ChangeFile(**changes).model_dump(exclude_unset=True) == changes


def test_a_file_keeps_a_name() -> None:
    """`null` takes a folder away and no filename."""
    with pytest.raises(ValidationError):
        ChangeFile(filename=None)  # type: ignore[arg-type]  # what a client may send
