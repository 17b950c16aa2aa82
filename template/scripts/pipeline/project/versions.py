"""The version of a build: four strategies, each a plain function of facts passed in.

The rules every reader of the package accepts: numeric parts, then at most one prerelease
tag of 20 characters out of letters, digits and hyphens that starts with a letter. The numbers
are written as NuGet writes them, or a feed would know the package under another name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..core.errors import PipelineError, UsageError
from ..core.text import quoted
from ..edge.git import Git

DEFAULT_STRATEGY = "SemVerWithPatchFilledAutomaticallyWithBuildNumber"
TAG_STRATEGY = "GitTag"
_TAG_LIMIT = 20
_TAG = re.compile(r"[A-Za-z][0-9A-Za-z-]*\Z")
_GIT_TAG = re.compile(r"v?([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?:-([0-9A-Za-z-]+))?\Z")
_NUMBERS = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10}){0,3}\Z")
_MAX_NUMBER = 2**31 - 1  # NuGet's parts are 32-bit integers
# The prerelease tag where none was given.
_UNNAMED = "prerelease"


@dataclass(frozen=True)
class VersionRequest:
    """Everything a version depends on. `git` is asked only by the strategy `GitTag`.

    `prerelease` asks for a prerelease without a tag.
    """

    base: tuple[int, int]
    strategy: str
    now: datetime
    build_number: int | None = None
    prerelease_tag: str | None = None
    prerelease: bool = False
    git: Git | None = None


@dataclass(frozen=True)
class Version:
    """A package's version; `text` is the whole of it, `tag` the prerelease part or empty."""

    text: str
    tag: str = ""

    @property
    def is_prerelease(self) -> bool:
        """Tell whether the version is a prerelease, which stops after the first environment."""
        return bool(self.tag)

    @classmethod
    def choose(cls, request: VersionRequest) -> Version:
        """Return the version by the request's strategy. Errors say the rule that was broken."""
        if request.prerelease_tag is not None:
            _check_tag(request.prerelease_tag)
        if request.build_number is not None and not 0 <= request.build_number <= _MAX_NUMBER:
            what = f"{request.build_number} is not a build number"
            raise UsageError("version", what, f"It is a whole number from 0 to {_MAX_NUMBER}.")
        return STRATEGIES[strategy_named(request.strategy)](request)


def strategy_named(name: str) -> str:
    """Return the strategy's name in its own spelling; case does not matter."""
    for known in STRATEGIES:
        if known.lower() == name.lower():
            return known
    what = f"there is no version strategy {name!r}"
    raise UsageError("version", what, f"Choose one of {', '.join(STRATEGIES)}.")


def branch_tag(branch: str) -> str:
    """Return the prerelease tag of a branch: allowed characters, a letter first, 20 at most."""
    kept = re.sub(r"[^0-9A-Za-z-]", "", branch.replace("/", "-").replace("_", "-"))
    if not _TAG.match(kept):
        kept = f"p{kept}"
    return kept[:_TAG_LIMIT].rstrip("-")


def _check_tag(tag: str) -> None:
    if len(tag) > _TAG_LIMIT or not _TAG.match(tag):
        raise UsageError(
            "version",
            f"{quoted(tag)} is not a prerelease tag"
            + (f" ({len(tag)} characters)" if len(tag) > _TAG_LIMIT else ""),
            f"It has at most {_TAG_LIMIT} letters, digits and hyphens and starts with a letter: "
            "old NuGet readers refuse the rest.",
        )


def _build_number(request: VersionRequest) -> Version:
    tag = request.prerelease_tag or ""
    if request.build_number is None:
        # Without a number, the time makes the version differ from the next one.
        tag = tag or _clock_tag(request.now)
    elif request.prerelease:
        tag = tag or _UNNAMED
    return _version((*request.base, request.build_number or 0), tag)


def _timestamp(request: VersionRequest) -> Version:
    _refuse_tag(request)
    day = int(f"{request.now:%y%j}")
    return _version((*request.base, day, _second_of_day(request.now) // 2))


def _year_month(request: VersionRequest) -> Version:
    _refuse_tag(request)
    if request.build_number is None:
        then = "Pass --build-number, or run on a build server that has one."
        raise UsageError("version", f"the strategy {request.strategy} needs a build number", then)
    year = request.now.year % 100
    return _version((request.base[0], year, request.now.month, request.build_number))


def _git_tag(request: VersionRequest) -> Version:
    git = request.git
    nearest = git.nearest_tag() if git else None
    if git is None or nearest is None:
        raise _no_tag(git)
    name, distance = nearest
    match = _GIT_TAG.match(name.removeprefix(git.tag_prefix))
    if not match:
        what = f"the nearest tag {quoted(name)} is not a version"
        raise PipelineError("version", what, f"Name tags {git.tag_prefix}vMAJOR.MINOR.PATCH.")
    major, minor, patch, tag = int(match[1]), int(match[2]), int(match[3]), match[4] or ""
    if tag:
        _check_tag(tag)
    if distance:
        # A prerelease sorts before its number, so commits after v1.2.3 lead up to 1.2.4,
        # and those after v1.2.3-rc1 must sort after rc1.
        patch += 0 if tag else 1
        tag = f"{tag}-{distance:05d}" if tag else f"p{distance:05d}-g{str(git.commit())[:7]}"
        _check_tag(tag)
    unnamed = _clock_tag(request.now) if request.prerelease else ""
    return _version((major, minor, patch), request.prerelease_tag or tag or unnamed)


def _no_tag(git: Git | None) -> PipelineError:
    if git is None:
        what = "the strategy GitTag needs git, and there is no .git here"
        return PipelineError("version", what, "Check out with git on the build agent.")
    if git.is_shallow():
        what = "the strategy GitTag found no tag: this clone is shallow"
        then = "Fetch the whole history with its tags: on a build server, set the fetch depth to 0."
        return PipelineError("version", what, then)
    what = "the strategy GitTag found no version tag"
    return PipelineError("version", what, f"Make the first one: git tag {git.tag_prefix}v1.0.0")


def _refuse_tag(request: VersionRequest) -> None:
    if request.prerelease or request.prerelease_tag is not None:
        what = f"the strategy {request.strategy} has no prerelease tags"
        raise UsageError("version", what, f"Leave the tag out, or use {DEFAULT_STRATEGY}.")


def normal_version(text: str) -> str:
    """Return a version as NuGet writes it, and a text that is not a version as it is.

    Three numbers, or four where the last is not 0; no leading zeros, and nothing after a `+`.
    """
    numbers, hyphen, tag = text.partition("+")[0].partition("-")
    if not _NUMBERS.match(numbers):
        return text
    parts = [int(part) for part in numbers.split(".")]
    parts += [0] * (3 - len(parts))
    if parts[3:] == [0]:
        parts.pop()
    return ".".join(map(str, parts)) + hyphen + tag


def _version(numbers: tuple[int, ...], tag: str = "") -> Version:
    text = ".".join(map(str, numbers))
    return Version(normal_version(f"{text}-{tag}" if tag else text), tag)


def _clock_tag(now: datetime) -> str:
    return f"p{now:%y%j}-{_second_of_day(now):05d}"


def _second_of_day(now: datetime) -> int:
    return now.hour * 3600 + now.minute * 60 + now.second


STRATEGIES: dict[str, Callable[[VersionRequest], Version]] = {
    DEFAULT_STRATEGY: _build_number,
    "AutomaticIncrementBasedOnCurrentUtcTimestamp": _timestamp,
    "DerivedFromYearMonthAndBuildNumber": _year_month,
    TAG_STRATEGY: _git_tag,
}
