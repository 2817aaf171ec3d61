"""How harsh the stack is where AWS is: the switches, each a variable of `python -m local`.

On by default is what AWS documents or what everybody sees; off, what some report and others do not. docs/local.md has
the sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self

PREFIX = "LOCAL_"


class NotANumber(Exception):
    """A switch has a value that is no whole number."""


def _switch(default: int, meaning: str) -> int:
    value: int = field(default=default, metadata={"meaning": meaning})
    return value


@dataclass(frozen=True)
class Harshness:
    """The switches; LOCAL_STREAM_LINGER_S sets `stream_linger_s`. 0 is off."""

    stream_bytes_per_s: int = _switch(2_000_000, "a streamed answer's speed after its first 6 MB")
    stream_remaps_length: int = _switch(1, "a streamed answer's Content-Length is renamed")
    stream_linger_s: int = _switch(0, "a streamed answer without a body stays open so long")
    stream_holds_prelude: int = _switch(0, "a stream is held back if its body came with its prelude")
    stream_hides_failures: int = _switch(0, "a stream that fails on its way ends as if it were whole")
    account_concurrency: int = _switch(0, "invocations at once; a new account has 10")

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """As `environ` sets it. Raises `NotANumber`."""
        given = {one.name: environ[name] for one in fields(cls) if (name := variable(one.name)) in environ}
        for name, value in given.items():
            if not (value.isascii() and value.isdecimal()):
                raise NotANumber(f"{variable(name)}={value} is not a whole number; 0 switches it off")
        return cls(**{name: int(value) for name, value in given.items()})


def variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def described() -> str:
    """A line for each switch, with its default."""
    lines = [f"  {variable(one.name):<27} {one.metadata['meaning']} ({one.default})" for one in fields(Harshness)]
    return "\n".join(["how harsh the stack is, as AWS is (docs/local.md); 0 switches it off:", *lines])
