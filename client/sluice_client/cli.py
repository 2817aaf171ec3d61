"""The command line: `sluice put`, `get`, `ls` and `rm`."""

import asyncio
import io
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from sluice_client import errors
from sluice_client.errors import Misuse, SluiceError
from sluice_client.progress import complain, say
from sluice_client.states import Status

if TYPE_CHECKING:
    from sluice_client.commands import Commands

EXIT_CODES = (
    "Exit codes: 0 all done; 1 it failed; 2 wrong usage or settings; "
    "3 other bytes arrived, or the file changed meanwhile; 130 interrupted."
)
DEFAULT_CONNECTIONS = 4  # S3 gives one connection some 100 MB/s
MAX_CONNECTIONS = 32

app = typer.Typer(
    help="Upload files of any size, and download them; both ways their SHA-256 is compared.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # the token is a local
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the deployment is, and what opens it."""

    api: str | None
    token: str | None = field(repr=False)

    def checked(self) -> tuple[str, str]:
        """The address and the token. Raises Misuse, which never quotes the token."""
        if not self.api:
            raise Misuse("The address of the API is not set.", "Set SLUICE_API, or give --api before the command.")
        if not re.match(r"https?://[^/]", self.api) or urlsplit(self.api).query:
            raise Misuse("The address of the API is no http(s) URL.", "It looks like https://example.com.")
        token = (self.token or "").strip()
        if not token:
            raise Misuse("The access token is not set.", "Set SLUICE_TOKEN.")
        if not re.fullmatch("[!-~]+", token):
            raise Misuse("The access token has characters that no token has.", "Look for spaces in SLUICE_TOKEN.")
        return self.api, token


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
            help="Access token. Better in the variable: others on this machine may see command lines.",
        ),
    ] = None,
) -> None:
    context.obj = Settings(api, token)


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead.")]


@app.command(epilog=EXIT_CODES)
def put(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="What to upload.")],
    md5: Annotated[bool, typer.Option("--md5", help="Declare the MD5 as well, and print md5sum lines.")] = False,
    connections: Annotated[
        int, typer.Option("--connections", "-c", min=1, max=MAX_CONNECTIONS, help="Parts sent at once.")
    ] = DEFAULT_CONNECTIONS,
    as_json: AsJson = False,
) -> None:
    """Upload files and print their sha256sum lines.

    Each file is read once. Its SHA-256 is computed while it is sent and declared to the server, which compares it with
    the bytes that arrived; the command waits for that verdict. An upload that was interrupted is resumed by the same
    command on the same machine: the file is read from its beginning, and sent are the parts that have not arrived.
    """
    shown = "md5" if md5 else "sha-256"
    _run(context, lambda do: do.put(files, shown=shown, connections=connections, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def get(
    context: typer.Context,
    file_id: Annotated[str, typer.Argument(metavar="ID", help="Which file; `sluice ls` shows the ids.")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="A file, a folder, or - for stdout. Else the file's name."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download a file and compare its SHA-256 with that of its record while it is written.

    Wrong or missing bytes leave no file behind. With `-o -` they go out before they are compared: wait for the exit
    code before you trust them.
    """
    if as_json and output == "-":
        raise typer.BadParameter("--json and -o - both want stdout.")
    _check_ids(file_id)
    _run(context, lambda do: do.get(file_id, output, force=force, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def ls(
    context: typer.Context,
    status: Annotated[Status | None, typer.Option("--status", help="Only files in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List your files, newest first: id, state, size, time, name.

    A ready file is `verified` where its sender's own digest held, else `hashed`.
    """
    _run(context, lambda do: do.ls(status, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def rm(
    context: typer.Context,
    file_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Which files; `sluice ls` shows the ids.")],
) -> None:
    """Delete files, and abort uploads that are under way."""
    _check_ids(*file_ids)
    _run(context, lambda do: do.rm(file_ids))


def _check_ids(*file_ids: str) -> None:
    """An id becomes a part of a path, so `..` and `a/b` must not pass."""
    for file_id in file_ids:
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", file_id):
            raise typer.BadParameter(f"{file_id!a} is no file's id.")


def _run(context: typer.Context, command: "Callable[[Commands], Awaitable[int]]") -> NoReturn:
    async def run(api: str, token: str) -> int:
        _end_in_order()
        # httpx takes most of the start-up time: neither `--help` nor a missing setting needs it.
        from sluice_client.commands import Commands  # noqa: PLC0415

        async with Commands(api, token) as commands:
            return await command(commands)

    try:
        code = asyncio.run(run(*context.obj.checked()))
    except SluiceError as error:
        complain(error)
        code = error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("sluice: interrupted. The same command resumes an upload; `sluice ls` shows what was uploaded whole.")
        code = errors.INTERRUPTED
    raise typer.Exit(code)


def _end_in_order() -> None:
    """Be terminated as Ctrl-C does it: by cancelling, so that temporary files are removed on the way out.

    A handler that raises would do so anywhere, also within the event loop, which might then wait for ever.
    """
    task = asyncio.current_task()
    if task and sys.platform != "win32":  # the event loop of Windows knows no signals
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores one of them
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def main() -> None:
    # A terminal that cannot show a character shows its escape.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
