"""Which requests a listener takes: programs and the user's own pages, and no page of another site."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocols.http.message import Request
from engine.protocols.http.request_gate import Marks, RequestGate, authority, marks_of

FOREIGN = "https://evil.example"
CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36"
SETTINGS = {"hosts": ("engine.corp.test",), "allowed_origins": ("https://app.corp.test", "app://shop")}
GATES = {
    "http": RequestGate("127.0.0.1", navigations=True, **SETTINGS),
    "admin": RequestGate("localhost", navigations=True, **SETTINGS),
    "aws": RequestGate("::1", **SETTINGS),
}
WIDE = RequestGate("0.0.0.0", navigations=True, **SETTINGS)


def marks(host="127.0.0.1:3000", origin=None, method="POST", **more):
    origins = () if origin is None else (origin,)
    return Marks(method=method, version=more.pop("version", "1.1"), hosts=(host,), origins=origins, **more)


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:3000", "127.0.0.1", "[::1]:4566", "192.168.1.7:3000", "[fe80::1]", "8.8.8.8"),
        *("localhost", "LocalHost:3000", "localhost.:3000", "shop.localhost:3000", "b-1.s3.localhost"),
        *("sqs.us-east-1.amazonaws.com", "queue.amazonaws.com", "us-east-1.queue.amazonaws.com"),
        *("b-1.s3.eu-west-1.amazonaws.com", "s3.amazonaws.com", "lambda.cn-north-1.amazonaws.com.cn"),
        *("a1b2.execute-api.us-east-1.amazonaws.com", "x9.lambda-url.eu-west-3.on.aws"),
        *("b-1.s3.localhost.localstack.cloud:4566", "host.docker.internal:3000"),
        *("engine.corp.test", "b-1.engine.corp.test:4566", "ENGINE.CORP.TEST.:1"),
    ],
)
def test_names_of_the_engine_are_taken(gate, host):
    """In any spelling, with any port."""
    assert gate.judge(marks(host)) is None


@pytest.mark.parametrize("gate", [*GATES.values(), WIDE], ids=[*GATES, "wide"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("evil.example", 403), ("evil.example:3000", 403), ("evil.example.", 403), ("EVIL.example", 403)),
        *(("localhost.evil.example", 403), ("127.0.0.1.evil.example", 403), ("evillocalhost.example", 403)),
        *(("corp.test", 403), ("evilengine.corp.test", 403), ("127.0.0.1.nip.io", 403), ("1.2.3", 403)),
        *(("amazonaws.com.evil.example", 403), ("evilamazonaws.com", 403), ("s3.amazonaws.com.evil.io", 403)),
        *(("ec2-1-2-3-4.compute-1.amazonaws.com", 403), ("a.b.us-east-1.elb.amazonaws.com", 403)),
        *(("evil.example:80:3000", 400), ("127.0.0.1@evil.example", 400), ("evil.example@127.0.0.1", 400)),
        *(("localhost:65536", 400), ("127.0.0.1:99999", 400), ("[::1]:0", 400)),
        *(("", 400), ("127.0.0.1, evil.example", 400), ("%6cocalhost", 400), ("localhost:x", 400)),
        *(("[::1", 400), ("[evil]", 400), ("::1", 400), ("localhost/", 400), ("localhost evil", 400)),
        *((".localhost", 400), ("localhost..", 400), ("evil.example\\localhost", 400), ("löcal", 400)),
        *(("[::1].evil.example", 400), ("localhost#.evil.example", 400), ("localhost:999999", 400)),
    ],
)
def test_no_other_name_is(gate, host, status):
    """DNS rebinding: whoever owns a name can point it here. Nothing, no Origin, no CORS, makes up for it."""
    for origin in (None, "http://localhost:5173", FOREIGN, f"http://{host}"):
        refusal = gate.judge(marks(host, origin))

        assert refusal is not None
        assert (status, True) == (refusal.status, refusal.final)


def test_a_host_must_be_there_once():
    """HTTP/1.0 had none."""
    gate = GATES["http"]
    none, twice = Marks("GET", "1.1", ()), Marks("GET", "1.1", ("localhost", "localhost"))

    assert (400, 400) == (gate.judge(none).status, gate.judge(twice).status)
    assert gate.judge(Marks("GET", "1.0", ())) is None
    assert 400 == gate.judge(Marks("GET", "1.0", ("localhost", "localhost"))).status


@pytest.mark.parametrize("host", ["engine", "engine:9464", "ENGINE."])
def test_single_labels_are_names_of_a_listener_that_others_reach(host):
    """Compose and Kubernetes call services so; nobody can register one."""
    assert WIDE.judge(marks(host)) is None
    assert 403 == GATES["admin"].judge(marks(host)).status


def test_a_listener_that_is_bound_to_a_name_is_called_by_it():
    """By that name only."""
    gate = RequestGate("Engine.Test")

    assert gate.judge(marks("engine.test:3000")) is None
    assert 403 == gate.judge(marks("www.engine.test:3000")).status


OWN_ORIGINS = [
    *("http://127.0.0.1:5173", "http://localhost:5173", "https://localhost", "http://[::1]:8080"),
    *("http://shop.localhost:3000", "http://127.1.2.3", "HTTP://LOCALHOST:5173", "http://localhost."),
    *("https://app.corp.test", "HTTPS://App.Corp.Test", "app://shop"),
]
FOREIGN_ORIGINS = [
    *(FOREIGN, "null", "", "file://", "http://evil.example:3000", "https://127.0.0.1.evil.example"),
    *(
        "http://localhost.evil.example",
        "http://evillocalhost",
        "http://192.168.1.7:5173",
        "https://corp.test",
    ),
    *("http://app.corp.test", "https://app.corp.test:444", "https://app.corp.test.evil.example"),
    *("https://engine.corp.test", "http://localhost@evil.example", "http://evil.example#localhost"),
    *("chrome-extension://localhost", "localhost", "http://", "http://localhost, https://evil.example"),
    *("http://sqs.us-east-1.amazonaws.com", "http://0.0.0.0:8000", "http://localhost:80:80"),
    *("http://localhost:99999", "http://127.0.0.1:65536", "https://[::1]:70000", "http://x.localhost:0"),
]


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
@pytest.mark.parametrize("site", ["", "same-origin", "same-site", "cross-site"])
@pytest.mark.parametrize("origin", OWN_ORIGINS)
def test_pages_of_this_machine_and_allowed_ones_do_what_programs_do(gate, origin, site):
    """Whatever else the browser says."""
    assert gate.judge(marks(origin=origin, site=site, mode="cors", agent=CHROMIUM)) is None


@pytest.mark.parametrize("gate", [*GATES.values(), WIDE], ids=[*GATES, "wide"])
@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_pages_of_other_origins_do_nothing(gate, origin):
    """Also where it says that it is a navigation: those have no Origin. The refusal names the origin."""
    marked = (("", "", ""), ("cross-site", "navigate", "document"), ("none", "cors", ""))
    for method, (site, mode, dest) in itertools.product(("GET", "HEAD", "POST", "PUT", "OPTIONS"), marked):
        refusal = gate.judge(marks(origin=origin, method=method, site=site, mode=mode, dest=dest))

        assert refusal is not None
        assert (403, origin, False) == (refusal.status, refusal.origin, refusal.final)


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("192.168.1.7:3000", "http://192.168.1.7:3000", True),
        ("192.168.1.7:3000", "http://192.168.1.7:3001", False),
        ("192.168.1.7", "http://192.168.1.7", True),
        ("192.168.1.7:80", "http://192.168.1.7", True),
        ("engine.corp.test", "https://engine.corp.test", True),
        ("engine.corp.test:443", "https://engine.corp.test", True),
        ("engine.corp.test", "https://engine.corp.test:8443", False),
        ("b.engine.corp.test", "https://engine.corp.test", False),
        ("engine:3000", "http://engine:3000", True),
    ],
)
def test_the_listener_itself_is_no_foreign_origin(host, origin, allowed):
    """By the name that the request called it, and by the same port."""
    assert allowed == (WIDE.judge(marks(host, origin)) is None)


def test_two_origins_are_foreign():
    """No browser sends two."""
    twice = Marks("POST", "1.1", ("localhost",), ("http://localhost", "http://localhost"))

    assert 403 == GATES["http"].judge(twice).status


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(
    ("method", "mode", "dest", "expected"),
    [
        ("GET", "navigate", "document", {"http", "admin"}),  # links, OAuth redirects
        ("POST", "navigate", "document", set()),
        ("HEAD", "navigate", "document", set()),
        *(
            ("GET", "navigate", dest, set())
            for dest in ("iframe", "frame", "embed", "object", "fencedframe", "")
        ),
        *(("GET", mode, "document", set()) for mode in ("no-cors", "cors", "websocket", "same-origin", "")),
        *(("GET", "no-cors", dest, set()) for dest in ("image", "script", "style", "video", "empty")),
    ],
)
def test_other_sites_may_link_to_http_and_admin_and_no_more(name, method, mode, dest, expected):
    """What has no Origin: navigations, images, scripts."""
    refusal = GATES[name].judge(marks(method=method, site="cross-site", mode=mode, dest=dest, agent=CHROMIUM))

    assert (name in expected) == (refusal is None)
    assert refusal is None or (403, None, False) == (refusal.status, refusal.origin, refusal.final)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(
    ("referer", "expected"),
    [
        *(("http://localhost:5173/", {"http", "admin"}), ("https://app.corp.test/a/b?c", {"http", "admin"})),
        *((FOREIGN + "/http://localhost/", set()), ("", set()), ("http://localhost@evil.example/", set())),
        *(("http:/localhost/", set()), ("localhost", set())),
    ],
)
def test_a_page_of_this_machine_may_show_what_functions_draw(name, referer, expected):
    """Its images have no Origin, and 127.0.0.1 is another site than localhost."""
    image = {"site": "cross-site", "mode": "no-cors", "dest": "image", "referer": referer}

    assert (name in expected) == (GATES[name].judge(marks(method="GET", **image)) is None)
    assert 403 == GATES[name].judge(marks(method="POST", **image)).status


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none", ""])
def test_what_the_browser_does_not_call_another_site_is_taken(site):
    """`none`: the user typed it, or a bookmark."""
    assert GATES["http"].judge(marks(method="GET", site=site, mode="no-cors", dest="image")) is None


@pytest.mark.parametrize("site", ["cross-site", "CROSS-SITE", "cross-site, same-origin", "other"])
def test_a_site_that_is_none_of_these_is_another(site):
    """Two headers, or a word of the future."""
    whole, _ = raw(b"Host: localhost", b"Sec-Fetch-Site: " + site.encode())

    assert 403 == GATES["http"].judge(marks_of(whole)).status


SAFARI_15 = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/15.6 Safari/605"


@pytest.mark.parametrize("host", ["192.168.1.7:3000", "engine:3000", "127.0.0.1:3000"])
@pytest.mark.parametrize("agent", [CHROMIUM, SAFARI_15])
@pytest.mark.parametrize(
    ("method", "more", "taken"),
    [
        ("GET", {"opens": True}, True),  # typed, a link
        ("GET", {"opens": True, "referer": "https://idp.example/login"}, True),  # an OAuth redirect
        ("GET", {}, False),  # an image, a script, fetch, from a page that hides itself
        ("GET", {"referer": FOREIGN + "/page"}, False),
        ("GET", {"referer": "http://192.168.1.7:3001/"}, False),  # another port is another origin
        ("GET", {"referer": "http://localhost:5173/front"}, True),
        ("GET", {"referer": "https://app.corp.test/"}, True),
        ("GET", {"referer": "SELF/page"}, True),
        ("HEAD", {"referer": "SELF/page"}, True),
        ("POST", {"referer": "SELF/page"}, True),
        *((method, {"opens": True}, False) for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS")),
        *((method, {}, False) for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS")),
    ],
)
def test_of_a_browser_that_says_nothing_pages_are_opened_and_no_more(host, agent, method, more, taken):
    """On http and admin, unless a page of ours asks; programs that send the same otherwise are served."""
    more = {**more, "referer": more.get("referer", "").replace("SELF", f"http://{host}")}
    asked = marks(host, method=method, agent=agent, **more)

    assert taken == (WIDE.judge(asked) is None)
    assert WIDE.judge(asked._replace(agent="curl/8.5.0")) is None
    assert WIDE.judge(asked._replace(agent="")) is None


@pytest.mark.parametrize(
    ("accept", "upgrade", "opens"),
    [
        (b"text/html,application/xhtml+xml,*/*;q=0.8", b"1", True),
        (b"Text/HTML", b"1", True),
        (b"*/*", b"1", False),
        (b"image/avif,image/webp,text/html", b"1", False),
        (b"text/html", b"0", False),
        (b"text/html", b"", False),
    ],
)
def test_a_page_is_opened_by_what_no_script_can_add(accept, upgrade, opens):
    """Scripts may choose `Accept` unasked; they may not choose `Upgrade-Insecure-Requests`."""
    whole, _ = raw(b"Host: engine", b"Accept: " + accept, b"Upgrade-Insecure-Requests: " + upgrade)

    assert opens == marks_of(whole).opens


@pytest.mark.parametrize(
    ("agent", "signed", "taken"),
    [
        (CHROMIUM, False, False),
        (CHROMIUM, True, True),
        ("curl/8.5.0", False, True),
        ("Boto3/1.40 md/Botocore", False, True),
        ("", False, True),
        ("Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1", False, True),
    ],
)
def test_a_browser_that_says_nothing_is_not_trusted_by_the_aws_listener(agent, signed, taken):
    """It says nothing to addresses other than loopback; an image there could call an API."""
    asked = marks("192.168.1.7:4566", method="GET", agent=agent, signed=signed)

    assert taken == (GATES["aws"].judge(asked) is None)
    assert taken == (GATES["aws"].judge(asked._replace(opens=True)) is None)


def raw(*lines):
    """A request as the fast path makes it, and the same as it comes in pieces."""
    head = b"HTTP/1.1\r\n" + b"\r\n".join(lines)
    whole = Request(None, "GET", b"/", head, None, b"", "1.1", "", 0.0)
    return whole, Request(None, "GET", b"/", b"", whole.headers, b"", "1.1", "", 0.0)


names = st.sampled_from(
    ["host", "Host", "HOST", "origin", "Origin", "ORIGIN", "sec-fetch-site", "x-host", "user-agent"]
)
values = st.sampled_from(
    [
        "localhost",
        " 127.0.0.1:1 ",
        "evil.example",
        "",
        FOREIGN,
        "http://localhost",
        "cross-site",
        "none",
        CHROMIUM,
    ]
) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@given(st.lists(st.tuples(names, values), max_size=4))
def test_the_quick_look_agrees_with_the_rule(headers):
    """It may be unsure, but never lets pass what the rule refuses; nor does what it remembers."""
    for gate in (RequestGate("127.0.0.1", navigations=True), RequestGate("127.0.0.1")):
        whole, pieces = raw(*(f"{name}:{value}".encode() for name, value in headers))
        refusal = gate.judge(marks_of(whole))

        assert refusal == gate.judge(marks_of(pieces))
        assert not gate.is_plain(pieces)
        for _ in range(2):
            assert refusal is None or not gate.is_plain(whole)
        assert not gate.passed(whole.head) or refusal is None


def test_ordinary_requests_take_the_quick_way():
    """And the next of the same head is known."""
    gate = RequestGate("127.0.0.1")
    whole, _ = raw(b"Host: 127.0.0.1:4566", b"User-Agent: Boto3/1.40", b"X-Amz-Target: AmazonSQS.SendMessage")

    assert not gate.passed(whole.head)
    assert gate.is_plain(whole)
    assert gate.passed(whole.head)


@given(st.text(max_size=40))
def test_an_authority_is_a_host_and_perhaps_a_port_and_nothing_else(text):
    """Whatever a client makes of the rest would be another host."""
    found = authority(text)

    if found is not None:
        assert not set("@/\\?#%, \t") & set(text)
        assert found.name == found.name.lower()
        assert found.name
        assert "" == found.port or found.port.isdigit()
