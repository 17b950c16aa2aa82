"""Build servers that fold a log into groups: GitHub Actions, GitLab CI and Azure Pipelines.

A `Style` says how each does it. Only outermost stages become groups: GitHub Actions and Azure
Pipelines do not nest them. A stage's result stands below its group, where it is seen while the
group is folded. Commands escape `%`, CR and LF, in properties what separates those as well.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core.errors import PipelineError
from ..core.events import (
    Artifact,
    BuildNumber,
    Event,
    Failed,
    Finished,
    Output,
    Started,
    TestResults,
    Warned,
)
from ..core.foreign import harmless
from ..core.text import plain_lines

_GITHUB_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_GITHUB_PROPERTY = _GITHUB_DATA | str.maketrans({":": "%3A", ",": "%2C"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+|~&$!-])")
_NO_OUTPUT = re.compile(r"[^A-Za-z0-9_-]")
_ERASE = "\x1b[0K"
_NO_SECTION = re.compile(r"[^A-Za-z0-9_.-]")
_AZURE_DATA = str.maketrans({"%": "%AZP25", "\r": "%0D", "\n": "%0A"})
_AZURE_PROPERTY = _AZURE_DATA | str.maketrans({";": "%3B", "]": "%5D"})


@dataclass(frozen=True)
class Style:
    """What one build server reads: the lines that open and close a group, and its own messages.

    `messages` returns the lines of an event that the server has a form for, None for others.
    """

    opening: Callable[[str], str]
    closing: Callable[[], str]
    messages: Callable[[Event], list[str] | None] = lambda _event: None


@dataclass
class GroupedPrinter:
    """A sink that writes lines with `write`; `close` ends what a crash has left open."""

    write: Callable[[str], None]
    style: Style
    verbose: bool = False
    _stages: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Write an event's lines, and those of the group that it begins or ends."""
        if isinstance(event, Started):
            self._stages.append(event.stage)
            if len(self._stages) == 1:
                self.write(self.style.opening(" ".join(harmless(event.stage).split())))
        if isinstance(event, Finished) or (isinstance(event, Failed) and event.stage):
            self._end()
        lines = self.style.messages(event)
        if lines is None:
            lines = plain_lines(event, verbose=self.verbose)
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Close the group that is still open."""
        while self._stages:
            self._end()

    def _end(self) -> None:
        if self._stages:
            self._stages.pop()
            if not self._stages:
                self.write(self.style.closing())


def github_command(name: str, data: str = "", **properties: str) -> str:
    """Return a workflow command of GitHub Actions."""
    pairs = ",".join(
        f"{key}={value.translate(_GITHUB_PROPERTY)}" for key, value in properties.items()
    )
    return f"::{name}{' ' if pairs else ''}{pairs}::{data.translate(_GITHUB_DATA)}"


def output(name: str, value: str) -> str:
    """Return an output as GITHUB_OUTPUT takes it, with any value."""
    end = "END"
    while end in value:
        end += "_"
    return f"{_NO_OUTPUT.sub('_', name)}<<{end}\n{value}\n{end}\n"


def markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(harmless(text).split()))


def _github_messages(event: Event) -> list[str] | None:
    if isinstance(event, Warned):
        return [github_command("warning", harmless(event.text))]
    if isinstance(event, Failed) and not event.stage:
        return [
            github_command("error", harmless(str(event.error)), title=harmless(event.error.where))
        ]
    return None


GITHUB = Style(
    lambda stage: github_command("group", stage),
    lambda: github_command("endgroup"),
    _github_messages,
)


@dataclass
class GitHubFiles:
    """A sink for the step's outputs, at once, and for its summary, at `close`.

    The files of GITHUB_OUTPUT and GITHUB_STEP_SUMMARY are appended to through what is passed in.
    The outputs are `version`, `package` (the last artifact that is one), and what a verb names.
    """

    append_output: Callable[[str], None]
    append_summary: Callable[[str], None]
    _version: str = ""
    _rows: list[str] = field(default_factory=list)
    _error: PipelineError | None = None

    def __call__(self, event: Event) -> None:
        """Take what the files want to know of an event."""
        if isinstance(event, BuildNumber):
            self._version = event.text
            self.append_output(output("version", event.text))
        elif isinstance(event, Artifact) and event.path.endswith(".nupkg"):
            self.append_output(output("package", event.path))
        elif isinstance(event, Output):
            self.append_output(output(event.name, event.value))
        elif isinstance(event, Finished):
            self._row(event.stage, event.text, f"{event.seconds:.1f} s")
        elif isinstance(event, Failed) and event.stage:
            self._row(event.stage, "failed", "")
        elif isinstance(event, Failed):
            self._error = event.error

    def close(self) -> None:
        """Append the summary: the version, a row a stage, and the error."""
        parts = [f"### {markdown(self._version)}\n"] if self._version else []
        if self._rows:
            parts.append("| stage | | |\n|---|---|---:|\n" + "".join(self._rows))
        if self._error:
            # An indented block: nothing in the text can end it.
            parts.append(
                "".join(f"    {line}\n" for line in harmless(str(self._error)).splitlines())
            )
        if parts:
            self.append_summary("\n".join(parts) + "\n")

    def _row(self, *cells: str) -> None:
        self._rows.append(f"| {' | '.join(map(markdown, cells))} |\n")


def gitlab(unix_time: Callable[[], float]) -> Style:
    """Return the style of GitLab's log; `unix_time` gives seconds.

    A section's markers are `section_start:UNIX TIME:NAME` and `section_end:UNIX TIME:NAME` between
    the sequence that erases a line and a carriage return; NAME has letters, digits, `_`, `.`, `-`.
    Tests, artifacts and caches are the build file's.
    """
    numbers = itertools.count(1)
    name = ""

    def marker(edge: str) -> str:
        return f"{_ERASE}section_{edge}:{int(unix_time())}:{name}"

    def opening(stage: str) -> str:
        nonlocal name
        # Names are unique in a job's log: a stage may come twice.
        name = f"{_NO_SECTION.sub('_', stage)}.{next(numbers)}"
        return f"{marker('start')}[collapsed=false]\r{_ERASE}{stage}"

    return Style(opening, lambda: f"{marker('end')}\r{_ERASE}")


def azure_command(name: str, data: str = "", **properties: str) -> str:
    """Return a logging command of Azure Pipelines."""
    pairs = ";".join(
        f"{key}={value.translate(_AZURE_PROPERTY)}" for key, value in properties.items()
    )
    return f"##vso[{name}{' ' if pairs else ''}{pairs}]{data.translate(_AZURE_DATA)}"


def _azure_messages(event: Event) -> list[str] | None:
    if isinstance(event, Warned):
        return [azure_command("task.logissue", harmless(event.text), type="warning")]
    if isinstance(event, Failed) and not event.stage:
        return [azure_command("task.logissue", harmless(str(event.error)), type="error")]
    if isinstance(event, BuildNumber):
        return [azure_command("build.updatebuildnumber", harmless(event.text))]
    if isinstance(event, Artifact):
        place = {"containerfolder": "package", "artifactname": "package"}
        return [azure_command("artifact.upload", event.path, **place)]
    if isinstance(event, TestResults):
        return [azure_command("results.publish", type="JUnit", resultFiles=event.path)]
    return None


AZURE = Style("##[group]{}".format, lambda: "##[endgroup]", _azure_messages)
