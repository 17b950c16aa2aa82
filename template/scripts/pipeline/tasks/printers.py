"""Which printer speaks on which build server; on the others the lines are plain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

# `invoke --list` imports this file, and need not wait for what only a verb needs.
if TYPE_CHECKING:
    from ..report.events import Event, Sink

__all__ = ["Write", "server_printer"]

Write = Callable[[str], None]


def server_printer(
    name: str, write: Write, environ: Mapping[str, str], *, verbose: bool
) -> tuple[Sink, Callable[[], None]]:
    """Return the printer for the build server of that name, and what ends its work."""
    from ..report.grouped import GroupedPrinter
    from ..report.plain import PlainPrinter

    if name == "TeamCity":
        from ..report.teamcity import TeamCityPrinter

        return TeamCityPrinter(write, verbose=verbose), _nothing
    if name == "GitHub Actions":
        return _github(write, environ, verbose=verbose)
    if name == "GitLab CI":
        from ..report.gitlab import GitLab

        gitlab = GroupedPrinter(write, GitLab(time.time), verbose)
        return gitlab, gitlab.close
    if name == "Azure Pipelines":
        from ..report.azure import Azure

        azure = GroupedPrinter(write, Azure(), verbose)
        return azure, azure.close
    # Jenkins takes tests and artifacts from the Jenkinsfile, and has nothing in a log to act on.
    return PlainPrinter(write, verbose), _nothing


def _github(
    write: Write, environ: Mapping[str, str], *, verbose: bool
) -> tuple[Sink, Callable[[], None]]:
    from ..report.github import GitHub, GitHubFiles
    from ..report.grouped import GroupedPrinter

    printer = GroupedPrinter(write, GitHub(), verbose)
    files = GitHubFiles(
        _appending(environ.get("GITHUB_OUTPUT")), _appending(environ.get("GITHUB_STEP_SUMMARY"))
    )

    def sink(event: Event) -> None:
        printer(event)
        files(event)

    def close() -> None:
        printer.close()
        files.close()

    return sink, close


def _appending(path: str | None) -> Write:
    def append(text: str) -> None:
        if path:
            with Path(path).open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)

    return append


def _nothing() -> None:
    pass
