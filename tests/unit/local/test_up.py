"""What `make up` knows of Sluice, and `python -m local` does not."""

import json
import re
from pathlib import Path

import pytest

import local
from local.__main__ import read
from local.tokens import hashed
from local.up import PAGES, TEMPLATE, arguments, owners_tokens


def test_token_is_of_the_default_owner() -> None:
    """A plain SLUICE_TOKEN is that of `default`; an object says the owners; without one a token is made up."""
    assert owners_tokens("secret") == {"default": "secret"}
    assert owners_tokens('{"a": "1", "b": "2"}') == {"a": "1", "b": "2"}
    first, second = owners_tokens(None), owners_tokens("")
    assert first.keys() == second.keys() == {"default"}
    assert first != second


@pytest.mark.parametrize("value", ["{", "{}", '{"a": 1}', '{"a": ""}'])
def test_tokens_that_cannot_be_used_are_told(value: str) -> None:
    """A SLUICE_TOKEN that begins like an object has to be one from owners to tokens."""
    with pytest.raises(ValueError, match="SLUICE_TOKEN"):
        owners_tokens(value)


def test_the_stack_keeps_hashes() -> None:
    """The ready line shows the first owner's token; the secret has the hashes of all."""
    settings = read(arguments(8080, 0, {"a": "one", "b": "two"}), {})
    assert (settings.template, settings.shown) == (TEMPLATE, {"token": "one"})
    assert json.loads(settings.secrets["AccessToken"]) == {"a": [hashed("one")], "b": [hashed("two")]}
    assert [(plate.name, plate.port) for plate in settings.doors.values()] == [("api", 8080), ("stream", 0)]


def test_the_page_in_development_is_let_in() -> None:
    """The template lets no other origin in by itself. Who names some on the command line means those alone."""
    served = re.search(r"port: (\d+)", (TEMPLATE.parent / "web/vite.config.ts").read_text())
    assert served
    assert read(arguments(0, 0, {"a": "one"}), {}).parameters == {"AllowedOrigins": PAGES}
    assert {page.rpartition(":")[2] for page in PAGES.split(",")} == {served[1]}
    ours = "AllowedOrigins=https://ours.example"
    assert read([*arguments(0, 0, {"a": "one"}), "-p", ours], {}).parameters == dict([ours.split("=")])


def test_nothing_else_in_local_knows_sluice() -> None:
    """The rest runs any template: it does not name Sluice, and imports nothing that does."""
    own = {"demo", "deploy", "release", "tokens", "up"}
    for path in Path(local.__file__).parent.glob("*.py"):
        if path.stem not in own:
            text = path.read_text().lower()
            assert "sluice" not in text, path
            assert not any(f"local.{name}" in text for name in own), path
