import os
import shutil
import subprocess
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluice_client.names import MAX_NAME_BYTES, checksum_line, local_name, printable

ANY_NAME = st.text(st.characters(), max_size=400)  # surrogates too: JSON can carry them
GOOD_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."}
)


@given(ANY_NAME)
@example("\x1b]0;owned\x07\u202egpj.exe\u2066\r\n[bold]\ud800\u200b")
def test_printable_text_holds_nothing_that_moves_or_colours(text: str) -> None:
    """Whatever the name, every character left is one that a terminal only shows."""
    assert printable(text).isprintable()


def test_printable_keeps_what_people_read() -> None:
    """Umlauts, emoji, CJK and spaces stay; controls and direction marks become escapes."""
    assert printable("Übung 雪 🎉.txt") == "Übung 雪 🎉.txt"
    assert printable("a\nb\u202ec") == "a\\nb\\u202ec"


@given(ANY_NAME)
@example("../../etc/passwd")
@example("..\\..\\boot.ini")
@example("\u202e" * 300)
@example("...")
@example(". .")
@example("a/.bashrc")
@example("🎉" * 100 + ".jpeg")
@example("C:evil.txt")
@example("file.txt:stream")
def test_local_name_is_one_safe_component(filename: str) -> None:
    """Never another folder, never hidden, never special, never longer than file systems take; on Windows as well."""
    assert_safe(local_name(filename, otherwise="the-id"))


@given(ANY_NAME)
@example(".bashrc")
@example("../../.ssh/authorized_keys")
@example("C:evil.txt")
@example("..")
def test_what_is_taken_otherwise_is_no_safer(otherwise: str) -> None:
    """It may come from a server as well."""
    assert_safe(local_name("..", otherwise=otherwise))


def assert_safe(name: str) -> None:
    assert name
    assert "/" not in name
    assert "\\" not in name
    assert PureWindowsPath("out", name).parent == PureWindowsPath("out")
    assert ":" not in name
    assert not name.startswith(".")
    assert name.isprintable()
    assert len(name.encode()) <= MAX_NAME_BYTES


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("a/b/../c.txt", "c.txt"),
        ("folder/", "the-id"),
        ("..", "the-id"),
        ("  ", "the-id"),
        (".bashrc", "_bashrc"),
        ("C:evil.txt", "C_evil.txt"),
        ("a\r\nb", "a__b"),
        ("é" * 200 + ".tar.gz", "é" * 126 + ".gz"),
    ],
)
def test_local_name_of(filename: str, expected: str) -> None:
    """A plain name stays; of a path the last component is left; the ending survives a cut."""
    assert local_name(filename, otherwise="the-id") == expected


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="coreutils are not here")
@settings(max_examples=25)
@given(st.lists(GOOD_NAMES, min_size=1, max_size=3, unique=True))
@example(["back\\slash", "new\nline", "carriage\rreturn", "-"])
def test_sha256sum_reads_our_lines(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """`sha256sum -c` finds the very files that the lines name, whatever their names."""
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        (folder / name).write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    lines = b"".join(os.fsencode(checksum_line(empty, name)) + b"\n" for name in names)
    done = subprocess.run(["sha256sum", "-c", "--strict", "--quiet"], cwd=folder, input=lines, check=False)
    assert done.returncode == 0


def test_checksum_line_is_plain_for_plain_names() -> None:
    """Two spaces between digest and name, no backslash before."""
    assert checksum_line("00ff", str(Path("a b/c.txt"))) == "00ff  a b/c.txt"
