"""A real TCP listener that stands for Logstash and can misbehave."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

Behaviour = Callable[[socket.socket, bytearray, threading.Event], None]


class Listener:
    """Listens while in its `with` block; each connection meets the next of the behaviours.

    The last behaviour goes on. `received` has the bytes of each connection.
    """

    def __init__(self, *behaviours: Behaviour) -> None:
        self.received: list[bytearray] = []
        self._behaviours = behaviours
        self._over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        # Closing a socket does not wake a thread that waits in accept; a connection does.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._thread.join(timeout=10)
        self._server.close()

    def documents(self, connection: int = -1) -> list[dict[str, Any]]:
        """Return the JSON documents of one connection, the last by default."""
        return [json.loads(line) for line in self.received[connection].splitlines()]

    def _accept(self) -> None:
        threads = []
        while True:
            stream, _ = self._server.accept()
            if self._over.is_set():
                stream.close()
                break
            index = len(self.received)
            self.received.append(bytearray())
            thread = threading.Thread(target=self._serve, args=(stream, index), daemon=True)
            threads.append(thread)
            thread.start()
        for thread in threads:
            thread.join(timeout=10)

    def _serve(self, stream: socket.socket, index: int) -> None:
        behaviour = self._behaviours[min(index, len(self._behaviours) - 1)]
        with stream, suppress(OSError):
            behaviour(stream, self.received[index], self._over)


def read_all(stream: socket.socket, received: bytearray, _over: threading.Event) -> None:
    """Read to the sender's end, then close: a healthy Logstash."""
    while data := stream.recv(65_536):
        received += data


def never_close(stream: socket.socket, received: bytearray, over: threading.Event) -> None:
    """Read to the sender's end, and leave our own side open."""
    read_all(stream, received, over)
    over.wait(10)


def stall(_stream: socket.socket, _received: bytearray, over: threading.Event) -> None:
    """Read nothing."""
    over.wait(10)


def trickle(stream: socket.socket, received: bytearray, over: threading.Event) -> None:
    """Read a little now and then, so that no single write takes long."""
    while not over.wait(0.01) and (data := stream.recv(100)):
        received += data


def chatter(stream: socket.socket, received: bytearray, over: threading.Event) -> None:
    """Read to the sender's end, then say a little now and then, and never close."""
    read_all(stream, received, over)
    while not over.wait(0.01):
        stream.send(b".")


def close_early(stream: socket.socket, received: bytearray, over: threading.Event) -> None:
    """End our side at once, as a Logstash does that shuts down, and read what still comes."""
    stream.shutdown(socket.SHUT_WR)
    read_all(stream, received, over)


def close_unread(stream: socket.socket, _received: bytearray, over: threading.Event) -> None:
    """End our side while the sender waits for that, with much of what it sent on the way yet."""
    over.wait(0.1)
    stream.shutdown(socket.SHUT_WR)
    over.wait(10)


def reset_after(count: int) -> Behaviour:
    """Return a behaviour that reads `count` bytes and then cuts the connection."""

    def behaviour(stream: socket.socket, received: bytearray, _over: threading.Event) -> None:
        while len(received) < count and (data := stream.recv(count - len(received))):
            received += data
        # With no time to linger, close sends a reset instead of an end.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behaviour
