"""Taking a stack away so that nothing stays: sources first, then buckets, stack, leftovers.

Every step may be repeated, also on what is half gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.names import ALIAS
from ..core.text import counted
from ..deploy.aws_errors import Missing, ask, pages
from .change_set import ENVIRONMENT, PROTECTED, SERVICE, Stacks, help_with

_BUCKET, _GROUP, _RULE = "AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::Events::Rule"
_FUNCTION, _REVIEW = "AWS::Lambda::Function", "REVIEW_IN_PROGRESS"
_CALLS = "LambdaFunctionConfigurations"
_NOT_OURS = ("DELETE_COMPLETE", "CREATE_FAILED", "IMPORT_FAILED")
# How often a bucket is emptied that somebody writes to meanwhile.
_ROUNDS = 3
_HELD = (
    "AWS lets go of it 20 to 45 minutes after its function went; then run this again, or let "
    "env.reap do it"
)


@dataclass(frozen=True)
class Inventory:
    """What a stack has, as it is before it goes: it cannot be asked afterwards.

    `buckets` are those that exist with their logical ids, `retained` the logical ids of what
    CloudFormation leaves behind, `notifying` the buckets that tell the function of objects.
    `is_ours` is false for a function of the name that is there and is not the stack's.
    """

    stack_id: str = ""
    resources: tuple[Mapping[str, Any], ...] = ()
    retained: frozenset[str] = frozenset()
    buckets: Mapping[str, str] = field(default_factory=dict)
    notifying: tuple[str, ...] = ()
    is_ours: bool = True


@dataclass(frozen=True)
class Removal:
    """A stack that is to go, by the name that it shares with its function.

    `clients` gives the AWS client of a service. `keeps` says that retained resources stay as they
    are. `tags` is what everything of it carries; `objects` a bucket and the prefix in it that has
    nothing but deployments to it. `where` is how messages begin.
    """

    name: str
    clients: Callable[[str], Any]
    stacks: Stacks
    keeps: bool = False
    where: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    objects: tuple[str, str] = ("", "")

    def call(self, service: str, method: str, **request: Any) -> Any:
        """Call a service. Raises PipelineError with AWS's words and the right that it needs."""
        return ask(self.clients(service), service, method, self.where, **request)

    def pages(self, service: str, method: str, part: str, **request: Any) -> Iterator[Any]:
        """Yield what a call lists, page by page."""
        return pages(self.clients(service), service, method, part, self.where, **request)

    def inventory(self) -> Inventory:
        """Read what is there."""
        stack = self.stacks.find(self.name)
        if stack is None or stack["StackStatus"] == _REVIEW:
            is_ours = not _exists(self, _FUNCTION, self.name)
            return Inventory(str(stack["StackId"]) if stack else "", is_ours=is_ours)
        found = self.stacks.pages(
            self.where, "list_stack_resources", "StackResourceSummaries", StackName=self.name
        )
        resources = tuple(
            one
            for one in found
            # What could not be made or taken in is somebody else's: it may be there by that name.
            if one.get("PhysicalResourceId") and one.get("ResourceStatus") not in _NOT_OURS
        )
        named = {
            str(one["PhysicalResourceId"]): str(one["LogicalResourceId"])
            for one in resources
            if one["ResourceType"] == _BUCKET
        }
        there = {one["Name"] for one in self.call("s3", "list_buckets")["Buckets"]} if named else {}
        buckets = {name: logical for name, logical in named.items() if name in there}
        physical = {str(one["PhysicalResourceId"]) for one in resources}
        is_ours = self.name in physical or not _exists(self, _FUNCTION, self.name)
        return Inventory(
            str(stack["StackId"]),
            resources,
            self._retained(),
            buckets,
            self._callers(buckets) if is_ours else (),
            is_ours,
        )

    def is_told_by(self, bucket: str) -> bool:
        """Tell whether a bucket's notifications reach the function."""
        return bool(_notifications(self, bucket)[0])

    def _retained(self) -> frozenset[str]:
        import yaml  # noqa: PLC0415 - takes a while

        body = self.stacks.call(self.where, "get_template", StackName=self.name)["TemplateBody"]
        # The client has read a template that is JSON.
        text = body if isinstance(body, str) else json.dumps(body)
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        members = {key.value: value for key, value in root.value}
        return frozenset(
            str(name.value)
            for name, node in members["Resources"].value
            for key, value in node.value
            if key.value == "DeletionPolicy" and value.value.startswith("Retain")
        )

    def _callers(self, own: Mapping[str, str]) -> tuple[str, ...]:
        """Return the stack's buckets, and those of others that the function's policy names."""
        found = list(own)
        for qualifier in ({"Qualifier": ALIAS}, {}):
            try:
                policy = self.call("lambda", "get_policy", FunctionName=self.name, **qualifier)
            except Missing:
                continue
            for statement in json.loads(policy["Policy"])["Statement"]:
                condition = statement.get("Condition", {}).get("ArnLike", {})
                source = str(condition.get("AWS:SourceArn", ""))
                if source.split(":")[2:3] == ["s3"] and "*" not in source:
                    found.append(source.rpartition(":")[2])
        return tuple(dict.fromkeys(found))


