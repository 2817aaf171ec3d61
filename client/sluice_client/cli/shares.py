"""`sluice share`."""

from typing import Annotated, Any

import typer

from sluice_client.cli.groups import Making
from sluice_client.cli.options import (
    AsJson,
    Expires,
    OtherOwner,
    OwnerName,
    PasswordStdin,
    check_ids,
    seconds_of,
    secret,
)
from sluice_client.cli.run import run
from sluice_client.cli.settings import EXIT_CODES
from sluice_client.errors import Misuse
from sluice_client.progress import complain

WEEK = "7d"

app = typer.Typer(
    cls=Making,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EXIT_CODES,
    help="""Give files to people without an account: `sluice share ID...` prints a link to a page.

    - `sluice share --folder photos/2024 --expires 2w --title 'Our summer'`
    - `sluice share 01m7z2a3z8163h38qzq6y7y8bz --max-downloads 3 --password`
    """,
)


@app.command(epilog=EXIT_CODES)
def make(
    context: typer.Context,
    file_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Which files; `sluice ls` shows the ids.")
    ] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="FOLDER", help="All that is ready in it and below, as of now.")
    ] = None,
    drop: Annotated[
        str | None, typer.Option("--drop", metavar="ID", help="All that has come through this drop, as of now.")
    ] = None,
    expires: Expires = WEEK,
    max_downloads: Annotated[
        int | None, typer.Option("--max-downloads", min=1, metavar="COUNT", help="How many files may be taken in all.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The page's headline.")] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="TEXT", help="What the page says.")] = None,
    owner_name: OwnerName = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a password that opens it.")] = False,
    password_stdin: PasswordStdin = False,
    as_json: AsJson = False,
) -> None:
    """Make a share, and print the link to its page (`make` may be left out).

    What is in it stays as it is now: files that come later are not in it. The link is shown this once.
    """
    ids = file_ids or []
    if sum(map(bool, (ids, folder, drop))) != 1:
        raise typer.BadParameter("Give ids, or a --folder, or a --drop.", param_hint="ID")
    check_ids(*ids, *([drop] if drop else []))
    wanted: dict[str, Any] = {"files": ids} if ids else {"folder": folder.strip("/")} if folder else {"drop": drop}
    more = {"title": title, "message": message, "owner_name": owner_name, "max_downloads": max_downloads}
    wanted |= {"expires_in": seconds_of(expires)} | {name: value for name, value in more.items() if value is not None}
    if password or password_stdin:
        wanted["password"] = _new_password(from_stdin=password_stdin)
    from sluice_client.commands import share as command

    run(context, lambda sluice: command.share(sluice, wanted, as_json=as_json))


def _new_password(*, from_stdin: bool) -> str:
    try:
        found = secret("Password of the share", from_stdin=from_stdin)
        if not found:
            raise Misuse("The password is empty.")
        if not from_stdin and secret("The same again", from_stdin=False) != found:
            raise Misuse("The two passwords differ.")
    except Misuse as error:
        complain(error)
        raise typer.Exit(error.exit_code) from None
    return found


@app.command(epilog=EXIT_CODES)
def ls(context: typer.Context, owner: OtherOwner = None, as_json: AsJson = False) -> None:
    """List your shares, newest first: id, files, size, downloads, end, title."""
    from sluice_client.commands import share as command

    run(context, lambda sluice: command.list_shares(sluice, owner, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def rm(
    context: typer.Context,
    share_ids: Annotated[list[str], typer.Argument(metavar="ID", help="`sluice share ls` shows the ids.")],
    owner: OtherOwner = None,
) -> None:
    """End shares at once, with every link that was given out. The files stay."""
    check_ids(*share_ids)
    from sluice_client.commands import share as command

    run(context, lambda sluice: command.end_shares(sluice, share_ids, owner))
