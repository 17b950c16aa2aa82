"""Waiting for tasks: every line once, bounded, through restarts, telling when a person must act."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import Interrupted, PipelineError
from pipeline.core.events import Line, Progressed
from pipeline.edge.http import HttpError
from pipeline.octopus.client import Document
from pipeline.octopus.releases import Run
from pipeline.octopus.waiting import Patience, TaskLog, wait_for

from tests.octopus.octopus_support import Clock, Events, opened
from tests.standins.octopus_server import Fault, OctopusServer
from tests.standins.octopus_state import Moment, Task
from tests.words import assert_said, refused

START = Moment(0.0, state="Executing", percent=0)
END = 60.0
DONE = Moment(END, state="Success", percent=100)


def lines_over_time(count: int) -> tuple[Moment, ...]:
    """Return a script that logs `count` lines in two activities over its whole time."""
    return tuple(
        Moment(END * number / count, f"line {number}", node=(f"Step {number % 2}",))
        for number in range(count)
    )


def started(server: OctopusServer, *script: Moment) -> Run:
    """Start a task and return it as a deployment of Orders to CI."""
    task = server.state.run(server.space, "Deploy Orders", (START, *script))
    return Run(task.id, "Orders", "CI", "2.0.7", f"https://octopus.example/{task.id}")


def waited(
    server: OctopusServer, clock: Clock, events: Events, *runs: Run, **patience: object
) -> None:
    """Wait for the runs by the test's clock."""
    patient = Patience(clock=clock, sleep=clock.sleep, **patience)  # type: ignore[arg-type]
    with events.reporter.stage("deploy CI") as stage:
        wait_for(opened(server, clock), runs, patient, stage, events.reporter)


def said(events: Events) -> list[str]:
    """Return the lines of the log that were shown."""
    return [line for line in events.lines if line.startswith("line ")]


@pytest.mark.parametrize("casing", ["Pascal", "camel"])
def test_every_line_is_shown_once_and_while_it_is_new(
    server: OctopusServer, clock: Clock, events: Events, casing: str
) -> None:
    """300 lines that grow in two activities: none twice, none lost, in order within each."""
    server.casing = casing
    waited(server, clock, events, started(server, *lines_over_time(300), DONE))
    shown = said(events)
    assert sorted(shown) == sorted(f"line {number}" for number in range(300))
    for step in (0, 1):
        own = [int(line.split()[1]) for line in shown if int(line.split()[1]) % 2 == step]
        assert own == sorted(own)
    assert shown.index("line 0") < shown.index("line 299")
    progress = [event for event in events.all if isinstance(event, Progressed)]
    assert len(progress) > 10
    assert progress[-1].done == 100


def test_categories_become_what_a_reader_expects(
    server: OctopusServer, clock: Clock, events: Events
) -> None:
    """Details are verbose, warnings are warnings, errors are marked."""
    script = [
        Moment(1.0, "a detail", "Verbose"),
        Moment(1.0, "a doubt", "Warning"),
        Moment(1.0, "a mistake", "Error"),
        DONE,
    ]
    waited(server, clock, events, started(server, *script))
    verbose = [
        event.text.strip() for event in events.all if isinstance(event, Line) if event.verbose
    ]
    assert verbose == ["a detail"]
    assert events.warnings == ["a doubt"]
    assert "error: a mistake" in events.lines


def test_a_server_restart_is_waited_for(
    server: OctopusServer, clock: Clock, events: Events
) -> None:
    """Dropped connections, then a gateway's page, then the server: every line is there once."""
    run = started(server, *lines_over_time(50), DONE)
    server.faults += [
        Fault("/tasks", "drop", times=9),
        Fault("/tasks", 503, times=9, body=b"<html><h1>starting</h1></html>"),
        Fault("/details", 200, times=1, body=b"<html>not yet</html>"),
    ]
    waited(server, clock, events, run, seconds=300.0)
    assert sorted(said(events)) == sorted(f"line {number}" for number in range(50))
    assert len([line for line in events.lines if line.startswith("Octopus does not answer")]) <= 3
    assert all(fault.times == 0 for fault in server.faults)


def test_a_rate_limit_is_kept(server: OctopusServer, clock: Clock, events: Events) -> None:
    """The wait that the server asks for is waited, and the rate stays under its default limit."""
    run = started(server, *lines_over_time(20), DONE)
    server.faults.append(Fault("/tasks", 429, headers={"Retry-After": "17"}))
    waited(server, clock, events, run)
    assert 17 in clock.slept
    asked = [request for request in server.requests if "/tasks" in request]
    assert len(asked) / (clock.now / 60) < 200


def test_many_tasks_are_asked_for_in_batches(
    server: OctopusServer, clock: Clock, events: Events
) -> None:
    """60 ids in two requests, and the polls get slower so that the limit holds."""
    runs = [started(server, DONE) for _ in range(60)]
    waited(server, clock, events, *runs)
    polls = [request for request in server.requests if "/tasks?" in request]
    assert [request.count("ServerTasks-") for request in polls[:2]] == [50, 10]
    assert len([r for r in server.requests if "/tasks" in r]) / (clock.now / 60) < 200


