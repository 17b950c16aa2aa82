"""An environment's stack in the embedded AWS: from nothing to a deployed function, and back."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.deploy.aws_session import Connection
from pipeline.local.state import LocalAws
from pipeline.project.project import Project
from pipeline.stack.change_set import (
    SERVICE,
    ChangeSet,
    Stacks,
    Wanted,
    apply_change_set,
    make_change_set,
    parameters_for,
    refuse_lost_alias,
)
from pipeline.stack.removal import Removal, audit, remove_stack, stop_sources, what_would_go
from pipeline.verbs.env_place import Asked, Means, StackOptions
from pipeline.verbs.env_stack import delete_stack

from tests.local.local_support import Seen, client
from tests.local.test_local_verbs import STACK
from tests.project.values_support import FUNCTION_SETTINGS, machine, write_settings
from tests.words import refused

NAME = "test-1-Logs"
RETAINED = STACK.replace("  Bucket:\n", "  Bucket:\n    DeletionPolicy: Retain\n", 1)


def test_a_stack_is_made_changed_and_taken_away_with_all_in_it(aws: LocalAws) -> None:
    """Made once, changed by what differs, never at the alias; afterwards nothing is left."""
    there = replace(aws, region="eu-central-1")
    clients, seen = partial(client, there), Seen()
    stacks = Stacks(clients("cloudformation"), time.sleep)
    known = {"FunctionName": NAME, "Runtime": "not a parameter of this one"}
    with refused("env", PipelineError):
        parameters_for(stacks, "env", RETAINED, known, {"Memroy": "512"})
    wanted = Wanted(
        NAME, RETAINED, parameters_for(stacks, "env", RETAINED, known, {}), {SERVICE: "Acme"}
    )
    make = partial(make_change_set, stacks, keep_on_failure=False)
    make(wanted)  # left in review by a run that was killed
    change = make(wanted)
    assert change.is_new
    outputs = apply_change_set(stacks, change, seen.reporter)
    assert outputs["FunctionName"] == NAME
    same = make(wanted)
    assert (same.is_new, same.changes) == (False, ())
    larger = make(replace(wanted, parameters={**wanted.parameters, "Memory": "512"}))
    assert [one["LogicalResourceId"] for one in larger.changes] == ["Function"]
    refuse_lost_alias(larger)
    apply_change_set(stacks, larger, seen.reporter)
    function = clients("lambda").get_function_configuration(FunctionName=NAME)
    assert function["MemorySize"] == 512
    moved = make(replace(wanted, template=RETAINED.replace("Name: live", "Name: other")))
    with refused("", PipelineError):
        refuse_lost_alias(moved)
    bucket, s3 = outputs["BucketName"], clients("s3")
    for _ in range(2):
        s3.put_object(Bucket=bucket, Key="kept.txt", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="kept.txt")
    tags = {SERVICE: "Acme"}
    removal = Removal(NAME, clients, stacks, tags=tags)
    assert any("Bucket" in line for line in what_would_go(removal))
    for _ in range(2):  # again on what is gone
        found = removal.inventory()
        stop_sources(removal, found, seen.reporter)
        remove_stack(removal, found, seen.reporter)
        assert audit(removal, found) == []
    assert bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def test_a_permanent_environment_goes_only_when_its_name_is_repeated(tmp_path: Path) -> None:
    """Refused before AWS is asked for anything."""
    project = Project.load(write_settings(tmp_path))
    asked = Asked(project, StackOptions("production"), machine(tmp_path), Seen().reporter)
    with refused("env.delete Production", PipelineError):
        delete_stack(asked)


def test_a_closed_way_into_aws_is_tried_once(tmp_path: Path) -> None:
    """Two environments that share it are both named, and the second costs no wait."""
    tried = []

    def refuse(*place: object) -> Connection:
        tried.append(place)
        raise PipelineError("AWS", "no answer came", "")

    shared = 'account = "123456789012"\nregion = "eu-west-1"\n'
    text = "".join(f"[tool.pipeline.environments.{one}]\n{shared}" for one in ("CI", "Staging"))
    project = Project.load(write_settings(tmp_path, f"{FUNCTION_SETTINGS}{text}"))
    options, means = StackOptions("nowhere"), Means(connect=refuse)
    here = replace(
        machine(tmp_path), environ={"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "b"}
    )
    unread: list[str] = []
    assert [*Asked(project, options, here, Seen().reporter, means).places(unread)] == []
    assert unread == ["nowhere was not looked for in AWS of CI, Staging: no answer came"]
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("detail", "refused"),
    [
        ({"Evaluation": "Static", "Target": {"Name": "FunctionVersion"}}, True),
        ({"Evaluation": "Dynamic", "Target": {"BeforeValue": "7", "AfterValue": "8"}}, True),
        ({"Evaluation": "Dynamic", "Target": {"Name": "FunctionName"}}, False),
        (
            {
                "Evaluation": "Dynamic",
                "Target": {"BeforeValue": "f", "AfterValue": "{{changeSet:KNOWN_AFTER_APPLY}}"},
            },
            False,
        ),
    ],
)
def test_a_change_of_the_alias_is_refused_unless_it_is_only_evaluated_later(
    detail: dict[str, object], *, refused: bool
) -> None:
    """What is static, or has another value, would move `live`; the rest is shown."""
    one = {
        "Action": "Modify",
        "LogicalResourceId": "Live",
        "ResourceType": "AWS::Lambda::Alias",
        "Replacement": "False",
        "Details": [detail],
    }
    change = ChangeSet(Wanted(NAME, "", {}, {}), "id", "stack", is_new=False, changes=(one,))
    assert "Live" in change.lines()[0]
    with pytest.raises(PipelineError) if refused else nullcontext():
        refuse_lost_alias(change)


class Formation:
    """A CloudFormation whose stack goes through these statuses, one with each look at it."""

    def __init__(self, *statuses: str, events: tuple[dict[str, Any], ...] = ()) -> None:
        self.statuses, self.calls, self.seconds = list(statuses), list[str](), 0.0
        self.happened = list(events)

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        """Return the stack, with the next status; the last one stays."""
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"Stacks": [{"StackName": StackName, "StackId": "id", "StackStatus": status}]}

    def get_paginator(self, method: str) -> Formation:
        """Return what gives the pages of events."""
        assert method == "describe_stack_events"
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        """Return what has happened, the newest first."""
        return [{"StackEvents": self.happened[::-1]}]

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> dict[str, Any]:
            self.calls.append(name)
            return {}

        return call

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


def event(number: int, name: str, status: str, reason: str = "") -> dict[str, Any]:
    """Return a stack's event."""
    return {
        "EventId": str(number), "LogicalResourceId": name, "PhysicalResourceId": name,
        "ResourceType": "AWS::S3::Bucket", "ResourceStatus": status, "ResourceStatusReason": reason,
    }  # fmt: skip


