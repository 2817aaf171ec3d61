"""The command line. Its modules import nothing slow: what a command does is loaded when it is run."""

import io
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from sluice_client.cli import doctor, drops, files, login, shares, tokens
from sluice_client.cli.settings import EXIT_CODES, Settings
from sluice_client.errors import FAILED, OutputLost
from sluice_client.output import lost, print_text
from sluice_client.progress import complain, deafen

app = typer.Typer(
    help="Upload files of any size, download them, and hand them on; each way their SHA-256 is compared.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # the token is a local
)
files.add_to(app)
app.add_typer(shares.app, name="share")
app.add_typer(drops.app, name="drop")
app.add_typer(tokens.app, name="tokens")
tokens.add_to(app)
login.add_to(app)
doctor.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            print_text(f"sluice {version('sluice-intake')}")
        except PackageNotFoundError:  # run from a checkout that is not installed
            print_text("sluice, of a checkout")
        raise typer.Exit


@app.callback()
def settings(
    context: typer.Context,
    api: Annotated[
        str | None,
        typer.Option("--api", envvar="SLUICE_API", show_envvar=True, metavar="URL", help="Address of the API."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="SLUICE_TOKEN",
            show_envvar=True,
            help="Access token. Better in the variable or by `sluice login`: others here may see command lines.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            envvar="SLUICE_PROFILE",
            show_envvar=True,
            metavar="NAME",
            help="Which deployment of `sluice login`. SLUICE_API and SLUICE_TOKEN win over it.",
        ),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    context.obj = Settings(api or None, token or None, profile or None)


def main() -> None:
    # A terminal that cannot show a character shows its escape.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk can still be told of
    except OutputLost as error:
        complain(error)
        sys.exit(FAILED)
    except OSError as error:  # of a help text that nobody takes
        complain(lost(error))
        sys.exit(FAILED)
    finally:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
        except (OSError, ValueError):
            deafen()
