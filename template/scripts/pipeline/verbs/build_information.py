"""Telling Octopus about a package's build: its commits, its branch, its page."""

from __future__ import annotations

from ..edge.git import Git
from ..edge.machine import Machine
from ..octopus.build_information import MOST_COMMITS, BuildFacts, inform, previous_commit
from ..octopus.client import Octopus
from ..values.buildserver import BuildServer
from ..values.manifest import Manifest
from ..values.remote import browsable

__all__ = ["announce", "build_facts"]

_NO_SERVER = "a developer's machine"


def announce(octopus: Octopus, manifest: Manifest, machine: Machine) -> str:
    """Send the build information of a package and return what was done, in words.

    Raises PipelineError where Octopus refuses it.
    """
    facts = build_facts(manifest, previous_commit(octopus, manifest.package_id), machine)
    if not inform(octopus, facts):
        return "Octopus has it already"
    count = len(facts.commits)
    return f"{count} commit{'' if count == 1 else 's'}, {facts.branch or 'no branch'}"


def build_facts(manifest: Manifest, previous: str, machine: Machine) -> BuildFacts:
    """Return what is known of the build that made a package.

    The commits are those since `previous`, the last one that Octopus knows; where that is
    unknown or of another branch, those since the last version tag.
    """
    server = BuildServer.from_environ(machine.environ)
    git, commit = machine.git, manifest.source.commit or ""
    return BuildFacts(
        package_id=manifest.package_id,
        version=manifest.version,
        environment=server.name or _NO_SERVER,
        number=server.build_number or manifest.version,
        url=server.build_url or "",
        branch=manifest.source.branch or "",
        root=browsable(git.remote() or "") if git else "",
        commit=commit,
        commits=_commits(git, previous, commit) if git and commit else (),
    )


def _commits(git: Git, previous: str, commit: str) -> tuple[tuple[str, str], ...]:
    since = previous
    if not since or not git.is_ancestor(since, commit):
        since = git.tag_before(commit) or ""
    return git.commits(since, commit, MOST_COMMITS)
