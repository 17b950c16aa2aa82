"""Octopus's service messages: what we write, a parser of its rules reads; and no secret in them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import Conflict, PipelineError
from pipeline.core.events import (
    Artifact,
    BuildNumber,
    Event,
    Failed,
    Finished,
    Line,
    Output,
    Progressed,
    Reporter,
    Started,
    Warned,
)
from pipeline.core.masking import MASK, masked, masked_text
from pipeline.core.text import line_sink, plain_lines
from pipeline.deploy.worker_log import message, octopus_lines
from pipeline.octopus.launch import Message, parse

# Surrogates are no text: no encoding of a log can carry them.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@dataclass
class Log:
    """Lines, as a worker's standard output takes them."""

    lines: list[str] = field(default_factory=list)

    def write(self, text: str) -> None:
        """Take a text of one or several lines."""
        self.lines += text.split("\n")


def octopus(*events: Event) -> list[str]:
    """Return the lines that the Octopus printer writes for events."""
    log = Log()
    for event in events:
        line_sink(log.write, octopus_lines)(event)
    return log.lines


@given(TEXT, TEXT)
def test_any_text_round_trips(name: str, value: str) -> None:
    """A value comes back as it was written, whatever characters it has."""
    line = message("setVariable", name=name, value=value)
    assert "\n" not in line
    assert parse(line) == ("", Message("setVariable", {"name": name, "value": value}))


@given(TEXT)
def test_no_plain_text_is_taken_for_a_message(text: str) -> None:
    """A description or an answer that holds a service message stays text."""
    lines = octopus(Line(f"{text}##octopus[setVariable name='QQ=='] ##OCTOPUS[x]{text}"))
    assert [parse(line)[1] for line in lines] == [None] * len(lines)


@given(TEXT)
def test_any_line_is_a_message_or_text(text: str) -> None:
    """What a script writes between the marks ends in no error."""
    line = f"##octopus[{text}]"
    assert parse(line)[1] or parse(line) == (line, None)


@pytest.mark.parametrize(
    "line",
    [
        "##octopus[setVariable name='not base64!']",
        "##octopus[setVariable name='//8=']",
        "##octopus[progress percentage=NQ==]",
        "##octopus[]",
        # What XML refuses: a form feed as a blank, an attribute twice, a digit in front of a name.
        "##octopus[stdout-verbose\x0c]",
        "##octopus[setVariable name='QQ==' name='QQ==']",
        "##octopus[setVariable 1='QQ==']",
        "##octopus[stdout-verbose",
    ],
)
def test_a_malformed_message_is_plain_text(line: str) -> None:
    """What cannot be read is shown as it is."""
    assert parse(line) == (line, None)


def test_text_around_a_message_is_kept() -> None:
    """A message in the middle of a line leaves the rest as text."""
    assert parse("a##octopus[stdout-default]b") == ("ab", Message("stdout-default", {}))


def test_categories_are_switched_back() -> None:
    """Verbose, warning and highlight lines stand between their category and the default one."""
    for event, category, text in (
        (Line("detail", verbose=True), "verbose", "detail"),
        (Warned("careful"), "warning", "warning: careful"),
        (BuildNumber("2.0.7"), "highlight", "2.0.7"),
    ):
        switch, back = f"##octopus[stdout-{category}]", "##octopus[stdout-default]"
        assert octopus(event) == [switch, text, back]


def test_plain_events_need_no_message() -> None:
    """A line and the end of a stage are plain; the start of one is silent."""
    lines = octopus(Started("upload"), Line("hello"), Finished("upload", "4.4 MB", 0.26))
    assert lines[0] == "hello"
    assert lines[1].split() == ["upload", "4.4", "MB", "0.3", "s"]


def test_outputs_artifacts_and_progress_are_messages() -> None:
    """Output variables, artifacts and progress with a total reach the server."""
    events = (Output("Sha", "x="), Artifact("/x/plan.json", 7), Progressed("up", "half", 1, 2))
    lines = octopus(*events)
    found = [read for line in lines if (read := parse(line)[1])]
    assert Message("setVariable", {"name": "Sha", "value": "x="}) in found
    kept = {"path": "/x/plan.json", "name": "plan.json", "length": "7"}
    assert Message("createArtifact", kept) in found
    assert Message("progress", {"percentage": "50", "message": "half"}) in found


