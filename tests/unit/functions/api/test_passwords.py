import re

from pydantic import SecretStr

from functions.api import passwords
from functions.api.schemas import CreateShare, OpenShare
from sluice.shares import Share


def test_a_password_matches_itself_alone() -> None:
    """Its hash has a salt, so that equal passwords have nothing in common, and says how it was made."""
    first, second = (passwords.hashed(SecretStr("correct horse")) for _ in range(2))
    assert first != second
    assert passwords.matches(first, SecretStr("correct horse"))
    assert passwords.matches(second, SecretStr("correct horse"))
    for other in ("correct horse ", "Correct horse", "", "x" * 256):
        assert not passwords.matches(first, SecretStr(other))
    assert re.fullmatch(r"scrypt:32768:8:3:[A-Za-z0-9+/=]{24}:[A-Za-z0-9+/=]{44}", first)


def test_keyboards_may_compose_letters_as_they_like() -> None:
    """A letter with its accent, or the two after each other; wide forms, as Japanese keyboards have them."""
    kept = passwords.hashed(SecretStr("Z\u00fcrich1"))
    assert passwords.matches(kept, SecretStr("Zu\u0308rich1"))
    assert passwords.matches(kept, SecretStr("Z\u00fcrich\uff11"))


def test_other_settings_can_follow() -> None:
    """A hash is checked by the settings that it was made with."""
    kept = passwords.hashed(SecretStr("a"))
    weaker = passwords._written(SecretStr("a"), b"salt" * 4, 2**10, 8, 1)
    assert passwords.matches(weaker, SecretStr("a"))
    assert not passwords.matches(weaker, SecretStr("b"))
    assert weaker.split(":")[1:4] != kept.split(":")[1:4]


def test_nothing_shows_a_password() -> None:
    """Neither what was asked for nor the record, wherever somebody logs it; the hash neither."""
    wanted = CreateShare.model_validate({"folder": "a", "expires_in": 1, "password": "secret"})
    asked = OpenShare.model_validate({"password": "secret"})
    share = Share(owner="a", count=1, size=1, expires_at=1, password="scrypt:hash")
    assert "secret" not in f"{wanted!r}{asked!r}{wanted}{asked}{wanted.model_dump_json()}"
    assert "hash" not in f"{share!r}{share}{share.public()}"
