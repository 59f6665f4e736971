"""The console in a real browser, and its safety without one, on one served engine."""

import json
import threading
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tools.chromium import CHROMIUM, Browser

pytestmark = pytest.mark.real_time

MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
HANDLER = f"""
async def handler(event, context):
    print({MARKUP!r})
    if event.get("fail"):
        raise ValueError({MARKUP!r})
    return event

def plain(event, context):
    print({MARKUP!r}, end="")
    return event
"""
CONFIG = """
[functions.orders]
handler = "app.handler"
environment = { SECRET = "hunter2" }
[functions.plain]
handler = "app.plain"
[functions.mails]
handler = "app.handler"
[[functions.mails.events]]
type = "sqs"
queue = "jobs"
[queues.jobs]
[buckets.photos]
"""
OTHERS = "".join(f'[functions.f{number}]\nhandler = "app.handler"\n' for number in range(200))


@pytest.fixture(scope="module")
def engine(tmp_path_factory, serve):
    """With 203 functions, a queue and a bucket."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "app.py").write_text(HANDLER)
    (folder / "engine.toml").write_text(CONFIG + OTHERS)
    with serve("--config", str(folder / "engine.toml")) as served:
        yield served


@pytest.fixture(scope="module")
def browser(tmp_path_factory, engine):
    """At the console; afterwards there was no violation, and no request to anybody else."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.look(1400, 1000)
        browser.go(engine.addresses["admin"] + "/")
        browser.until("document.querySelectorAll('tbody th a').length")
        yield browser
        asked = {url for url in browser.requests if not url.startswith(engine.addresses["admin"])}
        assert ([], set()) == (browser.problems, asked)
        assert "Invocation engine" == browser.run("document.title")


def ask(engine, path, method="GET", body=None, **headers):
    """Status, headers and body of one answer; underscores of header names are dashes."""
    connection = HTTPConnection(urlsplit(engine.addresses["admin"]).netloc, timeout=60)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def act(engine, path, document, **headers):
    """One action with this start's token."""
    token = json.loads(ask(engine, "/console/session.json")[2])["token"]
    headers = {"content_type": "application/json", "x_console_token": token} | headers
    status, _, body = ask(engine, f"/console/{path}", "POST", json.dumps(document), **headers)
    return status, json.loads(body)


def tile(number):
    return f"document.querySelectorAll('.tiles dd')[{number}].textContent"


def test_a_burst_is_seen_while_it_runs(engine, browser):
    """The page asks again before a second is over."""
    seen = "window.seen = window.seen || []; new MutationObserver(() => window.seen.push(performance.now()))"
    browser.run(f"{seen}.observe(document.querySelectorAll('.tiles dd')[0], {{childList: true}}); 0")
    threads = [
        threading.Thread(target=engine.lambda_.invoke, kwargs={"FunctionName": "orders", "Payload": b"{}"})
        for _ in range(10)
    ]
    started_ms = browser.run("performance.now()")
    for thread in threads:
        thread.start()
    browser.until(tile(0), lambda text: text not in ("0", "–"))
    for thread in threads:
        thread.join()

    assert browser.run("window.seen[0]") > started_ms


def test_a_failed_invocations_log_is_two_clicks_away_and_is_text(engine, browser):
    """From the list of functions: its name, then the invocation."""
    answer = engine.lambda_.invoke(FunctionName="orders", Payload=json.dumps({"fail": True}))
    browser.click("a[href='#/function/orders']")
    browser.click("tr.failed a")
    log = browser.until("document.querySelector('.log')?.textContent")

    assert "Unhandled" == answer["FunctionError"]
    assert ["START", "[ERROR]", "END", "REPORT"] == [
        word for word in (line.split(" ")[0] for line in log.splitlines()) if word.isupper() or word[0] == "["
    ][:4]
    assert MARKUP in log
    assert "hunter2" not in browser.run("document.body.textContent")
    assert "SECRET" in browser.run("document.querySelector('.facts').textContent")


def test_a_function_is_invoked_and_a_message_sent_from_the_page(engine, browser):
    """What is no JSON is told so, and not sent."""
    browser.go(engine.addresses["admin"] + "/#/function/f7")
    for text, shown in (("{", "no JSON"), ('{"a": "<b>"}', '"a": "<b>"')):
        browser.until("document.querySelector('h1').textContent", "f7".__eq__)
        browser.run("document.querySelector('textarea').select(); 0")
        browser.run("document.querySelector('textarea').focus(); 0")
        browser.type(text)
        browser.click("form .main")
        browser.until(
            "document.querySelector('main').textContent", lambda all_of_it, part=shown: part in all_of_it
        )
    browser.click("tbody th a")
    assert "null" not in browser.until("document.querySelector('.detail .log') && document.body.textContent")
    browser.go(engine.addresses["admin"] + "/#/send")
    browser.until("document.querySelectorAll('#queues option').length")
    browser.run("document.querySelector('[list=queues]').focus(); 0")
    browser.type("jobs")
    browser.run("document.querySelector('textarea').focus(); 0")
    browser.type("hello")
    browser.click("form .main")
    browser.until("document.querySelector('.good + pre, .bad + pre, main .good:not(#state)')?.textContent")

    assert browser.until("document.querySelector('main section').textContent", lambda text: "Done" in text)


