"""Filenames are other people's data: made safe for a terminal, for a local path, and for a checksum list."""

import unicodedata
from pathlib import PurePath

MAX_NAME_BYTES = 255  # what common file systems take for one name: ext4, XFS, APFS, NTFS
SUFFIX_BYTES = 16  # the end of a name that is kept when the rest must be cut


def printable(text: str) -> str:
    """`text` with control, bidirectional, zero-width and unassigned characters and surrogates as backslash escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def local_name(filename: str, otherwise: str) -> str:
    """A name for the present folder: the last component of `filename`, never hidden, never special, at most 255 bytes.

    `otherwise`, made safe as well, is taken where nothing is left of it.
    """
    return _safe(filename) or _safe(otherwise) or "_"


def _safe(filename: str) -> str:
    last = filename.replace("\\", "/").rpartition("/")[2]
    # To Windows a colon ends the name of a drive (`C:x` is in another folder), or begins that of a hidden stream.
    safe = "".join(c if c.isprintable() and c != ":" else "_" for c in last).strip()
    # A server must not be able to plant `.bashrc` in a home folder.
    if safe.startswith("."):
        safe = "_" + safe.lstrip(".") if safe.strip(".") else ""
    return _cut(safe)


def numbered(name: str, number: int) -> str:
    """`name (2).ext`, at most 255 bytes as well."""
    ending = _ending(name)
    return _shortened(name.removesuffix(ending), f" ({number}){ending}")


def same(path: PurePath) -> str:
    """The same text for paths that some file system takes for the same: Unicode 15, 3.13, D145, canonical caseless.

    Windows leaves out dots and blanks at the end of each name.
    """
    return "/".join(
        unicodedata.normalize("NFC", unicodedata.normalize("NFD", part).casefold()).rstrip(" .") for part in path.parts
    )


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    ending = _ending(name)
    return _shortened(name.removesuffix(ending), ending)


def _ending(name: str) -> str:
    suffix = PurePath(name).suffix
    return suffix if 1 < len(suffix.encode()) <= SUFFIX_BYTES else ""  # a dot alone is none, as before Python 3.14


def _shortened(stem: str, ending: str) -> str:
    # "ignore" drops the character that the cut went through.
    return stem.encode()[: MAX_NAME_BYTES - len(ending.encode())].decode(errors="ignore") + ending


def checksum_line(digest: str, filename: str) -> str:
    """A line of `sha256sum` and `md5sum`, which begins with a backslash where the name had to be escaped."""
    if filename == "-":  # which means stdin there
        filename = "./-"
    escaped = filename.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == filename else chr(92)}{digest}  {escaped}"
