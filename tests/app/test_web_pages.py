"""Pages in a real browser, and what it sends for them, against a served engine."""

import json
import shutil
import subprocess
import threading
import urllib.request
import uuid
from base64 import b64encode
from collections import defaultdict
from contextlib import contextmanager
from hashlib import md5
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode, urlsplit

import pytest

pytestmark = pytest.mark.real_time

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
HANDLER = """
import json, os, urllib.request

def handler(event, context):
    url = f"{os.environ['SITE']}/seen/{context.function_name}{event.get('rawPath', '')}"
    urllib.request.urlopen(url, timeout=60).close()
    return {"statusCode": 200, "headers": {"access-control-allow-origin": "none"}, "body": "done"}
"""
QUEUE = "/000000000000/jobs"
PIXEL = (  # a GIF of one pixel
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
ATTACK = """<body><script>
const [http, aws, admin] = ADDRESSES;
const port = url => new URL(url).port;
const rebound = [http, aws, admin].map(url => `http://evil.test:${port(url)}`);
const results = [];
const send = (url, options) => fetch(url, {mode: "no-cors", ...options})
  .then(() => results.push("sent"), error => results.push(`${url}: ${error}`));
const form = (action, enctype, fields) => {
  const it = Object.assign(document.createElement("form"), {action, enctype, method: "POST", target: "sink"});
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("textarea");
    Object.assign(field, {name, value});
    it.append(field);
  }
  document.body.append(it); it.submit();
};
const show = (tag, src) => new Promise(done => {
  const it = document.createElement(tag);
  it.onload = it.onerror = done; it.src = src; document.body.append(it);
});
const wait = ms => new Promise(done => setTimeout(done, ms));
(async () => {
  document.body.append(Object.assign(document.createElement("iframe"), {name: "sink"}));
  for (const base of [aws, rebound[1]]) {
    await send(`${base}/2015-03-31/functions/api/invocations`, {method: "POST", body: "{}"});
    await send(`${base}/?Action=SendMessage&QueueUrl=x/jobs&MessageBody=got`);
    const body = new URLSearchParams("Action=SendMessage&MessageBody=form");
    await send(`${base}QUEUE`, {method: "POST", body});
    await show("img", `${base}/?Action=SendMessage&QueueUrl=jobs&MessageBody=image`);
    await show("iframe", `${base}QUEUE?Action=SendMessage&MessageBody=frame`);
  }
  const silent = [http, aws].map(url => `http://engine.test:${port(url)}`);  // sends no Sec-Fetch-*
  await send(`${silent[0]}/hidden`, {referrerPolicy: "no-referrer"});
  await send(`${silent[0]}/html`, {headers: {Accept: "text/html"}});
  await send(`${silent[0]}/head`, {method: "HEAD"});
  await send(`${silent[1]}/?Action=SendMessage&QueueUrl=x/jobs&MessageBody=silent`);
  for (const tag of ["img", "script", "video"]) {
    const it = show(tag, `${silent[0]}/${tag}`);
    await Promise.race([it, wait(300)]);
  }
  for (const base of [http, rebound[0]]) {
    await send(`${base}/fetched`, {method: "POST", body: "{}"});
    await show("img", `${base}/image`);
    await show("iframe", `${base}/frame`);
  }
  for (const base of [admin, rebound[2]]) await send(`${base}/status.json`);
  const socket = new WebSocket(http.replace("http:", "ws:") + "/socket");
  await new Promise(done => socket.onerror = socket.onclose = socket.onopen = done);
  for (const [action, enctype, fields] of [
    [`${aws}QUEUE`, "application/x-www-form-urlencoded", {Action: "SendMessage", MessageBody: "posted"}],
    [`${http}/posted`, "text/plain", {a: "b"}],
    [`${aws}/photos`, "multipart/form-data", {key: "stolen", file: "x"}],
  ]) { form(action, enctype, fields); await wait(150); }
  const read = await fetch(`${aws}/photos/in/a.gif`).then(answer => answer.status, error => "refused");
  await fetch("/done", {method: "POST", body: JSON.stringify({results, read})});
})();
</script>"""
SHOWN = """<!doctype html><img src="%s/seen/shown"><script>new Image().src = "%s/seen/script"</script>"""


class Site(ThreadingHTTPServer):
    """One web server for all sites: serves `pages`, and remembers what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Page)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.pages, self.news = {}, threading.Condition()
        self.seen, self.posted = [], defaultdict(list)

    def at(self, host):
        return f"http://{host}:{self.server_port}"

    def wait(self, happened):
        """Until it has; fails after 30 s."""
        with self.news:
            assert self.news.wait_for(happened, 30), (self.seen, dict(self.posted))


class _Page(BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", site.pages[self.path])
            self.end_headers()
            return
        with site.news:
            if self.path.startswith("/seen/"):
                site.seen.append(self.path.removeprefix("/seen/"))
                site.news.notify_all()
        body = site.pages.get(self.path, "").encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.news:
            self.server.posted[self.headers["origin"]].append(json.loads(body))
            self.server.news.notify_all()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield site
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory, serve, site):
    """With a function for every route, a queue and a bucket."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "app.py").write_text(HANDLER)
    (folder / "engine.toml").write_text(
        f"""
[engine]
hosts = ["engine.test"]
allowed_origins = ["https://app.test"]
[functions.api]
handler = "app.handler"
environment = {{ SITE = "{site.url}" }}
[[functions.api.events]]
type = "http"
[[functions.api.events]]
type = "http"
path = "/shared"
method = "POST"
cors = {{ origins = ["https://shop.test"], methods = ["POST"], headers = ["x-a"], max_age_s = 5 }}
[[functions.api.events]]
type = "http"
path = "/readable"
cors = {{ origins = ["https://shop.test"], methods = ["GET"] }}
[queues.jobs]
[buckets.photos]
[[buckets.shared.cors]]
origins = ["https://shop.test", "*"]
methods = ["GET", "POST"]
[[buckets.open.cors]]
origins = ["https://shop.test"]
methods = ["GET", "HEAD", "PUT", "POST", "DELETE"]
headers = ["*"]
[[buckets.writable.cors]]
origins = ["https://shop.test"]
methods = ["PUT", "POST"]
[[buckets.stars.cors]]
origins = ["*"]
methods = ["GET"]
"""
    )
    with serve("--config", str(folder / "engine.toml")) as served:
        served.s3, served.sqs = served.client("s3"), served.client("sqs")
        served.s3.put_object(Bucket="photos", Key="in/a.gif", Body=PIXEL, ContentType="image/gif")
        served.s3.put_object(Bucket="shared", Key="a", Body=b"a")
        yield served


@contextmanager
def browsing(url, folder):
    """Chromium at `url`, for which every name is this machine."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    command += ["--no-first-run", "--host-resolver-rules=MAP * 127.0.0.1", "--remote-debugging-port=0", url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def attack_on(engine):
    urls = [engine.addresses[name] for name in ("http", "aws", "admin")]
    return ATTACK.replace("ADDRESSES", json.dumps(urls)).replace("QUEUE", QUEUE)


def rejected(engine):
    with urllib.request.urlopen(engine.addresses["admin"] + "/status.json", timeout=60) as answer:
        return json.load(answer)["rejected"]["forbidden"]


def messages(engine):
    """All messages of the queue."""
    found = []
    while got := engine.sqs.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in got]
    return sorted(found)


@needs_chromium
def test_a_foreign_page_changes_nothing_and_reads_nothing(engine, site, tmp_path):
    """By fetch, forms, images, frames, a WebSocket, a name of its own. A page of this machine does."""
    site.pages["/attack"] = attack_on(engine)
    with browsing(site.at("evil.test") + "/attack", tmp_path / "foreign"):
        site.wait(lambda: site.posted[site.at("evil.test")])
    refused, heard = rejected(engine), messages(engine)
    keys = [found["Key"] for found in engine.s3.list_objects_v2(Bucket="photos")["Contents"]]
    seen = list(site.seen)
    own = {"api/fetched", "api/image", "api/frame", "api/posted", "api/socket"}
    own |= {"api/html", "api/head", "api/img", "api/script", "api/video"}  # not `hidden`
    with browsing(site.at("localhost") + "/attack", tmp_path / "own"):
        site.wait(lambda: site.posted[site.at("localhost")] and own <= set(site.seen))
        engine.s3.get_waiter("object_exists").wait(Bucket="photos", Key="stolen", WaiterConfig={"Delay": 0.1})

    assert ([], [], ["in/a.gif"]) == (seen, heard, keys)
    assert refused >= 15
    assert "refused" == site.posted[site.at("evil.test")][0]["read"]
    assert ["form", "posted"] == messages(engine)  # once, and only what has an Origin
    assert sorted(own) == sorted(site.seen)


@needs_chromium
def test_links_redirects_images_and_presigned_links_work(engine, site, tmp_path):
    """And what lies in a bucket is shown without running."""
    site.seen.clear()
    page = SHOWN % (site.at("localhost"), site.at("localhost"))
    engine.s3.put_object(Bucket="photos", Key="page.html", Body=page.encode(), ContentType="text/html")
    link = {"Bucket": "photos", "Key": "page.html"}
    site.pages["/to/callback"] = engine.addresses["http"] + "/callback?code=1"
    site.pages["/to/link"] = engine.s3.generate_presigned_url("get_object", link)
    image = f"{engine.addresses['aws']}/photos/in/a.gif"
    site.pages["/front"] = f"""<script>
      const image = new Image();
      image.onload = () => {{
        new Image().src = "/seen/width-" + image.naturalWidth;
        location = "/to/link";
      }};
      image.src = "{image}";
    </script>"""
    site.pages["/leave"] = f'<script>location = "{site.at("idp.test")}/to/callback"</script>'
    with browsing(site.at("other.test") + "/leave", tmp_path / "leave"):
        site.wait(lambda: "api/callback" in site.seen)
    with browsing(site.at("localhost") + "/front", tmp_path / "front"):
        site.wait(lambda: {"width-1", "shown"} <= set(site.seen))
    silent = engine.addresses["http"].replace("127.0.0.1", "engine.test")
    site.pages["/to/callback"] = f"{silent}/silent?code=1"
    with browsing(site.at("other.test") + "/leave", tmp_path / "silent"):
        site.wait(lambda: "api/silent" in site.seen)

    assert "script" not in site.seen


# --- what browsers send, without one


class Answer:
    """Status, headers in lower case, body."""

    def __init__(self, response):
        self.status, self.body = response.status, response.read()
        self.headers = {name.lower(): value for name, value in response.getheaders()}


def ask(url, method, path, body=None, **headers):
    """The answer to one request; underscores of header names are dashes."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


SHAPES = [
    ("POST", "/2015-03-31/functions/api/invocations", {}, "application/json", b'"Type":"User"'),
    (
        "POST",
        "/",
        {"x_amz_target": "AmazonSQS.PurgeQueue"},
        "application/x-amz-json-1.0",
        b'"__type":"AccessDenied',
    ),
    ("POST", "/?Action=PurgeQueue", {}, "text/xml", b"<Code>AccessDenied</Code>"),
    ("PUT", "/photos/x", {}, "application/xml", b"<Code>AccessDenied</Code>"),
]


@pytest.mark.parametrize(("method", "path", "headers", "kind", "part"), SHAPES)
@pytest.mark.parametrize("mark", [{"origin": "https://evil.test"}, {"sec_fetch_site": "cross-site"}])
def test_refusals_have_the_shape_of_the_protocol(engine, method, path, headers, kind, part, mark):
    """So that SDKs in a page raise what they raise on AWS."""
    answer = ask(engine.addresses["aws"], method, path, b"", **headers, **mark)

    assert (403, kind) == (answer.status, answer.headers["content-type"])
    assert part in answer.body
    assert answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize("listener", ["http", "aws", "admin"])
def test_every_listener_looks_at_host_and_origin(engine, listener):
    """With a plain JSON message on http and admin."""
    url = engine.addresses[listener]
    for headers, status in (
        ({"host": "evil.test"}, 403),
        ({"host": None}, 400),
        ({"host": "localhost", "Host": "localhost"}, 400),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, 403),
        ({"host": "engine.test:1"}, 200),
        ({"host": "b.s3.localhost"}, 404 if listener == "aws" else 200),
        ({"origin": "https://app.test", "sec_fetch_site": "cross-site"}, 200),
    ):
        answer = ask(url, "GET", "/" if listener != "admin" else "/healthz", **headers)

        assert status == answer.status, headers
        if status in (400, 403) and listener != "aws":
            assert json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/photos/in/a.gif", 200),
        ("HEAD", "/photos/in/a.gif", 200),
        ("GET", "/photos/in/a.gif?versionId=null", 200),
        ("GET", "/photos/nothing", 404),
        ("GET", "/photos/in/a.gif?tagging", 403),
        ("GET", "/photos/in/a.gif?acl", 403),
        ("GET", "/photos", 403),
        ("GET", "/photos?list-type=2", 403),
        ("GET", "/", 403),
        ("GET", "/2015-03-31/functions", 403),
        ("GET", "/000000000000/jobs?Action=PurgeQueue", 403),
        ("GET", "/photos/in/a.gif?Action=PurgeQueue", 403),
        ("DELETE", "/photos/in/a.gif", 403),
        ("POST", "/photos", 403),
        ("OPTIONS", "/photos/in/a.gif", 403),
    ],
)
def test_other_sites_may_show_objects_and_no_more(engine, method, path, status):
    """In images and behind links; to a browser that says nothing, too."""
    for marks in (
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"},
        {"user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/80.0"},
    ):
        answer = ask(engine.addresses["aws"], method, path, **marks)

        assert status == answer.status
        if status == 200:
            assert ("nosniff", "sandbox") == (
                answer.headers["x-content-type-options"],
                answer.headers["content-security-policy"],
            )


