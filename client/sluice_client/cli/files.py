"""`sluice put`, `get`, `ls`, `rm`, `mv` and `export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sluice_client.cli.options import (
    DEFAULT_CONNECTIONS,
    AsJson,
    Connections,
    LimitRate,
    PasswordStdin,
    Quiet,
    check_ids,
    secret,
)
from sluice_client.cli.run import run, run_on
from sluice_client.cli.settings import EXIT_CODES, Settings
from sluice_client.errors import Misuse
from sluice_client.links import ShareLink
from sluice_client.progress import complain
from sluice_client.states import Status
from sluice_client.trees import Globs

STDIN = Path("-")


class Form(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"
    SHA256 = "sha256"


# As the answer's `links` call them.
LINKS = {Form.JSONL: "jsonl", Form.CSV: "csv", Form.SHA256: "sha256sum"}

InFolder = Annotated[str | None, typer.Option("--folder", metavar="FOLDER", help="Only in this folder and below it.")]
OfDrop = Annotated[str | None, typer.Option("--drop", metavar="ID", help="Only what came through this drop.")]
OfName = Annotated[str | None, typer.Option("--name", metavar="TEXT", help="Only with this in the name.")]
InState = Annotated[Status | None, typer.Option("--status", help="Only in this state.")]
FileIds = Annotated[list[str], typer.Argument(metavar="ID", help="Which files; `sluice ls` shows the ids.")]


def add_to(app: typer.Typer) -> None:
    for command in (put, get, ls, mv, rm, export):
        app.command(epilog=EXIT_CODES)(command)


def put(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="What to upload; - for stdin, with --name.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Folders as well, with all that is in them.")
    ] = False,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="FOLDER", help="Put it into this folder of the server's.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What the file is to be called; of one file alone.")
    ] = None,
    content_type: Annotated[
        str | None, typer.Option("--content-type", metavar="TYPE", help="Otherwise the name suggests it.")
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="GLOB", help="With -r: only what fits; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="GLOB", help="With -r: not what fits; may be repeated.")
    ] = None,
    follow: Annotated[bool, typer.Option("-L", "--follow", help="With -r: follow symbolic links.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Upload also what is there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print what would be uploaded.")] = False,
    md5: Annotated[bool, typer.Option("--md5", help="Declare the MD5 as well, and print md5sum lines.")] = False,
    connections: Connections = DEFAULT_CONNECTIONS,
    limit_rate: LimitRate = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Upload files and print their sha256sum lines.

    Each file is read once. Its SHA-256 is computed while it is sent and declared to the server, which compares it with
    the bytes that arrived; the command waits for that verdict.

    The same command goes on after Ctrl-C: of a large file only the parts that are missing are sent, and what this
    machine has uploaded within a day is not sent again. With -r neither is what the server has, verified, in the same
    folder with the same name and bytes.

    - `sluice put -r photos --exclude '*.tmp'` keeps the folders: photos/2024/...
    - `pg_dump shop | sluice put - --name shop.sql` uploads what a program prints
    """
    if name is not None and len(files) > 1:
        raise typer.BadParameter("--name is for one file alone.", param_hint="--name")
    if STDIN in files and name is None:
        raise typer.BadParameter("What comes from stdin needs a --name.", param_hint="-")
    if not recursive and (include or exclude or follow):
        raise typer.BadParameter("--include, --exclude and -L go with -r.")
    from sluice_client.commands import put as command

    wish = command.Wish(
        name=name,
        folder=folder.strip("/") if folder else None,
        content_type=content_type,
        recursive=recursive,
        follow=follow,
        globs=Globs(include or (), exclude or ()),
        again=again,
        dry_run=dry_run,
        shown="md5" if md5 else "sha-256",
        connections=connections,
        rate=limit_rate,
        as_json=as_json,
        quiet=quiet,
    )
    run(context, lambda sluice: command.put(sluice, files, wish))