def test_a_failure_is_result_and_text() -> None:
    """The verb's failure is the result message, and readable in the log; a stage's is a row."""
    error = PipelineError("deploy CI", "no", "Do this.")
    first, *rest = octopus(Failed("", error))
    assert parse(first)[1] == Message("resultMessage", {"message": "deploy CI: no\nDo this."})
    assert rest == ["deploy CI: no", "Do this."]
    assert [line.split() for line in octopus(Failed("upload", error))] == [["upload", "failed"]]


def test_plain_and_octopus_use_the_same_words() -> None:
    """The plain printer writes what the Octopus printer writes between its messages."""
    events: list[Event] = [
        Started("plan"),
        Progressed("plan", "waiting"),
        Finished("plan", "3 changes", 1.0),
        Line("x"),
        Line("y", verbose=True),
        Warned("z"),
        Output("a", "b"),
        Failed("", PipelineError("w", "t", "n")),
    ]
    written = [line for event in events for line in plain_lines(event, verbose=True)]
    assert written == [line for line in octopus(*events) if not line.startswith("##octopus")]


def test_details_are_shown_on_request_only() -> None:
    """Without verbose, plain lines leave out progress and verbose lines."""
    events = (Line("y", verbose=True), Progressed("s", "t"), Line("x"))
    assert [plain_lines(event, verbose=False) for event in events] == [[], [], ["x"]]


SECRETS = st.lists(st.text('abc\n"%/é', min_size=4, max_size=12), min_size=1, max_size=3)


@given(SECRETS, st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_no_secret_passes_the_mask(secrets: list[str], before: str, after: str) -> None:
    """In no text of an event is a secret left, whatever stands around it."""
    seen: list[Event] = []
    sink = masked(seen.append, secrets)
    text = before + after.join(secrets) + before
    sink(Output(text, text))
    sink(Warned(text))
    sink(Failed(text, PipelineError(text, text, text)))
    output, warned, failed = seen
    assert isinstance(output, Output)
    assert isinstance(warned, Warned)
    assert isinstance(failed, Failed)
    error = failed.error
    texts = {output.name, output.value, warned.text, failed.stage}
    texts |= {error.where, error.what, error.then}
    assert texts == {masked_text(text, secrets)}
    shown = texts.pop()
    assert not [secret for secret in secrets if secret in shown]


def test_masking_keeps_kind_and_numbers_of_an_event() -> None:
    """Only texts change: an error keeps its kind, progress its numbers."""
    seen: list[Event] = []
    sink = masked(seen.append, ["hunter22"])
    sink(Failed("s", Conflict("a", "hunter22!", "b")))
    sink(Progressed("s", "x hunter22", 1, 2))
    first, second = seen
    assert isinstance(first, Failed)
    assert isinstance(first.error, Conflict)
    assert first.error.what == f"{MASK}!"
    assert second == Progressed("s", f"x {MASK}", 1, 2)


def test_other_forms_and_lines_of_a_secret_are_hidden() -> None:
    """A secret inside JSON or a URL, one of its lines, and one that another one starts with."""
    assert masked_text('{"a": "p\\"ss\\u00e9word"}', ['p"sséword']) == f'{{"a": "{MASK}"}}'
    assert masked_text("x?k=ab%2Fc%2Bd", ["ab/c+d"]) == f"x?k={MASK}"
    assert masked_text("see line-two", ["line-one\nline-two"]) == f"see {MASK}"
    assert masked_text("secret-longer", ["secret", "secret-longer"]) == MASK


def test_short_texts_are_not_hidden() -> None:
    """Hiding every `1` would make the log unreadable."""
    assert masked_text("1 on abc", ["1", "on", "abc", ""]) == "1 on abc"


def test_a_reporter_behind_a_mask_shows_a_failing_stage() -> None:
    """The mask works for what a reporter emits by itself."""
    seen: list[Event] = []
    reporter = Reporter(masked(seen.append, ["hunter22"]))
    error = PipelineError("w", "hunter22")
    with pytest.raises(PipelineError), reporter.stage("s"):
        raise error
    (failed,) = [event for event in seen if isinstance(event, Failed)]
    assert str(failed.error) == f"w: {MASK}"
