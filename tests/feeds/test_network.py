"""The way to a server: proxies, and certificates that are trusted."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.connections import proxy_for
from pipeline.edge.http import Http, Request

from tests.certificates import write_certificate
from tests.feeds.feed_support import echo, http
from tests.standins.loopback import Answer, Fault, Loopback, serving
from tests.standins.proxy import proxying
from tests.words import OPENSSL_SAYS, refused

NOWHERE = "feed.invalid"


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Loopback, Path]]:
    """Run a server behind a certificate that nobody knows, and return the certificate's file."""
    certificate = write_certificate(tmp_path / "ca.pem", NOWHERE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(echo, context) as found:
        yield found, certificate


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_an_http_proxy_is_used(server: Loopback, variable: str) -> None:
    """With its user and password, for a name that only the proxy could know."""
    with proxying(server.url) as proxy:
        environ = {variable: proxy.url.replace("//", "//me:word@")}
        answer = http(environ).request(Request("PUT", f"http://{NOWHERE}/a?b=1", body=b"x"))
        assert answer.body == b"PUT /a?b=1"
        assert proxy.asked == [("PUT", f"http://{NOWHERE}/a?b=1", "Basic bWU6d29yZA==")]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_tls_server_is_reached_through_a_proxy_with_its_own_ca(
    tls: tuple[Loopback, Path], variable: str
) -> None:
    """The proxy sees the host's name and nothing else."""
    server, certificate = tls
    with proxying(server.url) as proxy:
        environ = {"https_proxy": proxy.url, variable: str(certificate)}
        port = server.url.rpartition(":")[2]
        answer = http(environ).request(Request("GET", f"https://{NOWHERE}:{port}/a"))
        assert answer.body == b"GET /a"
        assert [asked[:2] for asked in proxy.asked] == [("CONNECT", f"{NOWHERE}:{port}")]


def test_a_certificate_that_is_not_trusted_is_an_error_at_once(
    tls: tuple[Loopback, Path],
) -> None:
    """With the variables that help; nothing is sent, and nothing is tried again."""
    waits: list[float] = []
    with refused("GET https://127.0.0.1:PORT", PipelineError, OPENSSL_SAYS):
        http(waits=waits).request(Request("GET", tls[0].url))
    assert waits == []
    assert tls[0].asked == []


def test_a_redirect_from_https_to_http_is_not_followed(tls: tuple[Loopback, Path]) -> None:
    """Anybody on the way could change the answer."""
    server, certificate = tls
    with serving(echo) as plain:
        moved = Answer(302, headers={"Location": f"{plain.url}/a"})
        server.faults.append(Fault("GET", answer=moved))
        with refused("GET https://127.0.0.1:PORT", PipelineError):
            http({"SSL_CERT_FILE": str(certificate)}).request(Request("GET", server.url))
        assert plain.asked == []


def test_an_answer_over_tls_has_an_end_too(tls: tuple[Loopback, Path]) -> None:
    """By the same clock."""
    server, certificate = tls
    clock = itertools.count(0.0, 100.0).__next__
    client = Http({"SSL_CERT_FILE": str(certificate)}, clock=clock)
    with refused("GET https://127.0.0.1:PORT", PipelineError):
        client.request(Request("GET", server.url, answer_seconds=50.0))


@pytest.mark.parametrize("content", [None, b"no certificates"])
def test_a_ca_file_of_no_use_is_named(tmp_path: Path, content: bytes | None) -> None:
    """By the variable that names it."""
    path = tmp_path / "ca.pem"
    if content:
        path.write_bytes(content)
    with refused("REQUESTS_CA_BUNDLE=FOLDER/ca.pem", PipelineError, OPENSSL_SAYS):
        http({"REQUESTS_CA_BUNDLE": str(path)}).request(Request("GET", "https://127.0.0.1:9/"))


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("http://a.example/", {"HTTP_PROXY": "p:8080"}, "http://p:8080"),
        ("https://a.example/", {"HTTP_PROXY": "http://p"}, ""),
        ("https://a.example/", {"HTTPS_PROXY": "http://p", "https_proxy": "http://q"}, "http://q"),
        ("https://a.example/", {"ALL_PROXY": "http://p", "NO_PROXY": "b.example"}, "http://p"),
        ("https://a.example/", {"ALL_PROXY": "http://p", "NO_PROXY": ".example"}, ""),
        ("https://a.example:8443/", {"ALL_PROXY": "http://p", "no_proxy": "a.example"}, ""),
        ("https://me:x@a.example/", {"ALL_PROXY": "http://p", "no_proxy": "a.example"}, ""),
        ("https://a.example/", {"ALL_PROXY": "http://p", "NO_PROXY": "*"}, ""),
    ],
)
def test_proxies_are_chosen_as_everywhere(url: str, environ: dict[str, str], proxy: str) -> None:
    """By scheme, the lower case first, and never for what NO_PROXY names."""
    assert proxy_for(url, environ) == proxy


def test_a_proxy_of_another_kind_is_refused() -> None:
    """Instead of a request that goes around it."""
    with refused("proxy", PipelineError):
        http({"ALL_PROXY": "socks5://me:word@p:1080"}).request(Request("GET", "http://a.example/"))
