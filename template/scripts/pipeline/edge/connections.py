"""Connections to servers: the proxies and certificates of this machine, and answers that end.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in either casing, the lower one first;
REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR, the first one set.

The timeout of a socket bounds each wait: a server that sends a byte a second never reaches it. So
answers are read through a stream that looks at the clock before each read, headers included.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined,unused-ignore]

import urllib3
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..core.errors import PipelineError
from .urls import no_address, origin, split_user

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_MOST_BEFORE_THE_BODY = 1 << 20  # bytes of the status, the headers, and interim answers


class EndlessError(Exception):
    """An answer is longer than allowed, in bytes or in seconds."""


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
                what = f"the headers are longer than {_MOST_BEFORE_THE_BODY >> 10} kB"
                raise EndlessError(what)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class Connections:
    """Connection pools by scheme and proxy, made when they are first needed.

    `clock` measures each answer, from the end of its request on.
    """

    def __init__(self, environ: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._environ = environ
        self.clock = clock
        self.seconds = 0.0
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    def pool(self, url: str, seconds: float) -> urllib3.PoolManager:
        """Return the connections for a URL; the next answer has to be complete in `seconds`.

        Raises PipelineError for an address or a setting that cannot be used.
        """
        self.seconds = seconds
        found = origin(url)
        if not found:
            raise no_address(url)
        scheme, proxy = found[0], proxy_for(url, self._environ)
        if (scheme, proxy) not in self._pools:
            pools = _pools(self._environ, scheme, proxy)
            pools.pool_classes_by_scheme = self._kinds()
            self._pools[scheme, proxy] = pools
        return self._pools[scheme, proxy]

    def _kinds(self) -> dict[str, type[HTTPConnectionPool]]:
        """Return connections by scheme whose answers are bounded."""
        connections = self

        class Answer(http.client.HTTPResponse):
            def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
                super().__init__(sock, *arguments, **named)
                raw = self.fp.detach()
                self._stream = _Stream(raw, connections.clock, connections.seconds)
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


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """Return the URL of the proxy for a request to `url`, or ""."""
    parts = urlsplit(url)
    exempt = _setting(environ, "no_proxy")
    if exempt and proxy_bypass_environment(parts.netloc.rpartition("@")[2], {"no": exempt}):
        return ""
    proxy = _setting(environ, f"{parts.scheme}_proxy") or _setting(environ, "all_proxy")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _pools(environ: Mapping[str, str], scheme: str, proxy: str) -> urllib3.PoolManager:
    # Reading certificates is slow.
    is_secure = "https" in (scheme, urlsplit(proxy).scheme)
    context = _trust(environ) if is_secure else None
    if not proxy:
        return urllib3.PoolManager(ssl_context=context)
    address, user = split_user(proxy)
    if urlsplit(address).scheme not in ("http", "https"):
        raise PipelineError(
            "proxy", f"{address} is not an http proxy", "Set HTTPS_PROXY to an http:// address."
        )
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
    return urllib3.ProxyManager(
        address, proxy_headers=headers, ssl_context=context, proxy_ssl_context=context
    )


def _setting(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    name = next((name for name in _CERTIFICATES if environ.get(name)), "")
    if not name:
        return ssl.create_default_context()
    path = Path(environ[name])
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=str(path))
        return ssl.create_default_context(cafile=str(path))
    except OSError as error:
        raise PipelineError(
            f"{name}={path}",
            f"no certificates can be read there: {error.strerror or error}",
            "Name a file of PEM certificates.",
        ) from error
