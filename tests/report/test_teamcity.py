"""TeamCity's service messages: the documented escapes, balanced blocks, one message a line."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.events import (
    Achieved,
    Artifact,
    BuildNumber,
    Event,
    Failed,
    Finished,
    Line,
    Progressed,
    Started,
    Warned,
)
from pipeline.core.events import TestResults as JunitFile
from pipeline.report.teamcity import escaped, message, teamcity_lines

_ESCAPE = re.compile(r"\|(?:0x([0-9A-F]{4})|(.))", re.DOTALL)
_PLAIN = {"n": "\n", "r": "\r", "'": "'", "|": "|", "[": "[", "]": "]"}
_MESSAGE = re.compile(
    r"##teamcity\[[A-Za-z]+(?: '(?:[^'|\[\]]|\|.)*'| [a-z]+='(?:[^'|\[\]]|\|.)*')*\]"
)
texts = st.text(st.characters(exclude_categories=["Cs"]))


def unescaped(value: str) -> str:
    """Read an escaped value by TeamCity's documentation: `|0xXXXX` is one UTF-16 unit."""

    def character(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else _PLAIN[match[2]]

    found = _ESCAPE.sub(character, value)
    return found.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


def printed(*events: Event, verbose: bool = False) -> list[str]:
    """Return the lines that the events become."""
    return [line for event in events for line in teamcity_lines(event, verbose=verbose)]


@given(texts)
def test_a_value_survives_its_escaping(value: str) -> None:
    """What TeamCity reads is what was said, in plain ASCII and on one line."""
    written = escaped(value)
    assert unescaped(written) == value
    assert written.isascii()
    assert "\n" not in written
    assert "\r" not in written


def test_the_documented_examples() -> None:
    """Each character of the format's table, and one beyond 16 bits."""
    assert escaped("'|[]\n\r") == "|'|||[|]|n|r"
    assert escaped("é") == "|0x00E9"
    assert escaped("\N{GRINNING FACE}") == "|0xD83D|0xDE00"
    assert message("buildNumber", "2.0.7") == "##teamcity[buildNumber '2.0.7']"
    assert message("message", text="a'b", status="WARNING") == (
        "##teamcity[message text='a|'b' status='WARNING']"
    )


@given(texts, texts)
def test_a_message_cannot_be_broken_out_of(text: str, path: str) -> None:
    """Whatever a value holds, the message is one whole message of the format."""
    lines = printed(Warned(text), Artifact(path), JunitFile(path), BuildNumber(text))
    assert len(lines) == 4
    assert all(_MESSAGE.fullmatch(line) for line in lines)


@given(st.lists(st.tuples(st.sampled_from(["restore", "test", "package"]), st.booleans())))
def test_blocks_are_balanced(stages: list[tuple[str, bool]]) -> None:
    """Every block that a stage opens is closed by its end, good or bad, under the same name."""
    events: list[Event] = []
    for name, good in stages:
        error = PipelineError(name, "broken")
        end: Event = Finished(name, "done", 1.0) if good else Failed(name, error)
        events += [Started(name), Progressed(name, "half"), end]
    open_blocks: list[str] = []
    for line in printed(*events):
        opened = re.fullmatch(r"##teamcity\[blockOpened name='(.*)'\]", line)
        closed = re.fullmatch(r"##teamcity\[blockClosed name='(.*)'\]", line)
        if opened:
            open_blocks.append(opened[1])
        if closed:
            assert open_blocks.pop() == closed[1]
    assert open_blocks == []


def test_a_failed_verb_is_a_build_problem() -> None:
    """The whole message is there, and once: the stage that failed only closes its block."""
    error = PipelineError("restore", "no wheel for six", "Lock again.")
    lines = printed(Started("restore"), Failed("restore", error), Failed("", error))
    problems = [line for line in lines if "buildProblem" in line]
    assert problems == [
        "##teamcity[buildProblem description='restore: no wheel for six|nLock again.']"
    ]


def test_a_long_problem_is_cut_to_what_teamcity_takes() -> None:
    """A description has at most 4000 characters."""
    (problem,) = [
        line
        for line in printed(Failed("", PipelineError("test", "x" * 9000)))
        if "buildProblem" in line
    ]
    assert len(problem) < 4100


def test_details_are_shown_on_request() -> None:
    """Progress and verbose lines appear with `--verbose` only."""
    events = (Progressed("restore", "half"), Line("detail", verbose=True), Line("always"))
    assert printed(*events) == ["always"]
    assert len(printed(*events, verbose=True)) == 3


def test_what_was_achieved_is_the_builds_status() -> None:
    """The line is there for readers, and TeamCity's list of builds shows it after its own text."""
    assert printed(Achieved("Deployed (CI, Staging)")) == [
        "Deployed (CI, Staging)",
        "##teamcity[buildStatus text='{build.status.text}; Deployed (CI, Staging)']",
    ]


def test_an_empty_line_stays_one() -> None:
    """What a script leaves empty is an empty line here too, as in the other printers."""
    assert printed(Line("one"), Line(""), Line("two")) == ["one", "", "two"]
