"""What several commands take."""

import getpass
import re
import sys
from typing import Annotated

import typer

from sluice_client.errors import Misuse
from sluice_client.rates import parse_amount
from sluice_client.records import ID

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
MAX_PASSWORD_BYTES = 64 * 1024  # to read from stdin: the server takes less
DEFAULT_CONNECTIONS = 4  # S3 gives one connection some 100 MB/s
MAX_CONNECTIONS = 32

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but what went wrong.")]
Connections = Annotated[
    int, typer.Option("--connections", "-c", min=1, max=MAX_CONNECTIONS, help="Parts on their way at once.")
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin's first line.")]


def amount_of(text: str) -> float:
    """`5M` as a number of bytes, for an option."""
    try:
        return parse_amount(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


LimitRate = Annotated[
    float | None,
    typer.Option("--limit-rate", parser=amount_of, metavar="RATE", help="Bytes a second at most, such as 500k or 5M."),
]


def seconds_of(text: str) -> int:
    """`7d` as a number of seconds, for an option."""
    match = re.fullmatch(r"([1-9]\d{0,9})([smhdw])", text.strip().lower())
    if not match:
        raise typer.BadParameter(f"{text!a} is no time such as 30m, 12h, 7d or 2w.", param_hint="--expires")
    return int(match[1]) * SECONDS[match[2]]


# As text, so that the help shows the default as people write it; `seconds_of` reads it.
Expires = Annotated[str, typer.Option("--expires", metavar="TIME", help="How long it lives: 30m, 12h, 7d, 2w.")]

OtherOwner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", help="Of another owner, for administrators: `sluice owners`.")
]
OwnerName = Annotated[
    str | None, typer.Option("--owner-name", metavar="NAME", help="Who you are, as the page tells those with the link.")
]


def check_ids(*ids: str) -> None:
    """An id becomes a part of a path, so `..` and `a/b` must not pass."""
    for each in ids:
        if not ID.fullmatch(each):
            raise typer.BadParameter(f"{each!a} is no id.")


def secret(prompt: str, *, from_stdin: bool) -> str:
    """Without showing it. Raises Misuse where nobody can be asked."""
    if from_stdin:
        if sys.stdin is None:
            raise Misuse("stdin is closed.")
        line = sys.stdin.readline(MAX_PASSWORD_BYTES)
        return line.rstrip("\r\n")
    if sys.stdin is None or not sys.stdin.isatty():
        raise Misuse(f"{prompt}: nobody can be asked, because stdin is no terminal.")
    return getpass.getpass(f"{prompt}: ")
