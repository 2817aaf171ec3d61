"""Lists by folder, drop and a part of the name, from the indexes of a real table."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sluice import listing, pages
from sluice.errors import InvalidCursor
from sluice.files import PLACE_BYTES, File, Mode, Status, place
from sluice.listing import Filter, Listing
from tests.integration.conftest import thorough
from tests.integration.world import World, world

FOLDERS = (None, "a", "a/b", "a/b/c", "ab", "b", "\N{GRINNING FACE}/x")
NAMES = ("holiday.MOV", "Holidays 2.mov", "notes.txt", "STRA\N{LATIN SMALL LETTER SHARP S}E.pdf")
DROPS = (None, "0123456789abcdefghjkmnpqrs", "1123456789abcdefghjkmnpqrs")
MANY = 50
READ = 15  # records in one read, so that a list takes several


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def written(here: World) -> list[File]:
    """Those of one owner, oldest first; and another's beside them."""
    chance = random.Random(11)
    made = [here.near_files.create(a_file("lister", chance)) for _ in range(MANY)]
    here.near_files.create(replace(made[0], owner="another", drop="2123456789abcdefghjkmnpqrs"))
    return made


def a_file(owner: str, chance: random.Random) -> File:
    return File(
        owner=owner,
        filename=chance.choice(NAMES),
        folder=chance.choice(FOLDERS),
        drop=chance.choice(DROPS),
        status=chance.choice([Status.READY, Status.FAILED]),
        size=1,
        content_type="text/plain",
        mode=Mode.SINGLE,
        part_size=1,
    )


def walked(here: World, limit: int, wanted: Filter) -> list[File]:
    found: list[File] = []
    cursor = None
    for _ in range(MANY + 1):
        page, cursor = Listing(here.near_files).page("lister", limit, cursor, wanted)
        assert len(page) <= limit
        found += page
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [2, pytest.param(7, marks=thorough), 100])
@pytest.mark.parametrize(
    "wanted",
    [
        *(Filter(folder=folder) for folder in ("", "a", "a/b", "ab", "nowhere", "\N{GRINNING FACE}")),
        *(Filter(q=q) for q in ("holi", "MOV", "strasse", "2.", "none of them")),
        *(Filter(drop=drop) for drop in DROPS if drop),
        Filter(drop=DROPS[1], folder="a", q="h"),
        Filter(folder="a", status=Status.READY),
        Filter(folder="a", q="mov", status=Status.FAILED),
    ],
    ids=str,
)
def test_pages_are_the_filtered_list(
    here: World, written: list[File], limit: int, wanted: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file that the filter holds comes once, however long the pages are; newest first within its folder."""
    monkeypatch.setattr(pages, "FILTERED_READ", READ)
    monkeypatch.setattr(listing, "NAMES_READ", READ)
    found = walked(here, limit, wanted)
    expected = [file for file in reversed(written) if wanted.holds(file)]
    assert sorted(file.id for file in found) == sorted(file.id for file in expected)
    for folder in FOLDERS:
        assert [f.id for f in found if f.folder == folder] == [f.id for f in expected if f.folder == folder]


def test_another_owners_drop_has_no_files(here: World, written: list[File]) -> None:
    """Its id alone opens nothing."""
    assert written
    for drop in DROPS[1:]:
        assert Listing(here.near_files).page("nobody", 10, None, Filter(drop=drop)) == ([], None)


def test_a_cursor_goes_on_in_its_own_list(here: World, written: list[File]) -> None:
    """With another folder it is refused."""
    assert written
    table = Listing(here.near_files)
    _, cursor = table.page("lister", 1, None, Filter(folder="a"))
    assert cursor
    with pytest.raises(InvalidCursor):
        table.page("lister", 1, cursor, Filter(folder="b"))


def test_a_folder_that_is_too_long_for_the_index_is_found(here: World) -> None:
    """Of two whose keys begin alike each has its own file."""
    long = "\N{GRINNING FACE}/" * (PLACE_BYTES // 5)
    for end in ("x" * 60, "y" * 60):
        file = File(
            owner="deep",
            filename="f",
            folder=long + end,
            size=1,
            content_type="text/plain",
            mode=Mode.SINGLE,
            part_size=1,
        )
        here.near_files.create(file)
        assert len(place(file.folder, file.id).encode()) <= 1024
        found, _ = Listing(here.near_files).page("deep", 10, None, Filter(folder=long + end))
        assert [one.id for one in found] == [file.id]


def test_what_is_deleted_or_moved_leaves_its_folder(here: World) -> None:
    """The records count, not what the index may still say."""
    file = here.near_files.create(replace(a_file("mover", random.Random(1)), status=Status.READY))
    moved = here.near_files.save(file, folder="new")
    table = Listing(here.near_files)
    assert table.page("mover", 10, None, Filter(folder="new"))[0] == [moved]
    assert table.page("mover", 10, None, Filter(folder=file.folder or ""))[0] == []
    here.near_files.delete(moved)
    assert table.page("mover", 10, None, Filter(folder="new"))[0] == []
