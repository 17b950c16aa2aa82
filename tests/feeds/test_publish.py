"""Publishing: once, never over another package, and never twice, whatever breaks on the way."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.core.errors import Conflict, PipelineError
from pipeline.core.events import Progressed
from pipeline.edge.http import HttpError, NoAnswerError
from pipeline.feeds.feed import ABSENT, SAME
from pipeline.feeds.nuget import NugetV2, NugetV3, Source
from pipeline.package.contents import Package

from tests.feeds.feed_support import Pusher, http, package
from tests.feeds.places import KINDS, SERVERS, Place, place
from tests.standins.loopback import Answer, Fault, Loopback
from tests.standins.nuget_v2 import KEY, NugetV2Feed
from tests.standins.nuget_v3 import NugetV3Feed
from tests.words import assert_said, refused


@pytest.fixture(params=KINDS)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Run each kind of feed."""
    with place(request.param, tmp_path / "feed") as found:
        yield found


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Run each kind of feed that is behind a connection."""
    with place(request.param, tmp_path / "feed") as found:
        yield found


@pytest.fixture
def made(tmp_path: Path) -> Package:
    """Return a package."""
    return package(tmp_path / "made", b"ours")


def signed(made: Package) -> bytes:
    """Return a package's bytes as a feed that signs and compresses anew would give them back."""
    target = made.path.with_suffix(".signed")
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(target, "w") as copy:
        for info in reversed(source.infolist()):
            copy.writestr(info.filename, source.read(info), zipfile.ZIP_DEFLATED, 9)
        copy.writestr(".signature.p7s", b"a signature")
    return target.read_bytes()


def test_a_package_arrives_and_the_same_one_is_not_sent_again(
    anywhere: Place, made: Package
) -> None:
    """Every byte of it; the second push is a success that says so and sends nothing."""
    assert Pusher()(anywhere.feed, made).sent
    assert anywhere.stored() == [made.path.read_bytes()]
    pushes = anywhere.pushes()
    again = Pusher()(anywhere.feed, made)
    assert (again.sent, again.warning) == (False, "")
    assert anywhere.pushes() == pushes


@pytest.mark.parametrize("skip", [True, False])
def test_another_package_under_the_same_version_is_refused(
    anywhere: Place, made: Package, tmp_path: Path, *, skip: bool
) -> None:
    """With what differs, before anything is sent, and whatever --skip-duplicate says."""
    before = package(tmp_path / "made", b"theirs").path.read_bytes()
    anywhere.put(before)
    with refused("push Acme.Sample 2.0.7", Conflict):
        Pusher()(anywhere.feed, made, skip_duplicate=skip)
    assert anywhere.stored() == [before]
    assert anywhere.pushes() == 0


def test_a_package_that_the_feed_has_written_anew_is_the_same(
    anywhere: Place, made: Package
) -> None:
    """A signature and other compression do not make it another package."""
    anywhere.put(signed(made))
    assert not Pusher()(anywhere.feed, made).sent
    assert anywhere.pushes() == 0


def test_other_metadata_makes_another_package(
    anywhere: Place, made: Package, tmp_path: Path
) -> None:
    """The nuspec counts too: it is what feeds show."""
    anywhere.put(package(tmp_path / "made", b"ours", text="Another text").path.read_bytes())
    with refused("push Acme.Sample 2.0.7", Conflict):
        Pusher()(anywhere.feed, made)


def test_a_damaged_file_in_the_feed_is_another_package(anywhere: Place, made: Package) -> None:
    """A push must not end well because nobody could read what is there."""
    anywhere.put(made.path.read_bytes()[:-30])
    with refused("push Acme.Sample 2.0.7", Conflict):
        Pusher()(anywhere.feed, made)


def test_a_lost_answer_is_not_a_second_push(server: Place, made: Package) -> None:
    """The package is there: that is found out by looking, and said."""
    server.lose()
    done = Pusher()(server.feed, made)
    assert (done.sent, server.pushes()) == (True, 1)
    assert_said(done.warning)


