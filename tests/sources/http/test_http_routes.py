"""RouteTable: the most specific route takes the request."""

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from engine.sources.http.routes import Entry, RouteTable, conflicts

# API Gateway's own example ("Routing API requests"), with a method route and a fixed path below a variable
ROUTES = [
    ("GET", "/pets/dog/1"),
    ("GET", "/pets/dog/{id}"),
    ("GET", "/pets/{proxy+}"),
    ("ANY", "/{proxy+}"),
    ("POST", "/pets/dog/1"),
    ("ANY", "/pets/cat/{id}"),
    ("DELETE", "/pets/cat/{name}"),
    ("GET", "/{kind}/new/list"),
    ("ANY", "$default"),
    ("OPTIONS", "$default"),
    ("GET", "/café"),
    ("GET", "/slash/"),
]


def table(routes):
    return RouteTable(Entry(method, path, "f", (method, path)) for method, path in routes)


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "parameters"),
    [
        ("GET", "/pets/dog/1", ("GET", "/pets/dog/1"), {}),
        ("GET", "/pets/dog/2", ("GET", "/pets/dog/{id}"), {"id": "2"}),
        ("GET", "/pets/cat", ("GET", "/pets/{proxy+}"), {"proxy": "cat"}),
        ("POST", "/test/5", ("ANY", "/{proxy+}"), {"proxy": "test/5"}),
        ("POST", "/pets/dog/1", ("POST", "/pets/dog/1"), {}),
        ("PUT", "/pets/dog/1", ("ANY", "/{proxy+}"), {"proxy": "pets/dog/1"}),
        ("GET", "/pets/cat/7", ("ANY", "/pets/cat/{id}"), {"id": "7"}),
        ("DELETE", "/pets/cat/7", ("DELETE", "/pets/cat/{name}"), {"name": "7"}),
        ("GET", "/pets/new/list", ("GET", "/pets/{proxy+}"), {"proxy": "new/list"}),
        ("GET", "/cars/new/list", ("GET", "/{kind}/new/list"), {"kind": "cars"}),
        ("GET", "/cars/new/other", ("ANY", "/{proxy+}"), {"proxy": "cars/new/other"}),
        ("GET", "/", ("ANY", "$default"), {}),
        ("OPTIONS", "/", ("OPTIONS", "$default"), {}),
        ("GET", "/caf%C3%A9", ("GET", "/café"), {}),
        ("GET", "/slash/", ("GET", "/slash/"), {}),
        ("GET", "/slash", ("ANY", "/{proxy+}"), {"proxy": "slash"}),
        ("GET", "/pets/dog/a%2Fb", ("GET", "/pets/dog/{id}"), {"id": "a%2Fb"}),
        ("GET", "/pets//x//y/", ("GET", "/pets/{proxy+}"), {"proxy": "/x//y/"}),
        ("OPTIONS", "*", ("OPTIONS", "$default"), {}),
        ("CONNECT", "host:443", ("ANY", "$default"), {}),
    ],
)
def test_the_most_specific_route_wins(method, path, endpoint, parameters):
    """Fixed text before a variable before the rest; the method before ANY; $default last."""
    found = table(ROUTES).find(method, path)

    assert (endpoint, parameters) == found


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/a"), ("POST", "/a/b"), ("GET", "/a//"), ("GET", "/c/"), ("GET", "*"), ("GET", "")],
)
def test_a_request_without_route_finds_nothing(method, path):
    """A variable takes at least one character, a method must fit, and there is no default unless set."""
    routes = table([("GET", "/a/{b}"), ("GET", "/a/{b}/{c}"), ("ANY", "/c/{rest+}")])

    assert routes.find(method, path) is None


def test_two_functions_on_one_route_are_a_problem_each():
    """Variable names do not tell routes apart; other methods and other shapes do."""
    entries = [
        Entry("GET", "/a/{x}", "one", 1),
        Entry("GET", "/a/{y}", "two", 2),
        Entry("POST", "/a/{y}", "two", 2),
        Entry("GET", "/a/{y+}", "two", 2),
        Entry("ANY", "$default", "one", 1),
        Entry("ANY", "$default", "three", 3),
    ]

    assert [
        "functions.two.events: GET /a/{y} is taken by function 'one'",
        "functions.three.events: ANY $default is taken by function 'one'",
    ] == conflicts(entries)


SEGMENT = st.text(st.sampled_from("abé.%/{}+ "), min_size=0, max_size=4)


@run_with(deadline=None)
@given(st.text(st.sampled_from("/abpets%2F.?"), max_size=40))
def test_any_path_is_answered(path):
    """With a default, every request finds a route, and the values it takes are not empty."""
    found = table(ROUTES).find("GET", path)

    assert found is not None
    assert all(found.parameters.values())


@run_with(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "{x}"]), min_size=1, max_size=12))
def test_a_route_finds_its_own_path(segments):
    """A path made from a route is taken by that route, its variables in order."""
    names = iter("klmnopqrstuv")
    path = "/" + "/".join(f"{{{next(names)}}}" if part == "{x}" else part for part in segments)
    values = iter("0123456789XY")
    sent = "/" + "/".join(next(values) if part == "{x}" else part for part in segments)

    found = table([("GET", path)]).find("GET", sent)

    assert [*"0123456789XY"][: segments.count("{x}")] == list(found.parameters.values())
