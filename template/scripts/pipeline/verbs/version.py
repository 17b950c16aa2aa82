"""`version`: the version this build would have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..core.errors import UsageError
from ..core.text import quoted
from ..project.buildserver import BuildServer
from ..project.project import Project
from ..project.versions import (
    DEFAULT_STRATEGY,
    TAG_STRATEGY,
    Version,
    VersionRequest,
    branch_tag,
    strategy_named,
)
from ..project.worktree import WorkTree

# More digits than any number of a version may have.
_NUMBER = re.compile("[0-9]{1,20}")
_TAGGED = (DEFAULT_STRATEGY, TAG_STRATEGY)


@dataclass(frozen=True)
class VersionOptions:
    """What the command line says of the version."""

    build_number: int | None = None
    prerelease: bool = False
    prerelease_tag: str | None = None
    version_strategy: str | None = None


def next_version(
    project: Project, options: VersionOptions, environ: Mapping[str, str], now: datetime
) -> Version:
    """Return the version that a build would have now."""
    git, server = project.git, BuildServer.from_environ(environ)
    return choose_version(project, options, WorkTree.read(git, server), server, now)


def choose_version(
    project: Project, options: VersionOptions, tree: WorkTree, server: BuildServer, now: datetime,
) -> Version:  # fmt: skip
    """Return the build's version: flags first, then the build server, then the clock.

    A build server's build of a branch that is not a release branch is a prerelease named after it,
    unless the flags ask for one.
    """
    strategy = strategy_named(options.version_strategy or project.version_strategy)
    number = options.build_number if options.build_number is not None else _number(server)
    tag = options.prerelease_tag
    branch = server.branch or tree.source.branch
    if tag is None and not options.prerelease and strategy in _TAGGED:
        tag = server.prerelease_tag
        if tag is None and number is not None and branch and branch not in project.release_branches:
            tag = branch_tag(branch)
    return Version.choose(
        VersionRequest(
            base=project.base_version,
            strategy=strategy,
            now=now,
            build_number=number,
            prerelease_tag=tag,
            prerelease=options.prerelease,
            git=project.git,
        )
    )


def _number(server: BuildServer) -> int | None:
    if server.build_number is None:
        return None
    if not _NUMBER.fullmatch(server.build_number):
        raise UsageError(
            server.name,
            f"its build number {quoted(server.build_number)} is not a whole number",
            "Set the build number's format to the bare counter, or pass --build-number.",
        )
    return int(server.build_number)
