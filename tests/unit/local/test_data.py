"""The folder of `make up DATA=dir`: what was written is there again, whoever was killed, and nobody else writes."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local import data
from local.data import DATABASE, FORMAT, LOCK, Folder, Record, Store, Unusable, dumps, loads

KINDS = st.sampled_from(["item", "message"])
PARENTS = st.sampled_from(["one", "two"])
IDS = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text().filter(lambda key: key != "$bytes"), inner),
)
SOMETHING = VALUES.filter(lambda value: value is not None)
RECORDS = st.builds(Record, KINDS, PARENTS, IDS, VALUES)
WRITES = st.lists(st.lists(st.builds(Record, KINDS, PARENTS, IDS, SOMETHING), min_size=1, max_size=3), max_size=6)


@given(VALUES)
def test_value_survives_its_text(value: Any) -> None:
    """Bytes at any depth and text of any kind come back as they were."""
    assert loads(dumps(value)) == value


class Kept(RuleBasedStateMachine):
    """Any sequence of writes, transactions that fail and restarts, beside a dictionary that does the same."""

    def __init__(self) -> None:
        super().__init__()
        self._temporary = TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self.store = Store(self.folder)
        self.model: dict[tuple[str, str], dict[str, Any]] = {}

    def teardown(self) -> None:
        self.store.close()
        self._temporary.cleanup()

    def apply(self, records: list[Record]) -> None:
        for record in records:
            of_parent = self.model.setdefault((record.kind, record.parent), {})
            if record.value is None:
                of_parent.pop(record.id, None)
            else:
                of_parent[record.id] = record.value

    @rule(records=st.lists(RECORDS, max_size=5))
    def write(self, records: list[Record]) -> None:
        self.store.write(records)
        self.apply(records)

    @rule(kind=KINDS, parent=PARENTS)
    def forget(self, kind: str, parent: str) -> None:
        self.store.forget(kind, parent)
        self.model.pop((kind, parent), None)

    @rule(records=st.lists(RECORDS, max_size=5))
    def fail(self, records: list[Record]) -> None:
        with pytest.raises(ZeroDivisionError), self.store.transaction():  # noqa: PT012 - what is rolled back is the point
            self.store.write(records)
            raise ZeroDivisionError

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.folder)

    @precondition(lambda self: self.model)
    @invariant()
    def is_as_it_was_written(self) -> None:
        for (kind, parent), of_parent in self.model.items():
            kept = self.store.read(kind, parent)
            assert [(record.id, record.value) for record in kept] == list(of_parent.items())


TestKept = Kept.TestCase
TestKept.settings = settings(max_examples=20, stateful_step_count=12)


@given(
    st.lists(st.lists(st.builds(Record, KINDS, PARENTS, IDS, SOMETHING), min_size=1, max_size=3), max_size=6), st.data()
)
@settings(max_examples=25)
def test_cut_log_loses_the_last_writes_only(writes: list[list[Record]], pick: st.DataObject) -> None:
    """Whatever the log lacks at its end, the store is as it was after one of the writes, never within one."""
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        with closing(Store(Path(first))) as store:
            states, sizes = [contents(store)], [log_size(first)]
            for records in writes:
                store.write(records)
                states.append(contents(store))
                sizes.append(log_size(first))
            cut = pick.draw(st.integers(sizes[0], sizes[-1]))
            for name in (DATABASE, f"{DATABASE}-wal"):
                shutil.copy(Path(first, name), second)
        os.truncate(Path(second, f"{DATABASE}-wal"), cut)
        whole = max(number for number, size in enumerate(sizes) if size <= cut)
        with closing(Store(Path(second))) as again:
            assert contents(again) == states[whole]


def log_size(folder: str) -> int:
    return Path(folder, f"{DATABASE}-wal").stat().st_size


def contents(store: Store) -> list[list[Record]]:
    return [store.read(kind, parent) for kind in ("item", "message") for parent in ("one", "two")]


@example(0)
@given(st.integers(0, 200))
@settings(max_examples=5)
def test_killed_writer_loses_nothing_that_it_has_said(moment: int) -> None:
    """What a process says to be written is there after SIGKILL, at whatever moment."""
    writer = """
        import sys
        from pathlib import Path
        from local.data import Record, Store
        store = Store(Path(sys.argv[1]))
        for number in range(1_000_000):
            store.write([Record("item", "one", str(number), {"number": number})])
            print(number, flush=True)
    """
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", textwrap.dedent(writer), folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [int(process.stdout.readline()) for _ in range(moment + 1)]
            process.kill()
            said += [int(line) for line in process.stdout if line.endswith("\n")]
        with closing(Store(Path(folder))) as store:
            kept = [record.value["number"] for record in store.read("item", "one")]
        assert kept[: len(said)] == said
        assert len(kept) <= len(said) + 1


def test_what_ends_gives_its_place_back(tmp_path: Path) -> None:
    """The folder does not grow with what is gone."""
    with closing(Store(tmp_path)) as store:
        for number in range(300):
            store.write([Record("item", "one", str(number), "x" * 10_000)])
        store.forget("item", "one")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 100_000


@pytest.fixture
def wide_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.usefixtures("wide_umask")
def test_folder_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    """Tokens and contents lie in it, so nobody else reads it, whatever the umask; its path may have spaces."""
    os.umask(umask)
    path = tmp_path / "my data"
    with closing(Folder.claim(path)) as folder:
        folder.store.write([Record("item", "one", "a", 1)])
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}


def test_open_folder_is_closed_to_others(tmp_path: Path) -> None:
    """An empty folder that is there already is taken, and closed to all but its owner."""
    tmp_path.chmod(0o755)
    Folder.claim(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_second_stack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would write over each other; once the first has ended, the next may."""
    monkeypatch.setattr(data, "LOCK_WAIT_S", 0)
    with closing(Folder.claim(tmp_path)), pytest.raises(Unusable, match="is in use by another stack"):
        Folder.claim(tmp_path)
    Folder.claim(tmp_path).close()