def test_what_programs_get_is_as_ever(engine):
    """No header more."""
    answer = ask(engine.addresses["aws"], "GET", "/photos/in/a.gif", user_agent="curl/8")

    assert 200 == answer.status
    assert not {"x-content-type-options", "content-security-policy", "vary"} & answer.headers.keys()
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://app.test"])
def test_an_allowed_page_may_use_the_apis_and_read(engine, origin):
    """Its browser asks first; JSON sent as such is taken, what a form could send is not."""
    url, path = engine.addresses["aws"], "/2015-03-31/functions/api/invocations"
    asked = {
        "access_control_request_method": "POST",
        "access_control_request_headers": "content-type,x-amz-date",
    }
    preflight = ask(url, "OPTIONS", path, origin=origin, **asked)
    sent = ask(url, "POST", path, b"{}", origin=origin, content_type="application/json")

    assert (200, origin) == (preflight.status, preflight.headers["access-control-allow-origin"])
    assert "content-type, x-amz-date" == preflight.headers["access-control-allow-headers"]
    assert (200, origin) == (sent.status, sent.headers["access-control-allow-origin"])
    assert "x-amz-function-error" in sent.headers["access-control-expose-headers"]
    for kind in ("text/plain;charset=UTF-8", "Text/Plain", "application/x-www-form-urlencoded", None):
        for target in ({}, {"x_amz_target": "AmazonSQS.ListQueues"}):
            answer = ask(
                url, "POST", path if not target else "/", b"{}", origin=origin, content_type=kind, **target
            )

            assert 415 == answer.status


