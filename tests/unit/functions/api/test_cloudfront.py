"""Which requests come through CloudFront."""

import json

from hypothesis import given
from hypothesis import strategies as st

from functions.api.cloudfront import is_known

SECRETS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=64)
# As Starlette reads headers.
OFFERED = st.text(st.characters(codec="latin-1"), max_size=64)


@given(SECRETS, SECRETS, OFFERED)
def test_what_is_among_the_values_is_let_in(current: str, previous: str, offered: str) -> None:
    """Both, while one takes the place of the other, and nothing else; an empty value lets nobody in."""
    secret = json.dumps({"current": current, "previous": previous})
    assert is_known(offered, secret) is (offered in {current, previous} - {""})
    for value in (current, previous):
        assert is_known(value, secret) is bool(value)
    assert not is_known("", secret)
