"""A server on the loopback interface whose answers a test defines, and which can be unreliable."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_BLOCK = 1 << 14


@dataclass(frozen=True)
class Asked:
    """A request: path with query, headers by lower-case name, and the whole body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What the server says."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


# Instead of an answer: the connection ends, and nobody hears whether it was handled.
NO_ANSWER = Answer(0)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next request of a method.

    `drop` is "before" (in the middle of the body), "after" (it was handled, nobody hears so),
    or empty: then `answer` is given instead of handling it, unless `handled`.
    """

    method: str
    drop: str = ""
    answer: Answer | None = None
    handled: bool = False


@dataclass
class Loopback:
    """A running server: `asked` is every request, `surprises` those it has no answer for."""

    url: str
    handle: Callable[[Asked], Answer | None]
    asked: list[Asked] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)

    def methods(self) -> list[str]:
        """Return the methods of the requests, in order."""
        return [asked.method for asked in self.asked]

    def fault(self, method: str) -> Fault | None:
        """Return and forget the next fault, if it is about this method."""
        return self.faults.popleft() if self.faults and self.faults[0].method == method else None


class _Server(ThreadingHTTPServer):
    def handle_error(self, *address: Any) -> None:
        """Say nothing of a client that went away: some tests are about that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*address)


@contextmanager
def serving(
    handle: Callable[[Asked], Answer | None], tls: ssl.SSLContext | None = None
) -> Iterator[Loopback]:
    """Run a server; a request that `handle` answers with None fails the test in the end."""
    found = Loopback("", handle)
    server = _Server(("127.0.0.1", 0), _handler(found))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    found.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert found.surprises == [], found.surprises


@contextmanager
def pouring(head: bytes, block: bytes) -> Iterator[str]:
    """Run a server that says `head` and then `block` for ever; return its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pour(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(_BLOCK)
            connection.sendall(head)
            while block:
                connection.sendall(block)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=pour, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Closing alone would leave the thread in accept.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def form_file(asked: Asked) -> tuple[str, str, bytes]:
    """Return (field name, file name, content) of a form's only file."""
    kind = asked.headers.get("content-type", "")
    assert kind.startswith("multipart/form-data"), kind
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + asked.body)
    (part,) = message.iter_parts()
    assert part.get_content_type() == "application/octet-stream"
    boundary = message.get_boundary()
    assert boundary
    # The parser takes a body for text; the bytes are those between the first empty line and
    # the last boundary. 2.8.7 ends its part with a bare line feed.
    start = asked.body.index(b"\r\n\r\n") + 4
    end = asked.body.rindex(b"\n--" + boundary.encode() + b"--")
    end -= asked.body[end - 1 : end] == b"\r"
    name = part.get_param("name", header="content-disposition")
    return str(name), str(part.get_filename()), asked.body[start:end]


def _handler(found: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer's body waits for an acknowledgement

        def _any(self) -> None:
            _take(self, found)

        def log_message(self, *_: object) -> None:
            """Say nothing: the tests read `asked`."""

    for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._any)
    return Handler


def _take(handler: BaseHTTPRequestHandler, found: Loopback) -> None:
    headers = {name.lower(): value for name, value in handler.headers.items()}
    length = int(headers.get("content-length", "0"))
    fault = found.fault(handler.command) or Fault("")
    if fault.drop == "before":
        handler.rfile.read(length // 2)
        found.asked.append(Asked(handler.command, handler.path, headers))
        _drop(handler)
        return
    asked = Asked(handler.command, handler.path, headers, handler.rfile.read(length))
    found.asked.append(asked)
    answer = fault.answer
    if answer is None or fault.handled:
        handled = _handled(found, asked)
        answer = answer or handled
    if fault.drop == "after" or answer is NO_ANSWER:
        _drop(handler)
    else:
        _say(handler, answer)


def _say(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(answer.body)


def _drop(handler: BaseHTTPRequestHandler) -> None:
    # A reset, as from a proxy that gave up, and not an orderly end.
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True


def _handled(found: Loopback, asked: Asked) -> Answer:
    try:
        answer = found.handle(asked)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test has to fail
        found.surprises.append(f"{asked.method} {asked.path}: {error!r}")
        return Answer(500, b"the stand-in does not take this")
    if answer is None:
        found.surprises.append(f"{asked.method} {asked.path}")
        return Answer(500, b"the stand-in does not know this")
    return answer
