"""The releases of a function: those of its versions whose description says which one they are.

The alias's description says when, by whom and why it was moved, and what served before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..core.errors import PipelineError, UsageError
from ..core.lambda_limits import DESCRIPTION_LIMIT
from ..core.names import release_in
from .observe import Alias, Observed

_SHOWN = 10
# How the alias's description begins after a release was taken back: by a person, or of a canary.
ROLLED_BACK, TOOK_BACK = "rollback from", "took back"
_MOVE = re.compile(
    rf"(?:(?:{ROLLED_BACK}|{TOOK_BACK}) (?P<back_from>.+?),|\S+ \S+: deployed) "
    r"(?P<when>\d{4}-\d\d-\d\d \d\d:\d\d UTC)(?: by (?P<who>.+?))?"
    r"(?: after version (?P<after>\d+))?(?:: (?P<why>.*))?"
)


@dataclass(frozen=True)
class Move:
    """How the alias came to where it is, as far as its description says so.

    `when` is like `2026-11-26 09:05 UTC`; `back_from` the release that a rollback took back;
    `after` the number of the version that served before a deploy.
    """

    when: str = ""
    who: str = ""
    why: str = ""
    back_from: str = ""
    after: str = ""

    @classmethod
    def read(cls, description: str) -> Move:
        """Read an alias's description; one that is not ours says nothing."""
        found = _MOVE.fullmatch(description)
        return cls(**found.groupdict("")) if found else cls()


def moved(now: datetime, caller: str = "") -> str:
    """Return when and by whom, in an alias's description; `caller` is an ARN or a name."""
    who = caller.rpartition(":")[2]
    return f"{now:%Y-%m-%d %H:%M} UTC{f' by {who}' if who else ''}"


def taken_back(how: str, release: str, when: str, why: str = "") -> str:
    """Return the alias's description after a release was taken back: one line, for Move to read."""
    text = f"{how} {release}, {when}: {' '.join(why.split())}"
    return text.removesuffix(": ")[:DESCRIPTION_LIMIT]


def deployed_description(
    description: str, alias: Alias | None, made: Observed | None, when: str
) -> str:
    """Return the alias's description after a deploy of the release that `description` names.

    It leads from where `alias` leads to the version `made`; `when` says so with the deployer.
    """
    was = alias.version if alias and not (made and made.version == alias.version) else ""
    before = f" after version {was}" if was.isdecimal() else ""
    mark = f"{' '.join(release_in(description))}: deployed {when}{before}"
    return mark[:DESCRIPTION_LIMIT]


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


def earlier_release(known: list[Release], alias: Alias, to: str, where: str) -> Release:
    """Return the release that `to` names by its version or commit, else the one that served before.

    While a part of the calls goes to another version, that is what serves the others; after a
    deploy, what its alias says, if that is an older one; else the newest one before. Raises
    UsageError for a bare number, PipelineError where there is no such release.
    """
    if to:
        return named_releases(known, to, where)[0]
    now = next((one for one in known if one.function.version == alias.version), None)
    if alias.weights and now:
        return now
    before = [
        one for one in known if now and one.number < now.number and one.version != now.version
    ]
    after = Move.read(alias.description).after
    before.sort(key=lambda one: one.function.version != after)
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
    verb = "are" if len(known) > 1 else "is only"
    return f"There {verb} {', '.join(map(str, known[:_SHOWN]))}{more}."
