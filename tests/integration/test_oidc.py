"""What counts of an issuer's tokens, with a real issuer on loopback: members, addresses, keys that change, outages."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest

from functions.api import oidc
from functions.api.oidc import Issuer, Rules
from sluice.errors import AccessDenied, InvalidToken, SignInUnavailable, UnknownKey, WrongAudience
from tests.integration.issuer import CLIENT_ID, issuing
from tests.integration.issuer import Issuer as Played


@pytest.fixture
def played() -> Iterator[Played]:
    with issuing() as one:
        yield one


def meeting(played: Played, **rules: str) -> Issuer:
    """The issuer, as the API meets it for the first time."""
    usual = Rules(played.name, CLIENT_ID, CLIENT_ID, "openid", "sub", "groups", "", "")
    return Issuer(replace(usual, **rules))


def test_a_key_that_was_withdrawn_counts_no_more(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one counts at once. Whoever makes up keys does not make the API ask for them again and again."""
    monkeypatch.setattr(oidc, "COOLDOWN_SECONDS", 0)
    issuer = meeting(played)
    old = played.token()
    assert issuer.person(old).owner == "oidc.alice"
    played.rotate("second", curve=True)
    assert issuer.person(played.token(algorithm="ES256")).owner == "oidc.alice"
    with pytest.raises(UnknownKey):
        issuer.person(old)


def test_made_up_keys_ask_seldom(played: Played) -> None:
    """Once, and then not for half a minute."""
    issuer = meeting(played)
    issuer.person(played.token())
    asked = len(played.asked)
    for number in range(20):
        key = next(iter(played.keys.values()))
        made_up = jwt.encode({"iss": played.name}, key, "RS256", headers={"kid": f"made-up-{number}"})
        with pytest.raises(UnknownKey):
            issuer.person(made_up)
    assert len(played.asked) == asked


def test_keys_of_before_count_while_the_issuer_is_down(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever signed in goes on, and nobody waits for the issuer at each request."""
    monkeypatch.setattr(oidc, "KEYS_SECONDS", 0.001)
    issuer = meeting(played)
    issuer.person(played.token())
    played.down = True
    assert issuer.person(played.token()).owner == "oidc.alice"


def test_an_issuer_that_never_answered(played: Played) -> None:
    """Is asked again by the next request: nobody is locked out for longer than it is down."""
    issuer = meeting(played)
    played.down = True
    with pytest.raises(SignInUnavailable):
        issuer.person(played.token())
    assert issuer.origins() == {played.url}
    played.down = False
    assert issuer.person(played.token()).owner == "oidc.alice"


def test_another_issuers_document_is_refused(played: Played) -> None:
    """One that calls itself otherwise is not the one that was meant (OpenID Connect Discovery 1.0, section 4.3)."""
    played.name = "https://elsewhere.example"
    issuer = meeting(played, issuer=played.url)
    with pytest.raises(SignInUnavailable):
        issuer.person(played.token(iss=played.url))


@pytest.mark.parametrize(
    "roles", [None, [], ["others"], "others", [["senders"]], {"senders": True}, ["Senders"], [""], ""]
)
def test_only_members_may_sign_in(played: Played, roles: Any) -> None:
    """Where a group is named: an issuer lets in a whole company."""
    issuer = meeting(played, groups_claim="roles", user_group="senders", admin_group="keepers")
    with pytest.raises(AccessDenied):
        issuer.person(played.token(roles=roles))


@pytest.mark.parametrize(("roles", "admin"), [(["senders"], False), ("senders", False), (["keepers", "x"], True)])
def test_members_and_administrators_sign_in(played: Played, roles: Any, admin: bool) -> None:
    """Administrators need not be members as well."""
    issuer = meeting(played, groups_claim="roles", user_group="senders", admin_group="keepers")
    assert issuer.person(played.token(roles=roles)).admin is admin


@pytest.mark.parametrize("groups", [[""], "", None, ["admin"]])
def test_nobody_is_an_administrator_where_no_group_is_named(played: Played, groups: Any) -> None:
    """An empty name is no group."""
    assert meeting(played).person(played.token(groups=groups)).admin is False


def test_an_address_counts_once_it_is_verified(played: Played) -> None:
    """Whoever may write any address into his account would be anybody."""
    issuer = meeting(played, owner_claim="email")
    for claims in ({}, {"email_verified": False}, {"email_verified": "true"}):
        with pytest.raises(InvalidToken):
            issuer.person(played.token(email="boss@example.com", **claims))
    assert issuer.person(played.token(email="boss@example.com", email_verified=True)).owner == "oidc.boss@example.com"


def test_an_audience_of_its_own(played: Played) -> None:
    """Then no ID token counts, and no access token that names the client alone."""
    issuer = meeting(played, audience="https://sluice.example/")
    for token in (played.token(), played.token(aud=None, client_id=CLIENT_ID)):
        with pytest.raises(WrongAudience):
            issuer.person(token)
    assert issuer.person(played.token(aud=["x", "https://sluice.example/"])).owner == "oidc.alice"
    assert issuer.describe()["resource"] == "https://sluice.example/"
