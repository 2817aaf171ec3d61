"""Fingerprints, and the key that makes them unguessable."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sluice_client.fingerprints import KEY_BYTES, fingerprint, user_key
from sluice_client.sources import Label, Source

ROOT = Path(__file__).parents[3]
KEY = bytes(KEY_BYTES)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a user who has none yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "sluice" / "fingerprint-key"


def made(path: Path, content: bytes = b"1", seconds: int = 1) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (seconds, seconds))
    return fingerprint(Source.open(path), KEY)


def test_a_fingerprint_stays_as_long_as_the_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whatever path it is named."""
    first = made(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    assert {fingerprint(Source.open(Path(name)), KEY) for name in ("a", "./a", tmp_path / "a")} == {first}


def test_what_it_is_to_be_called_is_part_of_it(tmp_path: Path) -> None:
    """An upload that was begun under another name, folder or type is not gone on with."""
    first = made(tmp_path / "a")
    labels = [
        Label.of(tmp_path / "a", name="b"),
        Label.of(tmp_path / "a", folder="b"),
        Label.of(tmp_path / "a", content_type="text/x-b"),
    ]
    assert len({first, *(fingerprint(Source.open(tmp_path / "a", label), KEY) for label in labels)}) == 4


def test_no_two_files_share_a_fingerprint(tmp_path: Path) -> None:
    """Not even of the same name, size and time; nor does a file that was changed or replaced have its old one."""
    prints = [made(tmp_path / folder / "x.bin") for folder in ("a", "b")]
    prints += [made(tmp_path / "a" / "x.bin", seconds=2), made(tmp_path / "a" / "x.bin", b"12")]
    (tmp_path / "a" / "x.bin").replace(tmp_path / "b" / "x.bin")
    os.utime(tmp_path / "b" / "x.bin", (1, 1))
    prints.append(fingerprint(Source.open(tmp_path / "b" / "x.bin"), KEY))
    assert len(set(prints)) == 5


def test_nobody_guesses_a_fingerprint(tmp_path: Path) -> None:
    """Who knows all of the file but not the key has another one."""
    made(tmp_path / "a")
    source = Source.open(tmp_path / "a")
    assert fingerprint(source, KEY) != fingerprint(source, os.urandom(KEY_BYTES))


def test_the_key_is_made_once_and_for_its_user_alone(state: Path) -> None:
    """Mode 0600 in a folder of mode 0700, nothing beside it, and the same the next time."""
    key = user_key()
    assert user_key() == key == state.read_bytes()
    assert len(key) == KEY_BYTES
    assert [stat.S_IMODE(path.stat().st_mode) for path in (state, state.parent)] == [0o600, 0o700]
    assert list(state.parent.iterdir()) == [state]


def test_processes_that_start_at_once_agree(state: Path) -> None:
    """Of many that find no key, all end with the same."""
    code = "import sys; from sluice_client.fingerprints import user_key; sys.stdin.read(); print(user_key().hex())"
    variables = os.environ | {"PYTHONPATH": str(ROOT / "client")}
    starting = [
        subprocess.Popen([sys.executable, "-c", code], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for each in starting:
        assert each.stdin
        each.stdin.close()  # go
    keys = set()
    for each in starting:
        with each:
            assert each.stdout
            keys.add(each.stdout.read().decode().strip())
    assert keys == {state.read_bytes().hex()}


@pytest.mark.parametrize("home", ["", "relative/path"])
def test_without_a_state_folder_it_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """The XDG specification has an empty and a relative value ignored."""
    monkeypatch.setenv("XDG_STATE_HOME", home)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_key() == (tmp_path / ".local" / "state" / "sluice" / "fingerprint-key").read_bytes()


def test_a_key_that_is_none_is_told(state: Path) -> None:
    """What was cut, or written by somebody else, is not used."""
    state.parent.mkdir(parents=True)
    state.write_bytes(b"short")
    with pytest.raises(OSError, match="is not a key"):
        user_key()


def test_a_folder_that_cannot_be_made_is_told(state: Path) -> None:
    """A file is where the folder should be."""
    state.parent.parent.write_bytes(b"")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        user_key()
