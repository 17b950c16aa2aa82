"""A release: a commit whose subject is `Release vX.Y.Z`, with the changelog's section to it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import doctor
import yaml
from pipeline.core.errors import PipelineError, UsageError
from pipeline.core.events import Reporter
from pipeline.core.text import few
from pipeline.edge.git import Git
from pipeline.edge.shell import run

from .manifest import MANIFEST, check_manifest, digest_of, manifest_text

_VERSION = re.compile(r"v([0-9]+)\.([0-9]+)\.([0-9]+)\Z")
_RELEASED = re.compile(r"^([0-9a-f]{40,}) Release (v([0-9]+)\.([0-9]+)\.([0-9]+))$", re.MULTILINE)
_UNRELEASED = "## Unreleased"


class Released(NamedTuple):
    """A release: its name, its numbers, and its commit."""

    name: str
    numbers: tuple[int, ...]
    commit: str


def make_release(root: Path, version: str, reporter: Reporter, suite: Callable[[], object]) -> None:
    """Date the changelog's unreleased section, commit it, and tag the commit.

    The section begins with the manifest's digest, which a reviewer of an update compares. Refuses a
    version that is not `vX.Y.Z` or not above the last release, a dirty tree, a manifest that does
    not fit the files, what repositories of earlier releases could not be updated to, and an empty
    section. `suite` runs the tests last, and raises where one fails.
    """
    asked = _VERSION.match(version)
    if asked is None:
        raise UsageError("release", f"{version!r} is not a release", "It is vMAJOR.MINOR.PATCH.")
    earlier = releases(root)
    numbers = _numbers(asked.groups())
    last = max(earlier, key=lambda one: one.numbers, default=None)
    if last and numbers <= last.numbers:
        raise UsageError(
            "release", f"{version} is not above the last release", f"That is {last.name}."
        )
    if _git(root, "tag", "--list", version):
        # Git would refuse it once the commit is made.
        then = f"Look at it: git show {version}. Delete it, or take the next version."
        raise UsageError("release", f"the tag {version} is there already", then)
    _refuse_changes(root)
    check_manifest(root)
    check_questions(root, earlier)
    if last and last.numbers[0] == numbers[0] >= 1:
        _refuse_gone_files(root, last)
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    head, found, rest = text.partition(_UNRELEASED + "\n")
    section = rest.partition("\n## ")[0].strip()
    if not found or not section:
        raise PipelineError(
            "CHANGELOG.md", f"there is nothing below {_UNRELEASED!r}", "Say what users get."
        )
    suite()
    _refuse_changes(root)  # Of the tests', or of somebody's meanwhile.
    today = datetime.now(UTC).date().isoformat()
    title = f"## {version.removeprefix('v')} - {today}"
    digest = f"`{MANIFEST}`: sha256 `{digest_of(manifest_text(root))}`"
    dated = f"{head}{_UNRELEASED}\n\n{title}\n\n{digest}\n{rest}"
    changelog.write_text(dated, encoding="utf-8", newline="\n")
    for command in (
        ["add", "CHANGELOG.md"],
        ["commit", "--quiet", "--message", f"Release {version}"],
        ["tag", version],
    ):
        _git(root, *command)
    reporter.line(f"Release {version} is committed and tagged.")


def releases(root: Path) -> list[Released]:
    """Return the history's release commits, the newest first; tags may not have travelled."""
    log = _git(root, "log", "--format=%H %s")
    return [
        Released(name, _numbers(parts), commit) for commit, name, *parts in _RELEASED.findall(log)
    ]


def check_questions(root: Path, earlier: Iterable[Released]) -> None:
    """Refuse a question that an update could not answer by itself, as one of a repository's.

    Each has a default, and what an earlier release asked is asked still, or read by the default of
    the question that took its place. Raises PipelineError.
    """
    now = _questions((root / "copier.yml").read_text(encoding="utf-8"))
    for name, question in now.items():
        if "default" not in question:
            then = "Give it one: an update asks nobody."
            raise PipelineError("copier.yml", f"the question {name} has no default", then)
    read = {word for one in now.values() for word in re.findall(r"\w+", str(one["default"]))}
    for release in earlier:
        for name in _asked(_questions(_git(root, "show", f"{release.commit}:copier.yml"))):
            if name not in now and name not in read:
                what = f"{release.name} asks for {name}, and here nothing reads that answer"
                then = f"Read it where it went: default: \"{{{{ {name} | default('...') }}}}\"."
                raise PipelineError("copier.yml", what, then)


def _refuse_gone_files(root: Path, last: Released) -> None:
    """Refuse a minor release without a file of ours: an edit of it would be lost in silence."""
    before = doctor.entries(_git(root, "show", f"{last.commit}:template/{MANIFEST}"))
    gone = sorted(before.keys() - doctor.entries(manifest_text(root)).keys())
    if gone:
        what = f"{last.name} has files that are gone: {few(gone)}"
        then = "Leave a module that forwards to the new one, until the next major release."
        raise PipelineError(f"template/{MANIFEST}", what, then)


def _questions(text: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = yaml.safe_load(text)
    return {name: one for name, one in found.items() if not name.startswith("_")}


def _asked(questions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    return (name for name, one in questions.items() if one.get("when") is not False)


def _refuse_changes(root: Path) -> None:
    status = Git(root).status()
    if status.changed or status.untracked:
        raise PipelineError("release", "the work tree differs from its commit", "Commit first.")


def _git(root: Path, *words: str) -> str:
    return run(["git", *words], cwd=root, env=dict(os.environ), where="release").stdout


def _numbers(parts: Iterable[str]) -> tuple[int, ...]:
    return tuple(map(int, parts))
