"""A change of a stack: made as a change set, read, judged, shown, and applied."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import Conflict, PipelineError
from ..core.events import Progressed, Reporter
from ..deploy.aws_errors import Missing, ask, pages

SERVICE, ENVIRONMENT, EXPIRES = "pipeline:service", "pipeline:environment", "pipeline:expires"
# The declared environment in whose account it is, and whose settings it has.
LIKE = "pipeline:like"
# How CloudFormation says of a stack that it must not be deleted: a permanent one.
PROTECTED = "EnableTerminationProtection"
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
_REVIEW = "REVIEW_IN_PROGRESS"
_ALIAS = "AWS::Lambda::Alias"
_ACTIONS = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "<"}
_NOTHING = ("didn't contain changes", "no updates are to be performed")
# What stands for a value that is known only while the change is made.
_KNOWN_LATER = "{{changeSet:"
_SECONDS_BETWEEN = 3.0
# A distribution or a network interface takes its time, and nothing else takes an hour.
_LONGEST = 3600.0
_SECONDS_BETWEEN_LINES = 60.0
_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
# What AWS says of a resource that it does not make, and what to do then.
_HELP = {
    "already exists|name is not available": "Delete theirs, import it, or choose another name.",
    "not authorized|access ?denied|unauthorized": "Allow that to the role that makes the stack.",
    "limit|quota|exceed": "Delete what the account does not need, or ask AWS for more.",
    "cannot be assumed": "IAM has not spread the new role yet.",
    "subnet|security group|vpc": "Correct SubnetIds and SecurityGroupIds of the environment.",
    "not empty": "Something still writes to the bucket: stop it.",
    "validate the following destination": "Let the bucket depend on the permission to call `live`.",
}


@dataclass(frozen=True)
class Ended:
    """How an operation ended: the status that its stack has then, and the events it had."""

    status: str
    events: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Stacks:
    """A CloudFormation client, and how to wait; `sleep` takes seconds."""

    client: Any
    sleep: Callable[[float], None]

    def call(self, where: str, method: str, **request: Any) -> Any:
        """Call the client. Raises PipelineError with AWS's words that is at `where`."""
        return ask(self.client, "cloudformation", method, where, **request)

    def find(self, name: str, where: str = "") -> dict[str, Any] | None:
        """Return a stack by name or id as CloudFormation describes it, None where there is none."""
        where = where or f"stack {name}"
        try:
            found = self.call(where, "describe_stacks", StackName=name)["Stacks"]
        except Missing:
            return None
        return dict(found[0]) if found else None

    def pages(self, where: str, method: str, part: str, **request: Any) -> Iterator[dict[str, Any]]:
        """Yield what a call lists, page by page."""
        return pages(self.client, "cloudformation", method, part, where, **request)

    def settled(
        self, where: str, stack_id: str, reporter: Reporter,
        begin: Callable[[], object] = lambda: None, is_enough: Callable[[], bool] = lambda: False,
    ) -> Ended:  # fmt: skip
        """Wait for the end of an operation that is under way, or that `begin` begins.

        Its events are shown. Once a minute it is said what is waited for, and `is_enough` may end
        that.
        """
        known = {event["EventId"] for event in self.events(where, stack_id)}
        begin()
        happened: list[Mapping[str, Any]] = []
        waited, under_way = 0.0, dict[str, float]()
        while True:
            found = self.find(stack_id, where)
            # Not by their places: events may arrive late, and those of one moment in any order.
            new = [one for one in self.events(where, stack_id) if one["EventId"] not in known]
            known |= {event["EventId"] for event in new}
            happened += new
            for event in new:
                _show(event, reporter)
                name = str(event["LogicalResourceId"])
                if not event["ResourceStatus"].endswith("_IN_PROGRESS"):
                    under_way.pop(name, None)
                elif event.get("PhysicalResourceId") != stack_id:
                    under_way.setdefault(name, waited)
            status = str(found["StackStatus"]) if found else "DELETE_COMPLETE"
            if not status.endswith("_IN_PROGRESS"):
                return Ended(status, happened)
            for_what = ", ".join(f"{name} {waited - at:.0f} s" for name, at in under_way.items())
            text = f"{status}, waiting for {for_what or 'CloudFormation'}"
            reporter.emit(Progressed("stack", text))
            if waited and waited % _SECONDS_BETWEEN_LINES == 0:
                reporter.line(f"    {text}")
                if is_enough():
                    return Ended(status, happened)
            if waited >= _LONGEST:
                what = f"the stack is {status} after an hour"
                raise PipelineError(where, what, "Look at it in AWS; run this again when it ended.")
            self.sleep(_SECONDS_BETWEEN)
            waited += _SECONDS_BETWEEN

    def idle(self, where: str, name: str, reporter: Reporter) -> dict[str, Any] | None:
        """Return a stack once nothing goes on in it any more, None where there is none.

        What another run began, or this one before it was interrupted, is waited for. An update
        that could not be taken back is taken back once more.
        """
        while found := self.find(name):
            status = str(found["StackStatus"])
            if status == "UPDATE_ROLLBACK_FAILED":
                reporter.line(f"    {name} is {status}: its old state is brought back")
                self.call(where, "continue_update_rollback", StackName=name)
            elif status == _REVIEW or not status.endswith("_IN_PROGRESS"):
                return found
            else:
                reporter.line(
                    f"    {name} is {status}: another run changes it; waiting for its end"
                )
            status = self.settled(where, str(found["StackId"]), reporter).status
            if status == "UPDATE_ROLLBACK_FAILED":
                what = f"{name} is {status}: {self.reason(name)}"
                raise PipelineError(where, what, "Remove the cause, then run this again.")
        return None

    def reason(self, name: str) -> str:
        """Return CloudFormation's reason for a stack's status, "" without one."""
        return str((self.find(name) or {}).get("StackStatusReason", ""))

    def events(self, where: str, stack_id: str) -> list[dict[str, Any]]:
        """Return a stack's events, oldest first."""
        found = self.pages(where, "describe_stack_events", "StackEvents", StackName=stack_id)
        return list(found)[::-1]


