import mimetypes
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import media_types
from sluice.limits import MAX_CONTENT_TYPE_CHARACTERS, MAX_MEDIA_RANGE_CHARACTERS
from sluice.media_types import ANY, TOKEN, UNKNOWN

TOKENS = st.from_regex(re.compile(TOKEN), fullmatch=True).filter(lambda text: "*" not in text)
PAIRS = st.tuples(TOKENS.filter(lambda text: text[0] != "."), TOKENS)
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
QUOTED = st.text(PRINTABLE, max_size=20).map(lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"')
BARE = st.text(PRINTABLE.replace('"', "").replace(";", ""), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)
SPACE = st.text(" ", max_size=2)
PARAMETERS = st.lists(
    st.one_of(
        st.tuples(SPACE, st.just(";"), SPACE, TOKENS, st.just("="), st.one_of(TOKENS, QUOTED, BARE)),
        st.tuples(SPACE, st.just(";")),
    ).map("".join),
    max_size=4,
).map("".join)
# As Chromium, Firefox and Safari give them: files, recordings, blobs.
OF_BROWSERS = [
    "video/webm;codecs=vp8,opus",
    "video/x-matroska;codecs=avc1,opus",
    'video/mp4; codecs="avc1.42E01E, mp4a.40.2"',
    'video/mp4;codecs="avc1.424028, mp4a.40.2"',
    "audio/mp4; codecs=mp4a.40.2",
    "audio/ogg; codecs=opus",
    "text/plain;charset=utf-8",
    "text/plain; charset=UTF-8;",
    "TEXT/HTML ; Charset=utf-8",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "image/svg+xml",
    "application/x-zip-compressed",
    'multipart/form-data; boundary="a;b\\"c\\\\"',
]


@pytest.mark.parametrize("content_type", OF_BROWSERS)
def test_what_browsers_declare_is_taken_as_it_is(content_type: str) -> None:
    """Commas without quotes, quoted semicolons and escapes, capitals, a semicolon at the end."""
    assert media_types.check(content_type) == content_type


@given(PAIRS, PARAMETERS, SPACE)
def test_any_type_with_any_parameters_is_taken(pair: tuple[str, str], parameters: str, around: str) -> None:
    """RFC 9110, section 8.3.1, and values without the quotes that they need; spaces around it are no part of it."""
    declared = "/".join(pair) + parameters
    assert media_types.check(around + declared + around) == declared.strip(" ")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "text", "text/", "/plain", "text/plain/x", "te xt/plain", "text/plain charset=utf-8"),
        *("text/plain;charset", "text/plain;charset=", "text/plain;=utf-8", 'text/plain;a="b', 'text/plain;a="b"c'),
        *("text/plain\n", "text/plain;a=b\r\nX: y", 'text/plain;a="b\r\nX: y"', "text/plain;a=\tb", "text/plain\0"),
        *("téxt/plain", "text/plain;a=é", 'text/plain;a="é"', "text/plain;a=\x7f", 'text/plain;a="\\\n"', "\ud800/x"),
    ],
)
def test_what_is_no_type_is_refused(text: str) -> None:
    """Control characters and what is not ASCII above all: the type becomes a header."""
    with pytest.raises(ValueError, match="media type"):
        media_types.check(text)


def test_a_type_has_an_end() -> None:
    """It is kept in a record and sent in headers and URLs."""
    longest = "a/b;c=" + "d" * (MAX_CONTENT_TYPE_CHARACTERS - 6)
    assert media_types.check(longest) == longest
    with pytest.raises(ValueError, match=str(MAX_CONTENT_TYPE_CHARACTERS)):
        media_types.check(longest + "d")


@given(st.text(max_size=60))
def test_any_text_is_a_type_or_an_error(text: str) -> None:
    """What is taken is printable ASCII."""
    try:
        taken = media_types.check(text)
    except ValueError:
        return
    assert set(taken) <= set(PRINTABLE)


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("IMG_1.HEIC", "image/heic"),
        ("a.heif", "image/heif"),
        ("a.b.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.webm", "video/webm"),
        ("a.mkv", "video/x-matroska"),
        ("a.m4a", "audio/mp4"),
        ("read me.md", "text/markdown"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.7z", "application/x-7z-compressed"),
        ("a.jsonl", "application/jsonl"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.pdf", "application/pdf"),
        ("a.jpg", "image/jpeg"),
        ("a.unheard-of", UNKNOWN),
        *((name, UNKNOWN) for name in ("", ".", "a", "a.", ".pdf", "pdf", "data:text/html,x", "http://a/")),
    ],
)
def test_a_name_suggests_a_type(filename: str, content_type: str) -> None:
    """By its last extension, in capitals as well; a name that is nothing but an extension suggests none."""
    assert media_types.guess(filename) == content_type


