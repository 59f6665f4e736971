"""A served engine that is killed while it reads a stream, and started again: with a server of its own."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode, b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.real_time

SHARD = "shardId-000000000000"
CODE = """
import base64, os

def handler(event, context):
    with open(os.environ["SEEN"], "a") as file:
        for record in event["Records"]:
            file.write(base64.b64decode(record["kinesis"]["data"]).decode() + "\\n")
"""
CONFIG = """
[functions.work]
handler = "app.handler"
environment = {{ SEEN = "{seen}" }}
[[functions.work.events]]
type = "kinesis"
stream = "s"
starting_position = "{start}"
batch_size = 2
poll_interval_s = 0.05
endpoint_url = "{url}"
"""


class OneShard(BaseHTTPRequestHandler):
    """Enough of Kinesis: one shard, whose iterators are places in the server's list of `records`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = getattr(self, self.headers["X-Amz-Target"].partition(".")[2])(given)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quietly."""

    def DescribeStreamSummary(self, _given):
        return {"StreamDescriptionSummary": {"StreamCreationTimestamp": self.server.made_at_s}}

    def ListShards(self, _given):
        return {"Shards": [{"ShardId": SHARD, "SequenceNumberRange": {"StartingSequenceNumber": "1"}}]}

    def GetShardIterator(self, given):
        records, kind = self.server.records, given["ShardIteratorType"]
        if kind == "LATEST":
            place = len(records)
        elif kind == "AT_TIMESTAMP":
            times = [record["ApproximateArrivalTimestamp"] for record in records]
            place = sum(at_s < given["Timestamp"] for at_s in times)
        else:
            place = int(given.get("StartingSequenceNumber", "1")) - (kind != "AFTER_SEQUENCE_NUMBER")
        return {"ShardIterator": f"at-{place}"}

    def GetRecords(self, given):
        place = int(given["ShardIterator"].removeprefix("at-"))
        found = self.server.records[place:]
        return {"Records": found, "NextShardIterator": f"at-{place + len(found)}", "MillisBehindLatest": 0}


@contextmanager
def one_shard():
    """The server, and its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), OneShard)
    server.records, server.made_at_s = [], 1.5
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def put(server, *texts):
    """Their sequence numbers are 1, 2, 3, ..."""
    for text in texts:
        record = {"SequenceNumber": f"{len(server.records) + 1}", "PartitionKey": "k"}
        data = b64encode(text.encode()).decode()
        server.records.append({**record, "Data": data, "ApproximateArrivalTimestamp": time.time()})


def wait_for(found):
    """Until `found` is true; a hang ends with the test's time."""
    while not found():
        time.sleep(0.02)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_a_killed_engine_goes_on_from_its_checkpoints(serve, tmp_path):
    """Only what they do not have comes again; what was put meanwhile comes once; after an end no more."""
    seen, state = tmp_path / "seen", tmp_path / "state"
    (tmp_path / "app.py").write_text(CODE)
    config = tmp_path / "engine.toml"
    with one_shard() as (server, url):
        config.write_text(CONFIG.format(seen=seen, url=url, start="LATEST"))
        arguments = ("--config", str(config), "--state-dir", str(state))
        put(server, "before")
        with serve(*arguments) as served:
            put(server, *"abcdef")
            wait_for(lambda: len(lines(seen)) == 6)
            put(server, *"gh")
            wait_for(lambda: len(lines(seen)) == 8)
            served.process.kill()
        [file] = (state / "checkpoints").glob("*.json")
        [shard] = json.loads(file.read_text())["shards"]
        first = lines(seen)
        put(server, *"ij")
        with serve(*arguments):
            wait_for(lambda: lines(seen)[-1] == "j")
        second = lines(seen)[len(first) :]
        put(server, "k")
        with serve(*arguments):
            wait_for(lambda: lines(seen)[-1] == "k")
        third = lines(seen)[len(first) + len(second) :]
    position, through = shard["position"], int(shard["subshards"][0])
    if position["type"] == "AT_TIMESTAMP":
        above = [*"abcdefghij"]
    else:
        above = [
            b64decode(one["Data"]).decode()
            for one in server.records[:-1]
            if int(one["SequenceNumber"]) > through
        ]

    assert [*"abcdefgh"] == first
    assert above == second
    assert ["k"] == third
    assert 0o600 == file.stat().st_mode & 0o777
