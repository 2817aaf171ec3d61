import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.api import oidc
from functions.api.oidc import issued, owner_named
from sluice.capabilities import Holder, Use, issue, issue_upload
from sluice.files import OWNER, new_id
from sluice.tokens import SIGNED_IN

KEY = "k" * 64


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        ("alice", "oidc.alice"),
        ("alice@example.com", "oidc.alice@example.com"),
        ("auth0|5f7c8ec7c33c6c004bbafe82", "oidc.auth0=7C5f7c8ec7c33c6c004bbafe82"),
        ("a=b%c~d", "oidc.a=3Db=25c=7Ed"),
        ("Zoë", "oidc.Zo=C3=AB"),
        ("../admin", "oidc...=2Fadmin"),
    ],
)
def test_an_owner_is_named_after_the_claim(claim: str, name: str) -> None:
    """So that an administrator reads who it is."""
    assert owner_named(claim) == name


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_claim_names_an_owner(claim: str) -> None:
    """Of any letters and any length."""
    assert OWNER.fullmatch(owner_named(claim))


@given(*[st.text(min_size=1, max_size=200, alphabet="aA=%~73D|s@.-_é")] * 2)
def test_two_claims_name_two_owners(one: str, other: str) -> None:
    """Nobody reaches another person's files by the letters of his own name."""
    assert (owner_named(one) == owner_named(other)) == (one == other)


def test_a_long_claim_is_named_by_its_hash() -> None:
    """A key of the table has room for 128 characters. No short claim can be written to name the same owner."""
    name = owner_named("x" * 200)
    assert name.startswith("oidc.=sha256=")
    assert owner_named(name.removeprefix(SIGNED_IN)) != name


def test_our_own_capabilities_are_no_tokens_of_an_issuer() -> None:
    """They are JWTs as well, and go the way that they always went."""
    assert not issued(issue(KEY, Holder("alice"), new_id(), Use.CONTENT, 60))
    assert not issued(issue_upload(KEY, "alice", 2_000_000_000))


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "..", "a.b.c.d", "é.é.é", "x" * 20_000, "." * 20_000])
def test_what_is_no_token_is_none(text: str) -> None:
    """Whatever somebody sends."""
    assert not issued(text)


def test_the_algorithms_are_those_of_public_keys() -> None:
    """With a shared secret whoever checks a token could make one, and `none` is no signature."""
    assert not {name for name in oidc.ALGORITHMS if name.startswith("HS") or name == "none"}
