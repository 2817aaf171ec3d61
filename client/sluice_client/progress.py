"""What a person sees while bytes move: bars on a terminal, else a line now and then. All of it goes to stderr."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sluice_client.errors import OutputLost, Problem, SluiceError
from sluice_client.names import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_SECONDS = 5.0  # between two lines of one phase where there is no terminal
NAME_COLUMNS = 32  # of a bar's line


def amount(count: float) -> str:
    """Bytes for a person, in powers of 1,000: `64.0 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.95:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def say(text: str) -> None:
    """A line on stderr; where that is closed or full, nobody hears it, and the exit code says what matters."""
    if sys.stderr is None:
        return
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        deafen()
    except ValueError:  # closed
        return


def deafen() -> None:
    """Throw away what is said from now on: what Python cannot write at its end makes it leave with 120."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def complain(error: SluiceError, subject: object = "") -> None:
    """One line: which file, what happened, the problem's stable code, what to do."""
    if isinstance(error, OutputLost) and error.left:
        return
    code = f"[{error.code}]" if isinstance(error, Problem) and error.code else ""
    message = f"{subject}: {error}" if str(subject) and not isinstance(error, OutputLost) else str(error)
    say(" ".join(filter(None, [f"sluice: {message}", code, error.hint])))


class Screen:
    """The bars of all files on a terminal, lines where there is none, and with `quiet` neither."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._bars: Progress | None = None

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr is not None and sys.stderr.isatty():
            # rich is a third of the start-up time, and only a terminal needs it.
            from sluice_client.bars import bars  # noqa: PLC0415

            self._bars = bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def meter(self, name: str, *, brief: bool = False) -> "Meter":
        """That of a file; a `brief` one is of those that are too many, and too small, to be told of each."""
        return Meter(name, self._bars, quiet=self.quiet or brief)

    def tell(self, text: str) -> None:
        """A line above the bars."""
        if not self.quiet:
            _above(self._bars, text)

    @contextmanager
    def counting(self, files: int, size: int) -> Iterator[Callable[[int], None]]:
        """How many of so many files are done, for whoever waits; to be called with the bytes of each."""
        done, sent, spoke = 0, 0, time.monotonic()
        name = f"0 of {files:,} files"
        task = self._bars.add_task("all", total=size, name=name) if self._bars and files > 1 else None

        def count(size_of_file: int) -> None:
            nonlocal done, sent, spoke
            done, sent = done + 1, sent + size_of_file
            if self._bars and task is not None:
                self._bars.update(task, completed=sent, name=f"{done:,} of {files:,} files")
            elif not self.quiet and files > 1 and time.monotonic() - spoke >= LINE_SECONDS:
                spoke = time.monotonic()
                say(f"{done:,} of {files:,} files, {amount(sent)} of {amount(size)}")

        try:
            yield count
        finally:
            if self._bars and task is not None:
                self._bars.remove_task(task)


def _above(bars: "Progress | None", text: str) -> None:
    if bars:
        # Text is printed above the bars; neither markup nor highlighting may read a filename.
        bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
    else:
        say(text)


class Meter:
    """One file's way, phase by phase. Progress may go backwards: a part that is sent again takes its bytes back."""

    def __init__(self, name: str, bars: "Progress | None" = None, *, quiet: bool = False) -> None:
        self._name = printable(name)
        self._bars, self._quiet = bars, quiet
        self._task: TaskID | None = None
        self._phase, self._done, self._before = "", 0, 0
        self._total: int | None = 0
        self._began = self._spoke = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()

    def begin(self, phase: str, total: int | None, done: int = 0) -> None:
        """Enter `phase`, of `total` bytes (None where nobody knows), of which `done` were done before."""
        self._phase, self._total, self._done, self._before = phase, total, done, done
        self._began = self._spoke = time.monotonic()
        self._remove()
        if self._bars:
            # An empty file's bar would count as finished from the start, and its rate be unknown for ever.
            name = self._name if len(self._name) <= NAME_COLUMNS else self._name[: NAME_COLUMNS - 1] + "…"
            self._task = self._bars.add_task(phase, total=total, completed=done, name=name)
        elif not self._quiet:
            there = f", {amount(done)} of it was there already" if done else ""
            size = "" if total is None else f": {amount(total)}"
            say(f"{phase} {self._name}{size}{there}")

    def advance(self, count: int) -> None:
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        self._done = done
        if self._bars and self._task is not None:
            self._bars.update(self._task, completed=done)
        elif not self._quiet and time.monotonic() - self._spoke >= LINE_SECONDS:
            self._spoke = time.monotonic()
            of = "" if self._total is None else f" of {amount(self._total)}"
            say(f"{self._phase} {self._name}: {amount(done)}{of}{self._rate()}")

    def end(self) -> float:
        """Leave the phase with a line about it; answers its seconds."""
        seconds = time.monotonic() - self._began
        size = self._done if self._total is None else self._total
        self._remove()
        if not self._quiet:
            _above(self._bars, f"{self._phase} {self._name}: {amount(size)} in {seconds:.1f} s{self._rate()}")
        return seconds

    def _remove(self) -> None:
        if self._bars and self._task is not None:
            self._bars.remove_task(self._task)
        self._task = None

    def _rate(self) -> str:
        seconds, moved = time.monotonic() - self._began, self._done - self._before
        return f" ({amount(moved / seconds)}/s)" if moved > 0 and seconds > 0 else ""
