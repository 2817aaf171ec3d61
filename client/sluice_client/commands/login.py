"""`sluice login` and `sluice logout`: what a profile is made of."""

from collections.abc import Callable, Mapping
from typing import Any

from sluice_client import errors, profiles, sign_in
from sluice_client.contract import Sluice
from sluice_client.errors import SluiceError
from sluice_client.profiles import Profile
from sluice_client.progress import complain, say


async def login(sluice: Sluice, name: str, ask: Callable[[], str], *, by_account: bool) -> int:
    """Keep the profile once the deployment has taken its token. `ask` gets an access token from the person."""
    offer = await sluice.sign_in() if by_account else None
    profile = await _signed_in(sluice, offer) if offer else Profile(sluice.api, ask())
    async with Sluice(sluice.api, profile.token, sluice.retry) as trial:
        if profile.sign_in:
            say(f"You are {(await trial.me()).owner}.")
        else:
            async for _ in trial.files():
                break
    path = profiles.remember(name, profile)
    say(f"{path} has the profile {name}.")
    return errors.OK


async def _signed_in(sluice: Sluice, offer: Mapping[str, Any]) -> Profile:
    def show(address: str, code: str) -> None:
        say(f"Open {address}")
        say(f"and enter the code {code} if you are asked for it. Waiting ...")

    return await sign_in.by_device(sluice, offer, show)


async def logout(sluice: Sluice, name: str, profile: Profile) -> int:
    """What the issuer says changes nothing: here the session ends."""
    if profile.sign_in:
        try:
            await sign_in.revoke(sluice.http, profile.sign_in)
        except SluiceError as error:
            complain(error, "The issuer was not told")
    profiles.forget(name)
    say(f"The profile {name} is forgotten.")
    return errors.OK
