"""Secrets of a verb: from the environment, from standard input, or, with a warning, from a flag."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import UsageError
from .session import Session

if TYPE_CHECKING:
    from ..octopus.client import Access

__all__ = ["OCTOPUS_FLAGS", "octopus_access", "secret"]

_STDIN = "-"
# What the flags mean, for the help of the verbs that have them.
OCTOPUS_FLAGS = {
    "octopus-server-url": "The Octopus server; OCTOPUS_URL by default",
    "octopus-api-key": "`-` reads the key from standard input; OCTOPUS_API_KEY is the better place",
    "octopus-space": "The space; OCTOPUS_SPACE, then pyproject.toml, by default",
}


def secret(run: Session, flag: str, given: str | None, variable: str) -> str:
    """Return a secret, which is hidden from now on; empty where nobody gave one."""
    if given is None:
        given = run.machine.environ.get(variable, "")
    elif given != _STDIN:
        run.reporter.warn(
            f"{flag}: every user of this machine can read it in the list of processes; "
            f"set {variable}, or write {flag} {_STDIN} and give it on standard input"
        )
    if given == _STDIN:
        given = sys.stdin.readline().strip()
        if not given:
            raise UsageError(flag, "there is no line on standard input", f"Or set {variable}.")
    if given:
        run.hide(given)
    return given


def octopus_access(run: Session, url: str | None, key: str | None, space: str | None) -> Access:
    """Return how to reach Octopus; its texts are empty where nothing says so."""
    from ..octopus.client import Access

    environ = run.machine.environ
    return Access(
        url or environ.get("OCTOPUS_URL", ""),
        secret(run, "--octopus-api-key", key, "OCTOPUS_API_KEY"),
        space or environ.get("OCTOPUS_SPACE", "") or run.project.octopus.space,
    )
