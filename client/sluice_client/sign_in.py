"""Signing in at the issuer that a deployment names: the device flow (RFC 8628), renewal by refresh token, sign-out.

The issuer's tokens go to the deployment; the refresh token goes to the issuer and nowhere else.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx

from sluice_client import profiles
from sluice_client.contract import Sluice, unreachable
from sluice_client.errors import Misuse, SluiceError
from sluice_client.profiles import Profile, SignIn

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628, section 3.4
INTERVAL_SECONDS = (
    5.0  # between two questions, where the issuer says nothing (section 3.2), and more when it is asked to
)
EXPIRY_SECONDS = 600.0  # of a code of which the issuer does not say how long it lives


class Refused(SluiceError):
    """The issuer said no; `code` is its word for it (RFC 6749, section 5.2)."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"The sign-in did not succeed: {description or code}.", "`sluice login` begins anew.")
        self.code = code


async def by_device(sluice: Sluice, offer: Mapping[str, Any], show: Callable[[str, str], None]) -> Profile:
    """Let the person sign in with any browser, and wait for that. `show` tells the address and the code.

    Raises Refused; Misuse where the issuer knows no devices.
    """
    if not offer.get("device_authorization_endpoint"):
        raise Misuse(
            "The issuer of this deployment has no device flow.",
            "Ask your administrator for an access token; `--with-token` takes it.",
        )
    resource = {"resource": offer["resource"]} if offer.get("resource") else {}
    wanted = {"client_id": offer["client_id"], "scope": offer["scope"], **resource}
    asked = await _post(sluice.http, offer["device_authorization_endpoint"], wanted)
    show(asked.get("verification_uri_complete") or asked["verification_uri"], asked["user_code"])
    interval = float(asked.get("interval") or INTERVAL_SECONDS)
    late = time.monotonic() + float(asked.get("expires_in") or EXPIRY_SECONDS)
    sign_in = SignIn(
        token_endpoint=offer["token_endpoint"],
        revocation_endpoint=offer.get("revocation_endpoint"),
        client_id=offer["client_id"],
        resource=offer.get("resource"),
        refresh_token=None,
    )
    code = {
        "grant_type": DEVICE_GRANT,
        "device_code": asked["device_code"],
        "client_id": offer["client_id"],
        **resource,
    }
    while time.monotonic() < late:
        await asyncio.sleep(interval)
        try:
            return _profile(sluice.api, sign_in, await _post(sluice.http, sign_in.token_endpoint, code))
        except Refused as refusal:
            if refusal.code == "slow_down":
                interval += INTERVAL_SECONDS
            elif refusal.code != "authorization_pending":
                raise
    raise Refused("expired_token", "nobody signed in in time")


class Renewal:
    """Another bearer token for a profile, which is kept. Two processes with one profile do not renew it twice."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    async def __call__(self, http: httpx.AsyncClient, used: str) -> str | None:
        """What to use instead of `used`; None where nobody signed in, or the issuer wants the person again."""
        # An issuer that rotates refresh tokens treats one that is used twice as stolen, and ends the session.
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, profiles.alone())
            profile = profiles.chosen(self._name)
            if profile is None or profile.sign_in is None:
                return None
            if profile.token != used:
                return profile.token
            if profile.sign_in.refresh_token is None:
                return None
            try:
                renewed = await _renewed(http, profile, profile.sign_in)
            except Refused:
                return None
            profiles.remember(profiles.name_of(profile), renewed)
            return renewed.token


async def revoke(http: httpx.AsyncClient, sign_in: SignIn) -> None:
    """End the session of a profile (RFC 7009). Raises SluiceError."""
    if sign_in.refresh_token and sign_in.revocation_endpoint:
        wanted = {"token": sign_in.refresh_token, "token_type_hint": "refresh_token", "client_id": sign_in.client_id}
        await _post(http, sign_in.revocation_endpoint, wanted)


async def _renewed(http: httpx.AsyncClient, profile: Profile, sign_in: SignIn) -> Profile:
    resource = {"resource": sign_in.resource} if sign_in.resource else {}
    wanted = {"grant_type": "refresh_token", "refresh_token": sign_in.refresh_token, "client_id": sign_in.client_id}
    return _profile(profile.api, sign_in, await _post(http, sign_in.token_endpoint, {**wanted, **resource}))


def _profile(api: str, sign_in: SignIn, granted: Mapping[str, Any]) -> Profile:
    """The access token where it is a JWT, which the API can check; else the ID token (docs/api.md, Signing in)."""
    access = str(granted["access_token"])
    token = access if access.count(".") == 2 else str(granted.get("id_token") or access)
    return Profile(api, token, replace(sign_in, refresh_token=granted.get("refresh_token") or sign_in.refresh_token))


async def _post(http: httpx.AsyncClient, url: str, form: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer = await http.post(url, data=form, headers={"Accept": "application/json"}, follow_redirects=False)
    except httpx.TransportError as failure:
        raise unreachable(failure, httpx.URL(url).netloc.decode()) from None
    try:
        document = answer.json() if answer.content else {}
    except ValueError:
        document = {}
    if not answer.is_success or not isinstance(document, dict):
        told = document if isinstance(document, dict) else {}
        described = str(told.get("error_description") or "").rstrip(".")
        raise Refused(str(told.get("error") or f"the issuer answered {answer.status_code}"), described)
    return document
