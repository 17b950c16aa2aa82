"""Taking a stack away so that nothing stays: sources first, then buckets, stack, leftovers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..deploy.aws_errors import Missing, explained_errors
from .change_set import Stacks

_BUCKET = "AWS::S3::Bucket"


@dataclass(frozen=True)
class Removal:
    """A stack that is to go, by the name that it shares with its function.

    `clients` gives the AWS client of a service. `keeps` says that retained buckets stay as they
    are. `where` is how messages begin.
    """

    name: str
    clients: Callable[[str], Any]
    stacks: Stacks
    keeps: bool = False
    where: str = ""

    def resources(self) -> list[Mapping[str, Any]]:
        """Return the stack's resources that still exist; none without a stack."""
        if self.stacks.find(self.name) is None:
            return []
        found = self.stacks.pages(
            self.where, "list_stack_resources", "StackResourceSummaries", StackName=self.name
        )
        return [
            one
            for one in found
            if one.get("PhysicalResourceId") and one.get("ResourceStatus") != "DELETE_COMPLETE"
        ]

    def buckets(self) -> dict[str, str]:
        """Return the stack's buckets that exist, each with its logical id."""
        named = {
            str(one["PhysicalResourceId"]): str(one["LogicalResourceId"])
            for one in self.resources()
            if one["ResourceType"] == _BUCKET
        }
        with explained_errors(self.where, "s3:ListAllMyBuckets"):
            there = {one["Name"] for one in self.clients("s3").list_buckets()["Buckets"]}
        return {name: logical for name, logical in named.items() if name in there}

    def retained(self) -> set[str]:
        """Return the logical ids of the resources that CloudFormation would leave behind."""
        import yaml  # noqa: PLC0415 - takes a while

        body = self.stacks.call(self.where, "get_template", StackName=self.name)["TemplateBody"]
        # The client has read a template that is JSON.
        text = body if isinstance(body, str) else json.dumps(body)
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        members = {key.value: value for key, value in root.value}
        return {
            str(name.value)
            for name, node in members["Resources"].value
            for key, value in node.value
            if key.value == "DeletionPolicy" and value.value.startswith("Retain")
        }


def what_would_go(removal: Removal) -> list[str]:
    """Return a line for each resource that a removal takes away, and each that it leaves."""
    resources = removal.resources()
    kept = removal.retained() if resources and removal.keeps else set()
    lines = []
    for one in resources:
        word = "stays" if one["LogicalResourceId"] in kept else "goes"
        what = f"{one['LogicalResourceId']}  {one['ResourceType']}  {one['PhysicalResourceId']}"
        lines.append(f"    {word}  {what}")
    return lines


def stop_sources(removal: Removal, reporter: Reporter) -> None:
    """Let nothing call the function any more: mappings are disabled, notifications taken away."""
    for mapping in _mappings(removal):
        if mapping.get("State") not in ("Disabled", "Disabling", "Deleting"):
            with explained_errors(removal.where, "lambda:UpdateEventSourceMapping"):
                removal.clients("lambda").update_event_source_mapping(
                    UUID=mapping["UUID"], Enabled=False
                )
            reporter.line(f"    stopped {mapping.get('EventSourceArn', mapping['UUID'])}")
    for bucket in removal.buckets():
        with explained_errors(removal.where, "s3:PutBucketNotification"):
            removal.clients("s3").put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration={}
            )
        reporter.line(f"    {bucket} tells nobody of new objects any more")


