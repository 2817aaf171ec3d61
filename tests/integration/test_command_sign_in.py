"""The `sluice` command, signed in: by the device flow, over the end of a token, and out again."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import journey
from tests.integration.conftest import ROOT, Stack, standing, thorough
from tests.integration.issuer import CLIENT_ID, Issuer, issuing
from tests.integration.test_client import sluice

PROFILE = Path("config/sluice/profiles.json")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def stack(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    parameters = {"OidcIssuer": issuer.name, "OidcClientId": CLIENT_ID, "OidcAdminGroup": "keepers"}
    with standing(tmp_path_factory.mktemp("stack"), parameters=parameters) as up:
        yield up


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the command is run; what it keeps is beside it."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def command(stack: Stack, home: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """With what `sluice login` has kept, and nothing else."""
    return sluice(stack, home, *arguments, SLUICE_API="", SLUICE_TOKEN="")


def log_in(stack: Stack, issuer: Issuer, home: Path, person: str = "alice") -> None:
    issuer.approved = person
    done = command(stack, home, "login", stack.api)
    assert done.returncode == 0, done.stderr


def kept(home: Path) -> dict[str, Any]:
    profile: dict[str, Any] = json.loads((home.parent / PROFILE).read_text())["default"]
    return profile


def test_a_person_signs_in_with_another_device(stack: Stack, issuer: Issuer, home: Path) -> None:
    """The command shows an address and a code, waits, and says who that is. Nothing that lets in is shown."""
    issuer.approved = None
    before = len(issuer.asked)
    with subprocess.Popen(
        [sys.executable, "-m", "sluice_client", "login", stack.api],
        cwd=home,
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "client"), "NO_PROXY": "127.0.0.1", "XDG_CONFIG_HOME": str(home.parent / "config")},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        try:
            assert f"{issuer.url}/device" in process.stderr.readline()
            assert "ABCD-EFGH" in process.stderr.readline()
            while issuer.asked[before:].count("/token") < 2:
                assert process.poll() is None
            issuer.approved = "alice"
            said = process.stderr.read()
            assert process.wait(journey.PATIENCE_SECONDS) == 0, said
        finally:
            process.kill()
    assert "You are oidc.alice." in said
    profile = kept(home)
    assert profile["token"] not in said
    (home / "letter.txt").write_bytes(b"signed in")
    assert command(stack, home, "put", "letter.txt").returncode == 0
    assert b"letter.txt" in command(stack, home, "ls").stdout


def test_a_token_that_ended_is_renewed(stack: Stack, issuer: Issuer, home: Path) -> None:
    """Whatever the command is about; the profile has the new ones, and nobody else reads them."""
    log_in(stack, issuer, home)
    first = kept(home)
    path = home.parent / PROFILE
    first["token"] = issuer.token(exp=1)
    path.write_text(json.dumps({"default": first}))
    assert command(stack, home, "ls").returncode == 0
    second = kept(home)
    assert second["token"] != first["token"]
    assert second["sign_in"]["refresh_token"] != first["sign_in"]["refresh_token"]
    assert path.stat().st_mode & 0o077 == 0


@thorough
def test_two_commands_renew_once(stack: Stack, issuer: Issuer, home: Path) -> None:
    """An issuer that changes refresh tokens takes one that comes twice for stolen."""
    log_in(stack, issuer, home)
    profile = kept(home) | {"token": issuer.token(exp=1)}
    (home.parent / PROFILE).write_text(json.dumps({"default": profile}))
    before = issuer.asked.count("/token")
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "sluice_client", "ls"],
            cwd=home,
            env=os.environ
            | {"PYTHONPATH": str(ROOT / "client"), "NO_PROXY": "127.0.0.1", "SLUICE_API": "", "SLUICE_TOKEN": ""}
            | {"XDG_CONFIG_HOME": str(home.parent / "config")},
        )
        for _ in range(4)
    ]
    assert [process.wait(journey.PATIENCE_SECONDS) for process in started] == [0] * 4
    assert issuer.asked.count("/token") - before == 1


def test_who_cannot_renew_is_told_to_sign_in(stack: Stack, issuer: Issuer, home: Path) -> None:
    """With the code of what is wrong."""
    log_in(stack, issuer, home)
    (home.parent / PROFILE).write_text(json.dumps({"default": kept(home) | {"token": issuer.token(exp=1)}}))
    issuer.refresh_tokens.clear()
    done = command(stack, home, "ls")
    assert done.returncode == 1
    assert b"[token_expired] `sluice login` signs you in again." in done.stderr


def test_who_signs_out_leaves_nothing(stack: Stack, issuer: Issuer, home: Path) -> None:
    """Neither here nor at the issuer, whether that answers or not."""
    log_in(stack, issuer, home)
    refresh_token = kept(home)["sign_in"]["refresh_token"]
    assert command(stack, home, "logout").returncode == 0
    assert refresh_token not in issuer.refresh_tokens
    assert json.loads((home.parent / PROFILE).read_text()) == {}
    assert command(stack, home, "logout").returncode == 2


def test_access_tokens_are_made_listed_and_revoked(stack: Stack, issuer: Issuer, home: Path) -> None:
    """stdout has the token and nothing else; with it a machine sends."""
    log_in(stack, issuer, home)
    made = command(stack, home, "tokens", "make", "nightly backup", "--expires", "12w")
    assert made.returncode == 0, made.stderr
    token = made.stdout.decode().strip()
    assert b"nightly backup" in command(stack, home, "tokens", "ls").stdout
    machine = {"SLUICE_TOKEN": token}
    assert sluice(stack, home, "ls", **machine).returncode == 0
    refused = sluice(stack, home, "tokens", "ls", **machine)
    assert b"[sign_in_needed] `sluice login` signs you in with your own account." in refused.stderr
    (listed,) = command(stack, home, "tokens", "ls", "--json").stdout.splitlines()
    assert command(stack, home, "tokens", "rm", json.loads(listed)["id"]).returncode == 0
    assert sluice(stack, home, "ls", **machine).returncode == 1


@thorough
def test_an_administrator_ends_what_others_gave_out(stack: Stack, issuer: Issuer, home: Path) -> None:
    """By the name of the owner, which `owners` lists."""
    log_in(stack, issuer, home)
    drop = command(stack, home, "drop", "--max-files", "1", "--json")
    drop_id = json.loads(drop.stdout)["id"]
    assert b"[admin_only]" in command(stack, home, "owners").stderr
    keeper = {"SLUICE_TOKEN": issuer.token(sub="carol", groups=["keepers"])}
    assert b"oidc.alice" in sluice(stack, home, "owners", **keeper).stdout
    assert drop_id.encode() in sluice(stack, home, "drop", "ls", "--owner", "oidc.alice", **keeper).stdout
    assert sluice(stack, home, "drop", "rm", drop_id, "--owner", "oidc.alice", **keeper).returncode == 0
    assert drop_id.encode() not in command(stack, home, "drop", "ls").stdout