def test_two_hundred_functions_are_paged_and_filtered(engine, browser):
    """Fifty rows at a time, whatever there is; `/` is the way to the filter."""
    browser.go(engine.addresses["admin"] + "/#/")
    browser.until("document.querySelectorAll('tbody th a').length", lambda count: count >= 50)
    for kind in ("keyDown", "keyUp"):
        browser.command("Input.dispatchKeyEvent", type=kind, key="/", text="/" if kind == "keyDown" else "")
    browser.type("f19")
    names = browser.until(
        "[...document.querySelectorAll('tbody th a')].map(it => it.textContent)",
        lambda found: len(found) < 50,
    )

    assert ["f19", *(f"f19{number}" for number in range(10))] == names


# --- without a browser


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x_console_token": "guess"}, 403),
        ({"x_console_token": ""}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"origin": "https://evil.test"}, 403),
        ({"host": "evil.test"}, 403),
        ({}, 200),
    ],
)
def test_an_action_needs_the_token_json_and_a_page_of_this_machine(engine, headers, status):
    """A page elsewhere can have none of the three."""
    assert status == act(engine, "phase", {"name": "spike"}, **headers)[0]
    assert 405 == ask(engine, "/console/phase")[0]


def test_every_page_may_load_its_own_files_alone_and_is_never_framed(engine):
    """And every file that the page names is there."""
    for path in ("/", "/console/app.js", "/console/feed.json", "/console/session.json"):
        status, headers, body = ask(engine, path)

        assert (200, "nosniff", "DENY") == (
            status,
            headers["x-content-type-options"],
            headers["x-frame-options"],
        )
        assert "default-src 'self'" in headers["content-security-policy"]
        assert b"style=" not in body


def test_nodes_are_listed_while_there_is_a_cluster(engine, browser):
    """With what each brings and does, and one that is lost marked; the feed of this engine has none."""
    counts = {"environments": {"starting": 1, "idle": 2, "busy": 3}, "invocations": {"success": 7, "oom": 1}}
    there = {"cores": 2, "load": 0.5, "memory_mb": 4000, "free_memory_mb": 3000, "round_trip_s": 0.0004}
    there |= {"silent_s": 0.1, "python": "3.13.1", "version": "1.0", "address": "10.0.0.7:4"}
    nodes = [{"name": MARKUP, "state": "up"} | there | counts, {"name": "b", "state": "lost"} | counts]
    section = "[...document.querySelectorAll('h2')].find(e => e.textContent === 'Nodes')?.parentElement"
    browser.go(engine.addresses["admin"] + "/")
    browser.until(f"({section})?.hidden === true")
    browser.run(
        "const real = window.fetch; window.fetch = async (path, how) => {"
        " const answer = await real(path, how);"
        " if (path !== '/console/feed.json') return answer;"
        f" return Response.json({{...await answer.json(), nodes: {json.dumps(nodes)}}}); }}; 0"
    )
    browser.until(f"!({section}).hidden")
    rows = f"[...({section}).querySelectorAll('tbody tr')]"
    text = browser.run(
        f"{rows}.map(row => [...row.cells].map(cell => cell.textContent).join('|')).join('\\n')"
    )
    bad = browser.run(f"{rows}.map(row => row.cells[1].classList.contains('bad')).join()")
    browser.go(engine.addresses["admin"] + "/")

    assert [
        f"{MARKUP}|up|3 / 2 / 1|8|1|0.5 / 2|3000 / 4000 MB|400 µs|3.13.1|1.0|10.0.0.7:4",
        "b|lost|3 / 2 / 1|8|1|–|–|–|–|–|–",
    ] == text.splitlines()
    assert "false,true" == bad


def test_messages_and_objects_arrive_and_phases_are_told(engine):
    """Each is what an SDK would have sent, and what the service answers is shown."""
    sent = act(engine, "send", {"QueueUrl": "jobs", "MessageBody": "hello"})[1]
    put = act(engine, "put", {"bucket": "photos", "key": "a b/ü.txt", "text": "hello"})[1]
    missing = act(engine, "put", {"bucket": "nowhere", "key": "a", "text": ""})[1]
    act(engine, "phase", {"name": "spike"})
    found = engine.client("s3").get_object(Bucket="photos", Key="a b/ü.txt")

    assert (200, 200, 404) == (sent["status"], put["status"], missing["status"])
    assert json.loads(sent["body"])["MessageId"]
    assert b"hello" == found["Body"].read()
    assert "spike" == json.loads(ask(engine, "/console/feed.json")[2])["phases"][-1]["name"]
    assert 400 == act(engine, "phase", {"name": ""})[0]


@pytest.mark.parametrize("name", ["f3", "plain"])
def test_the_last_invocations_are_given_with_their_logs(engine, name):
    """Of the loop and of processes, whose output comes by pipe; with the platform's log off."""
    before = json.loads(ask(engine, f"/invocations.json?function={name}")[2])["next"]
    engine.lambda_.invoke(FunctionName=name, Payload=b"{}")
    document = json.loads(ask(engine, f"/invocations.json?function={name}&after={before}")[2])

    assert ["success"] == [one["status"] for one in document["invocations"]]
    assert MARKUP in document["invocations"][0]["log"]
    assert 404 == ask(engine, "/invocations.json?function=nobody")[0]
    assert 400 == ask(engine, "/invocations.json?function=plain&after=x")[0]
