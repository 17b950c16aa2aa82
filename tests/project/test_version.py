"""Versions: the table of the strategies, the rules every NuGet reader has, and their order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError, UsageError
from pipeline.edge.git import Git
from pipeline.project.versions import (
    DEFAULT_STRATEGY,
    STRATEGIES,
    Version,
    VersionRequest,
    branch_tag,
    normal_version,
    strategy_named,
)

from tests.words import assert_said, refused

TIMESTAMP = "AutomaticIncrementBasedOnCurrentUtcTimestamp"
YEAR_MONTH = "DerivedFromYearMonthAndBuildNumber"
MORNING = datetime(2026, 11, 23, 6, 3, 54, tzinfo=UTC)
SHA = "3f2c1ab09d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"
TAG = re.compile(r"[A-Za-z][0-9A-Za-z-]{0,19}\Z")
# What clients of any age read.
OF_ANY_CLIENT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){2,3}(-[A-Za-z][0-9A-Za-z-]{0,19})?")

moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2099, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)


class Tagged(Git):
    """A work tree so many commits after a tag."""

    def __init__(self, nearest: str, distance: int) -> None:
        super().__init__(Path())
        self.__dict__["nearest"] = (nearest, distance)

    def nearest_tag(self) -> tuple[str, int]:
        """Return the tag, and the commits since."""
        nearest: tuple[str, int] = self.__dict__["nearest"]
        return nearest

    def commit(self) -> str:
        """Return HEAD's full sha."""
        return SHA


def chosen(
    strategy: str = DEFAULT_STRATEGY,
    number: int | None = None,
    tag: str | None = None,
    *,
    unnamed: bool = False,
    now: datetime = MORNING,
) -> Version:
    """Return the version that a strategy chooses for base 2.0."""
    return Version.choose(VersionRequest((2, 0), strategy, now, number, tag, unnamed))


def tagged(
    nearest: str, distance: int, tag: str | None = None, *, unnamed: bool = False
) -> Version:
    """Return the version `distance` commits after the git tag `nearest`."""
    git = Tagged(nearest, distance)
    return Version.choose(VersionRequest((2, 0), "GitTag", MORNING, None, tag, unnamed, git))


def order(version: Version) -> tuple[list[int], bool, str]:
    """Return a key that sorts as NuGet does: numbers, then prereleases first, labels without case.

    Labels without dots that start with a letter compare as texts.
    """
    number, _, label = version.text.partition("-")
    parts = [int(part) for part in number.split(".")]
    return [*parts, 0][:4], not label, label.lower()


@pytest.mark.parametrize(
    ("strategy", "number", "tag", "expected"),
    [
        (DEFAULT_STRATEGY, 7, None, "2.0.7"),
        (DEFAULT_STRATEGY, 7, "tag", "2.0.7-tag"),
        (DEFAULT_STRATEGY, 0, None, "2.0.0"),
        (DEFAULT_STRATEGY, None, None, "2.0.0-p26327-21834"),
        (DEFAULT_STRATEGY, None, "tag", "2.0.0-tag"),
        (TIMESTAMP, None, None, "2.0.26327.10917"),
        (TIMESTAMP, 7, None, "2.0.26327.10917"),
        (YEAR_MONTH, 7, None, "2.26.11.7"),
        (YEAR_MONTH, 12345, None, "2.26.11.12345"),
        (YEAR_MONTH, 0, None, "2.26.11"),
    ],
)
def test_each_row_of_the_table(
    strategy: str, number: int | None, tag: str | None, expected: str
) -> None:
    """Base 2.0 on 2026-11-23 at 06:03:54 UTC becomes the version that the table promises."""
    version = chosen(strategy, number, tag)
    assert version.text == expected
    assert version.is_prerelease == ("-" in expected)
    assert version.tag == expected.partition("-")[2]


def test_a_prerelease_that_nobody_named() -> None:
    """The number tells it from the next one, or else the time; counted commits do already."""
    assert chosen(number=7, unnamed=True).text == "2.0.7-prerelease"
    assert chosen(unnamed=True) == chosen()
    assert chosen(tag="mine", unnamed=True).text == "2.0.0-mine"
    assert tagged("v1.2.3", 4, unnamed=True) == tagged("v1.2.3", 4)
    assert tagged("v1.2.3", 0, unnamed=True).text == "1.2.3-p26327-21834"
    for strategy in (TIMESTAMP, YEAR_MONTH):
        with refused("version", UsageError):
            chosen(strategy, 7, unnamed=True)


