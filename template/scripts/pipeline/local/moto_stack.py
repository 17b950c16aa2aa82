"""What moto silently drops of an ordinary stack, and of a function: put back.

CloudFormation: a bucket's notifications and versioning; a queue's attributes that change; a
function's architecture, tags, dead letters, storage, logging. A stack update leaves deployed code
alone unless the template's own `Code` changed, as CloudFormation does. S3 events: one for each
object that is made, filters with escapes, slashes, object version and sequencer.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from flask import has_request_context, request
from moto.awslambda.models import LambdaFunction
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import Change, ChangeSet, CloudFormationBackend, Event
from moto.cloudformation.parsing import ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.s3 import notifications
from moto.s3.models import FakeBucket, Notification
from moto.sqs.models import Queue

from .moto_resources import add_resources
from .moto_templates import refuse_templates
from .patches import Original, Patches

_LOG_LEVELS = ("ApplicationLogLevel", "SystemLogLevel")
_NOTIFICATIONS = {
    "LambdaConfigurations": ("CloudFunctionConfiguration", "Function", "CloudFunction"),
    "QueueConfigurations": ("QueueConfiguration", "Queue", "Queue"),
    "TopicConfigurations": ("TopicConfiguration", "Topic", "Topic"),
}
# Events that are real only where the call's address names this. moto sends them too while it makes
# an object: for the parts of an upload as a whole, and for tags that come with an object or not.
_CALLS = {"s3:ObjectCreated:Put": ("uploadId", False), "s3:ObjectTagging:Put": ("tagging", True)}
# Resources that a change of a stack's tags does not change.
_UNTAGGED = frozenset(
    {
        "AWS::IAM::Policy",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
    }
)
_SUBSTITUTED = re.compile(r"\$\{(\w+)\}")


def replace_dropped(patches: Patches) -> None:
    """Make moto keep what stacks and function calls say."""
    add_resources(patches)
    refuse_templates(patches)
    patches.wrap(LambdaFunction, "create_from_cloudformation_json", _create_function)
    patches.replace(LambdaFunction, "update_from_cloudformation_json", _update_function)
    patches.wrap(LambdaFunction, "__init__", _init)
    patches.wrap(LambdaFunction, "get_configuration", _get_configuration)
    patches.wrap(LambdaFunction, "update_configuration", _update_configuration)
    patches.wrap(LambdaFunction, "update_function_code", _update_code)
    patches.wrap(FakeBucket, "create_from_cloudformation_json", _put_bucket)
    patches.wrap(FakeBucket, "update_from_cloudformation_json", _put_bucket)
    patches.replace(Queue, "update_from_cloudformation_json", _update_queue)
    patches.wrap(Queue, "physical_resource_id", _address)
    patches.replace(Notification, "_key_matches", _key_matches)
    patches.wrap(notifications, "send_event", _send_event)
    patches.wrap(notifications, "_get_s3_event", partial(_event, itertools.count(1)))
    patches.wrap(ResourceMap, "build_resource_diff", _resource_diff)
    patches.wrap(CloudFormationBackend, "create_change_set", _create_change_set)
    patches.replace(CloudFormationBackend, "execute_change_set", _execute_change_set)
    patches.replace(ChangeSet, "diff", _changes)
    patches.wrap(parsing, "parse_and_create_resource", _create_resource)
    patches.wrap(CloudFormationResponse, "_validate_different_update", _different_update)
    # moto keeps it with a stack, and neither sets nor minds it.
    patches.add(CloudFormationResponse, "update_termination_protection", _protect)
    patches.wrap(CloudFormationResponse, "delete_stack", _unless_protected)
    # Again by the same thread: a stack within a stack.
    turn = threading.RLock()
    for change in ("create_stack", "update_stack", "delete_stack"):
        patches.wrap(CloudFormationBackend, change, partial(_in_turn, turn))


def _in_turn(turn: threading.RLock, original: Original, *arguments: Any, **named: Any) -> Any:
    # The change of a caller that was killed goes on: a deletion waits for its end.
    with turn:
        try:
            return original(*arguments, **named)
        except JsonRESTError as error:
            # A resource's service has refused it, in words that CloudFormation cannot send.
            raise ValidationError(message=error.message) from error


def _protect(self: Any) -> ActionResult:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


def _unless_protected(original: Original, self: Any) -> Any:
    wanted = self._get_param("StackName")
    for stack in self.cloudformation_backend.stacks.values():
        if stack.enable_termination_protection and wanted in (stack.name, stack.stack_id):
            what = f"Stack [{stack.name}] cannot be deleted while TerminationProtection"
            raise ValidationError(message=f"{what} is enabled")
    return original(self)


def _create_change_set(original: Original, self: Any, **given: Any) -> Any:
    # moto would make a second stack of the name.
    for stack in list(self.stacks.values()):
        if stack.name == given["stack_name"] and given["change_set_type"] == "CREATE":
            if stack.status != "REVIEW_IN_PROGRESS":
                raise ValidationError(message=f"Stack [{stack.name}] already exists")
            del self.stacks[stack.stack_id]
    made = original(self, **given)
    change = self.describe_change_set(made[0])
    if _has_other_tags(change):
        # moto looks at template and parameters alone.
        change.status, change.execution_status = "CREATE_COMPLETE", "AVAILABLE"
    if has_request_context():
        change.is_kept = request.values.get("OnStackFailure") == "DO_NOTHING"
    return made


def _execute_change_set(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
    """Make the change as a call without a change set does; moto's own way stops half-way."""
    change = self.describe_change_set(change_set_name)
    name = stack_name if stack_name and ":" not in stack_name else change.stack_name
    if change.change_set_type == "CREATE":
        if not self.stacks.pop(change.stack_id, None):
            what = f"ChangeSet [{change.change_set_id}] does not exist"
            raise ValidationError(message=what)
        is_kept = True
        try:
            made = self.create_stack(name, change.template, change.parameters, tags=change.tags)
        except Exception as error:
            # AWS has said yes by then, and tells of it in the stack's events.
            is_kept = change.is_kept
            failed = [one for one in self.stacks.values() if one.name == name]
            if not failed:
                raise
            made = failed[0]
            _give_up(made, error, is_kept=is_kept)
        # The stack that the change set named.
        stacks = self.stacks if is_kept else self.deleted_stacks
        stacks[change.stack_id] = self.stacks.pop(made.stack_id)
        made.stack_id = change.stack_id
    else:
        given = [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in change.parameters.items()
        ]
        self.update_stack(name, change.template, None, given, change.tags)
    change.execution_status = "EXECUTE_COMPLETE"


