"""The argument normaliser: optional positionals, and nothing ever lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.cli.argv import CommandLine, Shape, normalise, rebuild_request

SHAPES = {
    "build": Shape(valued=("--build-number", "-b", "--octopus-space")),
    "run": Shape(("--package",), valued=("--event", "--package")),
    "deploy": Shape(),
    "release": Shape(("--package",), valued=("--environments", "--package")),
    "local.put": Shape(("--file", "--key"), valued=("--file", "--key")),
    "status": Shape(("--environment",), valued=("--environment",), repeats=True),
    "test": Shape(passes_on=True),
}
words = st.lists(
    st.sampled_from(
        [*SHAPES, "--json", "--event", "-b", "--build-number=7", "--package=x", "a.json", "CI"]
    )
    # `VERB -h` is another command line: see the examples.
    | st.text(max_size=5).filter(lambda word: word not in ("-h", "--help"))
)


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("", ""),
        ("--list", "--list"),
        ("build", "build"),
        ("build --json", "build --json"),
        ("run x.nupkg", "run --package=x.nupkg"),
        ("run --event e.json x.nupkg", "run --event e.json --package=x.nupkg"),
        ("run x.nupkg --event e.json", "run --package=x.nupkg --event e.json"),
        ("run --event=e.json x.nupkg", "run --event=e.json --package=x.nupkg"),
        ("run one two", "run --package=one two"),
        ("local.put one two three", "local.put --file=one --key=two three"),
        ("deploy CI --dry-run", "deploy CI --dry-run"),
        ("build run x", "build run --package=x"),
        ("run x run y", "run --package=x run --package=y"),
        ("build -b run", "build -b run"),
        ("run --event build", "run --event build"),
        ("build --build-number", "build --build-number"),
        ("build --help", "--help build"),
        ("deploy CI -h --dry-run", "--help deploy"),
        ("build run --help", "--help run"),
        ("test -h", "--help test"),
        ("build -b -h", "build -b -h"),
        ("--help build", "--help build"),
    ],
)
def test_a_command_line_becomes_invokes(typed: str, normal: str) -> None:
    """Bare words get their flag, values stay values even where they are called like a verb."""
    assert normalise(typed.split(), SHAPES) == CommandLine(normal.split())


@pytest.mark.parametrize(
    ("typed", "normal", "old"),
    [
        ("deploy --octopus-space A CI", "deploy CI", {"--octopus-space": "A"}),
        ("deploy --octopus-space=A CI", "deploy CI", {"--octopus-space": "A"}),
        ("deploy --octopus-api-key - CI", "deploy CI", {"--octopus-api-key": "-"}),
        ("deploy CI --octopus-server-url", "deploy CI", {"--octopus-server-url": ""}),
        ("build --octopus-space A", "build --octopus-space A", {}),
        ("run --event --octopus-space A", "run --event --octopus-space --package=A", {}),
    ],
)
def test_flags_that_a_verb_no_longer_has(typed: str, normal: str, old: dict[str, str]) -> None:
    """They are read still, but not by invoke."""
    assert normalise(typed.split(), SHAPES) == CommandLine(normal.split(), (), old)


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("--environments CI, Staging --json", ["--environments", "CI, Staging", "--json"]),
        ("--environments=CI Pre Production", ["--environments=CI Pre Production"]),
        ("--environments CI x.nupkg", ["--environments", "CI", "--package=x.nupkg"]),
        ("--environments CI ./x build", ["--environments", "CI", "--package=./x", "build"]),
        ("--comma-separated-deployment-environments CI", ["--environments", "CI"]),
        ("--comma-separated-deployment-environments=CI,X", ["--environments=CI,X"]),
    ],
)
def test_a_list_of_names_may_have_blanks(typed: str, normal: list[str]) -> None:
    """As many words as there are; the original's spelling of the flag is taken."""
    assert normalise(["release", *typed.split()], SHAPES) == CommandLine(["release", *normal])


def test_everything_after_test_passes_through() -> None:
    """Flags, verbs and separators behind `test` are pytest's."""
    typed = ["build", "test", "-k", "build", "--", "--json", "test"]
    assert normalise(typed, SHAPES) == CommandLine(["build", "test"], typed[2:])


def test_the_command_line_of_verify_is_taken_as_it_is() -> None:
    """Released libraries start a clone with these words; other words are for invoke to refuse."""
    words = ["package", "--rebuild", "build", "--into", "--json"]
    assert rebuild_request(words) == ("build", "--json")
    for other in ([], words[:-1], [*words, "--json"], ["build", *words[1:]]):
        assert rebuild_request(other) is None


@given(words)
def test_no_word_is_lost_or_moved(typed: list[str]) -> None:
    """Every word comes out in its place, as it was or behind the flag it belongs to."""
    line = normalise(typed, SHAPES)
    flags = [flag for shape in SHAPES.values() for flag in shape.positional]
    for before, after in zip(typed, (*line.words, *line.passed_on), strict=True):
        assert after in (before, *(f"{flag}={before}" for flag in flags))


@given(words)
def test_flags_are_never_touched(typed: list[str]) -> None:
    """What starts with a hyphen is for invoke to understand."""
    line = normalise(typed, SHAPES)
    for before, after in zip(typed, (*line.words, *line.passed_on), strict=True):
        if before.startswith("-"):
            assert after == before


@given(words)
def test_only_test_passes_words_on(typed: list[str]) -> None:
    """Words are passed on behind `test` as a verb, and then all of them."""
    line = normalise(typed, SHAPES)
    if line.passed_on:
        assert line.words[-1] == "test"
        assert line.passed_on == typed[len(line.words) :]
