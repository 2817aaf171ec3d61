"""The same for many: several at once, whatever becomes of the others, and answers in the order of the questions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sluice_client import errors
from sluice_client.errors import OutputLost, Problem, SluiceError
from sluice_client.output import print_json
from sluice_client.progress import complain, say

T = TypeVar("T")
R = TypeVar("R")


async def each(
    items: Sequence[T],
    work: Callable[[T], Awaitable[R]],
    show: Callable[[T, R], None],
    *,
    name: Callable[[T], object] = str,
    at_once: int = 1,
    as_json: bool = False,
) -> int:
    """Does `work` for each item, and shows what comes of it; answers the gravest exit code.

    An error is told on stderr at once with the item's `name`, with `as_json` on stdout too. One that every other item
    would meet ends it: no more of them are begun.
    """
    batch = _Batch(len(items), as_json=as_json)

    async def worker() -> None:
        while (number := batch.next()) is not None:
            item = items[number]
            try:
                result = await work(item)
                batch.answer(number, lambda item=item, result=result: show(item, result))  # type: ignore[misc]
            except SluiceError as error:
                batch.fail(number, error, name(item))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(items))):
                group.create_task(worker())
    finally:
        batch.close()
    return batch.worst


class _Batch:
    def __init__(self, count: int, *, as_json: bool) -> None:
        self._count, self._as_json = count, as_json
        self._begun = self._shown = 0
        self._answers: dict[int, Callable[[], None]] = {}  # that wait for those before them
        self._hopeless = False
        self.worst = errors.OK

    def next(self) -> int | None:
        """Which is begun now."""
        if self._hopeless or self._begun == self._count:
            return None
        self._begun += 1
        return self._begun - 1

    def answer(self, number: int, show: Callable[[], None]) -> None:
        self._answers[number] = show
        while self._shown in self._answers:
            self._shown += 1
            self._answers.pop(self._shown - 1)()

    def fail(self, number: int, error: SluiceError, name: object) -> None:
        self.worst = max(self.worst, error.exit_code)
        if not self._hopeless:  # those that were under way meet the same
            complain(error, "" if error.hopeless else name)
        self._hopeless = self._hopeless or error.hopeless
        if isinstance(error, OutputLost):
            self._answers.clear()
            return
        try:
            self.answer(number, lambda: print_json(failure(error, name)) if self._as_json else None)
        except OutputLost as lost:
            self.fail(number, lost, name)

    def close(self) -> None:
        """Shows what waits for others that have not ended, and will not."""
        try:
            for number in sorted(self._answers):
                self._answers.pop(number)()
        except OutputLost as lost:
            self.fail(self._count, lost, "")
        if self._hopeless and (left := self._count - self._begun):
            say(f"sluice: the other {left:,} were not tried.")


def failure(error: SluiceError, name: object) -> dict[str, Any]:
    """What `--json` says of it."""
    said = {"message": str(error), "hint": error.hint or None, "exit_code": error.exit_code}
    return {"path": str(name), "error": {"code": error.code if isinstance(error, Problem) else None} | said}
