"""A POST to an endpoint: what it sends and returns, and endpoints that never end their answer."""

import contextlib
import socket
import threading
from urllib.error import URLError

import pytest

from engine.services.sns.http_post import post

pytestmark = pytest.mark.real_time


@pytest.fixture
def endpoint():
    """Serves one connection after the other with `answer`, a function of its socket; gives its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(answer):
        def run():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    answer(connection)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/x?y"

    yield serve
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for thread in threads:
        thread.join()


def answering(answer, seen):
    def one(connection):
        seen.append(connection.recv(65_536))
        connection.sendall(answer)

    return one


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", 302),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503),
    ],
)
def test_the_status_is_returned(endpoint, answer, expected):
    """Redirects are not followed."""
    seen = []

    assert expected == post(endpoint(answering(answer, seen)), {"a": "b"}, b"m")
    assert seen[0].startswith(b"POST /x?y HTTP/1.1\r\n")


def test_name_and_password_become_a_header(endpoint):
    seen = []
    url = endpoint(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", seen))
    post(url.replace("//", "//u%40:p@"), {}, b"m")

    assert b"Authorization: Basic dUA6cA==" in seen[0]


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"), (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n")],
    ids=["body", "headers"],
)
def test_an_answer_that_never_ends_is_cut(endpoint, start, piece):
    """However often a byte of it comes: else 16 such endpoints would keep all others waiting."""
    ended = threading.Event()

    def drip(connection):
        connection.recv(65_536)
        connection.sendall(start)
        while not ended.wait(0.02):
            connection.sendall(piece)

    url = endpoint(drip)
    try:
        with pytest.raises((TimeoutError, URLError)):
            post(url, {}, b"m", within_s=0.2)
    finally:
        ended.set()
