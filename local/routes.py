"""Routes of an API: which of them takes a request, and what its path's variables are.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.payload import DEFAULT

ANY = "ANY"


@dataclass(frozen=True)
class Route:
    """A method and a path: `{name}` in it is one segment, `{name+}` at its end is all that follow."""

    method: str
    path: str

    @classmethod
    def of(cls, key: str) -> "Route":
        """From a route's key: `GET /pets/{id}`, `ANY /{proxy+}` or `$default`."""
        method, _, path = key.partition(" ")
        return cls(method.upper(), path) if path else CATCH_ALL

    @property
    def key(self) -> str:
        return DEFAULT if self.path == DEFAULT else f"{self.method} {self.path}"

    def variables(self, path: str) -> dict[str, str] | None:
        """The variables of a path as it was sent, not decoded. None when the path is not this route's."""
        if self.path == DEFAULT:
            return {}
        segments, given = self.path.split("/"), path.split("/")
        found: dict[str, str] = {}
        for place, segment in enumerate(segments):
            if _is_greedy(segment):
                given = [*given[:place], "/".join(given[place:])]
            part = given[place] if place < len(given) else ""
            if not _is_variable(segment):
                if unquote(part) != segment:
                    return None
            elif not part.strip("/"):  # a variable stands for one segment at least
                return None
            else:
                found[segment.strip("{+}")] = part
        return found if len(given) == len(segments) else None

    def rank(self) -> tuple[bool, list[int], bool]:
        """Less for what is more specific: text before a variable, that before the rest of a path, `$default` last."""
        segments = [2 if _is_greedy(part) else 1 if _is_variable(part) else 0 for part in self.path.split("/")]
        return self.path == DEFAULT, segments, self.method == ANY


CATCH_ALL = Route(ANY, DEFAULT)


def match(routes: Iterable[Route], method: str, path: str) -> Route | None:
    """The most specific route that takes the request."""
    fitting = [route for route in routes if route.method in (method, ANY) and route.variables(path) is not None]
    return min(fitting, key=Route.rank, default=None)


def _is_variable(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _is_greedy(segment: str) -> bool:
    return _is_variable(segment) and segment.endswith("+}")
