"""The deployments that `sluice login` knows: their addresses and tokens, in a file that nobody else can read."""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sluice_client.errors import Misuse, SluiceError
from sluice_client.places import config_folder

USUAL = "default"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where a token of the issuer's is renewed, and with what."""

    token_endpoint: str
    revocation_endpoint: str | None
    client_id: str
    resource: str | None
    refresh_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """`sign_in` where the token is one of an issuer, and not an access token."""

    api: str
    token: str = field(repr=False)
    sign_in: SignIn | None = None


def profiles() -> dict[str, Profile]:
    """All by name. Raises Misuse where the file cannot be used."""
    try:
        path = _path()
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): _profile(each) for name, each in document.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Misuse(f"The profiles cannot be read: {error}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Misuse(f"{path} is no file of `sluice login`.", "Repair or remove it.") from None


def chosen(name: str | None) -> Profile | None:
    """The one of this name; without a name the usual one, or the only one there is. Raises Misuse."""
    known = profiles()
    if name is not None and name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise Misuse(
            f"There is no profile {name!a}.", f"`sluice login --name {name} URL` makes it; there are: {listed}."
        )
    if name is None and USUAL not in known and len(known) == 1:
        name = next(iter(known))
    return known.get(name or USUAL)


def remember(name: str, profile: Profile) -> Path:
    """Keep it, and answer where."""
    return _write(profiles() | {name: profile})


def forget(name: str) -> None:
    _write({each: profile for each, profile in profiles().items() if each != name})


def name_of(profile: Profile) -> str:
    return next(name for name, known in profiles().items() if known == profile)


@contextmanager
def alone() -> Iterator[None]:
    """While no other `sluice` of this user is in such a block. Windows has no such lock, and goes without."""
    try:
        path = _path().with_suffix(".lock")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("w") as file:
            if sys.platform != "win32":
                import fcntl  # noqa: PLC0415 (Windows has none)

                fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise SluiceError(f"The profiles cannot be kept: {error}.") from None


def _profile(document: Any) -> Profile:
    sign_in = document.get("sign_in")
    return Profile(str(document["api"]), str(document["token"]), SignIn(**sign_in) if sign_in else None)


def _write(kept: dict[str, Profile]) -> Path:
    """The file appears whole, and with mode 0600."""
    document = {
        name: {"api": known.api, "token": known.token} | ({"sign_in": asdict(known.sign_in)} if known.sign_in else {})
        for name, known in sorted(kept.items())
    }
    try:
        path = _path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = path.with_name(f".{secrets.token_hex(8)}.new")
        try:
            made.touch(mode=0o600, exist_ok=False)
            made.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)
    except OSError as error:
        raise SluiceError(f"The profile cannot be kept: {error}.") from None
    return path


def _path() -> Path:
    return config_folder() / "profiles.json"
