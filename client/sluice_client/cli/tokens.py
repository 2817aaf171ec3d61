"""`sluice tokens` and `sluice owners`."""

from typing import Annotated

import typer

from sluice_client.cli.options import AsJson, Expires, OtherOwner, check_ids, seconds_of
from sluice_client.cli.run import run
from sluice_client.cli.settings import EXIT_CODES

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EXIT_CODES,
    help="""Access tokens for machines: named, with an end, and revoked at once.

    `sluice tokens make 'nightly backup' --expires 12w > token`
    """,
)


@app.command(epilog=EXIT_CODES)
def make(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    expires: Expires,
    as_json: AsJson = False,
) -> None:
    """Make an access token, and print it. It is shown this once, and can do what you can, but make no tokens."""
    seconds = seconds_of(expires)
    from sluice_client.commands import tokens as command

    run(context, lambda sluice: command.make(sluice, name, seconds, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def ls(context: typer.Context, owner: OtherOwner = None, as_json: AsJson = False) -> None:
    """List your access tokens that have not ended, newest first: id, end, name."""
    from sluice_client.commands import tokens as command

    run(context, lambda sluice: command.ls(sluice, owner, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def rm(
    context: typer.Context,
    token_ids: Annotated[list[str], typer.Argument(metavar="ID", help="`sluice tokens ls` shows the ids.")],
    owner: OtherOwner = None,
) -> None:
    """Revoke access tokens at once. Drops and shares that were made with one stay: end them by themselves."""
    check_ids(*token_ids)
    from sluice_client.commands import tokens as command

    run(context, lambda sluice: command.rm(sluice, token_ids, owner))


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EXIT_CODES)(owners)


def owners(context: typer.Context) -> None:
    """List the owners of this deployment, for administrators: `sluice share ls --owner NAME` has the shares of one."""
    from sluice_client.commands import tokens as command

    run(context, command.owners)