def test_the_machine_has_no_say_in_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others add to Python's table, or the machine's files have, changes nothing."""
    monkeypatch.setattr(mimetypes, "guess_type", None)
    mimetypes.add_type("application/x-of-this-machine", ".of-this-machine")
    assert media_types.guess("a.of-this-machine") == UNKNOWN


@given(st.text(max_size=30), st.sampled_from(sorted(media_types._BY_EXTENSION)))
def test_every_guess_could_have_been_declared(stem: str, extension: str) -> None:
    """Whatever the name."""
    for filename in (stem, stem + extension):
        assert media_types.check(media_types.guess(filename))


@given(
    st.lists(st.text(string.ascii_letters + string.digits, min_size=1, max_size=5), min_size=1, max_size=3),
    st.text(max_size=10),
)
def test_an_extension_accepts_the_names_that_end_so(parts: list[str], stem: str) -> None:
    """Whatever their type, and in capitals as well; a part of an extension is another one."""
    extension = "." + ".".join(parts)
    allowed = media_types.ranges(["application/pdf", extension])
    assert media_types.accepts(allowed, UNKNOWN, stem + extension)
    assert media_types.accepts(allowed, UNKNOWN, (stem + extension).upper())
    assert not media_types.accepts(allowed, UNKNOWN, stem + extension + "x")
    assert not media_types.accepts(allowed, UNKNOWN, extension[1:])


def test_a_range_has_an_end() -> None:
    """Fifty of them are kept in one record."""
    longest = "a/" + "b" * (MAX_MEDIA_RANGE_CHARACTERS - 2)
    assert media_types.ranges([longest]) == (longest,)
    for one in (longest + "b", "." + "a" * MAX_MEDIA_RANGE_CHARACTERS):
        with pytest.raises(ValueError, match="neither a media type"):
            media_types.ranges([one])


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        (["image/*"], "images"),
        (["image/*", "application/pdf"], "images and PDF files"),
        (["image/*", "video/*", ".tar.gz"], "images, videos and .tar.gz files"),
        (["application/x-foo", ".heic"], "application/x-foo files and .heic files"),
        ([ANY], "all files"),
        (
            [f".{number}" for number in range(12)],
            ", ".join(f".{number} files" for number in range(10)) + " and 2 other types",
        ),
    ],
)
def test_what_is_accepted_is_said_in_words(allowed: list[str], words: str) -> None:
    """In the order in which it was listed."""
    assert media_types.describe_ranges(allowed) == words


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("text/plain; charset=utf-8", "plain text"),
        ("Application/PDF", "a PDF file"),
        ("text/x-python", "of type text/x-python"),
        (UNKNOWN, "a file of unknown type"),
    ],
)
def test_what_a_file_is_is_said_in_words(content_type: str, words: str) -> None:
    """Without parameters."""
    assert media_types.describe(content_type) == words


@given(PAIRS, st.sampled_from(["", ";charset=utf-8", "; charset=utf-8", " ; a=b; c=d"]))
def test_a_type_is_within_itself_its_kind_and_any(pair: tuple[str, str], parameters: str) -> None:
    """Whatever its parameters say, and whoever wrote it in capitals."""
    kind, name = pair
    declared = f"{kind}/{name}{parameters}"
    for written in (ANY, f"{kind}/*", f"{kind}/{name}"):
        for one in media_types.ranges([written.upper(), written]):
            assert media_types.accepts([one], declared, "a")
            assert media_types.accepts(["other-kind/other-name", one], declared.upper(), "a")


@given(PAIRS, PAIRS)
def test_another_type_is_outside(pair: tuple[str, str], other: tuple[str, str]) -> None:
    """Only the same kind, and in it only the same name, are meant."""
    exact = media_types.ranges(["/".join(pair)])
    whole_kind = media_types.ranges([f"{pair[0]}/*"])
    declared = "/".join(other)
    assert media_types.accepts(exact, declared, "a") == (tuple(map(str.lower, pair)) == tuple(map(str.lower, other)))
    assert media_types.accepts(whole_kind, declared, "a") == (pair[0].lower() == other[0].lower())


@given(st.lists(st.sampled_from(["image/*", "IMAGE/*", "text/plain", "application/pdf", ANY]), min_size=1))
def test_ranges_are_kept_once_and_in_order(listed: list[str]) -> None:
    """Reading what was read changes nothing."""
    read = media_types.ranges(f" {one}\t" for one in listed)
    assert read == media_types.ranges(read)
    assert list(read) == list(dict.fromkeys(one.lower() for one in listed))


@pytest.mark.parametrize(
    "text",
    [
        *("", "image", "image/", "/png", "*", "*/png", "image/png/x", "image/png;q=1", "a b/c"),
        *(".", "..", ".a.", "a.pdf", "*.pdf", ".p df", ".a/b", ".é", ".-"),
    ],
)
def test_what_is_no_range_is_refused(text: str) -> None:
    """By name; a mistake must not become a rule that nothing ever fits."""
    with pytest.raises(ValueError, match="neither a media type nor a range"):
        media_types.ranges(["image/*", text])


def test_no_range_at_all_is_refused() -> None:
    """It would refuse every file."""
    with pytest.raises(ValueError, match="at least one"):
        media_types.ranges([])


@given(st.text(max_size=60))
def test_any_text_is_ranges_or_an_error(text: str) -> None:
    """Never a crash, and what is taken can be compared with."""
    try:
        read = media_types.ranges(text.split(","))
    except ValueError:
        return
    assert all(re.fullmatch(rf"{TOKEN}/{TOKEN}|\..+", one) for one in read)


def test_a_longer_kind_is_another_kind() -> None:
    """`image/*` is no prefix of a text."""
    assert not media_types.accepts(["image/*"], "imagery/png", "a")
    assert not media_types.accepts(["application/pdf"], "application/pdfx", "a")
    assert not media_types.accepts(["application/*"], "text/application/", "a")
