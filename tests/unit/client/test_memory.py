import asyncio
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client.memory import Memory
from sluice_client.rates import Rate, parse_amount

SIZE = 100


@given(st.lists(st.integers(0, 250), max_size=30), st.lists(st.integers(0, 29)))
def test_never_more_than_all_of_it(counts: list[int], cancelled: list[int]) -> None:
    """Whoever is cancelled while waiting takes nothing; one that is larger than all of it is alone; nobody starves."""

    async def run() -> None:
        memory, held = Memory(SIZE), 0

        async def use(count: int) -> None:
            nonlocal held
            await memory.take(count)
            held += count
            try:
                assert held <= max(SIZE, count)
                await asyncio.sleep(0)
            finally:
                held -= count
                memory.give(count)

        tasks = [asyncio.create_task(use(each)) for each in counts]
        await asyncio.sleep(0)
        stopped = {number for number in cancelled if number < len(tasks) and not tasks[number].done()}
        for number in stopped:
            tasks[number].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [each for each in results if isinstance(each, BaseException)]
        assert all(isinstance(each, asyncio.CancelledError) for each in failed)
        assert len(failed) <= len(stopped)
        assert memory.try_take(SIZE)

    asyncio.run(run())


@pytest.mark.parametrize(("text", "amount"), [("5M", 5e6), ("500k", 5e5), ("1.5G", 1.5e9), ("7", 7), ("2tb", 2e12)])
def test_amount_of(text: str, amount: float) -> None:
    """In powers of 1,000."""
    assert parse_amount(text) == amount


@pytest.mark.parametrize("text", ["", "0", "M", "-5M", "5 X", "1e9", "5MM", "\N{ARABIC-INDIC DIGIT FIVE}"])
def test_what_is_no_amount(text: str) -> None:
    """Is told with an example."""
    with pytest.raises(ValueError, match="such as 500k"):
        parse_amount(text)


def test_a_rate_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all who take: the moments of their going are those of one line."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: 10.0)

    async def run() -> None:
        rate = Rate(100)
        for _, amount in zip(count(), (50, 100, 50), strict=False):
            await rate.take(amount)

    asyncio.run(run())
    assert waited == [0, 0.5, 1.5]
