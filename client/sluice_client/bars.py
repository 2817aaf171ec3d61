"""How the bars of a terminal look."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column


def bars() -> Progress:
    """Bars on stderr that go away when they stop. A task has a field `name`, which is text, never markup."""
    return Progress(
        TextColumn("{task.description}"),
        TextColumn("{task.fields[name]}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
