"""A feed's key stays with the host, port and scheme it was given for, and with hosts named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.urls import without_user
from pipeline.feeds.nuget import NugetV2, NugetV3, Source

from tests.feeds.feed_support import Pusher, http, package
from tests.feeds.push_support import built, repository, run_push
from tests.standins.loopback import Answer, Asked, Loopback, serving
from tests.standins.nuget_v2 import KEY
from tests.standins.nuget_v3 import NugetV3Feed
from tests.words import refused

FEED = "https://Feed.Example/v3/index.json"


@pytest.mark.parametrize(
    ("url", "trusted", "has_key"),
    [
        ("https://feed.example/push", (), True),
        ("HTTPS://FEED.example:443/push", (), True),
        ("https://me:word@feed.example/push", (), True),
        ("http://feed.example/push", (), False),
        ("http://feed.example/push", ("feed.example",), False),
        ("https://feed.example:8443/push", (), False),
        ("https://feed.example:8443/push", ("feed.example",), False),
        ("https://feed.example:8443/push", ("feed.example:8443",), True),
        ("https://feed.example./push", (), False),
        ("https://feed.example.evil.example/push", (), False),
        ("https://feed.example@evil.example/push", (), False),
        # The connection goes to feed.example: what counts is where it goes.
        ("https://evil.example\\@feed.example/push", (), True),
        ("https://evil.example/@feed.example/push", (), False),
        ("https://evil.example?@feed.example/push", (), False),
        ("https://evil.example#@feed.example/push", (), False),
        ("https://push.example/", ("push.example",), True),
        ("https://push.example/", ("other.example", "PUSH.Example:443"), True),
        ("https://xn--bcher-kva.example/", ("bücher.example",), True),
        ("https://sub.push.example/", ("push.example",), False),
        ("https://[::1]:8443/push", ("[::1]:8443",), True),
        ("https://[::1", (), False),
        ("https://feed.example:x/", (), False),
        ("ftp://feed.example/", ("feed.example",), False),
    ],
)
def test_who_may_have_the_key(url: str, trusted: tuple[str, ...], *, has_key: bool) -> None:
    """Its own server in any spelling, and servers named; never what only looks like them."""
    source = Source(http(), FEED, "key", "user", trusted)
    assert source.trusts(url) is has_key
    assert bool(source.headers(url)) is has_key


def test_a_feed_without_tls_may_name_others_without_it() -> None:
    """Where its user trusts them: the key is readable on the way already."""
    trusted = ("push.example:8080",)
    source = Source(http(), "http://feed.example/index.json", "key", trusted=trusted)
    assert source.trusts("http://push.example:8080/")
    assert not source.trusts("http://push.example/")


@pytest.mark.parametrize("user", ["", "user"])
def test_a_key_does_not_go_where_an_index_says(tmp_path: Path, user: str) -> None:
    """The push ends before anything is sent, and says how to allow it; once named it goes on."""
    target, index = NugetV3Feed(), NugetV3Feed()
    with serving(target) as there, serving(index) as here:
        index.push_at = f"{there.url}/v3/push"
        url = f"{here.url}/v3/index.json"
        host = there.url.removeprefix("http://")
        feed = NugetV3.open(Source(http(), url, KEY, user))
        with refused("http://127.0.0.1:PORT/v3/index.json", PipelineError):
            Pusher()(feed, package(tmp_path))
        assert there.asked == []
        feed = NugetV3.open(Source(http(), url, KEY, user, (host,)))
        assert Pusher()(feed, package(tmp_path)).sent
        assert there.methods() == ["PUT"]


@pytest.mark.parametrize("named", ["flag", "setting"])
def test_a_host_is_named_with_a_flag_or_a_setting(tmp_path: Path, named: str) -> None:
    """Where nobody names it, the verb ends with exit code 1 and both ways."""
    target, index = NugetV3Feed(), NugetV3Feed()
    with serving(target) as there, serving(index) as here:
        index.push_at = f"{there.url}/v3/push"
        host = there.url.removeprefix("http://")
        hosts = [host] if named == "setting" else []
        text = f"\n[tool.pipeline.push]\ntrust-hosts = {json.dumps(hosts)}\n"
        root = repository(tmp_path / "greeter", text)
        built(root, tmp_path / "a.nupkg")
        flags = ["--trust-host", "x.example", f"--trust-host={host}"] if named == "flag" else []
        words = ("../a.nupkg", "--feed", f"{here.url}/v3/index.json")
        done = run_push(root, *words, *flags, environ={"NUGET_API_KEY": KEY})
        assert done.returncode == 0, done.stderr
        if named == "flag":
            done = run_push(root, *words, environ={"NUGET_API_KEY": KEY})
            assert len(target.packages) == 1
            assert run_push(root, *words, "--trust-host", "https://x").returncode == 2


def test_a_password_does_not_follow_an_entry(tmp_path: Path) -> None:
    """A v2 entry may lead to a file on any host."""

    def entry(asked: Asked) -> Answer:
        src = f'<content src="{there.url}/file"/>' if "Packages" in asked.path else ""
        atom = "http://www.w3.org/2005/Atom"
        return Answer(200, f'<entry xmlns="{atom}">{src}</entry>'.encode())

    with serving(lambda _: Answer(404)) as there, serving(entry) as here:
        NugetV2(Source(http(), f"{here.url}/nuget", KEY, "user")).find(package(tmp_path))
        assert "authorization" in here.asked[0].headers
        assert [asked.headers.get("authorization") for asked in there.asked] == [None]


def test_an_address_is_shown_without_its_user(
    v3: NugetV3Feed, v3_server: Loopback, tmp_path: Path
) -> None:
    """A feed's name, and what its index says, in messages."""
    v3.push_at = "https://me:hidden@elsewhere.example/push"
    url = f"{v3_server.url}/v3/index.json".replace("//", "//me:hidden@")
    feed = NugetV3.open(Source(http(), url, KEY))
    assert feed.name == without_user(url)
    with refused("http://127.0.0.1:PORT/v3/index.json", PipelineError) as caught:
        feed.send(package(tmp_path), lambda _done, _total: None)
    assert "hidden" not in str(caught.value)
