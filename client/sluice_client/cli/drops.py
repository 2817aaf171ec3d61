"""`sluice drop`."""

from typing import Annotated, Any

import typer

from sluice_client.cli.groups import Making
from sluice_client.cli.options import AsJson, Expires, OtherOwner, OwnerName, amount_of, check_ids, seconds_of
from sluice_client.cli.run import run
from sluice_client.cli.settings import EXIT_CODES

WEEK = "7d"

app = typer.Typer(
    cls=Making,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EXIT_CODES,
    help="""Let people without an account send files to you: `sluice drop --max-files 10` prints a link to a page.

    `sluice drop --max-files 100 --expires 2w --title 'Your photos' --type 'image/*' --type .heic`
    """,
)


@app.command(epilog=EXIT_CODES)
def make(
    context: typer.Context,
    max_files: Annotated[int, typer.Option("--max-files", min=1, metavar="COUNT", help="How many files it takes.")],
    expires: Expires = WEEK,
    max_size: Annotated[
        float | None,
        typer.Option("--max-size", parser=amount_of, metavar="BYTES", help="The largest file, such as 500M."),
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Such as image/* or .heic; may be repeated.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The page's headline.")] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="TEXT", help="What the page says.")] = None,
    owner_name: OwnerName = None,
    as_json: AsJson = False,
) -> None:
    """Make a drop, and print the link to its page (`make` may be left out). The link is shown this once."""
    more = {
        "title": title,
        "message": message,
        "owner_name": owner_name,
        "max_file_bytes": None if max_size is None else int(max_size),
        "content_types": types,
    }
    wanted: dict[str, Any] = {"max_files": max_files, "expires_in": seconds_of(expires)}
    wanted |= {name: value for name, value in more.items() if value}
    from sluice_client.commands import share as command

    run(context, lambda sluice: command.drop(sluice, wanted, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def ls(context: typer.Context, owner: OtherOwner = None, as_json: AsJson = False) -> None:
    """List your drops: id, files begun, end, title. `sluice ls --drop ID` lists what came through one."""
    from sluice_client.commands import share as command

    run(context, lambda sluice: command.list_drops(sluice, owner, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def rm(
    context: typer.Context,
    drop_ids: Annotated[list[str], typer.Argument(metavar="ID", help="`sluice drop ls` shows the ids.")],
    owner: OtherOwner = None,
) -> None:
    """End drops at once. What came through them stays."""
    check_ids(*drop_ids)
    from sluice_client.commands import share as command

    run(context, lambda sluice: command.end_drops(sluice, drop_ids, owner))
