"""The deployments that `sluice login` knows: their addresses and tokens, in a file that nobody else can read."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice_client.errors import Misuse, SluiceError
from sluice_client.places import config_folder

USUAL = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    api: str
    token: str = field(repr=False)


def profiles() -> dict[str, Profile]:
    """All by name. Raises Misuse where the file cannot be used."""
    try:
        path = _path()
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): Profile(str(each["api"]), str(each["token"])) for name, each in document.items()}
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
    """Keep it, and answer where. The file appears whole, and with mode 0600."""
    kept = profiles() | {name: profile}
    document = {each: {"api": known.api, "token": known.token} for each, known in sorted(kept.items())}
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
