import json

import pytest

from local.tokens import hashed as hashed_by_make_token
from sluice import tokens
from sluice.tokens import hashed, is_owner, owner_of


def test_a_token_is_kept_as_its_hash() -> None:
    """Its owner is found by the token, and not by what the secret holds."""
    secret = json.dumps({"alice": hashed("one"), "bob": [hashed("two")]})
    assert (owner_of("one", secret), owner_of("two", secret)) == ("alice", "bob")
    assert owner_of(hashed("one"), secret) is None


def test_tokens_of_an_owner_overlap() -> None:
    """The new one counts before the old one ends."""
    secret = json.dumps({"alice": [hashed("old"), hashed("new")]})
    assert [owner_of(token, secret) for token in ("old", "new", "other")] == ["alice", "alice", None]


def test_a_token_that_is_no_hash_works_as_well() -> None:
    """It was put there by hand."""
    assert owner_of("plain", '{"alice": "plain"}') == "alice"


@pytest.mark.parametrize("secret", ['{"alice": ""}', '{"alice": []}', '{"alice": [""]}', "{}"])
def test_no_token_lets_nobody_in(secret: str) -> None:
    """An empty one is none."""
    assert owner_of("", secret) is None


@pytest.mark.parametrize("owner", ["team/a", "drops/x", "", ".", "..", "a b", "x" * 129, "ä"])
def test_an_owner_who_cannot_own_files_is_left_out(owner: str) -> None:
    """The others go on: one wrong line of the secret does not end the service."""
    secret = json.dumps({owner: "one", "alice": "two"})
    assert owner_of("one", secret) is None
    assert not is_owner(owner, secret, sign_in=True)
    assert owner_of("two", secret) == "alice"


@pytest.mark.parametrize("secret", ["", "token", "[]", '"token"', "null", "{"])
def test_a_secret_of_another_shape_lets_nobody_in(secret: str) -> None:
    """And is no error of whoever asks."""
    assert owner_of("token", secret) is None


@pytest.mark.parametrize("value", [5, None, {"a": "b"}, ["one", 5]])
def test_a_value_that_is_no_token_is_left_out(value: object) -> None:
    """With its owner: half of what somebody meant is not believed."""
    secret = json.dumps({"alice": value, "bob": "two"})
    assert not is_owner("alice", secret, sign_in=True)
    assert is_owner("bob", secret, sign_in=True)


def test_make_token_hashes_alike() -> None:
    """The two know the format apart from each other."""
    assert hashed_by_make_token("token") == tokens.hashed("token")


def test_whoever_signs_in_is_an_owner_where_people_sign_in() -> None:
    """Unless the secret keeps him out: the issuer alone knows who there is."""
    secret = json.dumps({"alice": hashed("one"), "oidc.mallory": None, "oidc.eve": hashed("two")})
    assert is_owner("oidc.alice", secret, sign_in=True)
    assert not is_owner("oidc.alice", secret, sign_in=False)
    assert not is_owner("oidc.mallory", secret, sign_in=True)
    assert not is_owner("oidc.eve", secret, sign_in=True)
    assert owner_of("two", secret) is None
    assert tokens.owners(secret) == ["alice"]