def test_cors_of_a_bucket_lets_in_whom_it_names(engine):
    """Not by `*`, not for another bucket, and only with its methods."""
    url, shop = engine.addresses["aws"], {"origin": "https://shop.test", "sec_fetch_site": "cross-site"}
    form = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nposted\r\n'
    form += b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ny\r\n--x--\r\n'
    kind = {"content_type": "multipart/form-data; boundary=x"}
    read = ask(url, "GET", "/shared/a", **shop)

    vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    assert (200, "*", vary) == (
        read.status,
        read.headers["access-control-allow-origin"],
        read.headers["vary"],
    )
    assert 204 == ask(url, "POST", "/shared", form, **shop, **kind).status
    assert 403 == ask(url, "POST", "/photos", form, **shop, **kind).status
    assert 403 == ask(url, "PUT", "/shared/b", b"b", **shop).status
    assert 403 == ask(url, "GET", "/shared/a", origin="https://other.test").status
    assert 403 == ask(url, "POST", "/shared", form, origin="https://other.test", **kind).status
    assert ["a", "posted"] == [one["Key"] for one in engine.s3.list_objects_v2(Bucket="shared")["Contents"]]


COPIES = {
    "/photos/in/a.gif": 403,  # no CORS
    "photos/in%2Fa.gif": 403,
    "/photos/in/a.gif?versionId=null": 403,
    "%2Fphotos%2Fin%2Fa.gif": 403,
    "/stars/k": 403,  # names nobody
    "/writable/k": 403,  # no GET
    "/nothing/k": 403,
    "nonsense": 403,
    "/shared/a": 200,
    "/open/k": 200,
}


