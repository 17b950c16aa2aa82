"""The TLS connection, against a real TLS listener on loopback."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.standins.certificates import write_certificate

Serve = Callable[[ssl.SSLSocket, bytearray], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with a key and its certificate for 127.0.0.1, signed by itself."""
    return write_certificate(tmp_path_factory.mktemp("certificate") / "both.pem", "listener")


@contextmanager
def _listener(certificate: Path, serve: Serve) -> Iterator[tuple[int, bytearray]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            stream, _ = server.accept()
            with suppress(OSError), context.wrap_socket(stream, server_side=True) as secured:
                serve(secured, received)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1], received
        thread.join(timeout=10)


def _settings(load: Any, port: int, ca_file: Path | None, write_timeout: float = 2) -> Any:
    return load("settings").Settings(
        host="127.0.0.1",
        port=port,
        tls=True,
        ca_file=str(ca_file) if ca_file else None,
        connect_timeout=2,
        write_timeout=write_timeout,
        environment="CI",
        application="shop",
        component="web",
    )


def _send(load: Any, port: int, ca_file: Path | None) -> None:
    with load("logstash").connect(_settings(load, port, ca_file)) as connection:
        connection.send(b"x" * 300_000)
        connection.send(b"the end\n")
        connection.finish()


def _read_all(stream: ssl.SSLSocket, received: bytearray) -> None:
    while data := stream.recv(65_536):
        received += data


def _polite(stream: ssl.SSLSocket, received: bytearray) -> None:
    _read_all(stream, received)
    stream.unwrap().close()


def _blunt(stream: ssl.SSLSocket, received: bytearray) -> None:
    """End with TCP's goodbye alone, as many servers do."""
    _read_all(stream, received)


def _ending_unread(stream: ssl.SSLSocket, _received: bytearray) -> None:
    """End TCP alone, while the sender waits for that and much is on the way yet."""
    time.sleep(0.1)
    stream.shutdown(socket.SHUT_WR)
    time.sleep(0.1)  # or the reset that closing sends would tell


def _resetting(stream: ssl.SSLSocket, received: bytearray) -> None:
    received += stream.recv(1000)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("serve", [_polite, _blunt])
def test_everything_arrives_over_tls(load: Any, certificate: Path, serve: Serve) -> None:
    """The data arrives whole, and the end is clean with or without TLS's own goodbye."""
    with _listener(certificate, serve) as (port, received):
        _send(load, port, certificate)
    assert received == b"x" * 300_000 + b"the end\n"


@pytest.mark.parametrize("serve", [_resetting, _ending_unread])
def test_other_ends_over_tls_are_not_clean(load: Any, certificate: Path, serve: Serve) -> None:
    """A connection that is cut, or ended before the peer has taken all, counts as lost."""
    with (
        _listener(certificate, serve) as (port, _),
        pytest.raises(load("logstash").ConnectionLostError),
    ):
        _send(load, port, certificate)


def test_unknown_certificate_is_refused(load: Any, certificate: Path) -> None:
    """A peer that nobody vouches for gets nothing."""
    with _listener(certificate, _read_all) as (port, received):
        with pytest.raises(load("logstash").ConnectionLostError, match="verify"):
            _send(load, port, None)
        assert not received


def _trickling(stream: ssl.SSLSocket, received: bytearray) -> None:
    while data := stream.recv(65_536):
        received += data
        time.sleep(0.02)


def test_slow_reader_over_tls_gets_no_more_than_the_timeout(load: Any, certificate: Path) -> None:
    """The timeout is for a whole batch, though each TLS record of it moves on well before."""
    logstash = load("logstash")
    with _listener(certificate, _trickling) as (port, _):
        settings = _settings(load, port, certificate, write_timeout=0.3)
        with logstash.connect(settings) as connection:
            began = time.monotonic()
            with pytest.raises(logstash.ConnectionLostError, match=r"timed out|no time left"):
                connection.send(bytes(30_000_000))
            assert time.monotonic() - began < 30
