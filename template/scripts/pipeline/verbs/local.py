"""The embedded AWS in the background, with the project's stack in it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from ..checks.stack_template import stack_reasons
from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import BUCKET
from ..core.names import resource_name
from ..core.templates import declared_values, resolve
from ..edge.locks import exclusive
from ..edge.machine import Machine
from ..function.engine import engine_for
from ..local.background import Background, running, start, stop
from ..local.clients import LEFT_OUT, client
from ..local.state import LocalAws
from ..package.contents import Package
from ..package.native import native_zip
from ..project.project import LOCAL_ENVIRONMENT, Project
from ..project.sources import STACK
from ..project.stack import stack_text
from ..runtime.function_code import LocalRuntime
from ..runtime.pool import native_code
from ..stack.change_set import Stacks, outputs_of

# Objects that events in files name lie below it, each in a folder named like its bucket.
EVENTS = Path("tests") / "events"
_STATE = Path(".pipeline") / "local" / "state.json"
_WHERE = "local"
_COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_PARAMETER = "FunctionName"
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]


@dataclass(frozen=True)
class Started:
    """A running embedded AWS, and the outputs of the project's stack in it."""

    aws: LocalAws
    stack: str
    outputs: Mapping[str, str]

    def function(self) -> dict[str, Any]:
        """Return the stack's function as Lambda describes it, empty where it has none."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - comes with the local tooling

        try:
            return dict(
                client(self.aws, "lambda").get_function_configuration(FunctionName=self.stack)
            )
        except ClientError:
            return {}


def state_file(root: Path) -> Path:
    """Return where a repository's embedded AWS keeps its address and key."""
    return root / _STATE


def start_for_project(
    project: Project, machine: Machine, reporter: Reporter, package: Package | None = None
) -> Started:
    """Start the embedded AWS with what the project's function needs; the first time installs it.

    It can run the package that is going to be deployed to it, whatever machine that is for.
    """
    machine.tooling("local")
    function = project.function
    runtime = engine_for(function.runtime).runtime(function, machine, reporter)
    wanted = background(project, runtime, machine)
    started = start_local(project, wanted, reporter)
    if package:
        target = native_code(wanted.work, package.own_manifest().function_zip.sha256)
        native_zip(project, package, runtime, machine, reporter, target)
    return started


def sample_event(root: Path) -> str:
    """Return the path of a sample event in the repository, empty without one."""
    events = sorted((root / EVENTS).glob("*.json"))
    return events[0].relative_to(root).as_posix() if events else ""


def next_step(root: Path, started: Started) -> str:
    """Return what to do once something is deployed."""
    sample = sample_event(root)
    words = f"local.invoke --event {sample}" if sample else "local.invoke < EVENT.json"
    text = f"`python3 tasks.py {words}` calls it"
    if "BucketName" in started.outputs:
        text += "\n            `python3 tasks.py local.put FILE` gives it a file"
    elif "QueueUrl" in started.outputs:
        text += "\n            `python3 tasks.py local.put FILE` sends it a message"
    return text


def background(project: Project, runtime: LocalRuntime, machine: Machine) -> Background:
    """Return how the project's embedded AWS is started."""
    return Background(
        state=state_file(project.root),
        runtimes={project.function.runtime.name: runtime},
        environ=machine.environ,
        region=project.environment(LOCAL_ENVIRONMENT).region or "us-east-1",
        cache=machine.cache,
    )


def start_local(project: Project, wanted: Background, reporter: Reporter) -> Started:
    """Start the embedded AWS and create the project's stack in it; what is there stays.

    Another start or stop of the same repository is waited for. Raises PipelineError when it does
    not start or the stack is refused.
    """
    with _in_turn(wanted.state, reporter):
        return _with_stack(wanted, reporter, _running(wanted, reporter), project)


@contextmanager
def aws_at_hand(wanted: Background, reporter: Reporter) -> Iterator[Callable[[Project], Started]]:
    """Give what makes a project's stack in the embedded AWS, and brings it up to date.

    That is the one that runs, else one of the block's own.
    """
    if running(wanted.state):
        yield lambda project: start_local(project, wanted, reporter)
        return
    with tempfile.TemporaryDirectory(prefix="aws-") as folder:
        own = replace(wanted, state=Path(folder, "state.json"), ends_with_us=True)
        try:
            with reporter.stage("local") as stage:
                stage.progress("starting an embedded AWS for this run")
                aws = start(own)
                stage.text = "embedded AWS, for this run alone"
            yield partial(_with_stack, own, reporter, aws)
        finally:
            stop(own.state)


