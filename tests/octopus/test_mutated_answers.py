"""Whatever Octopus answers, a verb ends well or with an error that says what to do."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http
from pipeline.feeds.builtin import BuiltInFeed
from pipeline.octopus.build_information import send_build_information
from pipeline.octopus.client import Access
from pipeline.octopus.waiting import Patience
from pipeline.package.contents import Package
from pipeline.verbs.release import OctopusOptions, release

from tests.octopus.octopus_support import (
    Clock,
    Events,
    Release,
    Verbs,
    built,
    opened,
    orders,
    project_in,
)
from tests.project.values_support import machine
from tests.standins.mutations import Mutator, mutated
from tests.standins.octopus_server import KEY, OctopusServer
from tests.standins.octopus_state import State

SEEDS = range(28)  # no act asks more often, so that each answer is a wrong one once
Act = Callable[[OctopusServer, Clock, Path], None]


def _release(server: OctopusServer, clock: Clock, folder: Path) -> None:
    patience = Patience(seconds=60.0, clock=clock, sleep=clock.sleep)
    options = OctopusOptions(
        Access(server.url, KEY), environments=("CI", "Staging"), patience=patience
    )
    release(project_in(folder), str(built(folder)), options, machine(folder), Events().reporter)


def _environments(server: OctopusServer, _clock: Clock, folder: Path) -> None:
    verbs = Verbs(server, folder, Events())
    verbs.create("Test-1")
    verbs.listed()
    verbs.reap()
    verbs.delete("Test-1")


def _feed(server: OctopusServer, clock: Clock, folder: Path) -> None:
    octopus = opened(server, clock)
    package = Package.open(built(folder))
    feed = BuiltInFeed(Http({}, sleep=clock.sleep), octopus.api, octopus.access.headers)
    feed.find(package)
    feed.send(package, lambda _done, _total: None)
    feed.find(_of_version(package, "2.0.7"))
    send_build_information(octopus, package.own_manifest(), None, {})


def _of_version(package: Package, version: str) -> Package:
    nuspec = package.listing.nuspec
    children = tuple(
        replace(item, text=version) if item.name == "version" else item
        for item in nuspec.metadata.children
    )
    metadata = replace(nuspec.metadata, children=children)
    listing = replace(package.listing, nuspec=replace(nuspec, metadata=metadata))
    return replace(package, listing=listing)


ACTS: dict[str, Act] = {"release": _release, "environments": _environments, "feed": _feed}


def run(act: Act, mutator: Mutator, folder: Path, old: bool) -> tuple[str, list[str]]:
    """Do something with one answer mutated; return the trace of a bug, and strange requests."""
    clock = Clock()
    state = State(clock)
    if old:
        state.version = "2020.1.0"
    with OctopusServer(state) as server:
        space = orders(server)
        space.files["packages-Acme.Orders.2.0.7"] = b"another one"
        server.distort = mutator
        try:
            act(server, clock, folder)
        except PipelineError as error:
            bug = "" if error.where and error.what and error.then else repr(error)
            return bug, server.unknown
        except Exception:  # noqa: BLE001 - a bug is what this looks for
            return traceback.format_exc(), server.unknown
        return "", server.unknown


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"DeploymentServerTasks": [{}]}'])
def test_a_deployment_without_a_task_is_not_started_twice(
    server: OctopusServer, release: Release, answer: bytes
) -> None:
    """The answer does not say which task it is: the one that is there now is found and followed."""
    orders(server)
    server.distort = lambda body: answer if b"DeploymentServerTasks" in body else body
    assert release("CI").deployed == ("CI",)
    assert len(server.space.deployments) == 1


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("name", ACTS)
def test_no_answer_ends_in_a_trace(name: str, tmp_path: Path, *, old: bool) -> None:
    """One answer after the other, with seeded faults; and nothing is asked that is no resource."""
    whole = Mutator(mutated, 0, 0)
    assert run(ACTS[name], whole, tmp_path, old) == ("", [])
    assert whole.count <= len(SEEDS)
    for seed in SEEDS:
        at = 1 + seed % whole.count
        bug, strange = run(ACTS[name], Mutator(mutated, seed, at), tmp_path, old)
        assert not bug, f"seed {seed}, answer {at}: {bug}"
        assert strange == [], f"seed {seed}, answer {at}"