def remove_stack(removal: Removal, reporter: Reporter) -> None:
    """Empty the buckets, delete the stack, and then what AWS leaves behind. May be repeated.

    Raises PipelineError with AWS's reason where the stack is not deleted.
    """
    stack = removal.stacks.find(removal.name)
    if stack is not None:
        kept = removal.retained()
        for bucket, logical in removal.buckets().items():
            is_kept = logical in kept
            if is_kept and removal.keeps:
                reporter.line(f"    {bucket} stays, with all that is in it")
                continue
            _empty(removal, bucket, reporter)
            if is_kept:
                # CloudFormation would leave it, and nobody would know whose it was.
                with explained_errors(removal.where, "s3:DeleteBucket"):
                    removal.clients("s3").delete_bucket(Bucket=bucket)
        _delete(removal, str(stack["StackId"]), reporter)
    if removal.keeps:
        return
    group = f"/aws/lambda/{removal.name}"
    for mapping in _mappings(removal):
        with explained_errors(removal.where, "lambda:DeleteEventSourceMapping"):
            removal.clients("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
        reporter.line(f"    removed what was left of {mapping.get('EventSourceArn', 'a source')}")
    if group in _log_groups(removal):
        # A call that was under way makes it anew.
        with explained_errors(removal.where, "logs:DeleteLogGroup"):
            removal.clients("logs").delete_log_group(logGroupName=group)
        reporter.line(f"    removed the log group {group} that was left")


def audit(removal: Removal) -> list[str]:
    """Return what still carries the environment's name, each with what to do about it."""
    again = "run this again"
    found = []
    if stack := removal.stacks.find(removal.name):
        found.append(f"stack {removal.name} is {stack['StackStatus']}: {again}")
    try:
        with explained_errors(removal.where, "lambda:GetFunctionConfiguration"):
            removal.clients("lambda").get_function_configuration(FunctionName=removal.name)
        found.append(f"function {removal.name} is there: no stack has it; delete it in Lambda")
    except Missing:
        pass
    found += [f"event source {one['UUID']} is there: {again}" for one in _mappings(removal)]
    found += [f"log group {name} is there: {again}" for name in _log_groups(removal)]
    return found


def _delete(removal: Removal, stack_id: str, reporter: Reporter) -> None:
    where, stacks = removal.where, removal.stacks
    seen: set[str] = set()
    stacks.events(where, stack_id, seen)
    stacks.call(where, "delete_stack", StackName=removal.name)
    status = stacks.settled(where, stack_id, reporter, seen)
    if status != "DELETE_COMPLETE":
        failed = [
            f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}"
            for one in stacks.events(where, stack_id, set())
            if one["ResourceStatus"] == "DELETE_FAILED"
        ]
        what = "\n".join(failed) or f"the stack is {status}"
        then = "Run this again; AWS may hold a network interface for up to 45 minutes."
        raise PipelineError(where, what, then)


def _empty(removal: Removal, bucket: str, reporter: Reporter) -> None:
    """Remove every version and every marker, a thousand at a time."""
    s3, removed = removal.clients("s3"), 0
    while True:
        with explained_errors(removal.where, "s3:ListBucketVersions"):
            page = s3.list_object_versions(Bucket=bucket, MaxKeys=1000)
        items = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if not items:
            break
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in items]
        with explained_errors(removal.where, "s3:DeleteObjectVersion"):
            done = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if errors := done.get("Errors"):
            what = f"{bucket}: {errors[0]['Key']} is not removed: {errors[0].get('Message', '')}"
            raise PipelineError(removal.where, what, "Allow its removal, then run this again.")
        removed += len(items)
        reporter.line(f"    {bucket}: {removed} objects and versions removed")


def _mappings(removal: Removal) -> list[Mapping[str, Any]]:
    """Return the event sources of the function, or of what its name led to."""
    client = removal.clients("lambda")
    marker: dict[str, str] = {}
    found: list[Mapping[str, Any]] = []
    while True:
        with explained_errors(removal.where, "lambda:ListEventSourceMappings"):
            page = client.list_event_source_mappings(**marker)
        found += [one for one in page["EventSourceMappings"] if _leads_to(one, removal.name)]
        if not page.get("NextMarker"):
            return found
        marker = {"Marker": page["NextMarker"]}


def _leads_to(mapping: Mapping[str, Any], name: str) -> bool:
    parts = str(mapping.get("FunctionArn", "")).split(":")
    return len(parts) > 6 and parts[6] == name  # noqa: PLR2004 - an ARN's place of the name


def _log_groups(removal: Removal) -> Iterator[str]:
    wanted = f"/aws/lambda/{removal.name}"
    with explained_errors(removal.where, "logs:DescribeLogGroups"):
        page = removal.clients("logs").describe_log_groups(logGroupNamePrefix=wanted)
    yield from (one["logGroupName"] for one in page["logGroups"] if one["logGroupName"] == wanted)
