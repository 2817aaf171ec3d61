"""`sluice tokens` and `sluice owners`."""

from collections.abc import Sequence

from sluice_client import errors
from sluice_client.batches import each
from sluice_client.contract import Sluice
from sluice_client.names import printable
from sluice_client.output import print_json, print_text
from sluice_client.progress import say
from sluice_client.records import AccessToken


async def make(sluice: Sluice, name: str, expires_in: int, *, as_json: bool) -> int:
    """Prints the token, which nobody can ask for again."""
    made = await sluice.make_token(name, expires_in)
    say(f"Access token {made.id} counts until {_time(made)}. It is shown this once.")
    if as_json:
        print_json(made.json)
    else:
        print_text(str(made.token))
    return errors.OK


async def ls(sluice: Sluice, owner: str | None, *, as_json: bool) -> int:
    async for token in sluice.tokens(owner):
        if as_json:
            print_json(token.json)
        else:
            print_text(f"{token.id}  until {_time(token)}  {printable(token.name)}")
    return errors.OK


async def rm(sluice: Sluice, token_ids: Sequence[str], owner: str | None) -> int:
    async def revoke(token_id: str) -> None:
        await sluice.revoke_token(token_id, owner)

    return await each(token_ids, revoke, lambda token_id, _: say(f"{token_id} counts no more"))


async def owners(sluice: Sluice) -> int:
    for owner in await sluice.owners():
        print_text(owner)
    return errors.OK


def _time(token: AccessToken) -> str:
    return token.expires_at[:16].replace("T", " ") + " UTC"
