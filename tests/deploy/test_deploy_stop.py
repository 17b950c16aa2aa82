"""Stopping a deploy: the step at hand ends or is taken back, and what is there is said."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from pipeline.core.errors import Interrupted
from pipeline.deploy.observe import observe
from pipeline.deploy.stop import Stop
from pipeline.edge.shell import stream

from tests.deploy.deploy_support import NAME, Clock
from tests.deploy.deploying import Deploy
from tests.deploy.fake_lambda import FakeLambda, Killed
from tests.words import assert_wording, refused

CALLS = {
    "update_function_configuration": "was taken back",
    "update_function_code": "Traffic goes to $LATEST.",
    "publish_version": "Traffic goes to $LATEST.",
    "update_alias": "Traffic goes to version 1.",
    "tag_resource": "",
}


def stopped_at(folder: Path, moment: str, call: str, ceiling: float = 30.0) -> tuple[Deploy, Stop]:
    """Return a deploy that somebody stops around a call."""
    one, stop = Deploy(folder), Stop()
    one.wait = replace(Clock().wait(ceiling), stopped=stop)
    request: Callable[[FakeLambda], None] = lambda _: stop.request(signal.SIGTERM)  # noqa: E731
    getattr(one.fake, moment)[call] = [request]
    return one, stop


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_whenever_a_deploy_is_stopped_it_says_where_things_stand(
    tmp_path: Path, call: str, moment: str
) -> None:
    """The step is done, or undone; the alias leads to a whole version; a rerun does the rest."""
    one, _ = stopped_at(tmp_path, moment, call)
    before = replace(observe(one.fake, NAME), revision_id="")
    with refused(None, Interrupted) as caught:
        one.run()
    assert_wording("plans", f"stopped at {call}", str(caught.value), {})
    if "was taken back" in caught.value.then:
        assert replace(observe(one.fake, NAME), revision_id="") == before
    one.wait = Clock().wait()
    one.run()
    one.fake.calls.clear()
    assert one.run().steps == ()
    assert len(one.fake.versions) == 1


def test_a_version_whose_worker_died_is_waited_for_by_the_next_deploy(tmp_path: Path) -> None:
    """It is found in the list of versions, which has no states: it may still be pending."""
    one = Deploy(tmp_path)
    one.fake.after["publish_version"] = [Killed()]
    with pytest.raises(Killed):
        one.run()
    one.fake.versions["1"]["State"] = "Pending"
    ready: Callable[[FakeLambda], None] = lambda f: f.versions["1"].update(State="Active")  # noqa: E731
    one.fake.before["get_function of a version"] = [lambda _: None, ready]
    states: list[str] = []
    note: Callable[[FakeLambda], None] = lambda f: states.append(f.versions["1"]["State"])  # noqa: E731
    one.fake.before["update_alias"] = [note]
    one.run()
    assert (states, len(one.fake.versions)) == (["Active"], 1)


def test_before_the_first_write_nothing_was_changed(tmp_path: Path) -> None:
    """While it plans, too."""
    one, _ = stopped_at(tmp_path, "before", "list_versions_by_function")
    with refused("CI-Greeter", Interrupted):
        one.run()
    assert one.fake.writes() == []


def test_a_long_wait_ends_soon(tmp_path: Path) -> None:
    """An update that AWS has not ended after ten seconds more is left to the next deploy."""
    one, _ = stopped_at(tmp_path, "before", "update_function_code", ceiling=300)
    one.fake.busy_reads = 1
    one.fake.after["update_function_code"] = [lambda fake: setattr(fake, "busy_reads", 1000)]
    with refused("CI-Greeter", Interrupted):
        one.run()


def test_the_same_signal_a_second_time_stops_at_once() -> None:
    """It is the user's word that nothing is to be waited for; one Ctrl-C may come as both."""
    stop = Stop()
    assert not stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        stop.request(number)
        assert stop()
    with pytest.raises(KeyboardInterrupt):
        stop.request(signal.SIGINT)


SCRIPT = """
import os, signal, sys, time
def stop(*_):
    global left
    left -= 1
    os.write(1, b"asked\\n")
left = {asks}
signal.signal(signal.SIGTERM, stop)
os.write(1, b"started\\n")
while left:
    time.sleep(0.01)
sys.exit(130)
"""


@pytest.mark.parametrize("asks", [1, 2])
def test_a_ctrl_c_here_is_handed_on_and_the_end_is_waited_for(tmp_path: Path, asks: int) -> None:
    """What the program says after it is still shown, and its exit code is the one that counts."""
    said, numbers = [], count()

    def take(line: str, _is_error: bool) -> None:
        said.append(line)
        if next(numbers) < asks:
            raise KeyboardInterrupt

    command = (sys.executable, "-c", SCRIPT.format(asks=asks))
    assert stream(command, take, cwd=tmp_path, env={}, patient=True) == Interrupted.exit_code
    assert said == ["started", *["asked"] * asks]


def test_a_third_ctrl_c_ends_the_program(tmp_path: Path) -> None:
    """Nobody has to wait for a program that does not end."""
    script = SCRIPT.format(asks=3).replace("sys.exit(130)", "sys.exit(1)")

    def take(_line: str, _is_error: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream((sys.executable, "-c", script), take, cwd=tmp_path, env={}, patient=True)
