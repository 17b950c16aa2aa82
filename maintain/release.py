"""A release: a commit whose subject is `Release vX.Y.Z`, with the changelog's section to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import PipelineError, UsageError
from pipeline.core.events import Reporter
from pipeline.edge.git import Git
from pipeline.edge.shell import run

from .manifest import MANIFEST, check_manifest, digest_of, manifest_text

_VERSION = re.compile(r"v([0-9]+)\.([0-9]+)\.([0-9]+)\Z")
_RELEASED = re.compile(r"^Release v([0-9]+)\.([0-9]+)\.([0-9]+)$", re.MULTILINE)
_UNRELEASED = "## Unreleased"


def make_release(root: Path, version: str, reporter: Reporter) -> None:
    """Date the changelog's unreleased section, commit it, and tag the commit.

    The section begins with the manifest's digest, which a reviewer of an update compares. Refuses a
    version that is not `vX.Y.Z` or not above the last release, a dirty tree, a manifest that does
    not fit the files, and an empty section.
    """
    asked = _VERSION.match(version)
    if asked is None:
        raise UsageError("release", f"{version!r} is not a release", "It is vMAJOR.MINOR.PATCH.")
    last = _last_release(root)
    if _numbers(asked.groups()) <= last:
        above = ".".join(map(str, last))
        raise UsageError(
            "release", f"{version} is not above the last release", f"That is v{above}."
        )
    status = Git(root).status()
    if status.changed or status.untracked:
        raise PipelineError("release", "the work tree differs from its commit", "Commit first.")
    check_manifest(root)
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    head, found, rest = text.partition(_UNRELEASED + "\n")
    section = rest.partition("\n## ")[0].strip()
    if not found or not section:
        raise PipelineError(
            "CHANGELOG.md", f"there is nothing below {_UNRELEASED!r}", "Say what users get."
        )
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
        run(["git", *command], cwd=root, env=dict(os.environ), where="release")
    reporter.line(f"Release {version} is committed and tagged.")


def _last_release(root: Path) -> tuple[int, ...]:
    """Return the highest version among the history's release commits; tags may not have travelled.

    Without one it is (0, 0, 0), which every release is above.
    """
    log = run(["git", "log", "--format=%s"], cwd=root, env=dict(os.environ), where="release").stdout
    return max(map(_numbers, _RELEASED.findall(log)), default=(0, 0, 0))


def _numbers(parts: Iterable[str]) -> tuple[int, ...]:
    return tuple(map(int, parts))