def what_would_go(removal: Removal) -> list[str]:
    """Return a line for each resource that a removal takes away, and each that it leaves."""
    found = removal.inventory()
    lines = []
    for one in found.resources:
        stays = one["LogicalResourceId"] in found.retained and (
            removal.keeps or one["ResourceType"] != _BUCKET
        )
        what = f"{one['LogicalResourceId']}  {one['ResourceType']}  {one['PhysicalResourceId']}"
        lines.append(f"    {'stays' if stays else 'goes'}  {what}")
    if removal.objects[1]:
        lines.append(f"    goes  what is below s3://{'/'.join(removal.objects)}")
    return lines


def stop_sources(removal: Removal, found: Inventory, reporter: Reporter) -> None:
    """Let nothing call the function any more: mappings and rules off, notifications taken away."""
    for mapping in _mappings(removal) if found.is_ours else ():
        if mapping.get("State") not in ("Disabled", "Disabling", "Deleting"):
            uuid = mapping["UUID"]
            removal.call("lambda", "update_event_source_mapping", UUID=uuid, Enabled=False)
            reporter.line(f"    stopped {mapping.get('EventSourceArn', uuid)}")
    for one in found.resources:
        if one["ResourceType"] == _RULE:
            name = str(one["PhysicalResourceId"]).rpartition("|")[2]
            removal.call("events", "disable_rule", Name=name)
            reporter.line(f"    stopped the rule {name}")
    for bucket in found.notifying:
        told, others = _notifications(removal, bucket)
        if told:
            removal.call(
                "s3", "put_bucket_notification_configuration",
                Bucket=bucket, NotificationConfiguration=others,
            )  # fmt: skip
            reporter.line(f"    {bucket} does not tell {removal.name} of objects any more")


def remove_stack(removal: Removal, found: Inventory, reporter: Reporter) -> None:
    """Empty the buckets, delete the stack, and then what AWS leaves behind.

    Raises PipelineError with AWS's reason where the stack is not deleted.
    """
    for bucket, logical in found.buckets.items():
        if logical in found.retained and removal.keeps:
            reporter.line(f"    {bucket} stays, with all that is in it")
    for rounds_left in reversed(range(_ROUNDS)):
        for bucket, logical in found.buckets.items():
            if logical not in found.retained:
                _empty(removal, bucket, reporter=reporter)
            elif not removal.keeps:
                # CloudFormation would leave it, and nobody would know whose it was.
                _remove_bucket(removal, bucket, reporter)
        if not found.stack_id or _delete(removal, found, reporter, last=not rounds_left):
            break
    if removal.objects[1]:
        _empty(removal, *removal.objects, reporter=reporter)
    if removal.keeps or not found.is_ours:
        return
    for mapping in _mappings(removal):
        removal.call("lambda", "delete_event_source_mapping", UUID=mapping["UUID"])
        reporter.line(f"    removed what was left of {mapping.get('EventSourceArn', 'a source')}")
    group = f"/aws/lambda/{removal.name}"
    if _exists(removal, _GROUP, group):
        # A call that was under way makes it anew.
        removal.call("logs", "delete_log_group", logGroupName=group)
        reporter.line(f"    removed the log group {group} that was left")


