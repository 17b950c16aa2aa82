"""One connection to Logstash's TCP input (codec `json_lines`), plain or TLS."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from .settings import Settings

__all__ = ["Connection", "ConnectionLostError", "connect"]

_LISTENING = 0.0  # a timeout of no time: only look


class ConnectionLostError(Exception):
    """The connection could not be made, or broke, or its end was not clean."""


class Connection:
    """A connected socket. Leaving its `with` block closes it, finished or not."""

    def __init__(self, stream: socket.socket, timeout: float) -> None:
        self._stream = stream
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def send(self, data: bytes) -> None:
        """Write all of it within the timeout. Raises ConnectionLostError."""
        try:
            self._refuse_early_end()
            self._stream.settimeout(self._timeout)
            self._stream.sendall(data)
        except OSError as error:
            message = f"writing {len(data)} bytes failed: {_reason(error)}"
            raise ConnectionLostError(message) from error

    def finish(self) -> None:
        """End our side and wait for the peer to end its own.

        Only then has the peer's machine taken every byte. It is no word from Logstash itself
        that it has processed them: the protocol has none. Raises ConnectionLostError.
        """
        try:
            self._refuse_early_end()
            self._stream.settimeout(self._timeout)
            if isinstance(self._stream, ssl.SSLSocket):
                self._stream = _end_tls(self._stream)
            self._stream.shutdown(socket.SHUT_WR)
            while self._stream.recv(4096):
                pass  # Logstash has nothing to say; whatever comes is not for us
        except OSError as error:
            message = f"no clean end of the connection: {_reason(error)}"
            raise ConnectionLostError(message) from error

    def _refuse_early_end(self) -> None:
        """Notice a peer that has hung up: what we write to it now would be thrown away."""
        self._stream.settimeout(_LISTENING)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            while self._stream.recv(4096):
                pass
            message = "the peer closed it before all was sent"
            raise ConnectionResetError(message)


def connect(settings: Settings) -> Connection:
    """Connect, and with TLS verify the peer's certificate and name.

    Raises ConnectionLostError; a `ca_file` that cannot be read is an OSError of its own.
    """
    tls = ssl.create_default_context(cafile=settings.ca_file) if settings.tls else None
    address = (settings.host, settings.port)
    try:
        stream = socket.create_connection(address, timeout=settings.connect_timeout)
        if tls:
            stream = _start_tls(stream, tls, settings.host)
    except OSError as error:
        message = f"connecting to {settings.host}:{settings.port} failed: {_reason(error)}"
        raise ConnectionLostError(message) from error
    return Connection(stream, settings.write_timeout)


def _start_tls(stream: socket.socket, tls: ssl.SSLContext, host: str) -> socket.socket:
    try:
        return tls.wrap_socket(stream, server_hostname=host)
    except OSError:
        stream.close()
        raise


def _end_tls(stream: ssl.SSLSocket) -> socket.socket:
    """Say goodbye in TLS; a peer that answers with TCP's goodbye alone is clean enough."""
    try:
        return stream.unwrap()
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return stream


def _reason(error: OSError) -> str:
    return str(error) or type(error).__name__
