"""An API of several stages and routes: an ASGI application that hands each request to the door of its route."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from local.asgi import Receive, Send
from local.door import Door, Unrouted, Unstaged
from local.payload import DEFAULT, MalformedRequest, requested
from local.routes import Route, match
from local.runtime_api import Response


@dataclass(frozen=True)
class Stage:
    """A stage. All but `$default` have their name in front of each path."""

    name: str = DEFAULT
    variables: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def prefix(self) -> str:
        return "" if self.name == DEFAULT else f"/{self.name}"

    def inside(self, path: str) -> str:
        """A path of this stage without the stage."""
        return path.removeprefix(self.prefix) or "/"


@dataclass(frozen=True)
class Router:
    """The doors of an API by stage and route, and those that answer where there is no route, or no stage."""

    doors: Mapping[Stage, Mapping[Route, Door]]
    unrouted: Door
    unstaged: Door

    # A REST API does not mind a slash at the end of a path.
    slash_counts: bool = True

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            path, _ = requested(scope["raw_path"], [])
        except MalformedRequest:
            door = self.unrouted  # which says so
        else:
            door = self.door(scope["method"], path.decode("latin-1"))
        await door(scope, receive, send)

    def door(self, method: str, path: str) -> Door:
        stage = self._stage(path)
        if stage is None:
            return self.unstaged
        inside = stage.inside(path)
        if not self.slash_counts:
            inside = inside.rstrip("/") or "/"
        route = match(self.doors[stage], method, inside)
        return self.unrouted if route is None else self.doors[stage][route]

    def _stage(self, path: str) -> Stage | None:
        """The stage whose name begins the path, or else `$default`."""
        names = {stage.name: stage for stage in self.doors}
        first = path.split("/")[1] if "/" in path else ""
        return names.get(first) or names.get(DEFAULT)


class Nobody:
    """In the place of a function, where there is none."""

    def __init__(self, why: type[Unrouted]) -> None:
        self._why = why

    async def invoke(self, event: bytes) -> Response:  # noqa: ARG002  as an `Invoker`
        raise self._why("no stage of this API" if self._why is Unstaged else "no route of this API takes it")
