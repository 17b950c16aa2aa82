"""Telling Octopus about a package's build: its commits, branch and page, and a release's notes."""

from __future__ import annotations

import re

from ..core.manifest import Manifest
from ..core.names import FULL_COMMIT
from ..edge.git import Git
from ..edge.http import HttpError
from ..edge.machine import Machine
from ..project.buildserver import BuildServer
from ..project.web_address import web_url
from .build_information import MOST_COMMITS, BuildFacts, inform, previous_commit
from .client import Octopus, items, text

_NO_SERVER = "a developer's machine"
_LOOKED_AT = 30


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
        root=web_url(git.remote() or "") if git else "",
        commit=commit,
        commits=_commits(git, previous, commit) if git and commit else (),
    )


def release_notes(octopus: Octopus, manifest: Manifest, machine: Machine) -> str:
    """Return a release's notes as Markdown: the commits since the version that Octopus knows.

    Where no commits are known they say where the package came from.
    """
    facts = build_facts(manifest, _commit_before(octopus, manifest, machine), machine)
    commit = f"{facts.branch or 'no branch'} at {facts.commit[:7]}" if facts.commit else ""
    head = f"{manifest.package_id} {manifest.version}" + (f", {commit}" if commit else "")
    if facts.url:
        head += f", [build {facts.number}]({facts.url})"
    lines = [f"- {_escaped(subject)} ({sha[:7]})" for sha, subject in facts.commits]
    return "\n".join([f"{head}.", *([""] if lines else []), *lines])


def _commit_before(octopus: Octopus, manifest: Manifest, machine: Machine) -> str:
    """Return the commit of another version's build that this one's commit comes after, or ""."""
    git, commit = machine.git, manifest.source.commit
    if git is None or not commit:
        return ""
    try:
        page = octopus.get("build-information", packageId=manifest.package_id, take=_LOOKED_AT)
    except HttpError:
        # Servers from before 2019.10 know no build information, and some keys may not read it.
        return ""
    for item in items(page):
        before = text(item, "VcsCommitNumber")
        other = text(item, "Version") != manifest.version and before != commit
        if other and FULL_COMMIT.fullmatch(before) and git.is_ancestor(before, commit):
            return before
    return ""


def _escaped(subject: str) -> str:
    """Keep what means something in Markdown, or to Octopus's own templates, from meaning it."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", subject).replace("#{", "# {")


def _commits(git: Git, previous: str, commit: str) -> tuple[tuple[str, str], ...]:
    since = previous
    if not since or not git.is_ancestor(since, commit):
        since = git.tag_before(commit) or ""
    return git.commits(since, commit, MOST_COMMITS)