def _give_up(stack: Any, error: Exception, *, is_kept: bool) -> None:
    """End a creation: what was made goes, also what is retained else, or stays to be continued."""
    resources = stack.resource_map
    written, name = resources._resource_json_map, getattr(resources, "failed", "")  # noqa: SLF001
    there = resources._parsed_resources  # noqa: SLF001 - moto offers no other way in
    made = {key: one for key, one in written.items() if key in there}
    event: Any = partial(Event, stack.stack_id, stack.name, resource_properties=None)
    kind = written.get(name, {}).get("Type", "")
    reason = getattr(error, "message", None) or str(error)
    stack.events.append(event(name, "", kind, "CREATE_FAILED", reason))
    # moto makes what is missing when somebody looks.
    resources._resource_json_map = made  # noqa: SLF001 - see above
    stack.output_map._output_json_map = {}  # noqa: SLF001 - see above
    if not is_kept:
        for one in made.values():
            one.pop("DeletionPolicy", None)
        resources.delete()
    stack.status = "CREATE_FAILED" if is_kept else "DELETE_COMPLETE"
    stack._add_stack_event(stack.status)  # noqa: SLF001 - see above


def _create_resource(
    original: Original, logical_id: str, resource_json: Any, resources_map: Any, **where: Any
) -> Any:
    try:
        return original(logical_id, resource_json, resources_map, **where)
    except Exception:
        # What it refers to is made within, and has failed before.
        resources_map.failed = getattr(resources_map, "failed", logical_id)
        raise


def _has_other_tags(change: Any) -> bool:
    return change.change_set_type == "UPDATE" and (change.tags or {}) != (change.stack.tags or {})


def _changes(self: Any) -> list[Change]:
    """Return what changes, changed parameters and tags included: those are every resource's."""
    there = self.stack.resource_map
    by_action = there.build_resource_diff(self.template_dict, self.parameters)
    known = {**self.stack.template_dict.get("Resources", {}), **self.template_dict["Resources"]}
    if _has_other_tags(self):
        others = {name for names in by_action.values() for name in names}
        stay = [
            name
            for name, one in known.items()
            if name not in others and one["Type"] not in _UNTAGGED
        ]
        by_action = {**by_action, "Modify": [*by_action["Modify"], *stay]}
    return [
        Change(action=action, logical_resource_id=name, resource_type=known[name]["Type"])
        for action, names in by_action.items()
        for name in names
    ]