def test_a_day_begins_without_a_fourth_number() -> None:
    """NuGet leaves out one of 0, and the zeros in front of a year."""
    assert chosen(TIMESTAMP, now=datetime(2003, 1, 2, tzinfo=UTC)).text == "2.0.3002"


@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.tuples(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1)),
    st.integers(0, 2**31 - 1),
    moments,
    st.tuples(st.booleans(), st.booleans()),
)
def test_every_version_is_written_as_nuget_writes_it(
    strategy: str, base: tuple[int, int], number: int, now: datetime, flags: tuple[bool, bool]
) -> None:
    """Whatever it is made from, a feed knows it under the name that we give it."""
    numbered, unnamed = flags
    unnamed = unnamed and strategy in (DEFAULT_STRATEGY, "GitTag")
    git = Tagged(f"v{base[0]:03d}.{base[1]:03d}.0{number % 1000}", number % 2)
    count = number if numbered or strategy == YEAR_MONTH else None
    request = VersionRequest(base, strategy, now, count, None, unnamed, git)
    text = Version.choose(request).text
    assert normal_version(text) == text
    assert OF_ANY_CLIENT.fullmatch(text), text


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4), st.sampled_from(["", "-rc1"]))
def test_versions_have_one_normal_form(parts: list[int], tag: str) -> None:
    """Zeros in front, missing parts, a fourth 0 and metadata make no other version."""
    plain = ".".join(map(str, parts)) + tag
    normal = normal_version(plain)
    padded = ".".join(f"{part:010d}" for part in parts) + tag
    assert normal_version(normal) == normal
    assert normal_version(padded) == normal_version(f"{plain}+build.5") == normal
    assert normal.partition("-")[0].count(".") == (3 if parts[3:] > [0] else 2)


@pytest.mark.parametrize("text", ["", "1.2.3.4.5", "v1.2", "Other.1.2.3", "1..2", "\u0663.1"])
def test_what_is_no_version_stays(text: str) -> None:
    """It has no other spelling."""
    assert normal_version(text) == text


@given(moments, moments, st.integers(0, 10**6), st.integers(0, 10**6))
def test_months_sort_by_their_time(one: datetime, other: datetime, few: int, more: int) -> None:
    """A later month is greater whatever its number is, and in one month the number decides."""
    early, late = sorted(((one.year, one.month, few), (other.year, other.month, more)))
    versions = [
        order(chosen(YEAR_MONTH, number, now=datetime(year, month, 1, tzinfo=UTC)))
        for year, month, number in (early, late)
    ]
    assert versions[0] < versions[1] if early != late else versions[0] == versions[1]


@pytest.mark.parametrize(
    ("strategy", "number", "tag"),
    [
        (TIMESTAMP, None, "tag"),
        (YEAR_MONTH, 7, "tag"),
        (YEAR_MONTH, None, None),
    ],
)
def test_the_rows_that_are_errors(strategy: str, number: int | None, tag: str | None) -> None:
    """What the original refuses is refused, naming the strategy and a way on."""
    with refused("version", UsageError):
        chosen(strategy, number, tag)


@pytest.mark.parametrize("tag", ["a", "a" * 20, "rc-1", "Z9", "a-"])
def test_a_tag_by_the_rule_is_taken(tag: str) -> None:
    """A letter, then letters, digits and hyphens, 20 characters in all."""
    assert chosen(number=7, tag=tag).text == f"2.0.7-{tag}"


def test_a_tag_against_the_rule_is_refused() -> None:
    """21 characters, dots, a plus, another first character: the error repeats tag and rule."""
    said: dict[str, list[str]] = {DEFAULT_STRATEGY: [], "GitTag": []}
    for strategy, words in said.items():
        for tag in ("a" * 21, "rc.1", "rc+1", "1rc", "-rc", "", "rc_1", "r c", "é", "rc\n"):
            with refused("version", UsageError, said=words):
                chosen(strategy, 7, tag)
    assert said[DEFAULT_STRATEGY] == said["GitTag"]
    assert_said("\n".join(said["GitTag"]))


def test_a_number_that_nuget_cannot_hold_is_refused() -> None:
    """Negative numbers and those beyond 32 bits are wrong usage, whatever the strategy."""
    said: list[str] = []
    for strategy in STRATEGIES:
        for number in (-1, 2**31):
            with refused("version", UsageError, said=said):
                chosen(strategy, number)
    assert_said("\n".join(dict.fromkeys(said)))


