"""Which route of an API takes a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.routes import CATCH_ALL, Route, match

ROUTES = [
    Route.of(key)
    for key in (
        "GET /",
        "GET /pets",
        "POST /pets",
        "GET /pets/{id}",
        "GET /pets/dog",
        "ANY /pets/{id}/toys",
        "GET /pets/{id}/toys",
        "GET /pets/{proxy+}",
        "ANY /files/{name}/{rest+}",
        "GET /a b/{id}",
    )
]


@pytest.mark.parametrize(
    ("method", "path", "key", "variables"),
    [
        ("GET", "/", "GET /", {}),
        ("GET", "/pets", "GET /pets", {}),
        ("POST", "/pets", "POST /pets", {}),
        ("GET", "/pets/dog", "GET /pets/dog", {}),
        ("GET", "/pets/cat", "GET /pets/{id}", {"id": "cat"}),
        ("GET", "/pets/a%2Fb", "GET /pets/{id}", {"id": "a%2Fb"}),
        ("GET", "/pets/1/toys", "GET /pets/{id}/toys", {"id": "1"}),
        ("PUT", "/pets/1/toys", "ANY /pets/{id}/toys", {"id": "1"}),
        ("GET", "/pets/1/toys/2", "GET /pets/{proxy+}", {"proxy": "1/toys/2"}),
        ("GET", "/pets/dog/", "GET /pets/{proxy+}", {"proxy": "dog/"}),
        ("PATCH", "/files/a/b//c/", "ANY /files/{name}/{rest+}", {"name": "a", "rest": "b//c/"}),
        ("GET", "/a%20b/1", "GET /a b/{id}", {"id": "1"}),
    ],
)
def test_most_specific_route_wins(method: str, path: str, key: str, variables: dict[str, str]) -> None:
    """Text counts more than a variable, a variable more than the rest of a path, a method more than ANY."""
    route = match(ROUTES, method, path)
    assert route is not None
    assert (route.key, route.variables(path)) == (key, variables)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/pets"),
        ("GET", "/pets/"),
        ("GET", "/Pets"),
        ("GET", "//pets"),
        ("GET", "/files/a"),
        ("GET", "/files/a/"),
        ("POST", "/pets/dog"),
        ("GET", "*"),
        ("GET", ""),
    ],
)
def test_no_route(method: str, path: str) -> None:
    """Another method, another case, an empty segment: nothing takes them, but for `$default`."""
    assert match(ROUTES, method, path) is None
    assert match([*ROUTES, CATCH_ALL], method, path) == CATCH_ALL


segments = st.text("abcXYZ019-_.~%", min_size=1, max_size=8)
names = st.text("abc", min_size=1, max_size=3)


@st.composite
def filled(draw: st.DrawFn) -> tuple[Route, str, dict[str, str]]:
    """A route, a path that it takes, and what that path's variables are."""
    unique = draw(st.lists(names, unique=True, max_size=3))
    kinds = draw(st.permutations([*unique, *draw(st.lists(st.none(), max_size=3))]))
    pattern, path, variables = [], [], {}
    for name in kinds:
        text = draw(segments.filter(lambda part: "%" not in part) if name is None else segments)
        pattern.append(text if name is None else f"{{{name}}}")
        path.append(text)
        if name is not None:
            variables[name] = text
    if draw(st.booleans()):
        rest = "/".join(draw(st.lists(segments, min_size=1, max_size=3)))
        pattern.append("{rest+}")
        path.append(rest)
        variables["rest"] = rest
    return Route("GET", "/" + "/".join(pattern)), "/" + "/".join(path), variables


@given(filled(), st.lists(filled()))
def test_a_path_is_taken_by_the_route_it_was_made_from(
    made: tuple[Route, str, dict[str, str]], others: list[tuple[Route, str, dict[str, str]]]
) -> None:
    """Its variables are what was put in; among other routes one takes it that is as specific at least."""
    route, path, variables = made
    assert route.variables(path) == variables
    best = match([CATCH_ALL, route, *(other for other, _, _ in others)], "GET", path)
    assert best is not None
    assert best.variables(path) is not None
    assert best.rank() <= route.rank()


@given(st.text(), st.text())
def test_anything_may_come(method: str, path: str) -> None:
    """No path breaks the search."""
    assert match([*ROUTES, CATCH_ALL], method, path) is not None


@pytest.mark.parametrize("key", ["GET /pets/{id}", "ANY /{proxy+}", "$default"])
def test_key_is_kept(key: str) -> None:
    """A route says the key that it was made from, as events do."""
    assert Route.of(key).key == key
