from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Iterator

import pytest
from pipeline.runtime.api import RESPONSE_LIMIT, RuntimeApi, Work

_PREFIX = "/2018-06-01/runtime"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    """Return a Runtime API and close it."""
    made = RuntimeApi()
    yield made
    made.close()


def ask(
    api: RuntimeApi,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request below the secret, on a connection of its own."""
    return ask_without_secret(api, method, f"/{api.secret}{path}", body, headers)


def ask_without_secret(
    api: RuntimeApi,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection(api.host, timeout=60)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    answer = response.status, response.headers, response.read()
    connection.close()
    return answer


def test_next_hands_out_the_event_with_its_headers(api: RuntimeApi) -> None:
    """`next` answers with the event's bytes and the headers of the invocation."""
    api.offer(Work("id-1", b'{"a":1}', {"Lambda-Runtime-Aws-Request-Id": "id-1"}))
    status, headers, body = ask(api, "GET", f"{_PREFIX}/invocation/next")
    assert (status, body) == (200, b'{"a":1}')
    assert headers["Lambda-Runtime-Aws-Request-Id"] == "id-1"
    assert api.process_events.get().kind == "ready"


@pytest.mark.parametrize("kind", ["response", "error"])
def test_a_result_is_accepted_and_reported(api: RuntimeApi, kind: str) -> None:
    """An answer or an error is taken with 202 and reported with its request id and type."""
    path = f"{_PREFIX}/invocation/id-1/{kind}"
    headers = {"Lambda-Runtime-Function-Error-Type": "Some.Type"} if kind == "error" else {}
    assert ask(api, "POST", path, b"{}", headers)[0] == 202
    event = api.process_events.get(timeout=60)
    assert (event.request_id, event.body) == ("id-1", b"{}")
    assert event.kind == ("answer" if kind == "response" else "error")
    assert event.error_type == headers.get("Lambda-Runtime-Function-Error-Type", "")


def test_a_streamed_answer_with_an_error_in_its_trailers_is_an_error(api: RuntimeApi) -> None:
    """A chunked body is put together; an error type in the trailers makes it an error."""
    connection = http.client.HTTPConnection(api.host, timeout=60)
    connection.putrequest("POST", f"/{api.secret}{_PREFIX}/invocation/id-1/response")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    connection.endheaders()
    trailer = b"Lambda-Runtime-Function-Error-Type: Late.Error\r\n"
    connection.send(b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n" + trailer + b"\r\n")
    assert connection.getresponse().status == 202
    connection.close()
    event = api.process_events.get(timeout=60)
    assert (event.kind, event.body) == ("error", b"abcdefg")
    assert event.error_type == "Late.Error"


@pytest.mark.parametrize("kind", ["response", "error"])
def test_a_result_over_the_limit_gets_413(api: RuntimeApi, kind: str) -> None:
    """One byte more than Lambda takes is refused, and reported as too large."""
    path = f"{_PREFIX}/invocation/id-1/{kind}"
    assert ask(api, "POST", path, b"x" * RESPONSE_LIMIT)[0] == 202
    assert ask(api, "POST", path, b"x" * (RESPONSE_LIMIT + 1))[0] == 413
    assert api.process_events.get(timeout=60).kind == kind.replace("response", "answer")
    assert api.process_events.get(timeout=60).kind == "too-large"


def test_what_it_does_not_know_is_404(api: RuntimeApi) -> None:
    """An unknown path is an error that names it, never an empty success."""
    for method in ("GET", "POST"):
        status, _, body = ask(api, method, "/2018-06-01/other")
        assert status == 404
        assert "/2018-06-01/other" in json.loads(body)["errorMessage"]


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_web_page_is_refused(api: RuntimeApi, headers: dict[str, str]) -> None:
    """A request with an Origin, or for another host, gets 403 and no event."""
    api.offer(Work("id-1", b"{}", {}))
    assert ask(api, "GET", f"{_PREFIX}/invocation/next", headers=headers)[0] == 403
    assert api.process_events.empty()


@pytest.mark.parametrize("secret", ["", "/", "/wrong", "/%E9"])
def test_who_does_not_know_the_secret_learns_and_changes_nothing(
    api: RuntimeApi, secret: str
) -> None:
    """Without the secret of its path every request gets the same answer, and leaves no trace."""
    api.offer(Work("id-1", b'{"password":"x"}', {}))
    result = f"{secret}{_PREFIX}/invocation/id-1/response"
    tried = [("GET", f"{secret}{_PREFIX}/invocation/next"), ("POST", result), ("GET", f"{secret}/")]
    answers = [ask_without_secret(api, *each) for each in tried]
    assert {(status, body) for status, _, body in answers} == {(403, answers[0][2])}
    assert api.process_events.empty()
    assert ask(api, "GET", f"{_PREFIX}/invocation/next")[2] == b'{"password":"x"}'


def test_a_header_of_any_length_is_taken(api: RuntimeApi) -> None:
    """A cause of 1 MB, which the client may send, costs neither the error nor other headers."""
    headers = {"Cause": "x" * (1 << 20), "Lambda-Runtime-Function-Error-Type": "Deep"}
    path = f"{_PREFIX}/invocation/id-1/error"
    assert ask(api, "POST", path, b'{"a":1}', headers)[0] == 202
    event = api.process_events.get(timeout=60)
    assert (event.body, event.error_type) == (b'{"a":1}', "Deep")


def test_an_answer_is_one_packet(api: RuntimeApi) -> None:
    """The second of two would wait for a delayed acknowledgement, 40 ms and more."""
    connection = http.client.HTTPConnection(api.host, timeout=60)
    for number in range(1, 31):
        api.offer(Work(str(number), b'{"some":"event"}', {"Lambda-Runtime-Deadline-Ms": "1"}))
        connection.request("GET", f"/{api.secret}{_PREFIX}/invocation/next")
        assert connection.getresponse().read() == b'{"some":"event"}'
        assert _packets_with_data(connection.sock) == number
    connection.close()


def _packets_with_data(connection: socket.socket) -> int:
    """Return how many came in: `tcpi_data_segs_in` of Linux's `struct tcp_info`."""
    offset = 152
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, offset + 4)
    return int.from_bytes(info[offset:], sys.byteorder)


def test_close_lets_a_waiting_client_go() -> None:
    """A client that waits for work sees its connection closed, not an answer."""
    api = RuntimeApi()
    connection = http.client.HTTPConnection(api.host, timeout=60)
    connection.request("GET", f"/{api.secret}{_PREFIX}/invocation/next")
    assert api.process_events.get(timeout=60).kind == "ready"
    api.close()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
