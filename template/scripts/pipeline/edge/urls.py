"""Addresses of servers: their parts, and the form that may be shown."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ..core.errors import PipelineError

_PORTS = {"http": 80, "https": 443}


def split_user(url: str) -> tuple[str, str]:
    """Return a URL without its user and password, and these, decoded, or an empty text."""
    try:
        parts = urlsplit(url)
    except ValueError:  # refused where the connection is made
        return url, ""
    user, at, host = parts.netloc.rpartition("@")
    return (urlunsplit(parts._replace(netloc=host)), unquote(user)) if at else (url, "")


def without_user(url: str) -> str:
    """Return a URL without the user and password in it, to be shown."""
    return split_user(url)[0]


def origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port as the connection is made to them; None for no address.

    Read with the library that connects: another parser could see another host.
    """
    try:
        parts = parse_url(split_user(url)[0])
        scheme, host = parts.scheme or "", parts.host or ""
        host.strip("[]").encode("idna")
    except (LocationParseError, UnicodeError):
        return None
    if scheme not in _PORTS or not host:
        return None
    return scheme, host, parts.port or _PORTS[scheme]


def joined(base: str, address: str) -> str:
    """Return the absolute form of an address in a server's answer; empty where it has no server."""
    try:
        url = urljoin(base, address)
    except ValueError:
        return ""
    return url if origin(url) else ""


def plain_http_host(url: str) -> str:
    """Return the host that a URL reaches over unencrypted http, "" for https and this machine."""
    scheme, host, _port = origin(url) or ("", "", 0)
    try:
        is_here = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_here = host == "localhost"
    return host if scheme == "http" and not is_here else ""


def no_address(url: str) -> PipelineError:
    """Return the error for a text that is no URL of a server."""
    return PipelineError(
        url, "this is no address of a server", "It starts with https:// and a host name."
    )
