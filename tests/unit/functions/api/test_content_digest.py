import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from functions.api import content_digest
from functions.api.schemas import DIGEST_CHARACTERS
from sluice.errors import DigestMismatch, InvalidDigest

VALUES = st.fixed_dictionaries(
    {}, optional={name: st.binary(min_size=n // 2, max_size=n // 2) for name, n in DIGEST_CHARACTERS.items()}
)
SPACE = st.sampled_from(["", " ", "\t", "  "])


def written(name: str, value: bytes) -> str:
    return f"{name}=:{base64.b64encode(value).decode()}:"


@given(VALUES, SPACE, SPACE, st.sampled_from(["", ";a=1", ';note="x"', " ;b"]), st.sampled_from(["repr", "content"]))
def test_what_was_promised_is_read(values: dict[str, bytes], before: str, after: str, more: str, which: str) -> None:
    """Any dictionary of byte sequences, on one line or several, with parameters and names that mean nothing here."""
    members = [before + written(name, value) + more + after for name, value in values.items()]
    members += [written("unixsum", b"abc"), ""]
    expected = {name: value.hex() for name, value in values.items()}
    header = f"{which}-digest".encode()
    assert content_digest.promised(Headers(raw=[(header, ",".join(members).encode())])) == expected
    assert content_digest.promised(Headers(raw=[(header, member.encode()) for member in members])) == expected


def test_nothing_is_promised_without_a_header() -> None:
    assert content_digest.promised(Headers({"content-type": "text/plain"})) == {}


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=80))
def test_any_text_is_a_promise_or_a_problem(text: str) -> None:
    """And a promise is always of the right length."""
    try:
        found = content_digest.promised(Headers(raw=[(b"content-digest", text.encode("latin-1"))]))
    except InvalidDigest:
        return
    assert all(len(value) == DIGEST_CHARACTERS[name] for name, value in found.items())


@pytest.mark.parametrize("name", DIGEST_CHARACTERS)
@pytest.mark.parametrize("change", [-1, 1])
def test_a_digest_of_another_length_is_refused(name: str, change: int) -> None:
    """It is a mistake, not something to overlook."""
    value = bytes(DIGEST_CHARACTERS[name] // 2 + change)
    with pytest.raises(InvalidDigest, match=f"{name} has {DIGEST_CHARACTERS[name] // 2} bytes"):
        content_digest.promised(Headers({"repr-digest": written(name, value)}))


def test_both_headers_promise_the_same() -> None:
    """The bytes are kept as they are sent: two promises that differ cannot both be kept."""
    one, other = written("md5", bytes(16)), written("md5", bytes(range(16)))
    assert content_digest.promised(Headers({"repr-digest": one, "content-digest": one})) == {"md5": bytes(16).hex()}
    with pytest.raises(DigestMismatch):
        content_digest.promised(Headers({"repr-digest": one, "content-digest": other}))


def test_only_what_is_known_of_both_is_compared() -> None:
    """A digest that this function cannot compute is left to the hasher."""
    content_digest.check({"md5": "aa", "crc32c": "bb"}, {"md5": "aa", "sha-256": "cc"})
    with pytest.raises(DigestMismatch) as found:
        content_digest.check({"md5": "aa"}, {"md5": "ab"})
    assert found.value.extra == {"name": "md5", "expected": "aa", "found": "ab"}
