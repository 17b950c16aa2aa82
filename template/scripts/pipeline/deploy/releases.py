"""The releases of a function: those of its versions whose description says which one they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..core.errors import PipelineError, UsageError
from ..core.names import release_in
from .observe import Observed

_SHOWN = 10


@dataclass(frozen=True)
class Release:
    """A release: the package's version and commit, and the function's version that holds it."""

    version: str
    commit: str
    function: Observed

    @property
    def number(self) -> int:
        """The number of the function's version."""
        return int(self.function.version)

    def __str__(self) -> str:
        return f"{self.version} ({self.commit}, version {self.number})"


def releases(versions: Iterable[Observed]) -> list[Release]:
    """Return the releases, the newest first; one that was published twice is there twice."""
    found = [Release(*release_in(one.description), one) for one in versions]
    return sorted((one for one in found if one.version), key=lambda one: -one.number)


def earlier_release(known: list[Release], serving: str, to: str, where: str) -> Release:
    """Return the release that `to` names by its version or commit, else the one before `serving`.

    `serving` is the number of the version that serves. Raises UsageError for a bare number,
    PipelineError where there is no such release.
    """
    if to:
        return named_releases(known, to, where)[0]
    now = next((one for one in known if one.function.version == serving), None)
    before = [
        one for one in known if now and one.number < now.number and one.version != now.version
    ]
    if not before:
        raise PipelineError(where, "there is no release before the one that serves", _named(known))
    return before[0]


def named_releases(known: list[Release], to: str, where: str) -> list[Release]:
    """Return the releases that `to` names by version or commit, the newest first; at least one."""
    found = [one for one in known if to == one.version or _is_commit(to, one.commit)]
    if not found and to.isdecimal():
        # It could be meant for either, and the wrong one would serve at once.
        what = f"{to} may be a number of Lambda's: a release is named by its version or commit"
        raise UsageError("--to", what, _named(known))
    if not found:
        raise PipelineError(where, f"there is no release {to}", _named(known))
    return found


def _is_commit(given: str, commit: str) -> bool:
    commit = commit.removesuffix("-dirty")
    return len(given) >= 7 and (given.startswith(commit) or commit.startswith(given))  # noqa: PLR2004 - git's


def _named(known: list[Release]) -> str:
    if not known:
        return "Nothing was deployed there yet by this pipeline."
    more = f", and {len(known) - _SHOWN} older ones" if len(known) > _SHOWN else ""
    return f"There are {', '.join(map(str, known[:_SHOWN]))}{more}."
