"""`sluice login` and `sluice logout`."""

from typing import TYPE_CHECKING, Annotated

import typer

from sluice_client.cli.options import secret
from sluice_client.cli.run import run_on
from sluice_client.cli.settings import EXIT_CODES, check_api, check_token
from sluice_client.errors import Misuse
from sluice_client.profiles import USUAL, chosen
from sluice_client.progress import complain

if TYPE_CHECKING:
    from sluice_client.contract import Sluice

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="What to call it; for --profile.")]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EXIT_CODES)(login)
    app.command(epilog=EXIT_CODES)(logout)


def login(
    api: Annotated[str, typer.Argument(metavar="URL", help="Address of the API.")],
    name: Name = USUAL,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read a token from stdin.")] = False,
    with_token: Annotated[bool, typer.Option("--with-token", help="Ask for an access token instead.")] = False,
) -> None:
    """Sign in to a deployment with your organisation's account, or keep an access token for it.

    Where the deployment has a sign-in, you get an address and a code for any browser; the token is renewed by itself.
    Else the token is asked for without showing it. It is kept in $XDG_CONFIG_HOME/sluice/profiles.json, which only you
    can read. SLUICE_API and SLUICE_TOKEN win over it.

    `sluice login https://sluice.example.com --name work && sluice --profile work ls`
    """
    try:
        address = check_api(api)
        # Before anybody is asked over the network: a pipe has what it has.
        given = check_token(secret("Access token", from_stdin=True)) if token_stdin else None
    except Misuse as error:
        complain(error)
        raise typer.Exit(error.exit_code) from None

    def ask() -> str:
        return given or check_token(secret("Access token", from_stdin=False))

    async def enter(sluice: "Sluice") -> int:
        from sluice_client.commands import login as command

        return await command.login(sluice, name, ask, by_account=given is None and not with_token)

    run_on(address, None, enter)


def logout(name: Name = USUAL) -> None:
    """Forget a deployment, and end its session at the issuer."""
    try:
        profile = chosen(name)
        if profile is None:
            raise Misuse(f"There is no profile {name!a}.")
    except Misuse as error:
        complain(error)
        raise typer.Exit(error.exit_code) from None

    async def leave(sluice: "Sluice") -> int:
        from sluice_client.commands import login as command

        return await command.logout(sluice, name, profile)

    run_on(profile.api, None, leave)