def audit(removal: Removal, found: Inventory | None = None) -> list[str]:
    """Return what still carries the environment's name or tag, each with what to do about it.

    `found` is what there was before; without it what only the stack knew is not looked for. What
    a stack keeps by intention is no find. What could not be looked at is one.
    """
    there = found or Inventory()
    left: dict[str, str] = {}
    kept = {
        str(one["PhysicalResourceId"])
        for one in there.resources
        if removal.keeps and one["LogicalResourceId"] in there.retained
    }
    if stack := removal.stacks.find(removal.name):
        again = _HELD if stack["StackStatus"] == "DELETE_IN_PROGRESS" else "run this again"
        left["stack"] = f"stack {removal.name} is {stack['StackStatus']}: {again}"
    group = f"/aws/lambda/{removal.name}"
    by_name = [(_FUNCTION, removal.name, ""), (_GROUP, group, "")]
    by_list = [
        (
            str(one["ResourceType"]),
            str(one["PhysicalResourceId"]),
            "the template retains it" if one["LogicalResourceId"] in there.retained else "",
        )
        for one in there.resources
    ]
    for kind, name, why in [*by_list, *by_name]:
        if name in kept or name in left:
            continue
        is_there = _exists(removal, kind, name)
        # CloudFormation has said that it deleted what cannot be asked for.
        if is_there or (is_there is None and why):
            reason = why or ("" if "stack" in left else "no stack has it")
            then = "delete it by hand if nobody needs it" if reason else "it goes with the stack"
            left[name] = f"{_noun(kind)} {name} is there{reason and f' ({reason})'}: {then}"
    for mapping in _mappings(removal):
        left[mapping["UUID"]] = f"event source {mapping['UUID']} is there: run this again"
    for bucket in there.notifying:
        if bucket not in kept and _notifications(removal, bucket)[0]:
            left[f"{bucket} tells"] = f"bucket {bucket} still tells {removal.name}: run this again"
    bucket, prefix = removal.objects
    if prefix and _page_of_objects(removal, bucket, prefix):
        left[prefix] = f"objects below s3://{bucket}/{prefix} are there: run this again"
    for look, right in ((_tagged, "tag:GetResources"), (_interfaces, _SEE_INTERFACES)):
        try:
            left.update({key: text for key, text in look(removal) if key not in {*left, *kept}})
        except PipelineError as error:
            left[right] = f"{right} was refused, so that this was not looked at: {error.what}"
    return list(left.values())


_SEE_INTERFACES = "ec2:DescribeNetworkInterfaces"


def _tagged(removal: Removal) -> Iterator[tuple[str, str]]:
    """Yield what carries the environment's tags; AWS lists for a while what is gone already."""
    filters = [
        {"Key": key, "Values": [removal.tags[key]]}
        for key in (SERVICE, ENVIRONMENT)
        if removal.tags.get(key)
    ]
    if not filters:
        return
    pages = removal.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters
    )
    for arn in (str(one["ResourceARN"]) for one in pages):
        kind, name = _of_arn(arn)
        # The stack itself is asked for by its name.
        if kind and _exists(removal, kind, name) is not False:
            yield name, f"{arn} has the environment's tags: delete it by hand if nobody needs it"


def _of_arn(arn: str) -> tuple[str, str]:
    service, rest = arn.split(":", 5)[2::3]
    name = rest.split("/", 1)[-1]
    match service:
        case "cloudformation":
            return "", name
        case "s3":
            return _BUCKET, rest
        case "lambda" if rest.startswith("function:"):
            return _FUNCTION, rest.split(":")[1]
        case "logs" if rest.startswith("log-group:"):
            return _GROUP, rest.removeprefix("log-group:").removesuffix(":*")
        case "sqs":
            return "AWS::SQS::Queue", rest
        case "cloudwatch" if rest.startswith("alarm:"):
            return "AWS::CloudWatch::Alarm", rest.removeprefix("alarm:")
        case "iam" if rest.startswith("role/"):
            return "AWS::IAM::Role", rest.rpartition("/")[2]
        case _:
            return arn, arn


def _interfaces(removal: Removal) -> Iterator[tuple[str, str]]:
    """Yield the network interfaces that AWS made for the function and has not let go of."""
    named = [f"AWS Lambda VPC ENI-{removal.name}-????????-*"]
    filters = [{"Name": "description", "Values": named}]
    for one in removal.pages(
        "ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters
    ):
        name = one["NetworkInterfaceId"]
        yield name, f"network interface {name} is {one.get('Status', 'there')}: {_HELD}"


def _noun(kind: str) -> str:
    words = {_BUCKET: "bucket", _GROUP: "log group", _FUNCTION: "function"}
    return words.get(kind, kind)


