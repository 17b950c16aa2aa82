"""A proxy on the loopback interface: it forwards everything to one server, whatever was asked for.

So a name that does not exist proves that a request came this way.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """A running proxy: what it was asked for, and with which authorization."""

    url: str = ""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


@contextmanager
def proxying(target: str) -> Iterator[Proxy]:
    """Run a proxy in front of the server `target`."""
    found = Proxy()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found, target))
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _handler(found: Proxy, target: str) -> type[BaseHTTPRequestHandler]:
    address = urlsplit(target)
    there = (str(address.hostname), int(address.port or 0))

    class Handler(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            self._note()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            connection = http.client.HTTPConnection(*there)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request(self.command, path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        def _tunnel(self) -> None:
            self._note()
            with socket.create_connection(there) as upstream:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pump, args=(upstream, self.connection))
                back.start()
                _pump(self.connection, upstream)
                back.join()
            self.close_connection = True

        def _note(self) -> None:
            authorization = self.headers.get("Proxy-Authorization")
            found.asked.append((self.command, self.path, authorization))

        def log_message(self, *_: object) -> None:
            """Say nothing: the tests read `asked`."""

    for method in ("GET", "PUT", "POST"):
        setattr(Handler, f"do_{method}", Handler._forward)
    Handler.do_CONNECT = Handler._tunnel  # type: ignore[attr-defined]
    return Handler


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(1 << 14):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
