"""Rates: the token bucket of a stage, the pace of a stream."""

from hypothesis import given
from hypothesis import strategies as st

from local.rates import Pace, TokenBucket

STEPS = st.lists(st.floats(0, 10), max_size=60)


@given(rate=st.floats(0, 100), burst=st.integers(0, 20), steps=STEPS)
def test_bucket_never_gives_more_than_it_had(rate: float, burst: int, steps: list[float]) -> None:
    """Over any span of time no more requests pass than the burst and the rate allow."""
    bucket, now, passed = TokenBucket(rate, burst), 0.0, 0
    for step in steps:
        now += step
        passed += bucket.take(now)
        assert passed <= burst + rate * now + 1e-6


@given(rate=st.floats(0.1, 100), burst=st.integers(1, 20))
def test_bucket_fills_again(rate: float, burst: int) -> None:
    """A burst passes at once; after a pause that is long enough as many pass again, and no more."""
    bucket = TokenBucket(rate, burst)
    for now in (0.0, (burst + 1) / rate):
        assert [bucket.take(now) for _ in range(burst + 1)] == [True] * burst + [False]


def test_bucket_of_nothing_lets_nothing_through() -> None:
    """A stage with a burst of 0 refuses everything, and one with a rate of 0 everything after its burst."""
    assert not TokenBucket(100, 0).take(5.0)
    spent = TokenBucket(0, 1)
    assert spent.take(0.0)
    assert not spent.take(1e9)


@given(
    rate=st.integers(1, 10_000),
    burst=st.integers(0, 1_000),
    pieces=st.lists(st.tuples(st.integers(0, 400), st.floats(0, 3)), max_size=50),
)
def test_stream_is_never_faster_than_its_pace(rate: int, burst: int, pieces: list[tuple[int, float]]) -> None:
    """After the burst no more bytes have passed than the rate allows since then, however long the stream has paused."""
    pace, now, passed, began = Pace(rate, burst), 0.0, 0, None
    for count, pause in pieces:
        now += pause
        before = now
        now += pace.delay(count, now)
        passed += count
        if passed > burst and began is None:
            began = before
        if began is None:
            assert now == before
        else:
            assert passed <= burst + rate * (now - began) * (1 + 1e-9) + 1e-6


def test_pause_of_a_stream_is_no_credit() -> None:
    """A stream that was silent for an hour goes on at its rate, and not with another burst."""
    pace = Pace(rate=10, burst=100)
    assert pace.delay(100, 0.0) == 0
    assert pace.delay(20, 3600.0) == 2
    assert pace.delay(10, 3600.0) == 3
