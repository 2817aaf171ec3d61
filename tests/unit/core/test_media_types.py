import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import media_types
from sluice.media_types import ANY, TOKEN

TOKENS = st.from_regex(re.compile(TOKEN), fullmatch=True).filter(lambda text: "*" not in text)
PAIRS = st.tuples(TOKENS, TOKENS)


@given(PAIRS, st.sampled_from(["", ";charset=utf-8", "; charset=utf-8", " ; a=b; c=d"]))
def test_a_type_is_within_itself_its_kind_and_any(pair: tuple[str, str], parameters: str) -> None:
    """Whatever its parameters say, and whoever wrote it in capitals."""
    kind, name = pair
    declared = f"{kind}/{name}{parameters}"
    for written in (ANY, f"{kind}/*", f"{kind}/{name}"):
        for one in media_types.ranges([written.upper(), written]):
            assert media_types.within([one], declared)
            assert media_types.within(["other-kind/other-name", one], declared.upper())


@given(PAIRS, PAIRS)
def test_another_type_is_outside(pair: tuple[str, str], other: tuple[str, str]) -> None:
    """Only the same kind, and in it only the same name, are meant."""
    exact = media_types.ranges(["/".join(pair)])
    whole_kind = media_types.ranges([f"{pair[0]}/*"])
    declared = "/".join(other)
    assert media_types.within(exact, declared) == (tuple(map(str.lower, pair)) == tuple(map(str.lower, other)))
    assert media_types.within(whole_kind, declared) == (pair[0].lower() == other[0].lower())


@given(st.lists(st.sampled_from(["image/*", "IMAGE/*", "text/plain", "application/pdf", ANY]), min_size=1))
def test_ranges_are_kept_once_and_in_order(listed: list[str]) -> None:
    """Reading what was read changes nothing."""
    read = media_types.ranges(f" {one}\t" for one in listed)
    assert read == media_types.ranges(read)
    assert list(read) == list(dict.fromkeys(one.lower() for one in listed))


@pytest.mark.parametrize("text", ["", "image", "image/", "/png", "*", "*/png", "image/png/x", "image/png;q=1", "a b/c"])
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
    assert all(re.fullmatch(rf"{TOKEN}/{TOKEN}", one) for one in read)


def test_a_longer_kind_is_another_kind() -> None:
    """`image/*` is no prefix of a text."""
    assert not media_types.within(["image/*"], "imagery/png")
    assert not media_types.within(["application/pdf"], "application/pdfx")
    assert not media_types.within(["application/*"], "text/application/")
