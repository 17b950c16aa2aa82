"""The embedded AWS in the background, with the project's stack in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PipelineError
from ..local.background import Background, running, start, stop
from ..local.clients import client
from ..local.pool import LocalRuntime
from ..local.state import LocalAws
from ..report.events import Reporter
from ..values.environments import LOCAL_ENVIRONMENT
from ..values.names import resource_name
from ..values.project import Project

__all__ = ["LocalTools", "Started", "start_local", "state_file", "stop_local"]

_STACK = Path("environment") / "stack.yaml"
_STATE = Path(".pipeline") / "local" / "state.json"
_WHERE = "local"
_COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]


@dataclass(frozen=True)
class LocalTools:
    """What the embedded AWS runs on: `python` has moto, `runtimes` run the functions."""

    environ: Mapping[str, str]
    python: Path
    runtimes: Mapping[str, LocalRuntime]
    region: str = "us-east-1"


@dataclass(frozen=True)
class Started:
    """A running embedded AWS, and the outputs of the project's stack in it."""

    aws: LocalAws
    stack: str
    outputs: Mapping[str, str]


def state_file(root: Path) -> Path:
    """Return where a repository's embedded AWS keeps its address and key."""
    return root / _STATE


def start_local(project: Project, tools: LocalTools, reporter: Reporter) -> Started:
    """Start the embedded AWS and create the project's stack in it; what is there stays.

    Raises PipelineError when it does not start or the stack is refused.
    """
    aws = _running(state_file(project.root), tools, reporter)
    name = resource_name(LOCAL_ENVIRONMENT, project.function.name)
    cloudformation = client(aws, "cloudformation")
    template = _read(project.root / _STACK)
    if _template(cloudformation, name) == template:
        reporter.line(f"  stack     {name} is there already", verbose=True)
    else:
        with reporter.stage("stack") as stage:
            stage.text = f"{name} {_put_stack(cloudformation, template, name)}"
        _warn_of_left_out(cloudformation, name, reporter)
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}
    return Started(aws, name, outputs)


def _running(state: Path, tools: LocalTools, reporter: Reporter) -> LocalAws:
    aws = running(state)
    if aws is not None:
        reporter.line(f"  local     the embedded AWS runs already, on {aws.endpoint}", verbose=True)
        return aws
    with reporter.stage("local") as stage:
        stage.progress("starting the embedded AWS")
        wanted = Background(state, tools.runtimes, tools.environ, tools.region, tools.python)
        aws = start(wanted)
        stage.text = f"embedded AWS on {aws.endpoint}, process {aws.pid}"
    return aws


def stop_local(project: Project, reporter: Reporter) -> bool:
    """Stop the project's embedded AWS with all that is in it; False when none was running."""
    with reporter.stage("local") as stage:
        stopped = stop(state_file(project.root))
        stage.text = "embedded AWS stopped" if stopped else "no embedded AWS was running"
    return stopped


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        then = "Every repository keeps its stack there; copy the template's into it."
        raise PipelineError(_WHERE, f"{path} cannot be read: {error.strerror}", then) from error


def _put_stack(cloudformation: Any, template: str, name: str) -> str:
    """Create or update the stack and say which."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - comes with the local tooling

    try:
        there = _template(cloudformation, name)
        summary = cloudformation.get_template_summary(TemplateBody=template)
        known = {parameter["ParameterKey"] for parameter in summary.get("Parameters", ())}
        wanted = {"FunctionName": name}
        request = {
            "StackName": name,
            "TemplateBody": template,
            "Capabilities": _CAPABILITIES,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in wanted.items()
                if key in known
            ],
        }
        if there is None:
            cloudformation.create_stack(**request)
            return "created"
        cloudformation.update_stack(**request)
    except ClientError as error:
        then = f"Correct {_STACK.as_posix()}, then `invoke local.stop` and `invoke local.start`."
        raise PipelineError(f"{_WHERE} stack {name}", str(error), then) from error
    return "updated"


def _template(cloudformation: Any, name: str) -> str | None:
    """Return the template the stack was made from, None without a whole stack.

    moto makes stacks while the caller waits: what is not complete by then never will be.
    """
    for stack in _live_stacks(cloudformation):
        if stack["StackName"] != name:
            continue
        if stack["StackStatus"] in _COMPLETE:
            return str(cloudformation.get_template(StackName=name)["TemplateBody"])
        cloudformation.delete_stack(StackName=name)
    return None


def _live_stacks(cloudformation: Any) -> list[dict[str, Any]]:
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    return [stack for page in pages for stack in page["Stacks"]]


def _warn_of_left_out(cloudformation: Any, name: str, reporter: Reporter) -> None:
    summary = cloudformation.get_template_summary(StackName=name)
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    made = {item.get("ResourceType") for page in pages for item in page["StackResourceSummaries"]}
    for kind in sorted(set(summary.get("ResourceTypes", ())) - made):
        reporter.warn(f"The embedded AWS has no {kind}: it was left out of {name}.")
