"""GitHub Actions, GitLab CI, Azure Pipelines: the documented escapes, balanced groups."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.events import (
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
from pipeline.report import servers
from pipeline.report.servers import GroupedPrinter, Style, gitlab

texts = st.text(st.characters(exclude_categories=["Cs"]))
STYLES: dict[str, Callable[[], Style]] = {
    "github": lambda: servers.GITHUB,
    "gitlab": lambda: gitlab(lambda: 1560896352.7),
    "azure": lambda: servers.AZURE,
}
OPENED = re.compile(r"::group::|##\[group\]|\x1b\[0Ksection_start:\d+:(?P<name>[A-Za-z0-9_.-]+)\[")
CLOSED = re.compile(
    r"::endgroup::|##\[endgroup\]|\x1b\[0Ksection_end:\d+:(?P<name>[A-Za-z0-9_.-]+)\r\x1b\[0K"
)
each_server = pytest.mark.parametrize("server", STYLES)


def printed(server: str, *events: Event, verbose: bool = False) -> list[str]:
    """Return the lines that the events become, the printer closed."""
    lines: list[str] = []
    printer = GroupedPrinter(lines.append, STYLES[server](), verbose)
    for event in events:
        printer(event)
    printer.close()
    return lines


def decoded(value: str, escapes: dict[str, str]) -> str:
    """Undo escapes one after the other, as the servers do; the percent sign comes last."""
    for written, meant in escapes.items():
        value = value.replace(written, meant)
    return value


GITHUB_DATA = {"%0D": "\r", "%0A": "\n", "%25": "%"}
GITHUB_PROPERTY = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}
AZURE_DATA = {"%0D": "\r", "%0A": "\n", "%AZP25": "%"}
AZURE_PROPERTY = {"%3B": ";", "%0D": "\r", "%0A": "\n", "%5D": "]", "%AZP25": "%"}


@given(texts, texts)
def test_githubs_commands_survive_their_escaping(data: str, title: str) -> None:
    """A runner that splits at the documented places reads what was said."""
    line = servers.github_command("error", data, title=title)
    match = re.fullmatch(r"::error title=([^:,\r\n%]|%[0-9A-F]{2})*::(.|[^\r\n])*", line)
    assert match
    head, _, tail = line.removeprefix("::error title=").partition("::")
    assert decoded(head, GITHUB_PROPERTY) == title
    assert decoded(tail, GITHUB_DATA) == data


@given(texts, texts)
def test_azures_commands_survive_their_escaping(data: str, path: str) -> None:
    """An agent that splits at the documented places reads what was said."""
    line = servers.azure_command("results.publish", data, type="JUnit", resultFiles=path)
    head, _, tail = line.removeprefix("##vso[results.publish ").partition("]")
    first, second = head.split(";")
    assert first == "type=JUnit"
    assert decoded(second.removeprefix("resultFiles="), AZURE_PROPERTY) == path
    assert decoded(tail, AZURE_DATA) == data
    assert "\n" not in line
    assert "\r" not in line


def test_the_documented_examples() -> None:
    """Each escape of both tables, and commands as the servers' own pages write them."""
    assert servers.github_command("warning", "50%\r\n", title="a:b,c") == (
        "::warning title=a%3Ab%2Cc::50%25%0D%0A"
    )
    assert servers.azure_command("task.logissue", "50%\r\n", type="a;b]") == (
        "##vso[task.logissue type=a%3Bb%5D]50%AZP25%0D%0A"
    )
    assert printed("azure", BuildNumber("2.0.7")) == ["##vso[build.updatebuildnumber]2.0.7"]
    assert printed("azure", Artifact("/x/a.nupkg"), JunitFile("/x/t.xml")) == [
        "##vso[artifact.upload containerfolder=package;artifactname=package]/x/a.nupkg",
        "##vso[results.publish type=JUnit;resultFiles=/x/t.xml]",
    ]


def test_gitlabs_sections() -> None:
    """The markers to the byte; a stage that comes twice has two names."""
    end = Finished("deploy CI", "done", 1.0)
    lines = printed("gitlab", Started("deploy CI"), end, Started("deploy CI"), end)
    assert lines[:2] == [
        "\x1b[0Ksection_start:1560896352:deploy_CI.1[collapsed=false]\r\x1b[0Kdeploy CI",
        "\x1b[0Ksection_end:1560896352:deploy_CI.1\r\x1b[0K",
    ]
    assert "deploy_CI.2[collapsed=false]" in lines[3]


