"""GitHub Actions: groups, annotations, the step's summary and its outputs.

Workflow commands escape `%`, CR and LF, in properties `:` and `,` as well. The files of
GITHUB_OUTPUT and GITHUB_STEP_SUMMARY are appended to through writers that are passed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core.errors import PipelineError
from ..core.events import Artifact, BuildNumber, Event, Failed, Finished, Output, Warned
from ..core.foreign import harmless
from .grouped import Style

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+|~&$!-])")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


def command(name: str, data: str = "", **properties: str) -> str:
    """Return a workflow command."""
    pairs = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{name}{' ' if pairs else ''}{pairs}::{data.translate(_DATA)}"


def output(name: str, value: str) -> str:
    """Return an output as GITHUB_OUTPUT takes it, with any value."""
    end = "END"
    while end in value:
        end += "_"
    return f"{_NO_NAME.sub('_', name)}<<{end}\n{value}\n{end}\n"


def markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(harmless(text).split()))


def _annotations(event: Event) -> list[str] | None:
    if isinstance(event, Warned):
        return [command("warning", harmless(event.text))]
    if isinstance(event, Failed) and not event.stage:
        return [command("error", harmless(str(event.error)), title=harmless(event.error.where))]
    return None


GITHUB = Style(lambda stage: command("group", stage), lambda: command("endgroup"), _annotations)


@dataclass
class GitHubFiles:
    """A sink for the step's outputs, at once, and for its summary, at `close`.

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