def _resource_diff(
    original: Original,
    self: Any,
    other_template: dict[str, Any],
    parameters: dict[str, Any] | None = None,
) -> Any:
    # moto sees values that are given, not defaults, nor what conditions make of either.
    by_action = original(self, other_template, parameters)
    before, after = (
        {name: str(one.get("Default")) for name, one in template.get("Parameters", {}).items()}
        | {name: str(value) for name, value in given.items()}
        for template, given in (
            (self._template, self.input_parameters),
            (other_template, parameters or self.input_parameters),
        )
    )
    changed = {name for name in after if before.get(name) != after[name]}
    conditions = other_template.get("Conditions", {})
    old = self._template.get("Conditions", {})
    changed |= {name for name in conditions if old.get(name) != conditions[name]}
    for _ in conditions:  # one may be made of another
        changed |= {name for name, one in conditions.items() if _names(one) & changed}
    for name, resource in other_template["Resources"].items():
        known = name in by_action["Add"] or name in by_action["Modify"]
        if not known and _names(resource) & changed:
            by_action["Modify"].append(name)
    return by_action


def _names(value: Any) -> set[str]:
    """Return the parameters and conditions that a part of a template refers to."""
    if isinstance(value, list):
        return set().union(*map(_names, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(_names, value.values()))
    found |= {value[key] for key in ("Ref", "Condition") if isinstance(value.get(key), str)}
    found |= {value["Fn::If"][0]} if "Fn::If" in value else set()
    return found | set(_SUBSTITUTED.findall(json.dumps(value.get("Fn::Sub", ""))))


def _different_update(original: Original, self: Any, *arguments: Any) -> None:
    # A change set without changes is made, and says so itself; updates were judged before.
    if self._get_action() not in {"CreateChangeSet", "UpdateStack"}:
        original(self, *arguments)


def _init(
    original: Original,
    self: Any,
    account_id: str,
    spec: dict[str, Any],
    region: str,
    version: Any = 1,
) -> None:
    original(self, account_id, spec, region, version)
    self.kept = {}
    _keep(self, {"LoggingConfig": {}, **spec})


def _get_configuration(original: Original, self: Any, on_create: bool = False) -> Any:
    return {**original(self, on_create), **{key: one for key, one in self.kept.items() if one}}


def _update_configuration(original: Original, self: Any, config_updates: dict[str, Any]) -> Any:
    # moto insists on a key that AWS lets callers leave out.
    if "Environment" in config_updates:
        config_updates["Environment"].setdefault("Variables", {})
    original(self, config_updates)
    _keep(self, config_updates)
    return self.get_configuration()


def _update_code(original: Original, self: Any, updated_spec: dict[str, Any]) -> Any:
    _keep(self, updated_spec)
    return original(self, updated_spec)


def _keep(function: Any, given: Mapping[str, Any]) -> None:
    """Keep what moto does not: of a call's settings, or of a template's properties."""
    kept = {key: given[key] for key in {"DeadLetterConfig"} & given.keys()}
    if "LoggingConfig" in given:
        group = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.function_name}"}
        logging = {**group, **given["LoggingConfig"]}
        levels = dict.fromkeys(_LOG_LEVELS if logging["LogFormat"] == "JSON" else (), "INFO")
        kept["LoggingConfig"] = {**levels, **logging}
    # Versions have what was kept when they were published.
    function.kept = {**function.kept, **kept}
    if given.get("Architectures"):
        function.architectures = list(given["Architectures"])
    if "EphemeralStorage" in given:
        function.ephemeral_storage = int(given["EphemeralStorage"]["Size"])
    if "TracingConfig" in given:
        function.tracing_config = given["TracingConfig"]
    # A stack's parameters arrive as text; Lambda's API would have got numbers.
    function.memory_size, function.timeout = int(function.memory_size), int(function.timeout)


def _create_function(
    original: Original, cls: Any, name: str, resource: Any, *where: Any, **named: Any
) -> Any:
    properties = resource["Properties"]
    # moto turns the text of inline code into a zip in place.
    written = json.dumps(properties["Code"], sort_keys=True)
    function = original(cls, name, resource, *where, **named)
    function.stack_code = written
    _apply(function, properties)
    return function