@each_server
@given(st.lists(st.tuples(st.sampled_from(["a", "deploy CI", "b:c"]), st.sampled_from("gbn"))))
def test_groups_are_balanced(server: str, stages: list[tuple[str, str]]) -> None:
    """Good ends, failures and crashes, nested or not: every group is closed, none is nested."""
    events: list[Event] = []
    for name, end in stages:
        events += [Started(name), Line("inside")]
        if end != "n":
            error = PipelineError(name, "broken")
            events.append(Finished(name, "", 1.0) if end == "g" else Failed(name, error))
    open_now: list[str | None] = []
    for line in printed(server, *events):
        opened, closed = OPENED.match(line), CLOSED.fullmatch(line)
        if opened:
            assert open_now == []
            open_now.append(opened.groupdict().get("name"))
        if closed:
            assert open_now.pop() == closed.groupdict().get("name")
    assert open_now == []


@each_server
def test_a_failing_stage_is_closed_before_its_error(server: str) -> None:
    """The result and the error stand below the group, where they are seen."""
    error = PipelineError("restore", "no wheel for six", "Lock again.")
    lines = printed(server, Started("restore"), Failed("restore", error), Failed("", error))
    assert OPENED.match(lines[0])
    assert CLOSED.fullmatch(lines[1])
    assert lines[2] == "  restore   failed"
    assert "no wheel for six" in "".join(lines[3:])


def test_errors_and_warnings_are_annotations() -> None:
    """The verb's own failure and warnings, once each, with all their lines."""
    events = (Warned("old"), Failed("", PipelineError("restore", "no wheel", "Lock again.")))
    assert printed("github", *events) == [
        "::warning::old",
        "::error title=restore::restore: no wheel%0ALock again.",
    ]
    assert printed("azure", *events) == [
        "##vso[task.logissue type=warning]old",
        "##vso[task.logissue type=error]restore: no wheel%0ALock again.",
    ]


@each_server
def test_details_are_shown_on_request(server: str) -> None:
    """Progress and verbose lines appear with `--verbose` only."""
    events = (Progressed("restore", "half"), Line("detail", verbose=True), Line("always"))
    assert printed(server, *events) == ["always"]
    assert len(printed(server, *events, verbose=True)) == 3


@given(texts, texts)
def test_an_output_has_any_value(name: str, value: str) -> None:
    """The file of outputs gives back the value, and holds no second output."""
    first, _, rest = servers.output(name, value).partition("\n")
    key, _, end = first.partition("<<")
    assert re.fullmatch(r"[A-Za-z0-9_-]*", key)
    assert rest == f"{value}\n{end}\n"
    assert end not in value


def test_githubs_files() -> None:
    """Outputs at once; the summary at the end, with the error where nothing can break out."""
    outputs: list[str] = []
    summary: list[str] = []
    files = servers.GitHubFiles(outputs.append, summary.append)
    error = PipelineError("test", "1 failed\n```\n<b>")
    for event in (
        BuildNumber("2.0.7"),
        Finished("restore", "14 packages | cached", 0.1),
        Artifact("/x/a.nupkg"),
        Artifact("/x/a.sig"),
        Output("FunctionArn", "arn"),
        Failed("test", error),
        Failed("", error),
    ):
        files(event)
    assert outputs == [
        "version<<END\n2.0.7\nEND\n",
        "package<<END\n/x/a.nupkg\nEND\n",
        "FunctionArn<<END\narn\nEND\n",
    ]
    assert summary == []
    files.close()
    shown = (
        "### 2.0.7\n\n| stage | | |\n|---|---|---:|\n"
        "| restore | 14 packages \\| cached | 0.1 s |\n| test | failed |  |\n\n"
        "    test: 1 failed\n    ```\n    <b>\n\n"
    )
    assert summary == [shown]


def test_a_verb_without_stages_has_no_summary() -> None:
    """`version` in a workflow leaves the page as it is."""
    summary: list[str] = []
    servers.GitHubFiles(summary.append, summary.append).close()
    assert summary == []
