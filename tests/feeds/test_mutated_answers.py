"""Whatever a NuGet feed answers, a push ends well or with an error that says what to do."""

from __future__ import annotations

import random
import re
import traceback
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.feeds.feed import Feed
from pipeline.feeds.nuget import NugetV2, NugetV3, Source
from pipeline.package.contents import Package

from tests.feeds.feed_support import ID, VERSION, Pusher, http, package
from tests.standins.loopback import Answer, Asked, serving
from tests.standins.mutations import Mutator, mutated, mutated_text
from tests.standins.nuget_v2 import KEY, NugetV2Feed
from tests.standins.nuget_v3 import NugetV3Feed

SEEDS = range(100)


def _changed(body: bytes, chance: random.Random) -> bytes:
    return (mutated if body.startswith(b"{") else mutated_text)(body, chance)


def run(kind: str, mutator: Mutator, ours: Package, theirs: bytes) -> str:
    """Push to a feed that has something, with one answer mutated; return the trace of a bug."""
    content = NugetV2Feed() if kind == "v2" else NugetV3Feed()
    content.packages[(ID.lower(), VERSION)] = theirs

    def handle(asked: Asked) -> Answer:
        try:
            answer = content(asked) or Answer(404)
        except KeyError:  # a version that a mutated answer leads to
            answer = Answer(404)
        return Answer(answer.status, mutator(answer.body), answer.headers)

    with serving(handle) as server:
        try:
            feed: Feed
            if kind == "v2":
                feed = NugetV2(Source(http(), f"{server.url}/nuget", KEY, "user"))
            else:
                feed = NugetV3.open(Source(http(), f"{server.url}/v3/index.json", KEY, "user"))
            Pusher()(feed, ours)
        except PipelineError as error:
            return "" if error.where and error.what and error.then else repr(error)
        except Exception:  # noqa: BLE001 - a bug is what this looks for
            return traceback.format_exc()
    return ""


@pytest.mark.parametrize("kind", [pytest.param("v2", marks=pytest.mark.slow), "v3"])
def test_no_answer_ends_in_a_trace(kind: str, tmp_path: Path) -> None:
    """An index, an entry and a package, each with seeded faults."""
    ours = package(tmp_path)
    theirs = package(tmp_path, text="Another").path.read_bytes()
    whole = Mutator(_changed, 0, 0)
    assert run(kind, whole, ours, theirs) == ""
    for seed in SEEDS:
        bug = run(kind, Mutator(_changed, seed, 1 + seed % whole.count), ours, theirs)
        assert bug == "", f"seed {seed}: {bug}"


@pytest.mark.parametrize("kind", ["v2", "v3"])
def test_an_address_that_is_none_is_an_error(kind: str, tmp_path: Path) -> None:
    """In an index and in an entry: where to push, and where the package's file is."""

    def broken(body: bytes, _chance: random.Random) -> bytes:
        return re.sub(rb'(src="|"@id": ")[^"]*', rb"\1http://[", body)

    assert run(kind, Mutator(broken, 0, 1), package(tmp_path), b"x") == ""
