"""The Lambda Runtime API (2018-06-01) for one function process, on the loopback interface.

Endpoints and headers as AWS documents them for custom runtimes. An answer leaves in a single
write with Nagle's algorithm off: two small packets would meet delayed acknowledgements and
cost 40 to 90 ms per invocation.

Every user of a machine reaches its loopback interface, so paths begin with a secret that only the
function's process knows, from its environment. Whoever does not name it learns and changes nothing.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase, BufferedReader
from queue import Empty, SimpleQueue
from typing import ClassVar, Literal

# Lambda's own figure: 6 MB and the envelope around it.
RESPONSE_LIMIT = 6_291_556
_PREFIX = "/2018-06-01/runtime"
_RESULT = re.compile(r"/invocation/([0-9A-Za-z-]{1,64})/(response|error)\Z")
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_MODE = "Lambda-Runtime-Function-Response-Mode"

Kind = Literal["ready", "answer", "error", "too-large", "init-error", "exit", "timeout"]


@dataclass(frozen=True)
class Work:
    """An event on its way to the function, with the headers that describe the invocation."""

    request_id: str
    payload: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class ProcessEvent:
    """Something the function process did, or failed to do in time.

    `body` is what it posted, `code` its exit code (negative for a signal).
    """

    kind: Kind
    request_id: str = ""
    body: bytes = b""
    error_type: str = ""
    code: int = 0


class RuntimeApi:
    """A server that hands out `Work` and reports each `ProcessEvent` in `process_events`."""

    def __init__(self) -> None:
        self.process_events: SimpleQueue[ProcessEvent] = SimpleQueue()
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        handler = type("_BoundHandler", (_Handler,), {"api": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._port = int(self._server.server_address[1])
        self.host = f"127.0.0.1:{self._port}"
        self.secret = secrets.token_urlsafe(32)
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What the function's process gets as AWS_LAMBDA_RUNTIME_API: `host:port/secret`."""
        return f"{self.host}/{self.secret}"

    def offer(self, work: Work) -> None:
        """Give the event to whoever asks next."""
        self._work.put(work)

    def next_work(self) -> Work | None:
        """Wait for an event; None means that the server was closed."""
        return self._work.get()

    def first(self, kinds: tuple[Kind, ...], seconds: float) -> ProcessEvent:
        """Wait for the first event of these kinds; its kind is `timeout` if none comes."""
        deadline = time.monotonic() + max(0.0, seconds)
        while True:
            try:
                event = self.process_events.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                return ProcessEvent("timeout")
            if event.kind in kinds:
                return event

    def close(self) -> None:
        """Stop listening and let a waiting client go."""
        self._work.put(None)
        self._open = False
        # Waking the waiting thread costs a connection; `shutdown` would cost a polling interval.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        self._thread.join(timeout=1)
        self._server.server_close()

    def _serve(self) -> None:
        while self._open:
            self._server.handle_request()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A handler may wait for work for hours; closing must not wait for it.
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: a killed process resets its connection, and is reported as an exit."""


class _Lines(BufferedReader):
    """Cuts lines that are longer than http.server takes.

    The runtime client sends an error's trace as a header too. It is not read here, but a thousand
    frames of it must not keep the error itself from being taken.
    """

    def readline(self, size: int | None = -1) -> bytes:
        """Read a whole line; return less than `size` bytes of it, with its end."""
        line = super().readline()
        if size is None or size < 0 or len(line) < size:
            return line
        return line[: size - 3] + b"\r\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: ClassVar[RuntimeApi]

    def setup(self) -> None:
        """Read from the connection in our own way."""
        super().setup()
        self.rfile = _Lines(self.connection.makefile("rb", buffering=0))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent: the function's log is the only one."""

    def do_GET(self) -> None:
        if not self._trusted():
            return
        if self.path == f"{_PREFIX}/invocation/next":
            self._next()
        else:
            self._refuse(404, "NotFound", self.path)

    def do_POST(self) -> None:
        if not self._trusted():
            return
        path = self.path.removeprefix(_PREFIX)
        result = _RESULT.match(path)
        body = self._body()
        error_type = self.headers.get(_ERROR_TYPE, "")
        if result:
            self._result(result[1], result[2], body)
        elif path == "/init/error":
            self.api.process_events.put(ProcessEvent("init-error", "", body or b"", error_type))
            self._answer(202, b'{"status":"OK"}\n')
        else:
            self._refuse(404, "NotFound", self.path)

    def _next(self) -> None:
        self.api.process_events.put(ProcessEvent("ready"))
        work = self.api.next_work()
        if work is None:
            self.close_connection = True
            return
        self._answer(200, work.payload, work.headers)

    def _result(self, request_id: str, kind: str, body: bytes | None) -> None:
        if body is None:
            self.api.process_events.put(ProcessEvent("too-large", request_id))
            self._refuse(413, "RequestEntityTooLarge", f"more than {RESPONSE_LIMIT} bytes")
            return
        error_type = self._trailers.get(_ERROR_TYPE) or str(self.headers.get(_ERROR_TYPE, ""))
        failed = kind == "error" or (self.headers.get(_MODE) == "streaming" and bool(error_type))
        # The runtime client gets its answer first, so that it is back at `next` all the sooner.
        self._answer(202, b'{"status":"OK"}\n')
        self.api.process_events.put(
            ProcessEvent("error" if failed else "answer", request_id, body, error_type)
        )

    def _body(self) -> bytes | None:
        """Read the request's body to its end; None when it is larger than Lambda takes."""
        self._trailers: dict[str, str] = {}
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body, self._trailers = _read_chunks(self.rfile)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return body if len(body) <= RESPONSE_LIMIT else None

    def _trusted(self) -> bool:
        """Whether this is the runtime client: no web page, no other user of the machine.

        `path` is then without the secret.
        """
        given, slash, path = self.path.removeprefix("/").partition("/")
        knows = hmac.compare_digest(given.encode(), self.api.secret.encode())
        if knows and "Origin" not in self.headers and self.headers.get("Host") == self.api.host:
            self.path = slash + path
            return True
        self.close_connection = True
        self._refuse(403, "Forbidden", "this is for the function's runtime client only")
        return False

    def _refuse(self, status: int, kind: str, message: str) -> None:
        body = f'{{"errorType":"{kind}","errorMessage":"{message}"}}\n'
        self._answer(status, body.encode())

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        lines = [f"HTTP/1.1 {status} {self.responses[status][0]}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + body)


def _read_chunks(file: BufferedIOBase) -> tuple[bytes, dict[str, str]]:
    """Return body and trailers; of a body that is too large one byte too many is kept."""
    body = bytearray()
    while size := int(file.readline().split(b";")[0], 16):
        body += file.read(size)[: RESPONSE_LIMIT + 1 - len(body)]
        file.readline()
    trailers = {}
    while line := file.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        trailers[name.strip()] = value.strip()
    return bytes(body), trailers