def lay_out(events: Sequence[bytes], root: Path, aws: LocalAws, reporter: Reporter) -> None:
    """Put the objects that S3 events name into the embedded AWS, from files in the repository.

    The file is `tests/events/BUCKET/KEY`. An object that has none, and is not there, is warned of.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415 - comes with the local tooling

    places = dict.fromkeys(place for event in events for place in _objects(event))
    s3 = client(aws, "s3")
    for bucket, key in places:
        file = root / EVENTS / bucket / key
        if file.is_file() and file.resolve().is_relative_to((root / EVENTS).resolve()):
            _have_bucket(s3, bucket)
            s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
            continue
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            path = (EVENTS / bucket / key).as_posix()
            reporter.warn(f"s3://{bucket}/{key} is not in the embedded AWS, and no file {path} is")


def _objects(event: bytes) -> Iterator[tuple[str, str]]:
    """Yield (bucket, key) of what an S3 event says was created."""
    try:
        document = json.loads(event)
        records = document["Records"] if isinstance(document, dict) else ()
        for record in records:
            if record["eventName"].startswith("ObjectCreated:"):
                stored = record["s3"]
                yield str(stored["bucket"]["name"]), unquote_plus(stored["object"]["key"])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return  # another event, or none; the function says what it thinks of it


def _with_stack(wanted: Background, reporter: Reporter, aws: LocalAws, project: Project) -> Started:
    name = resource_name(LOCAL_ENVIRONMENT, project.function.name)
    stacks = Stacks(client(aws, "cloudformation"), time.sleep)
    template, there = stack_text(project.root), stacks.find(name)
    if there and there["StackStatus"] not in _COMPLETE:
        # Stacks are made while the caller waits: this one was given up.
        stacks.client.delete_stack(StackName=name)
        there = None
    if there and stacks.client.get_template(StackName=name)["TemplateBody"] == template:
        reporter.line(f"  stack     {name} is there already", verbose=True)
    else:
        with reporter.stage("stack") as stage:
            _put_stack(stacks.client, template, name, is_new=there is None)
            stage.text = f"{name} {'updated' if there else 'created'}"
        _warn_of_unserved(aws, name, reporter)
    _make_bucket(project, wanted.environ, client(aws, "s3"))
    return Started(aws, name, outputs_of(stacks.find(name) or {}))


def _running(wanted: Background, reporter: Reporter) -> LocalAws:
    aws = running(wanted.state)
    if aws is not None:
        reporter.line(f"  local     the embedded AWS runs already, on {aws.endpoint}", verbose=True)
        return aws
    with reporter.stage("local") as stage:
        stage.progress("starting the embedded AWS")
        aws = start(wanted)
        stage.text = f"embedded AWS on {aws.endpoint}, process {aws.pid}"
    return aws


def stop_local(project: Project, reporter: Reporter) -> bool:
    """Stop the project's embedded AWS with all that is in it; False when none was running."""
    state = state_file(project.root)
    with _in_turn(state, reporter), reporter.stage("local") as stage:
        stopped = stop(state)
        stage.text = "embedded AWS stopped" if stopped else "no embedded AWS was running"
    return stopped


@contextmanager
def _in_turn(state: Path, reporter: Reporter) -> Iterator[None]:
    def waiting() -> None:
        reporter.line("  local     another start or stop of the embedded AWS; waiting for it")

    with exclusive(state.with_name("start.lock"), waiting):
        yield


def _put_stack(cloudformation: Any, template: str, name: str, *, is_new: bool) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - comes with the local tooling

    try:
        summary = cloudformation.get_template_summary(TemplateBody=template)
        known = {parameter["ParameterKey"] for parameter in summary.get("Parameters", ())}
        given = {"ParameterKey": _PARAMETER, "ParameterValue": name}
        put = cloudformation.create_stack if is_new else cloudformation.update_stack
        put(
            StackName=name,
            TemplateBody=template,
            Capabilities=_CAPABILITIES,
            Parameters=[given] if _PARAMETER in known else [],
        )
    except ClientError as error:
        again = "`python3 tasks.py local.stop` and `python3 tasks.py local.start`"
        then = f"Correct {STACK}, then {again}."
        what = "; ".join(stack_reasons(template)) or str(error)
        raise PipelineError(f"{_WHERE} stack {name}", what, then) from error


def _make_bucket(project: Project, environ: Mapping[str, str], s3: Any) -> None:
    """Make the bucket that deploys send the code through, where the project names one."""
    bucket = {BUCKET: project.function.bucket}
    declared = project.environment(LOCAL_ENVIRONMENT).declared()
    resolved = resolve(bucket, declared_values(bucket, declared, environ), where=_WHERE)[BUCKET]
    name = resolved.partition("/")[0]
    if name:
        _have_bucket(s3, name)


def _have_bucket(s3: Any, name: str) -> None:
    if name not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
        # The oldest region is the default, and has no name here.
        region = s3.meta.region_name
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)


def _warn_of_unserved(aws: LocalAws, name: str, reporter: Reporter) -> None:
    pages = client(aws, "cloudformation").get_paginator("list_stack_resources")
    rules = client(aws, "events").get_paginator("list_rules").paginate()
    schedules = {
        rule["Name"] for page in rules for rule in page["Rules"] if "ScheduleExpression" in rule
    }
    for page in pages.paginate(StackName=name):
        for resource in page["StackResourceSummaries"]:
            kind, logical = resource["ResourceType"], resource["LogicalResourceId"]
            physical = resource.get("PhysicalResourceId")
            if physical == LEFT_OUT:
                what = f"has no {kind}: {logical} was left out of {name}"
            elif kind == "AWS::Events::Rule" and physical in schedules:
                what = f"has no clock for schedules: the rule {logical} never fires"
            else:
                continue
            reporter.warn(f"The embedded AWS {what}.")
