"""The built-in feed's answers beyond the usual ones: other statuses, casings, hashes, rights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from pipeline.core.errors import Conflict
from pipeline.edge.http import HttpError
from pipeline.feeds.builtin import BuiltInFeed
from pipeline.feeds.feed import SAME
from pipeline.package.contents import Package

from tests.feeds.feed_support import Pusher, http, package
from tests.standins.loopback import Answer, Asked, serving
from tests.words import refused

ABSENT = Answer(404, b'{"ErrorMessage": "The resource was not found."}')
# The text: api-client.ts packageRepository.test.ts.
EXISTS = "A package with the same name and version already exists and overwriting is off."


@dataclass
class Feed:
    """The answers that a push may ask for: to itself, and to a look at the package's file."""

    push: Answer
    file: Answer = ABSENT

    def __call__(self, asked: Asked) -> Answer | None:
        """Answer a request."""
        assert asked.headers["x-octopus-apikey"] == "API-KEY"
        name = "Acme.Sample.2.0.7"
        # Paths: Octopus's docs, "Download package from built-in feed" and "Push package".
        return {
            ("POST", "/api/Spaces-1/packages/raw?overwriteMode=FailIfExists"): self.push,
            ("GET", f"/api/Spaces-1/packages/{name}/raw"): self.file,
        }.get((asked.method, asked.path))


@pytest.fixture
def made(tmp_path: Path) -> Package:
    """Return a package."""
    return package(tmp_path / "made", b"ours")


def feed_at(url: str) -> BuiltInFeed:
    """Return the feed of a server."""
    return BuiltInFeed(http(), f"{url}/api/Spaces-1", {"X-Octopus-ApiKey": "API-KEY"})


def document(**properties: str) -> bytes:
    """Return a JSON document."""
    return json.dumps(properties).encode()


def test_a_package_that_the_server_kept_is_compared(made: Package) -> None:
    """200 means that a file was there: only a look at it tells whether it is the same one."""
    with (
        serving(Feed(Answer(200, document(Hash="00" * 20)))) as server,
        refused("push Acme.Sample 2.0.7", Conflict),
    ):
        Pusher()(feed_at(server.url), made)


@pytest.mark.parametrize("key", ["ErrorMessage", "errorMessage"])
@pytest.mark.parametrize("status", [400, 409])
def test_a_version_that_is_there_is_known_by_status_or_words(
    made: Package, status: int, key: str
) -> None:
    """In either casing; a server that shows nothing cannot be compared with."""
    with serving(Feed(Answer(status, document(**{key: EXISTS})))) as server:
        with refused("push Acme.Sample 2.0.7", Conflict):
            Pusher()(feed_at(server.url), made)
        done = Pusher()(feed_at(server.url), made, skip_duplicate=True)
        assert (done.sent, "could not be compared" in done.warning) == (False, True)


def test_another_refusal_is_told_in_the_servers_words(made: Package) -> None:
    """400 is not always a version that is there."""
    refusal = json.dumps({"ErrorMessage": "A problem.", "Errors": ["The feed is full."]}).encode()
    with (
        serving(Feed(Answer(400, refusal))) as server,
        refused(
            "POST http://127.0.0.1:PORT/api/Spaces-1/packages/raw?overwriteMode=FailIfExists",
            HttpError,
        ),
    ):
        Pusher()(feed_at(server.url), made)


def test_a_key_that_may_only_push_is_enough(made: Package) -> None:
    """The role "Package Publisher" may not look: the first push goes through all the same."""
    forbidden = Answer(403, document(ErrorMessage="You do not have permission"))
    with serving(Feed(Answer(201), forbidden)) as server:
        assert Pusher()(feed_at(server.url), made).sent
    there = Feed(Answer(409), forbidden)
    with serving(there) as server, refused("push Acme.Sample 2.0.7", Conflict):
        Pusher()(feed_at(server.url), made)


def test_a_package_that_is_there_is_compared_by_its_file(made: Package) -> None:
    """Its resource has no hash: the REST reference, packages.md."""
    file = Answer(200, made.path.read_bytes())
    with serving(Feed(ABSENT, file)) as server:
        assert feed_at(server.url).find(made) == SAME
