"""Release notes: the commits since the version of the package that Octopus knows before this."""

from __future__ import annotations

import re

from ..edge.http import HttpError
from ..edge.machine import Machine
from ..octopus.client import Octopus
from ..octopus.document import read, text
from ..values.manifest import Manifest
from .build_information import build_facts

__all__ = ["release_notes"]

_SHA = re.compile(r"[0-9a-f]{40,64}\Z")
_LOOKED_AT = 30


def release_notes(octopus: Octopus, manifest: Manifest, machine: Machine) -> str:
    """Return the notes as Markdown; where no commits are known, where the package came from."""
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
    for item in read(page, "Items", []):
        before = text(item, "VcsCommitNumber")
        other = text(item, "Version") != manifest.version and before != commit
        if other and _SHA.match(before) and git.is_ancestor(before, commit):
            return before
    return ""


def _escaped(subject: str) -> str:
    """Keep what means something in Markdown, or to Octopus's own templates, from meaning it."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", subject).replace("#{", "# {")
