"""From the command line into the event loop, and back with an exit code."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn

import typer

from sluice_client import errors
from sluice_client.cli.settings import Settings
from sluice_client.errors import SluiceError
from sluice_client.progress import complain, say

if TYPE_CHECKING:
    from sluice_client.contract import Sluice


def run(context: typer.Context, command: "Callable[[Sluice], Awaitable[int]]") -> NoReturn:
    """The command on the deployment of the settings."""
    settings: Settings = context.obj
    _run(settings.checked, command, profile=settings if settings.token is None else None)


def run_on(api: str, token: str | None, command: "Callable[[Sluice], Awaitable[int]]") -> NoReturn:
    """The command on this deployment."""
    _run(lambda: (api, token), command)


def _run(
    where: Callable[[], tuple[str, str | None]],
    command: "Callable[[Sluice], Awaitable[int]]",
    *,
    profile: Settings | None = None,
) -> NoReturn:
    """`profile` says which, where the token may be one that can be renewed."""

    async def inner(api: str, token: str | None) -> int:
        _end_in_order()
        from sluice_client.contract import Sluice
        from sluice_client.sign_in import Renewal

        renew = Renewal(profile.profile) if profile else None
        async with Sluice(api, token, renew=renew) as sluice:
            return await command(sluice)

    try:
        code = asyncio.run(inner(*where()))
    except SluiceError as error:
        complain(error)
        code = error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("sluice: interrupted. The same command goes on from there.")
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