def test_the_last_answer_may_be_lost_too(server: Place, made: Package) -> None:
    """Two attempts that do not arrive, and a third that does: it is there."""
    server.drop(2)
    server.lose()
    pusher = Pusher()
    done = pusher(server.feed, made)
    assert (done.sent, server.pushes()) == (True, 3)
    assert_said(done.warning)
    said = [event.text for event in pusher.events if isinstance(event, Progressed)]
    assert len([text for text in said if "sending it again" in text]) == 2


def test_a_connection_that_breaks_in_the_middle_is_tried_again(
    server: Place, tmp_path: Path
) -> None:
    """After a look that found nothing there; whole, and with the progress starting again."""
    large = package(tmp_path / "made", bytes(3_000_000))
    server.drop(2)
    pusher = Pusher()
    assert pusher(server.feed, large).sent
    assert server.pushes() == 3
    assert server.stored() == [large.path.read_bytes()]
    assert pusher.progress[-1] == (large.size, large.size)


def test_a_connection_that_always_breaks_is_given_up(server: Place, made: Package) -> None:
    """After three attempts, and with the reason."""
    server.drop(5)
    with refused(None, NoAnswerError):
        Pusher()(server.feed, made)
    assert server.pushes() == 3
    assert server.stored() == []


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_gives_up_is_like_a_broken_connection(
    server: Place, made: Package, status: int
) -> None:
    """Look first, then send again."""
    server.fail(status, False)  # noqa: FBT003
    assert Pusher()(server.feed, made).sent
    assert server.pushes() == 2


@pytest.mark.parametrize("status", [400, 500])
def test_an_error_although_the_package_was_taken_is_a_warning(
    v2: NugetV2Feed, v2_server: Loopback, made: Package, status: int
) -> None:
    """Octopus once answered with the error of a release that a push had started."""
    fault = Fault("PUT", answer=Answer(status, b'{"ErrorMessage":"Release"}'), handled=True)
    v2_server.faults.append(fault)
    done = Pusher()(NugetV2(Source(http(), f"{v2_server.url}/nuget", KEY)), made)
    assert (done.sent, len(v2.packages)) == (True, 1)
    assert f"status {status}" in done.warning
    assert "Release" in done.warning


def test_an_error_of_the_server_is_an_error_in_its_words(server: Place, made: Package) -> None:
    """Without a second attempt, when the package is not there."""
    server.fail(500, False)  # noqa: FBT003
    with refused(None, HttpError):
        Pusher()(server.feed, made)
    assert server.pushes() == 1


@pytest.mark.parametrize("protocol", ["v2", "v3"])
def test_a_version_that_cannot_be_compared_is_refused_or_accepted_on_request(
    protocol: str, request: pytest.FixtureRequest, made: Package
) -> None:
    """A feed that takes packages and shows none: 409 is an error that says so."""
    content: NugetV2Feed | NugetV3Feed = request.getfixturevalue(protocol)
    server: Loopback = request.getfixturevalue(f"{protocol}_server")
    content.readable = False
    feed = _opened(protocol, server)
    assert Pusher()(feed, made).sent
    with refused("push Acme.Sample 2.0.7", Conflict):
        Pusher()(feed, made)
    accepted = Pusher()(feed, made, skip_duplicate=True)
    assert not accepted.sent
    assert_said(accepted.warning)
    server.faults.append(Fault("PUT", drop="after"))
    with refused("push Acme.Sample 2.0.7", PipelineError):
        Pusher()(feed, made)


def test_a_server_that_would_replace_is_not_asked_to(
    v2: NugetV2Feed, v2_server: Loopback, made: Package, tmp_path: Path
) -> None:
    """Some feeds are set up to overwrite: looking first is what keeps a version what it is."""
    v2.replaces = True
    feed = NugetV2(Source(http(), f"{v2_server.url}/nuget", KEY))
    Pusher()(feed, made)
    with refused("push Acme.Sample 2.0.7", Conflict):
        Pusher()(feed, package(tmp_path / "made", b"another"))
    assert list(v2.packages.values()) == [made.path.read_bytes()]


def test_a_v2_feed_may_answer_with_a_feed(
    v2: NugetV2Feed, v2_server: Loopback, made: Package, tmp_path: Path
) -> None:
    """An empty one, one of other versions, and one with the version that is asked for."""
    v2.answers_feeds = True
    feed = NugetV2(Source(http(), f"{v2_server.url}/nuget", KEY))
    assert feed.find(made) == ABSENT
    Pusher()(feed, package(tmp_path / "made", b"older", version="2.0.6"))
    assert feed.find(made) == ABSENT
    Pusher()(feed, made)
    assert feed.find(made) == SAME