@dataclass(frozen=True)
class Wanted:
    """What a stack is to be: `template` is its text, `tags` are those of all its resources.

    `protected` ones can only be deleted after their protection was taken away; the others need not
    be ready for traffic when they are said to be made.
    """

    name: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    protected: bool = False
    where: str = field(default="")


@dataclass(frozen=True)
class ChangeSet:
    """A change that CloudFormation has worked out: without `changes` there is nothing to do."""

    wanted: Wanted
    id: str
    stack_id: str
    is_new: bool
    changes: tuple[Mapping[str, Any], ...]

    @property
    def destructive(self) -> list[str]:
        """Return the logical ids of the resources that go, or are, or may be, replaced."""
        return [
            str(one["LogicalResourceId"])
            for one in self.changes
            if one["Action"] == "Remove" or one.get("Replacement") in ("True", "Conditional")
        ]

    def lines(self) -> list[str]:
        """Return the screen: a line for each resource, what is replaced or deleted first."""
        first = self.destructive
        ordered = sorted(self.changes, key=lambda one: one["LogicalResourceId"] not in first)
        return [_line(one) for one in ordered]


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return what a stack gives out."""
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}


def owned_by(stack: Mapping[str, Any]) -> str:
    """Return the package id of the service that a stack was made for, "" where nobody says."""
    return tags_of(stack).get(SERVICE, "")


def tags_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return a stack's tags."""
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}