def get(
    context: typer.Context,
    file_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Which files; `sluice ls` shows the ids.")
    ] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="FOLDER", help="All that is in this folder and below it.")
    ] = None,
    share: Annotated[
        str | None, typer.Option("--share", metavar="LINK", help="All files of a share; needs no token.")
    ] = None,
    password_stdin: PasswordStdin = False,
    archive: Annotated[bool, typer.Option("--archive", help="As one ZIP.")] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="A file, a folder, or - for stdout. Else the file's name."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    connections: Connections = DEFAULT_CONNECTIONS,
    limit_rate: LimitRate = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Download files and compare their SHA-256 with that of their records while they are written.

    A file appears under its name when all of it is there and right. Of a large one that was interrupted a hidden
    `.sluice-ID.part` stays beside it, from where the same command goes on. With `-o -` bytes go out before they are
    compared: wait for the exit code before you trust them.

    - `sluice get --folder photos/2024 -o backup` becomes backup/2024/...
    - `sluice get --share 'https://...#share=...'` brings what somebody has given to you
    """
    ids = file_ids or []
    if sum(map(bool, (ids, folder, share))) != 1:
        raise typer.BadParameter("Give ids, or a --folder, or a --share.", param_hint="ID")
    several = len(ids) > 1 or folder or share
    if as_json and output == "-":
        raise typer.BadParameter("--json and -o - both want stdout.", param_hint="--json")
    if output == "-" and (several or archive):
        raise typer.BadParameter("stdout takes one file alone.", param_hint="-o")
    if several and not archive and output and Path(output).exists() and not Path(output).is_dir():
        raise typer.BadParameter("Several files need a folder.", param_hint="-o")
    check_ids(*ids)
    from sluice_client.commands import archive as archives
    from sluice_client.commands import get as command

    if len(ids) > 1 and output and not archive:
        output = output.rstrip("/") + "/"
    wish = command.Wish(
        output=output, force=force, connections=connections, rate=limit_rate, as_json=as_json, quiet=quiet
    )
    if share:
        settings: Settings = context.obj
        try:
            link = ShareLink.parse(share)
            api = link.api or settings.api_only()
            if not api:
                raise Misuse("The address of the API is not set.", "Give the whole link, or set SLUICE_API.")
        except Misuse as error:
            complain(error)
            raise typer.Exit(error.exit_code) from None

        def ask() -> str | None:
            return secret("Password of the share", from_stdin=password_stdin)

        opening = archives.get_shared_archive if archive else command.get_share
        run_on(api, None, lambda sluice: opening(sluice, link, ask, wish))
    if archive:
        run(context, lambda sluice: archives.get_archive(sluice, ids, folder, wish))
    if folder:
        run(context, lambda sluice: command.get_folder(sluice, folder.strip("/"), wish))
    run(context, lambda sluice: command.get(sluice, ids, wish))


def ls(
    context: typer.Context,
    status: InState = None,
    folder: InFolder = None,
    drop: OfDrop = None,
    name: OfName = None,
    only_ids: Annotated[bool, typer.Option("--quiet", "-q", help="Print the ids alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """List your files, newest first: id, state, size, time, name with its folder.

    A ready file is `verified` where its sender's own digest held, else `hashed`.

    `sluice ls -q --folder old | xargs sluice rm` deletes what is in a folder.
    """
    from sluice_client.commands import ls as command

    wanted = {"status": status, "folder": folder, "drop": drop, "q": name}
    run(context, lambda sluice: command.ls(sluice, wanted, as_json=as_json, only_ids=only_ids))


def mv(
    context: typer.Context,
    file_ids: FileIds,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name; of one file alone.")] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="FOLDER", help="Another folder; '' for none.")
    ] = None,
) -> None:
    """Rename files, or put them into another folder. Their bytes, links and ids stay."""
    check_ids(*file_ids)
    if name is None and folder is None:
        raise typer.BadParameter("Give a --name, a --folder, or both.", param_hint="--name")
    if name is not None and len(file_ids) > 1:
        raise typer.BadParameter("--name is for one file alone.", param_hint="--name")
    from sluice_client.commands import ls as command

    changes = ({} if name is None else {"filename": name}) | ({} if folder is None else {"folder": folder or None})
    run(context, lambda sluice: command.mv(sluice, file_ids, changes))


def rm(context: typer.Context, file_ids: FileIds) -> None:
    """Delete files, and abort uploads that are under way."""
    check_ids(*file_ids)
    from sluice_client.commands import ls as command

    run(context, lambda sluice: command.rm(sluice, file_ids))


def export(
    context: typer.Context,
    form: Annotated[Form, typer.Argument(help="jsonl, csv, or sha256 for `sha256sum -c`.")],
    status: InState = None,
    folder: InFolder = None,
    drop: OfDrop = None,
    name: OfName = None,
) -> None:
    """Print the list of all your files in one piece.

    `sluice export sha256 --folder photos | sha256sum -c` compares what is here with what is there.
    """
    from sluice_client.commands import ls as command

    wanted = {"status": status, "folder": folder, "drop": drop, "q": name}
    run(context, lambda sluice: command.export(sluice, LINKS[form], wanted))
