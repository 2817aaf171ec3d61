"""`sluice doctor`."""

from typing import Annotated

import typer

from sluice_client.cli.options import AsJson
from sluice_client.cli.run import run
from sluice_client.cli.settings import EXIT_CODES

# What `sluice_client.doctor` has, which is slow to import.
CHECKS = (
    "address", "clock", "sign-in", "issuer", "versions", "one request", "one part", "several parts", "unknown size",
    "download", "length",
    "streaming", "empty answers", "rate", "cut stream", "foreign origins", "your page", "quotas",
)  # fmt: skip
PATIENCE_SECONDS = 60


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EXIT_CODES)(doctor)


def doctor(
    context: typer.Context,
    origin: Annotated[
        str | None, typer.Option("--origin", metavar="URL", help="Where your page is, such as https://www.example.com.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="This check alone; may be repeated.")
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", min=1, metavar="SECONDS", help="How long one check may take.")
    ] = PATIENCE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Examine a deployment from outside, in about a minute: say what is wrong, and what to do about it.

    It signs in, uploads a file in each way, waits for the verdicts, downloads, streams, cuts a stream, and tries what
    must not work: no token, a wrong token, a page of somebody else's. What it uploads (some 40 MB) it removes.

    Each line is `ok`, `told` (nothing is wrong, and you should know), `failed`, or `skipped`. The exit code is 1 where
    anything failed.

    - `sluice doctor --origin https://www.example.com`
    - `sluice doctor --json | jq '.findings[] | select(.outcome == "failed")'`
    """
    unknown = [name for name in only or () if name not in CHECKS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no check; they are {', '.join(CHECKS)}.", param_hint="--only")
    from sluice_client.commands import doctor as command

    run(
        context,
        lambda sluice: command.doctor(
            sluice,
            origin=origin.rstrip("/") if origin else None,
            patience=patience,
            only=frozenset(only or ()),
            as_json=as_json,
        ),
    )