@given(st.sampled_from(sorted(STRATEGIES)), st.data())
def test_a_strategy_is_found_in_any_case(name: str, data: st.DataObject) -> None:
    """The original's names are accepted in every spelling, and given back in its own."""
    flips = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    typed = "".join(c.swapcase() if flip else c for c, flip in zip(name, flips, strict=True))
    assert strategy_named(typed) == name


def test_an_unknown_strategy_names_the_known_ones() -> None:
    """The error lists every strategy."""
    with refused("version", UsageError) as error:
        strategy_named("CalVer")
    assert all(name in error.value.then for name in STRATEGIES)


@given(moments, moments)
def test_prereleases_sort_by_their_time(one: datetime, other: datetime) -> None:
    """Whoever builds a second later, a day later or a year later gets the greater version."""
    one, other = sorted((one.replace(microsecond=0), other.replace(microsecond=0)))
    early, late = order(chosen(now=one)), order(chosen(now=other))
    assert early < late if one < other else early == late
    assert late < order(chosen(number=0))


@given(moments, st.integers(2, 10**9))
def test_timestamps_sort_by_their_time(one: datetime, seconds: int) -> None:
    """Two seconds are enough for a greater version, in the numbers that NuGet compares."""
    other = one + timedelta(seconds=seconds)
    if other.year <= 2099:
        assert order(chosen(TIMESTAMP, now=one)) < order(chosen(TIMESTAMP, now=other))


@given(moments)
def test_every_automatic_prerelease_tag_is_valid(now: datetime) -> None:
    """The tag that the clock makes keeps the rule for tags and is always as long."""
    tag = chosen(now=now).tag
    assert TAG.match(tag)
    assert len(tag) == 12


@given(st.text())
def test_a_branch_always_gives_a_valid_tag(branch: str) -> None:
    """Whatever a branch is called, its tag passes the rule and does not end in a hyphen."""
    tag = branch_tag(branch)
    assert TAG.match(tag)
    assert not tag.endswith("-")
    assert chosen(number=1, tag=tag).tag == tag


@pytest.mark.parametrize(
    ("branch", "tag"),
    [
        ("feature/JIRA-12_fix", "feature-JIRA-12-fix"),
        ("12-fix", "p12-fix"),
        ("feature/a-very-long-name", "feature-a-very-long"),
        ("", "p"),
    ],
)
def test_a_branch_stays_readable_in_its_tag(branch: str, tag: str) -> None:
    """Slashes and underscores become hyphens, a digit in front gets a letter, the end is cut."""
    assert branch_tag(branch) == tag


@pytest.mark.parametrize(
    ("nearest", "distance", "tag", "expected"),
    [
        ("v1.2.3", 0, None, "1.2.3"),
        ("1.2.3", 0, None, "1.2.3"),
        ("v1.2.3-rc1", 0, None, "1.2.3-rc1"),
        ("v2026.01.003", 0, None, "2026.1.3"),
        ("v1.2.3", 4, None, "1.2.4-p00004-g3f2c1ab"),
        ("v1.2.3-rc1", 4, None, "1.2.3-rc1-00004"),
        ("v1.2.3", 4, "mine", "1.2.4-mine"),
        ("v1.2.3", 0, "mine", "1.2.3-mine"),
    ],
)
def test_a_git_tag_is_the_version(
    nearest: str, distance: int, tag: str | None, expected: str
) -> None:
    """On the tag it is the version; commits after it are prereleases of what comes next."""
    assert tagged(nearest, distance, tag).text == expected


@given(
    st.sampled_from(["v1.2.3", "v1.2.3-rc1"]),
    st.integers(0, 99_998),
    st.integers(1, 99_999),
)
def test_commits_after_a_tag_sort_in_their_order(nearest: str, one: int, more: int) -> None:
    """The next commit's version is greater, and smaller than the release that ends the row."""
    early, late = tagged(nearest, one), tagged(nearest, min(one + more, 99_999))
    assert order(early) < order(late)
    end = "v1.2.3" if "-" in nearest else "v1.2.4"
    assert order(late) < order(tagged(end, 0))


@pytest.mark.parametrize(
    "nearest",
    ["v1.2", "v1.2.3.4", "v1.2.3-rc.1", "v1.x", "v1.2.\u0663", "v1.2." + "9" * 5000],
)
def test_a_tag_that_is_no_version_is_named(nearest: str) -> None:
    """The error repeats the tag and says how tags are named."""
    with refused("version", PipelineError):
        tagged(nearest, 0)