def parameters_for(
    stacks: Stacks, where: str, template: str, known: Mapping[str, str], settings: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters of a template: of `known` those that it has, and all of `settings`.

    Raises PipelineError that names the settings it does not have.
    """
    summary = stacks.call(where, "get_template_summary", TemplateBody=template)
    declared = [parameter["ParameterKey"] for parameter in summary.get("Parameters", ())]
    if unknown := sorted(set(settings) - set(declared)):
        raise PipelineError(
            where,
            f"the stack has no parameter {', '.join(unknown)}",
            f"It has {', '.join(sorted(declared)) or 'none'}: correct `parameters` in "
            "pyproject.toml, or add it to environment/stack.yaml.",
        )
    return {key: value for key, value in known.items() if key in declared} | dict(settings)


def make_change_set(stacks: Stacks, wanted: Wanted, *, keep_on_failure: bool) -> ChangeSet:
    """Let CloudFormation work out a change; nothing of it is made yet.

    Raises PipelineError where it refuses, Conflict while another operation is under way.
    """
    there = stacks.find(wanted.name)
    status = str(there["StackStatus"]) if there else ""
    is_new = not there or status == _REVIEW
    if status.endswith("_IN_PROGRESS") and not is_new:
        what = f"another operation is under way: {status}"
        raise Conflict(wanted.where, what, "Wait for its end, then run this again.")
    made = stacks.call(
        wanted.where, "create_change_set",
        StackName=wanted.name,
        ChangeSetName=f"pipeline-{uuid.uuid4().hex[:12]}",
        ChangeSetType="CREATE" if is_new else "UPDATE",
        TemplateBody=wanted.template,
        Capabilities=_CAPABILITIES,
        OnStackFailure="DO_NOTHING" if keep_on_failure else "DELETE" if is_new else "ROLLBACK",
        # Said explicitly: in the express mode AWS's own default has changed already.
        DeploymentConfig={"Mode": _mode(wanted), "DisableRollback": keep_on_failure},
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in wanted.parameters.items()
        ],
        Tags=[{"Key": key, "Value": value} for key, value in wanted.tags.items()],
    )  # fmt: skip
    described = _described(stacks, wanted, made["Id"])
    found = [dict(one["ResourceChange"]) for one in described["Changes"] if "ResourceChange" in one]
    change = ChangeSet(wanted, made["Id"], made["StackId"], is_new, tuple(found))
    if described["Status"] == "FAILED":
        reason = str(described.get("StatusReason", ""))
        discard(stacks, change)
        if not any(text in reason.casefold() for text in _NOTHING):
            then = "Correct environment/stack.yaml or its parameters, then run this again."
            raise PipelineError(wanted.where, f"CloudFormation refuses the change: {reason}", then)
        return ChangeSet(wanted, "", made["StackId"], is_new, ())
    return change


def refuse_losses(change: ChangeSet, confirm: str, environment: str) -> None:
    """Raise PipelineError for what a permanent stack would lose, unless `confirm` names it."""
    lost = change.destructive
    if change.wanted.protected and lost and confirm != environment:
        what = f"the change takes away or replaces {', '.join(lost)}"
        then = f"If it is meant, pass --confirm {environment}; nothing was changed."
        raise PipelineError(change.wanted.where, what, then)


def refuse_lost_alias(change: ChangeSet) -> None:
    """Raise PipelineError for a change that would move the alias back, or make another one.

    What CloudFormation knows only while it runs is no reason: an alias that stays as it is written
    stays where a deploy moved it.
    """
    for one in () if change.is_new else change.changes:
        if one["ResourceType"] != _ALIAS or one["Action"] == "Add":
            continue
        details = one.get("Details") or ()
        is_certain = one["Action"] == "Remove" or one.get("Replacement") == "True"
        if is_certain or not details or any(_is_static(detail) for detail in details):
            raise PipelineError(
                change.wanted.where,
                f"the change touches the alias {one['LogicalResourceId']}: it would lead calls "
                "away from the release that is deployed",
                "Take back what environment/stack.yaml changes of it; nothing was changed.",
            )


def discard(stacks: Stacks, change: ChangeSet) -> None:
    """Take a change set back, and the empty stack that was made to hold it."""
    where, name = change.wanted.where, change.wanted.name
    if change.id:
        stacks.call(where, "delete_change_set", StackName=name, ChangeSetName=change.id)
    found = stacks.find(name)
    if change.is_new and found and found["StackStatus"] == _REVIEW:
        stacks.call(where, "delete_stack", StackName=name)


def was_executed(stacks: Stacks, change: ChangeSet) -> bool:
    """Tell whether the stack that is there comes of this change, and not of another run's.

    A change that was not executed is taken back.
    """
    where = change.wanted.where
    if stacks.find(change.wanted.name) is None:
        return False
    try:
        found = stacks.call(
            where, "describe_change_set", StackName=change.stack_id, ChangeSetName=change.id
        )
    except Missing:
        return False  # another one was executed, and CloudFormation has deleted this one
    if str(found["ExecutionStatus"]).startswith("EXECUTE"):
        return True
    discard(stacks, change)
    return False


def apply_change_set(stacks: Stacks, change: ChangeSet, reporter: Reporter) -> dict[str, str]:
    """Make the change, show its events, and return the stack's outputs.

    Raises PipelineError that names the first resource that failed, in AWS's words.
    """
    where, name = change.wanted.where, change.wanted.name
    if change.id:

        def execute() -> None:
            stacks.call(
                where, "execute_change_set", StackName=name, ChangeSetName=change.id,
                RetainExceptOnCreate=True,  # or what a failure takes back would leave new buckets
            )  # fmt: skip

        ended = stacks.settled(where, change.stack_id, reporter, execute)
        if ended.status not in _DONE:
            what = _first_failure(ended)
            raise PipelineError(where, what, f"{help_with(what)} Then run this again.")
    if change.wanted.protected:
        stacks.call(where, "update_termination_protection", StackName=name, **{PROTECTED: True})
    found = stacks.find(name) or {}
    return outputs_of(found)


def help_with(reason: str) -> str:
    """Return what to do about CloudFormation's reason for a failure."""
    found = (then for words, then in _HELP.items() if re.search(words, reason, re.IGNORECASE))
    return next(found, "Correct what it names.")


def _mode(wanted: Wanted) -> str:
    """Return EXPRESS where nobody needs readiness at once; it knows no custom resources."""
    is_plain = not re.search(r"\b(Custom::|AWS::CloudFormation::CustomResource)", wanted.template)
    return "EXPRESS" if is_plain and not wanted.protected else "STANDARD"


def _described(stacks: Stacks, wanted: Wanted, identity: str) -> dict[str, Any]:
    request = {
        "StackName": wanted.name, "ChangeSetName": identity, "IncludePropertyValues": True
    }  # fmt: skip
    for _ in range(int(_LONGEST / _SECONDS_BETWEEN)):
        described = dict(stacks.call(wanted.where, "describe_change_set", **request))
        if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        stacks.sleep(_SECONDS_BETWEEN)
    else:
        what = f"CloudFormation has not worked out the change after an hour: {identity}"
        raise PipelineError(wanted.where, what, "Look at it in AWS, then run this again.")
    changes = stacks.pages(wanted.where, "describe_change_set", "Changes", **request)
    return {**described, "Changes": list(changes)}


def _is_static(detail: Mapping[str, Any]) -> bool:
    target = detail.get("Target", {})
    before, after = target.get("BeforeValue"), target.get("AfterValue")
    if str(after).startswith(_KNOWN_LATER):
        return False
    return detail.get("Evaluation") != "Dynamic" or before != after


def _line(one: Mapping[str, Any]) -> str:
    sign = _ACTIONS.get(one["Action"], "?")
    names = sorted({_property(detail) for detail in one.get("Details") or ()} - {""})
    text = f"    {sign} {one['LogicalResourceId']}  {one['ResourceType']}"
    if one["Action"] == "Remove":
        return f"{text}  GOES"
    mark = {"True": "  REPLACED", "Conditional": "  MAY BE REPLACED"}
    properties = f"  {', '.join(names)}" if names else ""
    return text + mark.get(str(one.get("Replacement")), "") + properties


def _property(detail: Mapping[str, Any]) -> str:
    target = detail.get("Target", {})
    return str(target.get("Name") or target.get("Attribute") or "")


def _show(event: Mapping[str, Any], reporter: Reporter) -> None:
    status, name = str(event["ResourceStatus"]), str(event["LogicalResourceId"])
    reason = f": {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
    if status.endswith("_FAILED"):
        reporter.line(f"    {name}  {status}{reason}")
    else:
        reporter.line(f"    {name}  {status}", verbose=True)


def _first_failure(ended: Ended) -> str:
    for event in ended.events:
        reason = str(event.get("ResourceStatusReason", ""))
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            return f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
    return f"the stack ended as {ended.status}"
