"""`engine load`: which requests are sent to the functions of a configuration."""

import pytest

from engine.cli.load.targets import target_of

CONFIG = """
[functions.shop]
handler = "app.handler"

[[functions.shop.events]]
type = "http"
method = "GET"
path = "/orders/{id}"

[[functions.shop.events]]
type = "http"
method = "GET"
path = "/orders"

[[functions.shop.events]]
type = "http"
method = "POST"
path = "/orders"

[[functions.shop.events]]
type = "http"
method = "ANY"
path = "/any/{rest+}"
"""


@pytest.fixture
def request_to(tmp_path):
    """`request_to(path, method)`: method and target of the requests that are sent."""
    file = tmp_path / "engine.toml"
    file.write_text(CONFIG)
    (tmp_path / "app.py").write_text("async def handler(event, context): pass")
    options = dict.fromkeys(("url", "method", "via", "events"))
    options |= {"path": str(file), "headers": (), "functions": (), "parameters": ()}

    def sent(path, method=None):
        [driven] = target_of([], {**options, "target": path, "method": method}, None, by_http=True).driven
        return driven.method, driven.target

    return sent


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/orders/7?x=1", "GET"),
        ("/orders?x=1", "POST"),
        ("/any/thing/else?x=1", "POST"),
        ("/nothing", "POST"),
    ],
)
def test_a_path_and_query_is_asked_for_by_a_method_of_its_route(request_to, path, method):
    """POST where the route takes it, for it has the event as its body."""
    assert (method, path) == request_to(path)


def test_a_method_that_is_named_is_sent(request_to):
    assert ("DELETE", "/orders/7") == request_to("/orders/7", "delete")


def test_without_a_path_the_first_route_without_variables_is_asked(request_to):
    assert ("GET", "/orders") == request_to(None)