def _exists(removal: Removal, kind: str, name: str) -> bool | None:
    """Tell whether a resource of a stack is there; None for one of a kind that is not asked for."""
    try:
        match kind:
            case "AWS::Lambda::Function":
                removal.call("lambda", "get_function_configuration", FunctionName=name)
            case "AWS::S3::Bucket":
                return name in {
                    one["Name"] for one in removal.call("s3", "list_buckets")["Buckets"]
                }
            case "AWS::Logs::LogGroup":
                pages = removal.pages(
                    "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name
                )
                return name in [one["logGroupName"] for one in pages]
            case "AWS::SQS::Queue":
                queue = name.rpartition("/")[2]
                removal.call("sqs", "get_queue_url", QueueName=queue)
            case "AWS::CloudWatch::Alarm":
                return any(
                    removal.pages(
                        "cloudwatch", "describe_alarms", "MetricAlarms", AlarmNames=[name]
                    )
                )
            case "AWS::IAM::Role":
                removal.call("iam", "get_role", RoleName=name)
            case _:
                return None
    except Missing:
        return False
    return True


def _notifications(removal: Removal, bucket: str) -> tuple[int, dict[str, Any]]:
    """Return how often a bucket tells the function, and its notifications without these."""
    try:
        answer = removal.call("s3", "get_bucket_notification_configuration", Bucket=bucket)
    except Missing:
        return 0, {}
    told = [one for one in answer.get(_CALLS, ()) if _is_of(one["LambdaFunctionArn"], removal.name)]
    kept = [one for one in answer.get(_CALLS, ()) if one not in told]
    others = {
        key: value for key, value in answer.items() if key not in (_CALLS, "ResponseMetadata")
    }
    return len(told), {**others, **({_CALLS: kept} if kept else {})}


def _delete(removal: Removal, found: Inventory, reporter: Reporter, *, last: bool) -> bool:
    """Delete the stack; False where it has to be tried again, as a bucket has got new objects."""
    where, stacks = removal.where, removal.stacks
    if removal.keeps and (stacks.find(found.stack_id) or {}).get(PROTECTED):
        stacks.call(
            where, "update_termination_protection", StackName=removal.name, **{PROTECTED: False}
        )

    def delete() -> None:
        stacks.call(where, "delete_stack", StackName=found.stack_id)

    def is_held() -> bool:
        try:
            return any(_interfaces(removal))
        except PipelineError:
            return False

    ended = stacks.settled(where, found.stack_id, reporter, delete, is_held)
    if ended.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
        return True
    failed = [
        f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}"
        for one in ended.events
        if one["ResourceStatus"] == "DELETE_FAILED"
    ]
    what = "\n".join(failed) or f"the stack is {ended.status}"
    if "not empty" in what and not last:
        reporter.line("    somebody has written to a bucket meanwhile: once more")
        return False
    raise PipelineError(where, what, f"{help_with(what)} Then run this again.")


def _remove_bucket(removal: Removal, bucket: str, reporter: Reporter) -> None:
    for rounds_left in reversed(range(_ROUNDS)):
        _empty(removal, bucket, reporter=reporter)
        try:
            removal.call("s3", "delete_bucket", Bucket=bucket)
        except Missing:
            return
        except PipelineError as error:
            if "BucketNotEmpty" not in error.what or not rounds_left:
                raise
        else:
            return


def _empty(removal: Removal, bucket: str, prefix: str = "", *, reporter: Reporter) -> None:
    """Remove every version and every marker below a prefix, a thousand at a time."""
    removed = 0
    while objects := _page_of_objects(removal, bucket, prefix):
        done = removal.call(
            "s3", "delete_objects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
        )
        if errors := done.get("Errors"):
            what = f"{bucket}: {errors[0]['Key']} is not removed: {errors[0].get('Message', '')}"
            raise PipelineError(removal.where, what, "Allow its removal, then run this again.")
        removed += len(objects)
        reporter.line(f"    {bucket}: {counted(removed, 'object version')} removed")


def _page_of_objects(removal: Removal, bucket: str, prefix: str) -> list[dict[str, str]]:
    try:
        page = removal.call(
            "s3", "list_object_versions", Bucket=bucket, Prefix=prefix, MaxKeys=1000
        )
    except Missing:
        return []
    items = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
    return [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in items]


def _mappings(removal: Removal) -> list[Mapping[str, Any]]:
    """Return the event sources of the function, or of what its name led to."""
    found = removal.pages("lambda", "list_event_source_mappings", "EventSourceMappings")
    return [one for one in found if _is_of(str(one.get("FunctionArn", "")), removal.name)]


def _is_of(arn: str, name: str) -> bool:
    """Tell whether an ARN is that of a function, or of a version or alias of it."""
    return arn.split(":")[6:7] == [name]
