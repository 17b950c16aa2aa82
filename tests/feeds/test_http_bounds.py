"""What others send has an end: of bytes, packed and unpacked, of seconds, redirects and nesting."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http, HttpError, NoAnswerError, Request
from pipeline.edge.http_text import body_words
from pipeline.edge.upload import Upload

from tests.feeds.feed_support import http
from tests.standins.loopback import Answer, Asked, Fault, Loopback, pouring, serving
from tests.words import refused

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def ticking(step: float = 1.0) -> Callable[[], float]:
    """Return a clock on which each look at it takes some seconds."""
    return itertools.count(0.0, step).__next__


@pytest.mark.parametrize(
    ("head", "block"),
    [
        (b"", b"H"),
        (OK, b"X-Header: a\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"\r\n", b"x"),
        (OK + b"Content-Length: 99999999999\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"1;", b"extension"),
        (CHUNKED + b"0\r\n", b"Trailer: a\r\n"),
        (b"HTTP/1.1 500 Broken\r\n\r\n", b""),
    ],
    ids=["status", "headers", "interim", "body", "length", "chunks", "extension", "trailer",
         "error"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_that_never_ends_is_given_up(method: str, head: bytes, block: bytes) -> None:
    """After its whole time, however alive the connection is; once, and as what it is."""
    said: list[str] = []
    with pouring(head, block) as url:
        client = Http({}, sleep=lambda _: None, tell=said.append, clock=ticking())
        with pytest.raises(PipelineError) as caught:
            client.request(Request(method, url, answer_seconds=30.0))
    assert caught.value.where == f"{method} {url}"
    assert caught.value.then
    if block and method == "POST":
        assert isinstance(caught.value, NoAnswerError)


def test_the_time_counts_from_the_end_of_the_request(tmp_path: Path, server: Loopback) -> None:
    """A large package may take as long as it takes: only its answer is bounded."""
    path = tmp_path / "large"
    path.write_bytes(bytes(2_000_000))
    now = [0.0]

    def sent(_done: int, _total: int) -> None:
        now[0] += 60.0

    upload = Upload(path, "f", "f", sent)
    request = Request("PUT", server.url, body=upload, answer_seconds=30.0)
    assert Http({}, clock=lambda: now[0]).request(request).status == 200
    assert now[0] > 1000


@pytest.mark.parametrize("head", [OK + b"\r\n", CHUNKED])
def test_a_body_that_is_too_large_is_not_kept(head: bytes) -> None:
    """The error says how large it may be; memory stays small, and it is asked for once."""
    block = b"10000\r\n" + bytes(1 << 16) + b"\r\n" if head == CHUNKED else bytes(1 << 16)
    said: list[str] = []
    tracemalloc.start()
    try:
        with pouring(head, block) as url, refused("GET http://127.0.0.1:PORT", PipelineError):
            Http({}, tell=said.append).request(Request("GET", url, most=4 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert said == []
    assert peak < 16 << 20


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip"])
def test_a_bomb_is_unpacked_as_far_as_the_bound(server: Loopback, coding: str) -> None:
    """A body of a hundred kilobytes that would be a hundred megabytes."""
    plain = bytes(100 << 20)
    packed = zlib.compress(plain) if coding == "deflate" else gzip.compress(plain)
    if coding == "gzip, gzip":
        packed = gzip.compress(packed)
    del plain
    server.faults.append(Fault("GET", answer=Answer(200, packed, {"Content-Encoding": coding})))
    tracemalloc.start()
    try:
        with refused("GET http://127.0.0.1:PORT", PipelineError):
            http().request(Request("GET", server.url, most=1 << 20))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_packed_body_is_read(server: Loopback) -> None:
    """Some proxies pack what nobody asked them to pack."""
    body = gzip.compress(b"content" * 100_000)
    server.faults.append(Fault("GET", answer=Answer(200, body, {"Content-Encoding": "gzip"})))
    assert http().request(Request("GET", server.url)).body == b"content" * 100_000


def test_an_error_without_end_is_cut() -> None:
    """The status counts; of its words a part is enough."""
    said = pytest.raises(HttpError, match="status 400 Bad: no! ")
    with pouring(b"HTTP/1.1 400 Bad\r\n\r\n", b"no! " * 9000) as url, said as caught:
        http().request(Request("POST", url))
    assert len(caught.value.what) < 2100


@pytest.mark.parametrize("body", [b"<" * 1_000_000, b"<script" * 150_000, b"{" * 1_000_000])
def test_the_words_of_a_large_error_are_soon_found(body: bytes) -> None:
    """Markup that never closes is looked at for a moment, and not for hours."""
    assert len(body_words(body)) < 2010


@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 200 + b"1" + b"}" * 200,
                                  b"[" * 5000 + b"]" * 5000])  # fmt: skip
def test_json_without_bottom_is_an_error(server: Loopback, body: bytes) -> None:
    """Whether it ends or not."""
    server.faults.append(Fault("GET", answer=Answer(200, body)))
    with refused("GET http://127.0.0.1:PORT", PipelineError):
        http().request(Request("GET", server.url)).json()


@pytest.mark.parametrize(
    "location",
    ["http://[", "http://h:p/", "http://h:99999/", "ftp://h/", "mailto:x", "http:///x", "http://",
     "//", "http://%zz/", "http://a..b/", "http://\xff\xfe/"],
)  # fmt: skip
def test_a_redirect_to_a_broken_address_is_an_error(server: Loopback, location: str) -> None:
    """Of the server that was asked, with the words that it said."""
    server.faults.extend([Fault("GET", answer=Answer(302, headers={"Location": location}))] * 9)
    with refused("GET http://127.0.0.1:PORT", PipelineError, {"(?<=reached: ).+": "WHY"}):
        http().request(Request("GET", server.url))


def test_redirects_have_an_end(server: Loopback) -> None:
    """Five are followed."""
    server.faults.extend([Fault("GET", answer=Answer(302, headers={"Location": "/next"}))] * 9)
    with refused("GET http://127.0.0.1:PORT", PipelineError):
        http().request(Request("GET", server.url))
    assert len(server.asked) == 6


def test_the_keys_do_not_come_back(server: Loopback) -> None:
    """A redirect through another host and back has lost them, a user in the address too."""

    def elsewhere(_: Asked) -> Answer:
        return Answer(302, headers={"Location": f"{server.url}/back"})

    with serving(elsewhere) as other:
        user = server.url.replace("//", "//me:word@")
        there = other.url.replace("//", "//you:secret@")
        server.faults.append(Fault("GET", answer=Answer(302, headers={"Location": there})))
        keys = {"X-Octopus-ApiKey": "secret", "Cookie": "a", "X-NuGet-ApiKey": "b"}
        http().request(Request("GET", user, keys))
        first, last = server.asked
        secret = {"authorization", *(name.lower() for name in keys)}
        assert secret <= first.headers.keys()
        assert not secret & (last.headers.keys() | other.asked[0].headers.keys())


@pytest.mark.parametrize("value", ["key\n", "key\r\nX: y", "kéy", "k\x00"])
def test_a_key_that_no_header_can_hold_is_named(server: Loopback, value: str) -> None:
    """By its header, and without its value: a line end often comes along when it is copied."""
    with refused("GET http://127.0.0.1:PORT", PipelineError) as caught:
        http().request(Request("GET", server.url, {"X-NuGet-ApiKey": value}))
    assert "key" not in str(caught.value).replace("X-NuGet-ApiKey", "").replace("that key", "")
    assert server.asked == []


def test_a_user_in_the_address_that_the_server_repeats_is_hidden(server: Loopback) -> None:
    """In clear and as the header had it."""
    said = b"who is me:pass word? bWU6cGFzcyB3b3Jk"
    server.faults.append(Fault("GET", answer=Answer(401, said)))
    with refused("GET http://127.0.0.1:PORT", HttpError):
        http().request(Request("GET", server.url.replace("//", "//me:pass%20word@")))
