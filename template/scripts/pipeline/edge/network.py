"""How this machine reaches a server: its proxies and the certificates it trusts.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in either casing, the lower one first;
REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR, the first one set.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined,unused-ignore]

import urllib3
from urllib3.exceptions import LocationParseError

from ..core.errors import PipelineError

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PORTS = {"http": 80, "https": 443}


class Network:
    """Connection pools by scheme and proxy, made when they are first needed."""

    def __init__(
        self, environ: Mapping[str, str], kinds: Mapping[str, type[urllib3.HTTPConnectionPool]]
    ) -> None:
        self._environ = environ
        self._kinds = kinds
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    def pool(self, url: str) -> urllib3.PoolManager:
        """Return the connections for a URL. Raises PipelineError for a setting of no use."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise no_address(url) from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise no_address(url)
        key = parts.scheme, proxy_for(url, self._environ)
        if key not in self._pools:
            self._pools[key] = self._make(*key)
        return self._pools[key]

    def _make(self, scheme: str, proxy: str) -> urllib3.PoolManager:
        manager = self._manager(scheme, proxy)
        manager.pool_classes_by_scheme = dict(self._kinds)
        return manager

    def _manager(self, scheme: str, proxy: str) -> urllib3.PoolManager:
        # Certificates take a while to read.
        needed = "https" in (scheme, urlsplit(proxy).scheme)
        context = _trust(self._environ) if needed else None
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


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """Return the URL of the proxy that leads to `url`, or an empty text."""
    parts = urlsplit(url)
    exempt = _setting(environ, "no_proxy")
    if exempt and proxy_bypass_environment(parts.netloc.rpartition("@")[2], {"no": exempt}):
        return ""
    proxy = _setting(environ, f"{parts.scheme}_proxy") or _setting(environ, "all_proxy")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def split_user(url: str) -> tuple[str, str]:
    """Return a URL without its user and password, and these, decoded, or an empty text."""
    try:
        parts = urlsplit(url)
    except ValueError:  # refused where the connection is made
        return url, ""
    user, at, host = parts.netloc.rpartition("@")
    return (urlunsplit(parts._replace(netloc=host)), unquote(user)) if at else (url, "")


def origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port as the connection is made to them; None for no address.

    Read by the library that connects: two readers of one address could see different hosts.
    """
    try:
        parts = urllib3.util.parse_url(split_user(url)[0])
        scheme, host = parts.scheme or "", parts.host or ""
        host.strip("[]").encode("idna")
    except (LocationParseError, UnicodeError):
        return None
    if scheme not in _PORTS or not host:
        return None
    return scheme, host, parts.port or _PORTS[scheme]


def joined(base: str, address: str) -> str:
    """Return the address that a server's answer names; empty for what is none of a server."""
    try:
        url = urljoin(base, address)
    except ValueError:
        return ""
    return url if origin(url) else ""


def no_address(url: str) -> PipelineError:
    """Return the error for a text that is no URL of a server."""
    return PipelineError(
        url, "this is no address of a server", "It starts with https:// and a host name."
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
