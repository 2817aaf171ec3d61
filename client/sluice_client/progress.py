"""What a person sees while bytes move: bars on a terminal, else a line now and then. All of it goes to stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sluice_client.errors import Problem, SluiceError
from sluice_client.names import printable

if TYPE_CHECKING:
    from rich.progress import Progress

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
    print(printable(text), file=sys.stderr, flush=True)


def complain(error: SluiceError) -> None:
    """One line: what happened, the problem's stable code, what to do."""
    code = f"[{error.code}]" if isinstance(error, Problem) and error.code else ""
    say(" ".join(filter(None, [f"sluice: {error}", code, error.hint])))


class Meter:
    """One file's way, phase by phase. Progress may go backwards: a part that is sent again takes its bytes back."""

    def __init__(self, name: str) -> None:
        self._name = printable(name)
        self._bars: Progress | None = None
        self._phase, self._total, self._done, self._before = "", 0, 0, 0
        self._began = self._spoke = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
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

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        """Enter `phase`, of `total` bytes, of which `done` were done before."""
        self._phase, self._total, self._done, self._before = phase, total, done, done
        self._began = self._spoke = time.monotonic()
        if self._bars:
            for task in self._bars.task_ids:
                self._bars.remove_task(task)
            # An empty file's bar would count as finished from the start, and its rate be unknown for ever.
            name = self._name if len(self._name) <= NAME_COLUMNS else self._name[: NAME_COLUMNS - 1] + "…"
            self._bars.add_task(phase, total=total, completed=done, name=name)
        else:
            there = f", {amount(done)} of it was there already" if done else ""
            say(f"{phase} {self._name}: {amount(total)}{there}")

    def advance(self, count: int) -> None:
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        self._done = done
        if self._bars:
            self._bars.update(self._bars.task_ids[-1], completed=done)
        elif time.monotonic() - self._spoke >= LINE_SECONDS:
            self._spoke = time.monotonic()
            say(f"{self._phase} {self._name}: {amount(done)} of {amount(self._total)}{self._rate()}")

    def end(self) -> float:
        """Leave the phase with a line about it; answers its seconds."""
        seconds = time.monotonic() - self._began
        line = f"{self._phase} {self._name}: {amount(self._total)} in {seconds:.1f} s{self._rate()}"
        if self._bars:
            # Text is printed above the bars; neither markup nor highlighting may read a filename.
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            say(line)
        return seconds

    def _rate(self) -> str:
        seconds, moved = time.monotonic() - self._began, self._done - self._before
        return f" ({amount(moved / seconds)}/s)" if moved > 0 and seconds > 0 else ""
