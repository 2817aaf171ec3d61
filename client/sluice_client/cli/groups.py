"""Groups whose usual command needs no name: `sluice share ID` is `sluice share make ID`."""

from typing import Any

from typer.core import TyperGroup

USUAL = "make"


class Making(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named or not args else [USUAL, *args])
