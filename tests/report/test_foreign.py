"""Whatever a text holds, no printer's line steers a terminal, a build server or Octopus."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from io import StringIO

import pytest
from hypothesis import example, given, settings
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
    Output,
    Progressed,
    Started,
    Warned,
)
from pipeline.core.events import TestResults as JunitFile
from pipeline.core.foreign import harmless, harmless_json
from pipeline.core.text import plain_lines
from pipeline.deploy.worker_log import octopus_lines
from pipeline.octopus.launch import parse
from pipeline.report.servers import AZURE, GITHUB, GitHubFiles, GroupedPrinter, Style, gitlab
from pipeline.report.teamcity import teamcity_lines
from pipeline.report.terminal import TerminalPrinter
from rich.console import Console

# What each server looks for in a line, by its documentation and, where it is public, its source.
COMMANDS = {
    "teamcity": re.compile(r"##teamcity\["),
    "github": re.compile(r"^\s*::|##\["),
    "azure": re.compile(r"##vso\[|##\["),
    "gitlab": re.compile(r"section_(?:start|end):\d+:[A-Za-z0-9_.-]+"),
    "octopus": re.compile(r"##octopus", re.IGNORECASE),
}
# Servers that compare by a language's rules do not see these.
UNSEEN = re.compile("[\u00ad\u034f\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff\x00-\x08\x0e-\x1f\x7f]")
pieces = st.sampled_from(
    ["##teamcity[", "##vso[", "##[", "##octopus[", "::error::", "::", "#", "section_start:1:a",
     "\x1b[0K", "\x1b]8;;http://x\x07", "\x1b[2J", "\x1b[31m", "\r", "\n", "\x08", "\x9b2J",
     "\u202e", "\u2066", "\u200d", "\ufe0f", "\u2028", "\x85", "\x0c", " ", "\t", "[red]",
     "[/]", "'", "|", "]", "%", ";", "a", "é", "\ud800", "\U000e0041"],
)  # fmt: skip
texts = st.lists(pieces | st.text(max_size=4), max_size=12).map("".join)
Printer = Callable[[Sequence[Event]], list[str]]


def events(text: str) -> list[Event]:
    """Return an event of every kind with the text wherever others may have written it."""
    error, stage = PipelineError(text, text, text), text or "x"
    return [
        Started(stage), Progressed(stage, text, 1, 2), Line(text), Line(text, verbose=True),
        Warned(text), Achieved(text), BuildNumber(text), Artifact(text), JunitFile(text),
        Output(text, text), Finished(stage, text, 1.0), Started("a"), Failed("a", error),
        Failed("", error),
    ]  # fmt: skip


def grouped(style: Callable[[], Style]) -> Printer:
    """Return a printer for one of the servers with groups."""

    def lines(happened: Sequence[Event]) -> list[str]:
        written: list[str] = []
        printer = GroupedPrinter(written.append, style(), verbose=True)
        for event in happened:
            printer(event)
        printer.close()
        return written

    return lines


def simple(lines: Callable[[Event], list[str]]) -> Printer:
    """Return a printer of one event after the other."""
    return lambda happened: [line for event in happened for line in lines(event)]


PRINTERS: dict[str, Printer] = {
    "plain": simple(lambda event: plain_lines(event, verbose=True)),
    "teamcity": simple(lambda event: teamcity_lines(event, verbose=True)),
    "github": grouped(lambda: GITHUB),
    "azure": grouped(lambda: AZURE),
    "gitlab": grouped(lambda: gitlab(lambda: 1.0)),
    "octopus": simple(octopus_lines),
}
# Commands of ours, whose values are escaped: found where they are with a text that does no harm.
OURS = {
    "teamcity": re.compile(r"##teamcity\[[A-Za-z]+(?: '(?:[^'|\[\]]|\|.)*'"
                           r"| [a-z]+='(?:[^'|\[\]]|\|.)*')*\]"),
    "github": re.compile(r"::(?:group|endgroup|warning|error)(?: title=[^:,\r\n]*)?::[^\r\n]*"),
    "azure": re.compile(r"##\[(?:group|endgroup)\][^\r\n]*|##vso\[[a-z.]+[^\]\r\n]*\][^\r\n]*"),
    "gitlab": re.compile(r"\x1b\[0Ksection_(?:start:1:[\w.-]+\[collapsed=false\]|end:1:[\w.-]+)"
                         r"\r\x1b\[0K[^\r\n\x1b]*"),
    "octopus": re.compile(r"##octopus\[[A-Za-z-]+(?: [a-z]+='[A-Za-z0-9+/=]*')*\]"),
}  # fmt: skip


def found(server: str, line: str) -> int:
    """Return how many commands the server's parser finds in a line, seen by both kinds of rules."""
    seen = UNSEEN.sub("", line)
    return max(len(COMMANDS[server].findall(line)), len(COMMANDS[server].findall(seen)))