def _update_function(
    cls: Any,
    original_resource: Any,
    new_resource_name: str,  # noqa: ARG001
    cloudformation_json: Any,
    account_id: str,  # noqa: ARG001
    region_name: str,  # noqa: ARG001
) -> Any:
    properties = cloudformation_json["Properties"]
    original_resource.update_configuration(properties)
    _apply(original_resource, properties)
    written = json.dumps(properties["Code"], sort_keys=True)
    if written != getattr(original_resource, "stack_code", written):
        code = dict(properties["Code"])
        if "ZipFile" in code:
            zipped = cls._create_zipfile_from_plaintext_code(code["ZipFile"])
            code["ZipFile"] = base64.b64encode(zipped).decode()
        original_resource.update_function_code(code)
        original_resource.stack_code = written
    return original_resource


def _apply(function: Any, properties: Mapping[str, Any]) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    function.reserved_concurrency = None if reserved is None else int(reserved)
    _keep(function, properties)
    if "Tags" in properties:
        function.tags = {tag["Key"]: tag["Value"] for tag in properties["Tags"]}


def _put_bucket(original: Original, cls: Any, *arguments: Any, **named: Any) -> Any:
    bucket = original(cls, *arguments, **named)
    # Made with arguments by their place, changed with arguments by their names.
    resource = named.get("cloudformation_json") or arguments[1]
    _apply_to_bucket(bucket, resource.get("Properties") or {})
    return bucket


def _address(original: Original, self: Any) -> str:
    # Some clients (JavaScript's) send to wherever a queue's address leads.
    if has_request_context():
        return f"{request.host_url}{self.account_id}/{self.name}"
    return str(original(self))


def _update_queue(
    cls: Any,  # noqa: ARG001
    original_resource: Any,
    new_resource_name: str,  # noqa: ARG001
    cloudformation_json: Any,
    account_id: str,  # noqa: ARG001
    region_name: str,  # noqa: ARG001
) -> Any:
    properties = dict(cloudformation_json["Properties"])
    original_resource.tags = {tag["Key"]: tag["Value"] for tag in properties.pop("Tags", ())}
    properties.pop("QueueName", None)
    original_resource._set_attributes({"Policy": original_resource.policy, **properties})  # noqa: SLF001
    return original_resource


def _apply_to_bucket(bucket: Any, properties: Mapping[str, Any]) -> None:
    if "VersioningConfiguration" in properties:
        bucket.versioning_status = properties["VersioningConfiguration"]["Status"]
    written = properties.get("NotificationConfiguration") or {}
    translated: dict[str, Any] = {}
    for key, (section, source, target) in _NOTIFICATIONS.items():
        translated[section] = [
            {target: item[source], "Event": [item["Event"]], "Filter": _filter(item)}
            for item in written.get(key, ())
        ]
    if written.get("EventBridgeConfiguration"):
        translated["EventBridgeConfiguration"] = {}
    bucket.set_notification_configuration(translated if written else None)


def _filter(item: Mapping[str, Any]) -> dict[str, Any] | None:
    rules = item.get("Filter", {}).get("S3Key", {}).get("Rules", ())
    if not rules:
        return None
    named = [{"Name": rule["Name"].lower(), "Value": rule["Value"]} for rule in rules]
    return {"S3Key": {"FilterRule": named}}


def _key_matches(self: Any, key_name: str) -> bool:
    rules = self.filters.get("S3Key", {}).get("FilterRule", ())
    # Blanks and special characters stand in a filter as they do in an address.
    values = {rule["Name"]: unquote_plus(rule["Value"]) for rule in rules}
    starts = key_name.startswith(values.get("prefix", ""))
    return starts and key_name.endswith(values.get("suffix", ""))


def _send_event(
    original: Original, account_id: str, event_name: str, bucket: Any, key: Any
) -> None:
    named, wanted = _CALLS.get(event_name, ("", False))
    if not has_request_context() or (named in request.args) == wanted:
        original(account_id, event_name, bucket, key)


def _event(
    counter: Iterator[int],
    original: Original,
    event_name: str,
    bucket: Any,
    key: Any,
    notification_id: str,
) -> Any:
    event = original(event_name, bucket, key, notification_id)
    stored = event["Records"][0]["s3"]["object"]
    stored["key"] = quote_plus(key.name, safe="/")
    stored["sequencer"] = f"{next(counter):016X}"
    if bucket.versioning_status == "Enabled":
        stored["versionId"] = key.version_id
    return event