def test_stack_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    """After SIGKILL moto has the folder for a moment longer than the stack."""
    holder = (
        "import sys; from pathlib import Path; from local.data import Folder; folder = Folder.claim(Path(sys.argv[1]))"
    )
    ending = "; print(flush=True); import time; time.sleep(0.5)"
    with subprocess.Popen([sys.executable, "-c", holder + ending, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        Folder.claim(tmp_path).close()


def test_file_in_its_place_is_named(tmp_path: Path) -> None:
    """DATA has to be a folder, and so has what it is in."""
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Unusable, match=f"{tmp_path}/file.* is a file, and DATA has to be a folder"):
            Folder.claim(path)
    assert (tmp_path / "file").read_text() == "mine"


def test_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """Somebody's home is not made a store by a slip of the hand."""
    (tmp_path / "photo.jpg").write_text("mine")
    tmp_path.chmod(0o755)
    with pytest.raises(Unusable, match="has other files in it"):
        Folder.claim(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["photo.jpg"]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """In words, and with the path."""
    tmp_path.chmod(0o500)
    with pytest.raises(Unusable, match=f"{tmp_path}/data cannot keep data: Permission denied"):
        Folder.claim(tmp_path / "data")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="Linux has a folder that nobody can write")
def test_place_where_no_folder_can_be_is_named() -> None:
    """In words, and with the path."""
    with pytest.raises(Unusable, match="/proc/data cannot keep data: "):
        Folder.claim(Path("/proc/data"))


def test_other_format_is_refused(tmp_path: Path) -> None:
    """Data of another version of the format are not touched, and the message says what to do."""
    with closing(Store(tmp_path)) as store:
        store.write([Record("item", "one", "a", 1)])
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(Unusable, match=f"format {FORMAT + 1}.* format {FORMAT}.*Run the version that wrote it"):
        Folder.claim(tmp_path)


def test_damaged_database_is_refused(tmp_path: Path) -> None:
    """What is no database is left as it is, and the folder can be claimed again once it is mended."""
    Folder.claim(tmp_path).close()
    (tmp_path / DATABASE).write_text("not a database, however long it may be " * 100)
    with pytest.raises(Unusable, match=f"{DATABASE} is unusable: .*Use another folder"):
        Folder.claim(tmp_path)
    (tmp_path / DATABASE).unlink()
    Folder.claim(tmp_path).close()


def test_lock_alone_is_a_folder_of_ours(tmp_path: Path) -> None:
    """Whoever was killed while the folder was being made left no more."""
    (tmp_path / LOCK).touch()
    Folder.claim(tmp_path).close()