@pytest.mark.parametrize("name", PRINTERS)
@given(text=texts)
@example(text="#\ufe0f#[error]x")
@example(text="\u200d::error::x")
@example(text=":\u200d:error::x")
@example(text="#\x1b[m#teamcity[x]")
@settings(deadline=None)
def test_the_only_commands_are_ours(name: str, text: str) -> None:
    """As many as with a text that does no harm, each whole; and none of another server at all."""
    written = PRINTERS[name](events(text))
    ours = [line for line in written if name in OURS and OURS[name].fullmatch(line)]
    plain = PRINTERS[name](events("x"))
    expected = [line for line in plain if name in COMMANDS and found(name, line)]
    assert len(ours) == len(expected)
    for line in written:
        for server in COMMANDS:
            # Azure's groups are commands of GitHub's older form.
            may = line in ours and (server == name or (server == "github" and line[:3] == "##["))
            # A path has to be exact; what another server would see in it is in no log of that one.
            assert found(server, line) == may or _is_exact(line), (server, line)


@pytest.mark.parametrize("name", [*PRINTERS, "terminal"])
@given(text=texts)
@settings(deadline=None)
def test_nothing_steers_a_terminal(name: str, text: str) -> None:
    """No control character, none that turns a line, but in GitLab's markers and our own colours."""
    if name == "terminal":
        stream = StringIO()
        console = Console(file=stream, force_terminal=True, width=120, legacy_windows=False)
        printer = TerminalPrinter(console, verbose=True)
        for event in events(text):
            printer(event)
        printer.close()
        written = re.sub(r"\x1b\[(?:[0-9;]*m|\??[0-9]*[A-Kl h])|[\r\n]", "", stream.getvalue())
    else:
        lines = [line for line in PRINTERS[name](events(text)) if not _is_exact(line)]
        if name == "gitlab":
            lines = [line for line in lines if not OURS[name].fullmatch(line)]
        written = "".join("".join(lines).split("\n"))
    steering = [c for c in written if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]
    assert set(steering) <= {"\t"}


def _is_exact(line: str) -> bool:
    """Tell whether a line is a command with a path, which a server needs as it is."""
    exact = r"##vso\[(?:artifact|results)\.|##teamcity\[(?:publishArtifacts|importData) "
    return bool(re.match(exact, line))


@given(texts)
@settings(deadline=None)
def test_harmless_text_stays_so(text: str) -> None:
    """Twice is once, and a plain text is left alone."""
    assert harmless(harmless(text)).rstrip("\n") == harmless(text).rstrip("\n")
    plain = "tests/test_a.py::test_x PASSED  ## [notes] 100%: é漢字 #[x] a::b C:\\x"
    assert harmless(plain) == plain


def test_lines_stay_lines_and_colours_go() -> None:
    """What a program drew over itself is seen line after line."""
    assert harmless("a\n\nb") == "a\n\nb"
    assert harmless("10%\r100%") == "10%\n100%"
    assert harmless("\x1b[1;31mred\x1b[0m \x1b[2J") == "red \\x1b[2J"


@given(texts)
@settings(deadline=None)
def test_a_document_is_the_same_and_steers_nothing(text: str) -> None:
    """JSON on standard output is read by a program, and by the build server as well."""
    document = harmless_json(json.dumps({text: [text]}, ensure_ascii=False, indent=2))
    assert json.loads(document) == {text: [text]}
    for line in document.splitlines():
        assert not any(found(server, line) for server in COMMANDS if server != "gitlab")
        assert all(c.isprintable() for c in line)


@given(texts)
@settings(deadline=None)
def test_githubs_summary_is_plain(text: str) -> None:
    """Nothing in it turns a line or is unseen."""
    summary: list[str] = []
    files = GitHubFiles(lambda _: None, summary.append)
    for event in events(text):
        files(event)
    files.close()
    assert all(c.isprintable() or c in "\n\t" for c in "".join(summary[0].splitlines()[1:]))


@given(texts)
@settings(deadline=None)
def test_octopus_reads_our_messages_alone(text: str) -> None:
    """By the same rules with which `deploy` reads a script's lines here."""
    for line in octopus_lines(Line(text)):
        assert all(parse(one)[1] is None for one in line.split("\n"))
