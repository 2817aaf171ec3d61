"""`sluice login`."""

from typing import TYPE_CHECKING, Annotated

import typer

from sluice_client import errors
from sluice_client.cli.options import secret
from sluice_client.cli.run import run_on
from sluice_client.cli.settings import EXIT_CODES, check_api, check_token
from sluice_client.errors import Misuse
from sluice_client.profiles import USUAL, Profile, remember
from sluice_client.progress import complain, say

if TYPE_CHECKING:
    from sluice_client.contract import Sluice


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EXIT_CODES)(login)


def login(
    api: Annotated[str, typer.Argument(metavar="URL", help="Address of the API.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call it; for --profile.")] = USUAL,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from stdin's first line.")] = False,
) -> None:
    """Keep the address and the token of a deployment, after asking it whether they are right.

    The token is asked for without showing it. Both are kept in $XDG_CONFIG_HOME/sluice/profiles.json, which nobody but
    you can read. SLUICE_API and SLUICE_TOKEN win over it.

    `sluice login https://sluice.example.com --name work && sluice --profile work ls`
    """
    try:
        address = check_api(api)
        token = check_token(secret("Access token", from_stdin=token_stdin))
    except Misuse as error:
        complain(error)
        raise typer.Exit(error.exit_code) from None

    async def check(sluice: "Sluice") -> int:
        async for _ in sluice.files():
            break
        path = remember(name, Profile(address, token))
        say(f"{path} has the profile {name}.")
        return errors.OK

    run_on(address, token, check)