def test_a_v2_source_without_a_path_is_a_gallery(
    v2: NugetV2Feed, v2_server: Loopback, made: Package
) -> None:
    """Packages go to /api/v2/package, and they are read below /api/v2."""
    v2.base = ""
    feed = NugetV2(Source(http(), v2_server.url, KEY))
    Pusher()(feed, made)
    assert feed.find(made) == SAME


@pytest.mark.parametrize(("base", "leads_to"), [("/nuget", "/feeds/team"), ("", "/")])
def test_a_v2_feed_is_read_where_its_source_leads(
    v2: NugetV2Feed, v2_server: Loopback, made: Package, base: str, leads_to: str
) -> None:
    """As nuget.exe does; a feed that replaces would take another package otherwise."""
    v2.base, v2.moved = base, leads_to
    feed = NugetV2(Source(http(), f"{v2_server.url}{base}", KEY))
    Pusher()(feed, made)
    assert feed.find(made) == SAME


def test_a_v3_index_may_have_versioned_types(
    v3: NugetV3Feed, v3_server: Loopback, made: Package
) -> None:
    """NuGet.Protocol's ServiceTypes.cs has them before the ones with a number."""
    v3.types = ("PackagePublish/Versioned", "PackageBaseAddress/Versioned")
    feed = _opened("v3", v3_server)
    assert Pusher()(feed, made).sent
    assert feed.find(made) == SAME


def test_a_v3_file_is_read_through_a_redirect(
    v3: NugetV3Feed, v3_server: Loopback, tmp_path: Path
) -> None:
    """By lower-case id and normalised version, as v3 spells them."""
    v3.redirects = True
    odd = package(tmp_path / "made", b"x", version="02.00.7.0")
    feed = _opened("v3", v3_server)
    assert Pusher()(feed, odd).sent
    assert feed.find(odd) == SAME
    assert (
        v3_server.asked[-1].path == "/elsewhere/v3/flat/acme.sample/2.0.7/acme.sample.2.0.7.nupkg"
    )


@pytest.mark.parametrize("key", ["", "a-wrong-key"])
@pytest.mark.parametrize("protocol", ["v2", "v3"])
def test_a_key_that_is_not_taken_says_which_variable_to_set(
    protocol: str, key: str, request: pytest.FixtureRequest, made: Package
) -> None:
    """And does not show the key."""
    feed = _opened(protocol, request.getfixturevalue(f"{protocol}_server"), key)
    with refused(None, PipelineError) as caught:
        Pusher()(feed, made)
    assert "a-wrong-key" not in str(caught.value)


def test_an_index_that_takes_no_packages_is_refused(v3_server: Loopback) -> None:
    """With the resource that it lacks and those that it has."""
    other = Answer(200, b'{"resources": [{"@id": "x", "@type": "SearchQueryService"}]}')
    v3_server.faults.append(Fault("GET", answer=other))
    with refused("http://127.0.0.1:PORT/v3/index.json", PipelineError):
        _opened("v3", v3_server)


def _opened(protocol: str, server: Loopback, key: str = KEY) -> NugetV2 | NugetV3:
    if protocol == "v2":
        return NugetV2(Source(http(), f"{server.url}/nuget", key))
    return NugetV3.open(Source(http(), f"{server.url}/v3/index.json", key))


def test_a_user_makes_the_key_a_password_for_its_own_host_alone(
    v3_server: Loopback, made: Package
) -> None:
    """Some hosts want basic authentication for reading and pushing; storage elsewhere does not."""
    source = Source(http(), f"{v3_server.url}/v3/index.json", KEY, "me")
    assert Pusher()(NugetV3.open(source), made).sent
    assert len(v3_server.asked) == 3
    for asked in v3_server.asked:
        assert asked.headers["authorization"] == "Basic bWU6a2V5LW9mLXRoZS1mZWVk"
    assert source.headers("https://storage.example/v3/file") == {}