@pytest.mark.parametrize("source", COPIES)
@pytest.mark.parametrize("target", ["/open/copy", "/open/copy?partNumber=1&uploadId="])
@pytest.mark.parametrize("where", ["header", "query"])
def test_a_page_copies_only_what_it_may_read(engine, source, target, where):
    """The source is judged by the CORS of its own bucket, for a whole object and for a part."""
    url, shop = engine.addresses["aws"], {"origin": "https://shop.test", "sec_fetch_site": "cross-site"}
    for bucket in ("open", "stars", "writable"):
        engine.s3.put_object(Bucket=bucket, Key="k", Body=b"k")
    if "uploadId" in target:
        target += engine.s3.create_multipart_upload(Bucket="open", Key="copy")["UploadId"]
    if where == "header":
        shop["x_amz_copy_source"] = source
        if "photos" in source:
            assert 200 == ask(url, "PUT", target, b"", x_amz_copy_source=source).status
        engine.s3.delete_object(Bucket="open", Key="copy")
    else:
        target += ("&" if "?" in target else "?") + urlencode({"x-amz-copy-source": source})

    assert COPIES[source] == ask(url, "PUT", target, b"", **shop).status


BUCKET_SETTINGS = (
    *("cors", "notification", "tagging", "versioning", "policy", "acl", "website", "lifecycle", "encryption"),
    *(
        "logging",
        "replication",
        "publicAccessBlock",
        "ownershipControls",
        "object-lock",
        "location",
    ),
)
OBJECT_OPERATIONS = [
    ("GET", "/open/k", b"", 200),
    ("HEAD", "/open/k", b"", 200),
    ("PUT", "/open/new", b"x", 200),
    ("DELETE", "/open/new", b"", 204),
    ("GET", "/open?list-type=2", b"", 200),
    ("GET", "/open?uploads", b"", 200),
    ("GET", "/open/k?tagging", b"", 200),
    ("POST", "/open/new?uploads", b"", 200),
    ("POST", "/open?delete", b"<Delete><Object><Key>new</Key></Object></Delete>", 200),
    ("POST", "/writable?delete", b"<Delete><Object><Key>k</Key></Object></Delete>", 403),  # no DELETE
    ("PUT", "/writable/new", b"x", 200),
    ("GET", "/writable/k", b"", 403),
    ("DELETE", "/writable/k", b"", 403),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), OBJECT_OPERATIONS)
