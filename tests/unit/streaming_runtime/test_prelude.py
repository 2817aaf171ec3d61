import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_runtime.prelude import DELIMITER, HOP_BY_HOP, UNSAFE, prelude

TEXT = st.text(st.characters(max_codepoint=255, exclude_characters="".join(UNSAFE))).map(
    lambda text: text.encode("latin-1")
)


@given(st.integers(200, 599), st.lists(st.tuples(TEXT, TEXT)))
def test_the_delimiter_is_only_at_the_end(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    """The JSON holds no NUL and no byte beyond ASCII, so the first eight NULs are the delimiter."""
    encoded = prelude(status, headers)
    fields, delimiter, rest = encoded.partition(DELIMITER)
    assert (delimiter, rest) == (bytes(8), b"")
    assert json.loads(fields.decode("ascii"))["statusCode"] == status


@given(st.lists(st.tuples(st.sampled_from([b"Vary", b"vary", b"Set-Cookie", b"X-A"]), TEXT)))
def test_no_header_value_is_lost(headers: list[tuple[bytes, bytes]]) -> None:
    """Repeated headers are joined in their order, whatever their case; cookies stay apart."""
    fields = json.loads(prelude(200, headers).removesuffix(DELIMITER))
    wanted: dict[str, list[str]] = {}
    for name, value in headers:
        wanted.setdefault(name.decode().lower(), []).append(value.decode("latin-1"))
    assert fields["cookies"] == wanted.pop("set-cookie", [])
    assert fields["headers"] == {name: ", ".join(values) for name, values in wanted.items()}


def test_hop_by_hop_headers_stay_on_their_hop() -> None:
    """Transfer-Encoding and its like describe another connection."""
    headers = [(name.encode(), b"x") for name in HOP_BY_HOP]
    assert json.loads(prelude(200, headers).removesuffix(DELIMITER))["headers"] == {}


@pytest.mark.parametrize("header", [(b"x", b"a\r\nb"), (b"x", b"a\nb"), (b"x", b"\0"), (b"x\r\ny", b"a")])
def test_a_header_that_would_forge_another_is_refused(header: tuple[bytes, bytes]) -> None:
    """Line breaks and NULs raise instead of reaching Lambda."""
    with pytest.raises(ValueError, match="line break or a NUL"):
        prelude(200, [header])


def test_a_status_is_a_number_and_a_length_stands_once() -> None:
    """Anything else would be a prelude that Lambda cannot read, or that clients read in two ways."""
    with pytest.raises(ValueError, match="no number"):
        prelude(None, [])  # type: ignore[arg-type]  # an app may say anything
    with pytest.raises(ValueError, match="more than one"):
        prelude(200, [(b"content-length", b"5"), (b"Content-Length", b"5")])