def test_a_task_that_waits_for_a_person_says_so(
    server: OctopusServer, clock: Clock, events: Events
) -> None:
    """Each time once, with what it waits for and the link, and the wait goes on."""
    approval = Moment(30.0, waits=True, pending="ChangeRequest")
    script = [Moment(5.0, waits=True), Moment(20.0, waits=False), approval, DONE]
    run = started(server, *script)
    waited(server, clock, events, run)
    intervention, request = events.warnings
    assert_said(f"{intervention}\n{request}", {re.escape(run.link): "LINK"})
    assert run.link in intervention


@pytest.mark.parametrize("cancel", [False, True])
def test_the_wait_is_bounded(
    server: OctopusServer, clock: Clock, events: Events, *, cancel: bool
) -> None:
    """At the bound it ends with the state; the task is cancelled only when asked."""
    run = started(server, Moment(10.0, waits=True))
    with refused("deploy CI", PipelineError) as error:
        waited(server, clock, events, run, seconds=120.0, cancel_on_timeout=cancel)
    assert 119 <= clock.now <= 125
    assert ("was cancelled" in error.value.what) is cancel
    task = server.space.tasks["ServerTasks-1"]
    assert task.state(clock.now) == ("Canceled" if cancel else "Executing")


def test_an_interruption_cancels_what_runs(
    server: OctopusServer, clock: Clock, events: Events
) -> None:
    """Ctrl-C ends the tasks that go on, not those that are complete, with exit code 130."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.at(10.0, interrupt)
    over = started(server, Moment(1.0, state="Success"))
    running = started(server, DONE)
    with refused("deploy CI", Interrupted) as error:
        waited(server, clock, events, over, running)
    assert over.task not in error.value.what
    assert server.space.tasks[running.task].state(clock.now) == "Canceled"
    assert [r for r in server.requests if "/cancel" in r] == [
        f"POST /api/tasks/{running.task}/cancel"
    ]


def test_every_failed_task_is_named(server: OctopusServer, clock: Clock, events: Events) -> None:
    """One failure does not hide another: all are waited for."""
    bad = started(server, Moment(1.0, state="Failed", error="no credentials"))
    late = started(server, Moment(40.0, state="TimedOut"))
    good = started(server, DONE)
    with refused("deploy CI", PipelineError) as error:
        waited(server, clock, events, bad, late, good)
    assert good.task not in error.value.what
    assert clock.now >= END


def test_a_task_that_is_gone_ends_the_wait(
    server: OctopusServer, clock: Clock, events: Events
) -> None:
    """A server that forgot it (a restored backup) is not asked until the end of the wait."""
    run = started(server, DONE)
    server.space.tasks.clear()
    with refused("Octopus tasks", HttpError):
        waited(server, clock, events, run)
    assert clock.now < 1


@given(
    st.lists(st.integers(0, 2), max_size=40),
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.sampled_from([5, 1000]),
)
def test_a_log_comes_out_whole_however_it_is_read(
    texts: list[int], steps: list[int], tail: int
) -> None:
    """Lines that repeat each other, read in any pace: once each, in order, as long as the server
    leaves out no more than was read before.
    """  # noqa: D205 - one sentence
    script = tuple(Moment(float(number), f"line {text}") for number, text in enumerate(texts))
    task, log, now = Task("ServerTasks-1", "Spaces-1", "Deploy", 0.0, script), TaskLog(), -1.0
    shown: list[str] = []
    for step in [*steps, *[4] * len(texts)]:
        now += step if tail > 5 else min(step, 4)
        shown += [text for _, _, text in log.unread(Document(task.details(now, tail)))]
    assert shown == [f"line {text}" for text in texts]
    assert not log.cut


def test_lines_of_one_moment_keep_their_order() -> None:
    """Alike ones too; and a gap after lines that are known is one."""
    log, shown = TaskLog(), list[str]()
    for texts in (["-", "a", "-"], ["-", "a", "-", "", "b"]):
        elements = [
            {"OccurredAt": "1", "Category": "Info" if text else "Gap", "MessageText": text}
            for text in texts
        ]
        step = {"Id": "1", "Name": "Deploy", "LogElements": elements}
        shown += [text for _, _, text in log.unread(Document({"ActivityLogs": [step]}))]
    assert shown == ["-", "a", "-", "b"]
    assert log.cut


def test_lines_that_the_server_left_out_are_not_passed_over_in_silence(
    server: OctopusServer, clock: Clock, events: Events
) -> None:
    """More lines than the server gives between two readings: the reader gets the link."""
    task = server.state.run(server.space, "Deploy", (START, *lines_over_time(40), DONE))
    log = TaskLog()
    log.unread(Document(task.details(1.0, 5)))
    log.unread(Document(task.details(END, 5)))
    assert log.cut
    assert events.all == []
    assert clock.now == 0
