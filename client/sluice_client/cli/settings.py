"""Where the deployment is, and what opens it: the command line, then variables, then `sluice login`."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sluice_client import profiles
from sluice_client.errors import Misuse

EXIT_CODES = (
    "Exit codes: 0 all done; 1 it failed; 2 wrong usage or settings; "
    "3 other bytes arrived, or the file changed meanwhile; 130 interrupted."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line and the variables say."""

    api: str | None
    token: str | None = field(repr=False)
    profile: str | None = None

    def checked(self) -> tuple[str, str]:
        """The address and the token. Raises Misuse, which never quotes the token."""
        api, token = self.api, self.token
        if not (api and token):
            known = profiles.chosen(self.profile)
            # A token goes nowhere but to the deployment that it was given for.
            if known and (api is None or api.rstrip("/") == known.api):
                api, token = api or known.api, token or known.token
        if not api:
            raise Misuse("The address of the API is not set.", "Set SLUICE_API, give --api, or `sluice login` once.")
        return check_api(api), check_token(token or "")

    def api_only(self) -> str | None:
        """The address for what needs no token: a share opens itself."""
        known = None if self.api else profiles.chosen(self.profile)
        return check_api(self.api) if self.api else known.api if known else None


def check_api(api: str) -> str:
    if not re.match(r"https?://[^/]", api) or urlsplit(api).query:
        raise Misuse("The address of the API is no http(s) URL.", "It looks like https://example.com.")
    return api.rstrip("/")


def check_token(token: str) -> str:
    token = token.strip()
    if not token:
        raise Misuse("The access token is not set.", "Set SLUICE_TOKEN, or `sluice login` once.")
    if not re.fullmatch("[!-~]+", token):
        raise Misuse("The access token has characters that no token has.", "Look for spaces in SLUICE_TOKEN.")
    return token
