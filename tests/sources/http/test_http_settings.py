"""HttpEvent: what may stand in `[[functions.NAME.events]]`, and which front door it means."""

import pytest
from pydantic import ValidationError

from engine.sources.http.settings import FrontDoor, HttpEvent


@pytest.mark.parametrize(
    ("settings", "front_door", "route_key", "stage"),
    [
        ({}, FrontDoor.URL, "$default", "$default"),
        ({"path": "/*"}, FrontDoor.URL, "$default", "$default"),
        ({"path": "$default", "stage": "live"}, FrontDoor.HTTP_API, "$default", "live"),
        ({"method": "get", "path": "/a/{b}"}, FrontDoor.HTTP_API, "GET /a/{b}", "$default"),
        ({"path": "/{proxy+}"}, FrontDoor.HTTP_API, "ANY /{proxy+}", "$default"),
        ({"path": "/a", "payload_format": "1.0"}, FrontDoor.REST, "ANY /a", "Prod"),
        ({"path": "/a", "payload_format": "1.0", "stage": "v1"}, FrontDoor.REST, "ANY /a", "v1"),
        ({"payload_format": "alb"}, FrontDoor.ALB, "$default", "$default"),
    ],
)
def test_format_and_route_choose_the_closest_front_door(settings, front_door, route_key, stage):
    """A bare format 2.0 is a Function URL; a route makes it an HTTP API; 1.0 is REST; alb is ALB."""
    event = HttpEvent(**settings)

    assert (front_door, route_key, stage) == (event.front_door, event.route_key, event.stage_name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": "hello"}, "must start with '/'"),
        ({"path": ""}, "must start with '/'"),
        ({"path": "/a?b=c"}, "a route is the path alone"),
        ({"path": "/a b"}, "a route is the path alone"),
        ({"path": "/a\r\nb"}, "a route is the path alone"),
        ({"path": "/a//b"}, "empty segment"),
        ({"path": "/a/*"}, "write {name+}"),
        ({"path": "/{a+}/b"}, "must end with {a+}"),
        ({"path": "/{a}/{a}"}, "'a' twice"),
        ({"path": "/x{a}"}, "bad variable"),
        ({"path": "/{}"}, "bad variable"),
        ({"path": "/{a"}, "bad variable"),
        ({"path": "/" + "a" * 512}, "longer than 512"),
        ({"method": "GE T"}, "not an HTTP method"),
        ({"method": ""}, "not an HTTP method"),
        ({"payload_format": "3.0"}, "2.0"),
        ({"multi_value_headers": True}, 'payload_format = "alb"'),
        ({"binary_media_types": ["image/png"]}, 'payload_format = "1.0"'),
        ({"binary_media_types": ["png"], "payload_format": "1.0"}, "not a media type"),
        ({"payload_format": "alb", "stage": "x"}, "no stage"),
        ({"payload_format": "1.0", "stage": "$default"}, "no stage named $default"),
        ({"stage": "a/b"}, "pattern"),
        ({"route": "/x"}, "Extra inputs"),
        ({"cors": {}}, "Field required"),
        ({"cors": {"origins": []}}, "at least 1"),
        ({"cors": {"origins": ["https://a.test\r\nx: y"]}}, "holds what no origin"),
        ({"cors": {"origins": ["*"], "headers": ["a, b"]}}, "holds what no origin"),
        ({"cors": {"origins": ["*"], "methods": ["GE T"]}}, "not an HTTP method"),
        ({"cors": {"origins": ["*"], "max_age_s": -1}}, "greater than or equal to 0"),
        ({"cors": {"origins": ["*"]}, "payload_format": "alb"}, "has no cors"),
    ],
)
def test_a_bad_event_is_refused_in_plain_words(settings, words):
    """Each mistake names itself."""
    with pytest.raises(ValidationError) as refused:
        HttpEvent(**settings)

    assert words in str(refused.value)


@pytest.mark.parametrize("path", ["/", "/hello", "/hello/", "/a/{b}/c/{d+}", "/a.b-c_d~e", "/%C3%A9"])
def test_paths_of_api_gateway_are_taken_as_they_are(path):
    """A good path is not changed."""
    assert path == HttpEvent(path=path).path
