"""The HTTP layer: what is repeated and what never is, what is sent, errors in words."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http, HttpError, NoAnswerError, Request
from pipeline.edge.http_text import body_words
from pipeline.edge.upload import Upload

from tests.feeds.feed_support import echo, http
from tests.standins.loopback import Answer, Fault, Loopback, serving
from tests.words import assert_said, refused


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_may_have_had_its_effect_is_never_repeated(
    server: Loopback, method: str, drop: str
) -> None:
    """One request, and an error of its own kind: only the caller can look what became of it."""
    server.faults.append(Fault(method, drop=drop))
    with refused(None, NoAnswerError):
        http().request(Request(method, server.url, body=b"x" * 1000))
    assert server.methods() == [method]


def test_reading_is_repeated(server: Loopback) -> None:
    """After a broken connection and after a gateway's error, with pauses that grow."""
    server.faults.append(Fault("GET", drop="before"))
    server.faults.extend(Fault("GET", answer=Answer(status)) for status in (502, 503))
    waits: list[float] = []
    assert http(waits=waits).request(Request("GET", f"{server.url}/a")).body == b"GET /a"
    assert waits == [1.0, 2.0, 4.0]


def test_reading_is_given_up_in_the_end(server: Loopback) -> None:
    """The last answer is the error."""
    server.faults.extend([Fault("GET", answer=Answer(503, b"busy"))] * 9)
    with refused("GET http://127.0.0.1:PORT", HttpError):
        http().request(Request("GET", server.url))
    assert len(server.asked) == 4


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_server_that_limits_requests_is_obeyed(
    server: Loopback, method: str, tmp_path: Path
) -> None:
    """429 means that nothing was done: the request is repeated, whole, when it is time."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    server.faults.append(Fault(method, answer=Answer(429, headers={"Retry-After": "17"})))
    server.faults.append(Fault(method, answer=Answer(429, headers={"Retry-After": "soon"})))
    waits: list[float] = []
    said: list[str] = []
    client = Http({}, sleep=waits.append, tell=said.append)
    body = None if method == "GET" else Upload(path, "f", "f", lambda _done, _total: None)
    assert client.request(Request(method, server.url, body=body)).status == 200
    assert waits == [17.0, 2.0]
    assert_said("\n".join(said), {rf"\b{method}\b": "METHOD"})
    assert len({asked.body for asked in server.asked}) == 1


def test_nobody_waits_for_hours(server: Loopback) -> None:
    """A pause that is longer than a verb may last is an error with the server's words."""
    late = Answer(429, b'{"ErrorMessage": "Too many"}', {"Retry-After": "86400"})
    server.faults.append(Fault("GET", answer=late))
    with refused("GET http://127.0.0.1:PORT", HttpError):
        http().request(Request("GET", server.url))


def test_an_expected_status_is_an_answer(server: Loopback) -> None:
    """Not an error, and not repeated."""
    server.faults.append(Fault("GET", answer=Answer(503, b"{}")))
    assert http().request(Request("GET", server.url, expect=(503,))).json() == {}


def test_a_server_that_is_not_there_is_named() -> None:
    """After some attempts, which a request that never left may have."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    waits: list[float] = []
    where, names = "POST http://127.0.0.1:PORT/x", {"port=\\d+": "port=PORT"}
    with refused(where, PipelineError, names) as caught:
        http(waits=waits).request(Request("POST", f"http://127.0.0.1:{port}/x"))
    assert not isinstance(caught.value, NoAnswerError)
    assert len(waits) == 3


@pytest.mark.parametrize(
    "url", ["", "feed", "ftp://host/x", "http:///x", "//host/x", "http://[x", "http://h:p"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Before anything is opened."""
    with refused(None, PipelineError):
        http().request(Request("GET", url))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"ErrorMessage": "There was a problem", "Errors": ["No such lifecycle", "And this"]}',
            "There was a problem\nNo such lifecycle\nAnd this",
        ),
        (b'{"errorMessage": "a problem", "errors": ["reason"]}', "a problem\nreason"),
        (b'{"Errors": {"Name": ["too long"]}, "Details": {"x": "y"}}', "['too long']\ny"),
        (b"<html><head><style>p{}</style></head><h1>502</h1> nginx</html>", "502 nginx"),
        (b"not json", "not json"),
        (b'{"other": 1}', '{"other": 1}'),
        (b"\xff\xfe", "��"),
        (b"", ""),
    ],
)
def test_an_error_keeps_the_servers_words(server: Loopback, body: bytes, words: str) -> None:
    """Octopus's own errors in either casing, markup and raw text; the status is always there."""
    server.faults.append(Fault("POST", answer=Answer(400, body)))
    with refused("POST http://127.0.0.1:PORT", HttpError) as caught:
        http().request(Request("POST", server.url))
    assert caught.value.status == 400
    assert caught.value.text == words


