"""Release notes: the commits since the version before, as Octopus knows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pipeline.core.manifest import Manifest, Source
from pipeline.edge.git import Git
from pipeline.octopus.build_information import release_notes, send_build_information
from pipeline.package.contents import Package

from tests.octopus.octopus_support import Clock, built, opened
from tests.repositories import commit_all, git
from tests.standins.octopus_server import Fault, OctopusServer

SUBJECTS = ("Start", "Add a *queue*", "Use #{Queue}")


@pytest.fixture
def commits(tmp_path: Path) -> list[str]:
    """Return the commits of a small history, the oldest first."""
    git(tmp_path, "init", "--quiet")
    made = []
    for subject in SUBJECTS:
        commit_all(tmp_path, subject)
        made.append(git(tmp_path, "rev-parse", "HEAD").strip())
    return made


def manifest_at(folder: Path, commit: str | None) -> Manifest:
    """Return the manifest of version 2.0.7, built from a commit."""
    found = Package.open(built(folder)).own_manifest()
    return replace(found, source=Source(commit, "main", dirty=False))


def known(server: OctopusServer, clock: Clock, folder: Path, version: str, commit: str) -> None:
    """Let Octopus know of a version's build."""
    made = replace(manifest_at(folder, commit), version=version)
    send_build_information(opened(server, clock), made, None, {})


def test_the_commits_since_the_version_before_are_listed(
    server: OctopusServer, clock: Clock, tmp_path: Path, commits: list[str]
) -> None:
    """The build's own information, sent just now, does not count; markup is kept from acting."""
    known(server, clock, tmp_path, "2.0.6", commits[0])
    known(server, clock, tmp_path, "2.0.7", commits[2])
    notes = release_notes(
        opened(server, clock), manifest_at(tmp_path, commits[2]), Git.at(tmp_path), {}
    )
    assert notes.splitlines() == [
        f"Acme.Orders 2.0.7, main at {commits[2][:7]}.",
        "",
        f"- Use # {{Queue}} ({commits[2][:7]})",
        f"- Add a \\*queue\\* ({commits[1][:7]})",
    ]


def test_a_version_of_another_history_does_not_count(
    server: OctopusServer, clock: Clock, tmp_path: Path, commits: list[str]
) -> None:
    """A commit that is not in this one's past is passed over; without one, all are listed."""
    known(server, clock, tmp_path, "2.0.6", commits[0])
    known(server, clock, tmp_path, "3.0.0", "b" * 40)
    octopus = opened(server, clock)
    after = release_notes(octopus, manifest_at(tmp_path, commits[2]), Git.at(tmp_path), {})
    assert len(after.splitlines()) == 4
    server.space.build_information.clear()
    first = release_notes(octopus, manifest_at(tmp_path, commits[2]), Git.at(tmp_path), {})
    assert len(first.splitlines()) == 5


def test_notes_never_fail_a_release(
    server: OctopusServer, clock: Clock, tmp_path: Path, commits: list[str]
) -> None:
    """A server that knows no build information, a package without a commit, a build's page."""
    server.faults.append(Fault("GET .*/build-information", 404))
    octopus = opened(server, clock)
    assert "Start" in release_notes(
        octopus, manifest_at(tmp_path, commits[2]), Git.at(tmp_path), {}
    )
    environ = {
        "TEAMCITY_VERSION": "2026.1", "BUILD_NUMBER": "7", "BUILD_URL": "https://ci.example/7",
    }  # fmt: skip
    notes = release_notes(octopus, manifest_at(tmp_path, None), Git.at(tmp_path), environ)
    assert notes == "Acme.Orders 2.0.7, [build 7](https://ci.example/7)."