def test_cors_of_a_bucket_opens_operations_on_objects(engine, method, path, body, status):
    """With the methods it allows; deleting several is a POST, and needs DELETE besides."""
    engine.s3.put_object(Bucket="open", Key="k", Body=b"k")
    sent = {"origin": "https://shop.test", "sec_fetch_site": "cross-site"}
    if body.startswith(b"<"):
        sent["content_md5"] = b64encode(md5(body).digest()).decode()

    assert status == ask(engine.addresses["aws"], method, path, body, **sent).status


@pytest.mark.parametrize("setting", BUCKET_SETTINGS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_no_cors_opens_what_is_configured_of_a_bucket(engine, method, setting):
    """Nor lets its browser ask, nor makes or deletes buckets: else a page could widen its own rights."""
    url, shop = engine.addresses["aws"], {"origin": "https://shop.test", "sec_fetch_site": "cross-site"}
    rule = b"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    body = b"<CORSConfiguration>" + rule + b"</CORSConfiguration>" if method == "PUT" else b""
    before = engine.s3.get_bucket_cors(Bucket="open")["CORSRules"]
    asked = {"access_control_request_method": method}
    for path in (f"/open?{setting}", "/open" if method in ("PUT", "DELETE") else f"/open?{setting}="):
        assert 403 == ask(url, method, path, body, **shop).status
        assert 403 == ask(url, "OPTIONS", path, **shop, **asked).status

    assert before == engine.s3.get_bucket_cors(Bucket="open")["CORSRules"]


def test_cors_of_a_bucket_can_be_put_and_is_answered(engine):
    """As on S3: preflights by the bucket's rules, also of pages that are let in anyway."""
    url, name = engine.addresses["aws"], f"b-{uuid.uuid4()}"
    engine.s3.create_bucket(Bucket=name)
    local = {"origin": "http://localhost:5173", "access_control_request_method": "PUT"}
    before = ask(url, "OPTIONS", f"/{name}/k", **local)
    rule = {
        "ID": "one",
        "AllowedOrigins": ["http://localhost:5173", "https://*.shop.test"],
        "AllowedMethods": ["PUT", "GET"],
        "AllowedHeaders": ["x-amz-*", "content-type"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    engine.s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    shown = engine.s3.get_bucket_cors(Bucket=name)["CORSRules"]
    asked = {"access_control_request_headers": "X-Amz-Date, content-type"}
    granted = ask(url, "OPTIONS", f"/{name}/k", **local, **asked)
    refused = ask(url, "OPTIONS", f"/{name}/k", **local, access_control_request_headers="x-other")
    put = ask(url, "PUT", f"/{name}/k", b"k", origin="https://www.shop.test", sec_fetch_site="cross-site")
    engine.s3.delete_bucket_cors(Bucket=name)

    assert (403, 403) == (before.status, refused.status)
    assert b"CORS is not enabled for this bucket" in before.body
    assert [rule] == shown
    assert (200, "PUT, GET", "60") == (
        granted.status,
        granted.headers["access-control-allow-methods"],
        granted.headers["access-control-max-age"],
    )
    assert "x-amz-date, content-type" == granted.headers["access-control-allow-headers"]
    assert (200, "https://www.shop.test", "ETag", "true") == (
        put.status,
        put.headers["access-control-allow-origin"],
        put.headers["access-control-expose-headers"],
        put.headers["access-control-allow-credentials"],
    )
    with pytest.raises(engine.s3.exceptions.ClientError, match="NoSuchCORSConfiguration"):
        engine.s3.get_bucket_cors(Bucket=name)


def test_cors_of_an_http_event_answers_preflights_and_lets_in_whom_it_names(engine, site):
    """Without the function; its own CORS headers are left out."""
    url, shop = engine.addresses["http"], {"origin": "https://shop.test", "sec_fetch_site": "cross-site"}
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "x-a"}
    site.seen.clear()
    granted = ask(url, "OPTIONS", "/shared", **shop, **asked)
    not_granted = ask(url, "OPTIONS", "/shared", origin="http://localhost:1", **asked)
    before = list(site.seen)
    sent = ask(url, "POST", "/shared", b"{}", **shop)

    assert ([], 204, 204) == (before, granted.status, not_granted.status)
    assert ("https://shop.test", "POST", "x-a", "5") == tuple(
        granted.headers[f"access-control-{name}"]
        for name in ("allow-origin", "allow-methods", "allow-headers", "max-age")
    )
    assert "access-control-allow-origin" not in not_granted.headers
    assert (200, "https://shop.test") == (sent.status, sent.headers["access-control-allow-origin"])
    assert 403 == ask(url, "POST", "/elsewhere", b"{}", **shop).status


def test_cors_of_an_http_event_lets_in_with_its_methods_only(engine):
    """A form is sent without asking: what a page could not read does not even reach the function."""
    url, shop = engine.addresses["http"], {"origin": "https://shop.test", "sec_fetch_site": "cross-site"}
    statuses = [ask(url, method, "/readable", b"", **shop).status for method in ("GET", "POST", "DELETE")]

    assert [200, 403, 403] == statuses
    assert 403 == ask(url, "POST", "/shared", b"{}", origin="https://other.test").status


def test_cors_of_a_function_url_lets_in_whom_it_names(engine):
    """As it says now: after an update too."""
    engine.create("urls", "def handler(event, context): return 'ok'")
    cors = {"AllowOrigins": ["https://shop.test"], "AllowMethods": ["GET"]}
    made = engine.lambda_.create_function_url_config(FunctionName="urls", AuthType="NONE", Cors=cors)
    url, path = made["FunctionUrl"], urlsplit(made["FunctionUrl"]).path
    named = ask(url, "GET", path, origin="https://shop.test")
    other = ask(url, "GET", path, origin="https://other.test")
    cors["AllowOrigins"] = ["https://other.test"]
    engine.lambda_.update_function_url_config(FunctionName="urls", Cors=cors)

    assert (200, "https://shop.test", 403) == (
        named.status,
        named.headers["access-control-allow-origin"],
        other.status,
    )
    assert 403 == ask(url, "GET", path, origin="https://shop.test").status
    assert 200 == ask(url, "GET", path, origin="https://other.test").status
