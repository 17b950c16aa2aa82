"""A TCP listener that stands for Logstash: it collects JSON lines."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Listener:
    """The lines received so far, parsed; `port` on loopback is where they are to be sent."""

    port: int
    records: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds: float) -> bool:
        """Wait until `count` lines are here; False when the time is up."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.records) >= count, seconds)


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen on a free port of loopback while the block runs."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                with listener.arrived:
                    listener.records.append(json.loads(line))
                    listener.arrived.notify_all()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        listener = Listener(server.server_address[1])
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()
