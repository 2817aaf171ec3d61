import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client import progress
from sluice_client.bars import bars
from sluice_client.progress import Meter, amount


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_951, "1.0 MB"),
        (64 * 2**20, "67.1 MB"),
        (48.8 * 2**40, "53.7 TB"),
        (10**18, "1000000.0 TB"),
    ],
)
def test_amount_of(count: float, text: str) -> None:
    """Powers of 1,000, as network rates have them; rounding never shows 1000.0 of a unit."""
    assert amount(count) == text


@given(st.integers(0, 49 * 2**40))
def test_amounts_are_short(count: int) -> None:
    """A column of eight characters holds every size that S3 takes."""
    assert len(amount(count)) <= 8


def test_a_pipe_gets_lines_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal: a line at the start, each interval and at the end, the name escaped, all on stderr."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Meter("a\x1b[31m\u202eb") as meter:
        meter.begin("upload", 4000, done=1000)
        meter.advance(1000)
        now += progress.LINE_SECONDS
        meter.advance(1500)
        meter.advance(-500)
        now += 5
        meter.reach(4000)
        assert meter.end() == 10
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "upload a\\x1b[31m\\u202eb: 4.0 kB, 1.0 kB of it was there already",
        "upload a\\x1b[31m\\u202eb: 3.5 kB of 4.0 kB (500 B/s)",
        "upload a\\x1b[31m\\u202eb: 4.0 kB of 4.0 kB (300 B/s)",
        "upload a\\x1b[31m\\u202eb: 4.0 kB in 10.0 s (300 B/s)",
    ]


def test_a_name_on_a_bar_is_no_markup() -> None:
    """What looks like rich's markup is shown as it is."""
    shown = bars()
    shown.add_task("upload", total=0, name="[red]a[/red][/]")
    with shown.console.capture() as captured:
        shown.console.print(shown.make_tasks_table(shown.tasks), width=200)
    assert "[red]a[/red][/]" in captured.get()
