"""Which files there are below a folder, and in which folder of the server's each of them goes."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sluice_client.sources import unicode


@dataclass(frozen=True, slots=True)
class Globs:
    """Which paths are wanted: some `include` where there is any, and no `exclude`.

    A glob without a slash is compared with names, any other with the path below the folder that was given. `*` takes
    slashes, too.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def take_file(self, relative: str) -> bool:
        return not self.leave(relative) and (not self.include or any(_fits(relative, each) for each in self.include))

    def leave(self, relative: str) -> bool:
        """A file, or a folder with all that is in it."""
        return any(_fits(relative, each) for each in self.exclude)


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file, its bytes, and the folder it goes to."""

    path: Path
    folder: str | None
    size: int


def walk(
    root: Path,
    folder: str | None,
    globs: Globs,
    *,
    follow: bool,
    skipped: Callable[[Path, str], None],
    failed: Callable[[Path, OSError], None],
) -> Iterator[Found]:
    """The files below `root` in order of their names, for `folder` at the server.

    The name of `root` becomes a folder as with `cp -r`, but for `.` and `..`. Symbolic links are skipped unless
    `follow` is set, and then no folder is entered twice on one way. `skipped` learns what is left out and why,
    `failed` what cannot be read.
    """
    top = _joined(folder, unicode(root.name)) if root.name not in ("", "..") else folder
    try:
        yield from _Walk(globs, skipped, failed, follow=follow).below(root, top, "", ())
    except OSError as error:
        failed(root, error)


class _Walk:
    def __init__(
        self,
        globs: Globs,
        skipped: Callable[[Path, str], None],
        failed: Callable[[Path, OSError], None],
        *,
        follow: bool,
    ) -> None:
        self._globs, self._skipped, self._failed, self._follow = globs, skipped, failed, follow

    def below(
        self, path: Path, folder: str | None, relative: str, above: tuple[tuple[int, int], ...]
    ) -> Iterator[Found]:
        found = path.stat()
        identity = (found.st_dev, found.st_ino)
        if identity in above:
            self._skipped(path, "a link to a folder that it is in")
            return
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            below = f"{relative}/{entry.name}" if relative else entry.name
            if self._globs.leave(below):
                continue
            here = path / entry.name
            if entry.is_symlink() and not self._follow:
                self._skipped(here, "a symbolic link; -L follows it")
                continue
            try:
                info = entry.stat()
                if stat.S_ISDIR(info.st_mode):
                    yield from self.below(here, _joined(folder, unicode(entry.name)), below, (*above, identity))
                elif not stat.S_ISREG(info.st_mode):
                    self._skipped(here, "neither a file nor a folder")
                elif self._globs.take_file(below):
                    yield Found(here, folder, info.st_size)
            except OSError as error:
                self._failed(here, error)


def _joined(folder: str | None, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _fits(relative: str, glob: str) -> bool:
    return fnmatchcase(relative if "/" in glob else relative.rpartition("/")[2], glob)
