"""A release: a commit whose subject is `Release vX.Y.Z`, with the changelog's section to it."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import PipelineError, UsageError
from pipeline.core.events import Reporter
from pipeline.edge.git import Git
from pipeline.edge.shell import run

_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+\Z")
_UNRELEASED = "## Unreleased"


def make_release(root: Path, version: str, reporter: Reporter) -> None:
    """Date the changelog's unreleased section, commit it, and tag the commit.

    Refuses a dirty tree, an empty section, and a version that is not `vX.Y.Z`.
    """
    if not _VERSION.match(version):
        raise UsageError("release", f"{version!r} is not a release", "It is vMAJOR.MINOR.PATCH.")
    status = Git(root).status()
    if status.changed or status.untracked:
        raise PipelineError("release", "the work tree differs from its commit", "Commit first.")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    head, found, rest = text.partition(_UNRELEASED + "\n")
    section = rest.partition("\n## ")[0].strip()
    if not found or not section:
        raise PipelineError(
            "CHANGELOG.md", f"there is nothing below {_UNRELEASED!r}", "Say what users get."
        )
    today = datetime.now(UTC).date().isoformat()
    dated = f"{head}{_UNRELEASED}\n\n## {version.removeprefix('v')} - {today}\n{rest}"
    changelog.write_text(dated, encoding="utf-8", newline="\n")
    for command in (
        ["add", "CHANGELOG.md"],
        ["commit", "--quiet", "--message", f"Release {version}"],
        ["tag", version],
    ):
        run(["git", *command], cwd=root, env=dict(os.environ), where="release")
    reporter.line(f"Release {version} is committed and tagged.")
