"""The end that every answer has: of its time, and of what comes before its body.

A timeout of a socket bounds one wait: a server that sends a byte a second never meets it. So an
answer is read through a stream that looks at the clock before each piece, headers included.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_MOST_BEFORE_THE_BODY = 1 << 20  # bytes of the status, the headers, and interim answers


class EndlessError(Exception):
    """An answer is longer, in bytes or seconds, than it may be."""


class _Stream(io.RawIOBase):
    """A socket's stream that raises EndlessError at its deadline, or when `left` bytes came."""

    def __init__(self, raw: io.RawIOBase, clock: Callable[[], float], seconds: float) -> None:
        super().__init__()
        self._raw = raw
        self._clock = clock
        self._seconds = seconds
        self._deadline = clock() + seconds
        self.left: int | None = _MOST_BEFORE_THE_BODY

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._clock() > self._deadline:
            what = f"the answer is not complete after {self._seconds:.0f} s"
            raise EndlessError(what)
        count: int | None = self._raw.readinto(buffer)
        if self.left is not None:
            self.left -= count or 0
            if self.left < 0:
                what = f"there is no body after {_MOST_BEFORE_THE_BODY >> 10} kB of headers"
                raise EndlessError(what)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


@dataclass
class Bounds:
    """What bounds the next answer: `seconds` by `clock`, from the end of the request on."""

    clock: Callable[[], float]
    seconds: float = 600.0

    def pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Return connections by scheme whose answers have these bounds."""
        bounds = self

        class Answer(http.client.HTTPResponse):
            def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
                super().__init__(sock, *arguments, **named)
                self._stream = _Stream(self.fp.detach(), bounds.clock, bounds.seconds)
                self.fp = io.BufferedReader(self._stream)

            def begin(self) -> None:
                super().begin()
                self._stream.left = None

        class Plain(HTTPConnection):
            response_class = Answer

        class Secure(HTTPSConnection):
            response_class = Answer

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}
