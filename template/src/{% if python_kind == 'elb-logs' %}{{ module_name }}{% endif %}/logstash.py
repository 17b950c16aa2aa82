"""One connection to Logstash's TCP input (codec `json_lines`), plain or TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from .settings import SettingsError

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ  # how much is not taken yet
except ImportError:  # on Windows, where the function only runs in its tests
    ioctl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from types import TracebackType

    from .settings import Settings

_LISTENING = 0.0  # a timeout of no time: only look
_UNHEARD = 4096  # Logstash has nothing to say; whatever comes is not for us


class ConnectionLostError(Exception):
    """The connection could not be made, or broke, or its end was not clean."""


class Connection:
    """A connected socket. Leaving its `with` block closes it, finished or not.

    Nothing it does takes longer than `timeout` seconds, nor goes on after `deadline`, a time of
    `time.monotonic`: a peer that takes or says a little now and then must not hold us up.
    """

    def __init__(self, stream: socket.socket, timeout: float, deadline: float) -> None:
        self._stream = stream
        self._timeout = timeout
        self._deadline = deadline

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
        """Write all of it. Raises ConnectionLostError."""
        until = self._until()
        rest = memoryview(data)
        try:
            self._refuse_early_end(until)
            while rest:  # over TLS, sendall would give each record the whole timeout
                self._stream.settimeout(_left(until))
                rest = rest[self._stream.send(rest) :]
        except OSError as error:
            message = f"writing {len(data)} bytes failed: {_reason(error)}"
            raise ConnectionLostError(message) from error

    def finish(self) -> None:
        """End our side and wait for the peer to end its own.

        Only then has the peer's machine taken every byte. It is no word from Logstash itself
        that it has processed them: the protocol has none. Raises ConnectionLostError.
        """
        until = self._until()
        try:
            self._refuse_early_end(until)
            self._stream.settimeout(_left(until))
            is_ended = False
            if isinstance(self._stream, ssl.SSLSocket):
                self._stream, is_ended = _end_tls(self._stream)
            self._stream.shutdown(socket.SHUT_WR)
            while self._stream.recv(_UNHEARD):
                self._stream.settimeout(_left(until))
            if not is_ended:
                _refuse_untaken(self._stream)
        except OSError as error:
            message = f"no clean end of the connection: {_reason(error)}"
            raise ConnectionLostError(message) from error

    def _until(self) -> float:
        return min(time.monotonic() + self._timeout, self._deadline)

    def _refuse_early_end(self, until: float) -> None:
        """Notice a peer that has hung up: what we write to it now would be thrown away."""
        self._stream.settimeout(_LISTENING)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            while self._stream.recv(_UNHEARD):
                _left(until)
            message = "the peer closed it before all was sent"
            raise ConnectionResetError(message)


def connect(settings: Settings, deadline: float = float("inf")) -> Connection:
    """Connect, and with TLS verify the peer's certificate and name.

    Raises ConnectionLostError, SettingsError for a `ca_file` that cannot be used.
    """
    tls = _tls(settings.ca_file) if settings.tls else None
    until = min(time.monotonic() + settings.connect_timeout, deadline)
    address = (settings.host, settings.port)
    try:
        stream = socket.create_connection(address, timeout=_left(until))
        if tls:
            stream = _start_tls(stream, tls, settings.host, until)
    except OSError as error:
        message = f"connecting to {settings.host}:{settings.port} failed: {_reason(error)}"
        raise ConnectionLostError(message) from error
    return Connection(stream, settings.write_timeout, deadline)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        message = f"LOGSTASH_CA_FILE is {ca_file!r}, which is no readable PEM file: {error}"
        raise SettingsError(message) from error


def _start_tls(
    stream: socket.socket, tls: ssl.SSLContext, host: str, until: float
) -> socket.socket:
    try:
        stream.settimeout(_left(until))
        return tls.wrap_socket(stream, server_hostname=host)
    except OSError:
        stream.close()
        raise


def _left(until: float) -> float:
    """Return the seconds up to `until`. Raises TimeoutError when there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        message = "no time left"
        raise TimeoutError(message)
    return seconds


def _end_tls(stream: ssl.SSLSocket) -> tuple[socket.socket, bool]:
    """Say goodbye in TLS; a peer that answers with TCP's goodbye alone is clean enough.

    Return what to end in TCP, and whether the peer has ended that already.
    """
    try:
        return stream.unwrap(), False
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        _refuse_untaken(stream)
        return stream, True


def _refuse_untaken(stream: socket.socket) -> None:
    """Notice that the peer's machine ended its side before it had taken all of ours.

    A peer that read to our end has taken it, and the end too.
    """
    if ioctl is not None:
        (untaken,) = struct.unpack("i", ioctl(stream.fileno(), TIOCOUTQ, bytes(4)))
        if untaken:
            message = "the peer closed it before it had taken all"
            raise ConnectionResetError(message)


def _reason(error: OSError) -> str:
    return str(error) or type(error).__name__
