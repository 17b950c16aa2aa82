"""Build information: which commits, where they can be read, and how Octopus gets it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.manifest import Manifest, Source
from pipeline.edge.git import Git
from pipeline.octopus.build_information import build_document, send_build_information
from pipeline.octopus.client import Access, Octopus, connect

from tests.feeds.feed_support import http
from tests.feeds.push_support import PASSWORD, SUBJECTS, facts, repository
from tests.repositories import git
from tests.standins.octopus_server import KEY, OctopusServer

JENKINS = {
    "JENKINS_URL": "https://jenkins.example/",
    "BUILD_NUMBER": "7",
    "BUILD_URL": "https://jenkins.example/job/greeter/7/",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository; it is only read."""
    return repository(tmp_path_factory.mktemp("information") / "greeter")


@pytest.fixture(params=["Pascal", "camel"])
def server(request: pytest.FixtureRequest) -> Iterator[OctopusServer]:
    """Run a server of either casing, below a path."""
    with OctopusServer(base="/octo", casing=request.param) as running:
        yield running
    assert running.unknown == []


def connected(server: OctopusServer) -> Octopus:
    """Return the server's default space."""
    return connect(http(), Access(server.url, KEY), print)


def build_of(
    made: Manifest, previous: str, root: Path, environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what is known of a package's build in a folder."""
    return build_document(made, previous, Git.at(root), environ or {})


def subjects(found: Mapping[str, Any]) -> list[str]:
    """Return the commits' first lines, the newest first."""
    return [commit["Comment"] for commit in found["Commits"]]


def test_a_build_server_is_described(root: Path) -> None:
    """Number, page, branch and commit; the repository without its password."""
    found = build_of(facts(root), "", root, JENKINS)
    assert (found["BuildEnvironment"], found["BuildNumber"]) == ("Jenkins", "7")
    assert found["BuildUrl"] == "https://jenkins.example/job/greeter/7/"
    assert found["VcsRoot"] == "https://git.acme.example/team/greeter"
    assert found["VcsCommitNumber"] == git(root, "rev-parse", "HEAD").strip()
    assert PASSWORD not in str(found)


def test_without_a_server_the_number_is_the_version(root: Path) -> None:
    """And what is not known is left out of the document."""
    document = build_of(facts(root), "", root)
    assert document["BuildNumber"] == "2.0.7"
    assert document["BuildEnvironment"] == "a developer's machine"
    assert "BuildUrl" not in document
    assert document["VcsType"] == "Git"


def test_the_commits_are_those_since_the_last_tag(root: Path) -> None:
    """Where Octopus knows no earlier build; their first lines alone."""
    assert subjects(build_of(facts(root), "", root)) == ["Fourth", "Third"]


def test_a_tagged_commit_has_the_commits_since_the_tag_before(root: Path) -> None:
    """The release itself is not empty; without any tag before it, it is everything."""
    found = build_of(facts(root, "v2.0"), "", root)
    assert subjects(found) == [SUBJECTS[1], SUBJECTS[0]]


def test_the_commits_are_those_since_the_build_that_octopus_knows(root: Path) -> None:
    """A tag does not count then; the same commit again has none."""
    for revision, expected in (("HEAD~1", 1), ("HEAD~3", 3), ("HEAD", 0)):
        previous = git(root, "rev-parse", revision).strip()
        assert len(build_of(facts(root), previous, root)["Commits"]) == expected


def test_a_commit_that_is_not_here_has_no_commits(root: Path, tmp_path: Path) -> None:
    """A package from elsewhere, or no repository at all: what the manifest says is sent."""
    made = replace(facts(root), source=Source("e" * 40, "main", dirty=False))
    assert build_of(made, "", root)["Commits"] == []
    nowhere = build_of(made, "", tmp_path)
    assert (nowhere["VcsCommitNumber"], nowhere["Commits"]) == (made.source.commit, [])
    assert "VcsRoot" not in nowhere


def test_octopus_gets_it_once(root: Path, server: OctopusServer) -> None:
    """A second time it is there already, and stays as it is; the next build starts from it."""
    octopus, made = connected(server), facts(root, "HEAD~1")
    assert send_build_information(octopus, made, Git.at(root), {}) == "1 commit, main"
    again = send_build_information(octopus, made, Git.at(root), JENKINS)
    assert again == "Octopus has it already"
    (kept,) = server.space.build_information.values()
    assert kept["BuildEnvironment"] == "a developer's machine"
    assert kept["Commits"][0]["Comment"] == "Third"
    (sent, _) = server.posted("/build-information")
    assert sent["OverwriteMode"] == "FailIfExists"