@given(st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("Errors"), inner),
).map(lambda document: json.dumps(document).encode()))  # fmt: skip
def test_any_body_has_words(body: bytes) -> None:
    """Whatever a server sends, reading its error does not fail, and stays short."""
    assert len(body_words(body)) < 2010


def test_a_secret_that_the_server_repeats_is_hidden(server: Loopback) -> None:
    """Some servers put the key they do not know into their error."""
    server.faults.append(Fault("GET", answer=Answer(401, b"unknown key API-SECRET")))
    request = Request("GET", server.url, {"X-Octopus-ApiKey": "API-SECRET"})
    with refused("GET http://127.0.0.1:PORT", HttpError):
        http().request(request)


@pytest.mark.parametrize("before", [1_991, 1_995, 1_999])
def test_no_part_of_a_secret_is_left_where_a_long_text_ends(server: Loopback, before: int) -> None:
    """It is hidden before the text is cut."""
    said = b"x" * before + b"API-SECRET and more"
    server.faults.append(Fault("GET", answer=Answer(401, said)))
    with pytest.raises(HttpError) as caught:
        http().request(Request("GET", server.url, {"X-Octopus-ApiKey": "API-SECRET"}))
    assert "A" not in caught.value.what.partition("xx")[2]


def test_a_password_in_an_address_is_sent_and_never_shown(server: Loopback) -> None:
    """As basic authentication; errors name the address without it."""
    url = server.url.replace("//", "//me:pass%40word@") + "/x"
    http().request(Request("GET", url))
    assert server.asked[0].headers["authorization"] == "Basic bWU6cGFzc0B3b3Jk"
    server.faults.append(Fault("GET", answer=Answer(403)))
    with refused("GET http://127.0.0.1:PORT/x", HttpError) as caught:
        http().request(Request("GET", url))
    assert "pass" not in str(caught.value)


def test_a_redirect_of_reading_goes_on_without_the_keys(server: Loopback) -> None:
    """What a feed's storage gets is no secret of the feed."""
    with serving(echo) as storage:
        server.faults.append(
            Fault("GET", answer=Answer(302, headers={"Location": f"{storage.url}/file"}))
        )
        request = Request("GET", server.url, {"X-NuGet-ApiKey": "secret", "X-Other": "kept"})
        assert http().request(request).body == b"GET /file"
        assert "x-nuget-apikey" not in storage.asked[0].headers
        assert storage.asked[0].headers["x-other"] == "kept"


def test_a_redirect_of_writing_is_an_error_that_says_where_to(server: Loopback) -> None:
    """A body must not go anywhere else than the user said."""
    moved = Answer(307, headers={"Location": "https://me:secret@elsewhere.example/push"})
    server.faults.append(Fault("PUT", answer=moved))
    with refused("PUT http://127.0.0.1:PORT", HttpError):
        http().request(Request("PUT", server.url, body=b"x"))


def test_an_answer_that_is_not_json_is_shown(server: Loopback) -> None:
    """A login page where a document was expected."""
    with refused("GET http://127.0.0.1:PORT/api", PipelineError):
        http().request(Request("GET", f"{server.url}/api")).json()


@given(content=st.binary(max_size=5000))
def test_a_form_is_the_same_at_every_attempt(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """As long as its header says, with the file in it, however often it is read."""
    path = tmp_path_factory.mktemp("upload") / "file"
    path.write_bytes(content)
    steps: list[tuple[int, int]] = []
    upload = Upload(path, "package", 'a "b".nupkg', lambda done, total: steps.append((done, total)))
    whole = b"".join(upload.blocks())
    assert b"".join(upload.blocks()) == whole
    assert len(whole) == int(upload.headers()["Content-Length"])
    assert content in whole
    assert steps[-1] == (len(content), len(content))
    assert len(steps) <= 2 * 101


def test_a_large_file_is_never_in_memory(tmp_path: Path, server: Loopback) -> None:
    """It is read in blocks, and its progress is told in percents."""
    path = tmp_path / "large"
    path.write_bytes(bytes(5_000_000))
    steps: list[int] = []
    upload = Upload(path, "f", "f", lambda done, _: steps.append(done))
    assert http().request(Request("POST", server.url, body=upload)).status == 200
    assert len(server.asked[0].body) == int(server.asked[0].headers["content-length"])
    assert "transfer-encoding" not in server.asked[0].headers
    assert 50 < len(steps) <= 101
    assert steps == sorted(steps)
