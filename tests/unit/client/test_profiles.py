"""Deployments that were logged in to, and links to shares."""

import json
import stat
from pathlib import Path

import pytest

from sluice_client.cli.settings import Settings
from sluice_client.errors import Misuse
from sluice_client.links import ShareLink
from sluice_client.profiles import Profile, profiles, remember
from tests.unit.client.deployment import jwt_of

HOME, WORK = Profile("https://home", "home-token"), Profile("https://work/x", "work-token")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "sluice" / "profiles.json"


def test_nobody_else_reads_them(config: Path) -> None:
    """Mode 0600 in a folder of mode 0700, with nothing beside it; a new one leaves the others."""
    remember("home", HOME)
    remember("work", WORK)
    remember("home", HOME)
    assert profiles() == {"home": HOME, "work": WORK}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert list(config.parent.iterdir()) == [config]
    assert "home-token" not in repr(HOME)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"api": "x"}}'])
def test_a_file_that_is_none_is_told(config: Path, text: str) -> None:
    """One sentence with its name."""
    config.parent.mkdir(parents=True)
    config.write_text(text)
    with pytest.raises(Misuse, match=r"profiles\.json is no file of"):
        profiles()


def test_which_deployment() -> None:
    """The only one, the one that is named, the usual one; variables win, and no token goes to another address."""
    remember("work", WORK)
    assert Settings(None, None).checked() == ("https://work/x", "work-token")
    remember("home", HOME)
    with pytest.raises(Misuse, match="address of the API"):
        Settings(None, None).checked()
    assert Settings(None, None, "home").checked() == ("https://home", "home-token")
    with pytest.raises(Misuse, match="no profile 'nobody'"):
        Settings(None, None, "nobody").checked()
    remember("default", WORK)
    assert Settings(None, None).checked() == ("https://work/x", "work-token")
    assert Settings(None, "other").checked() == ("https://work/x", "other")
    assert Settings("https://else", "other", "home").checked() == ("https://else", "other")
    assert Settings("https://work/x/", None).checked() == ("https://work/x", "work-token")
    with pytest.raises(Misuse, match="token is not set"):
        Settings("https://else", None).checked()


def test_a_link_to_a_share() -> None:
    """Of a page at an address with or without a path, or the capability alone."""
    capability = jwt_of({"record": "01m7z2a3z8163h38qzq6y7y8bz"})
    for page, api in (
        ("https://x/#share=", "https://x"),
        ("http://127.0.0.1:8080/p/#share=", "http://127.0.0.1:8080/p"),
    ):
        assert ShareLink.parse(f" {page}{capability}\n") == ShareLink("01m7z2a3z8163h38qzq6y7y8bz", capability, api)
    assert ShareLink.parse(capability).api is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "https://x/",
        "https://x/#drop=a.b.c",
        "ftp://x/#share=a",
        "a.b.c",
        jwt_of({"record": "../a"}),
        jwt_of({"sub": "a"}),
        f"https://x/#share={json.dumps({})}",
    ],
)
def test_what_is_no_link(text: str) -> None:
    """Is told before anything is sent."""
    with pytest.raises(Misuse):
        ShareLink.parse(text)