def test_an_operation_of_another_run_is_waited_for_and_a_stuck_one_is_taken_back() -> None:
    """An interrupted create goes on in AWS; an update that is stuck is taken back once more."""
    going, seen = Formation("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"), Seen()
    found = Stacks(going, going.sleep).idle("env", NAME, seen.reporter)
    assert found
    assert found["StackStatus"] == "CREATE_COMPLETE"
    assert going.seconds > 0
    stuck = Formation("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE")
    assert Stacks(stuck, stuck.sleep).idle("env", NAME, seen.reporter)
    assert stuck.calls == ["continue_update_rollback"]
    hopeless = Formation("UPDATE_ROLLBACK_FAILED")
    with refused("env", PipelineError):
        Stacks(hopeless, hopeless.sleep).idle("env", NAME, seen.reporter)


def test_what_takes_long_is_named_each_minute_and_need_not_be_waited_for() -> None:
    """AWS holds network interfaces for up to 45 minutes; the stack goes on without us."""
    slow, seen = Formation("DELETE_IN_PROGRESS"), Seen()
    stacks = Stacks(slow, slow.sleep)

    def begin() -> None:
        slow.happened.append(event(1, "Net", "DELETE_IN_PROGRESS"))

    ended = stacks.settled("env", "id", seen.reporter, begin, lambda: slow.seconds > 100)
    assert (ended.status, slow.seconds) == ("DELETE_IN_PROGRESS", 120)
    assert "    DELETE_IN_PROGRESS, waiting for Net 60 s" in seen.lines()
    endless = Formation("UPDATE_IN_PROGRESS")
    with refused("env", PipelineError):
        Stacks(endless, endless.sleep).settled("env", "id", seen.reporter)


def test_an_event_that_arrives_late_is_shown_once_like_any_other() -> None:
    """CloudFormation gives events of one moment in any order."""
    client, seen = Formation("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"), Seen()
    late = iter([event(3, "Late", "UPDATE_FAILED", "no"), event(2, "On time", "UPDATE_FAILED")])

    def happens() -> None:
        client.happened.insert(0, next(late))

    def sleep(_: float) -> None:
        happens()

    ended = Stacks(client, sleep).settled("env", "id", seen.reporter, happens)
    assert [one["EventId"] for one in ended.events] == ["3", "2"]


def test_the_first_resource_that_failed_is_named_with_what_helps() -> None:
    """Others are cancelled for it, and an older operation had failures of its own."""
    old = event(1, "Old", "UPDATE_FAILED", "long ago")
    client, seen = Formation("ROLLBACK_COMPLETE", events=(old,)), Seen()

    def execute_change_set(**_: str) -> None:
        client.happened += [
            event(2, "Bucket", "CREATE_FAILED", "logs already exists"),
            event(3, "Queue", "CREATE_FAILED", "Resource creation cancelled"),
        ]

    client.execute_change_set = execute_change_set  # type: ignore[attr-defined]
    change = ChangeSet(Wanted(NAME, "", {}, {}), "change", "id", is_new=True, changes=({},))
    with refused("", PipelineError):
        apply_change_set(Stacks(client, client.sleep), change, seen.reporter)
