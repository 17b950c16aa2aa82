"""What moto silently drops of an ordinary stack, and of a function: put back.

CloudFormation: a bucket's notifications and versioning; a function's architecture, tags, dead
letters, storage, logging. A stack update leaves deployed code alone unless the template's own
`Code` changed, as CloudFormation does. S3 events: one for each object that is made, filters with
escapes, slashes, object version and sequencer.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from flask import has_request_context, request
from moto.awslambda.models import LambdaFunction
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import Change, ChangeSet, CloudFormationBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.exceptions import JsonRESTError
from moto.s3 import notifications
from moto.s3.models import FakeBucket, Notification

from .moto_resources import add_resources
from .moto_templates import refuse_templates
from .patches import Patches

_ATTRIBUTES = {"DeadLetterConfig": "dead_letter_config", "LoggingConfig": "logging_config"}
_LOG_LEVELS = ("ApplicationLogLevel", "SystemLogLevel")
_NOTIFICATIONS = {
    "LambdaConfigurations": ("CloudFunctionConfiguration", "Function", "CloudFunction"),
    "QueueConfigurations": ("QueueConfiguration", "Queue", "Queue"),
    "TopicConfigurations": ("TopicConfiguration", "Topic", "Topic"),
}
# Events that are real only where the call's address names this. moto sends them too while it makes
# an object: for the parts of an upload as a whole, and for tags that come with an object or not.
_CALLS = {"s3:ObjectCreated:Put": ("uploadId", False), "s3:ObjectTagging:Put": ("tagging", True)}
_Wrap = Callable[..., Any]


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
    patches.replace(Notification, "_key_matches", _key_matches)
    patches.wrap(notifications, "send_event", _send_event)
    patches.wrap(notifications, "_get_s3_event", _event)
    patches.wrap(CloudFormationBackend, "create_change_set", _create_change_set)
    patches.replace(CloudFormationBackend, "execute_change_set", _execute_change_set)
    patches.replace(ChangeSet, "diff", _changes)
    patches.wrap(CloudFormationResponse, "_validate_different_update", _different_update)
    # Again by the same thread: a stack within a stack.
    turn = threading.RLock()
    for change in ("create_stack", "update_stack", "delete_stack"):
        patches.wrap(CloudFormationBackend, change, partial(_in_turn, turn))


def _in_turn(turn: threading.RLock, original: _Wrap) -> _Wrap:
    @wraps(original)
    def change(*arguments: Any, **named: Any) -> Any:
        # The change of a caller that was killed goes on: a deletion waits for its end.
        with turn:
            try:
                return original(*arguments, **named)
            except JsonRESTError as error:
                # A resource's service has refused it, in words that CloudFormation cannot send.
                raise ValidationError(message=error.message) from error

    return change


def _create_change_set(original: _Wrap) -> _Wrap:
    @wraps(original)
    def create_change_set(self: Any, **request: Any) -> Any:
        # moto would make a second stack of the name.
        for stack in list(self.stacks.values()):
            if stack.name == request["stack_name"] and request["change_set_type"] == "CREATE":
                if stack.status != "REVIEW_IN_PROGRESS":
                    raise ValidationError(message=f"Stack [{stack.name}] already exists")
                del self.stacks[stack.stack_id]
        return original(self, **request)

    return create_change_set


def _execute_change_set(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
    """Make the change as a call without a change set does; moto's own way stops half-way."""
    change = self.describe_change_set(change_set_name)
    name = stack_name if stack_name and ":" not in stack_name else change.stack_name
    if change.change_set_type == "CREATE":
        del self.stacks[change.stack_id]
        made = self.create_stack(name, change.template, change.parameters, tags=change.tags)
        # The stack that the change set named.
        self.stacks[change.stack_id] = self.stacks.pop(made.stack_id)
        made.stack_id = change.stack_id
    else:
        given = [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in change.parameters.items()
        ]
        self.update_stack(name, change.template, None, given, change.tags)
    change.execution_status = "EXECUTE_COMPLETE"


def _changes(self: Any) -> list[Change]:
    """Return what changes, changed parameters included."""
    there = self.stack.resource_map
    by_action = there.build_resource_diff(self.template_dict, self.parameters)
    known = {**self.stack.template_dict.get("Resources", {}), **self.template_dict["Resources"]}
    return [
        Change(action=action, logical_resource_id=name, resource_type=known[name]["Type"])
        for action, names in by_action.items()
        for name in names
    ]


def _different_update(original: _Wrap) -> _Wrap:
    @wraps(original)
    def validate(self: Any, *arguments: Any) -> None:
        # A change set without changes is made, and says so itself; updates were judged before.
        if self._get_action() not in {"CreateChangeSet", "UpdateStack"}:
            original(self, *arguments)

    return validate


def _init(original: _Wrap) -> _Wrap:
    def __init__(  # noqa: N807 - it takes the place of one
        self: Any, account_id: str, spec: dict[str, Any], region: str, version: Any = 1
    ) -> None:
        original(self, account_id, spec, region, version)
        _keep(self, {"LoggingConfig": {}, **spec})

    return __init__


def _get_configuration(original: _Wrap) -> _Wrap:
    def get_configuration(self: Any, on_create: bool = False) -> Any:
        config = original(self, on_create)
        for key, attribute in _ATTRIBUTES.items():
            if value := getattr(self, attribute, None):
                config[key] = value
        return config

    return get_configuration


def _update_configuration(original: _Wrap) -> _Wrap:
    def update_configuration(self: Any, config_updates: dict[str, Any]) -> Any:
        # moto insists on a key that AWS lets callers leave out.
        if "Environment" in config_updates:
            config_updates["Environment"].setdefault("Variables", {})
        original(self, config_updates)
        _keep(self, config_updates)
        return self.get_configuration()

    return update_configuration


def _update_code(original: _Wrap) -> _Wrap:
    def update_function_code(self: Any, updated_spec: dict[str, Any]) -> Any:
        if updated_spec.get("Architectures"):
            self.architectures = list(updated_spec["Architectures"])
        return original(self, updated_spec)

    return update_function_code


def _keep(function: Any, settings: Mapping[str, Any]) -> None:
    for key, attribute in _ATTRIBUTES.items():
        if key in settings:
            setattr(function, attribute, settings[key])
    if "LoggingConfig" in settings:
        group = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.function_name}"}
        given = {**group, **settings["LoggingConfig"]}
        levels = dict.fromkeys(_LOG_LEVELS if given["LogFormat"] == "JSON" else (), "INFO")
        function.logging_config = {**levels, **given}
    if "EphemeralStorage" in settings:
        function.ephemeral_storage = int(settings["EphemeralStorage"]["Size"])
    if "TracingConfig" in settings:
        function.tracing_config = settings["TracingConfig"]


def _create_function(original: _Wrap) -> _Wrap:
    @wraps(original)
    def create(cls: Any, name: str, resource: Any, *where: Any, **named: Any) -> Any:
        properties = resource["Properties"]
        # moto turns the text of inline code into a zip in place.
        written = json.dumps(properties["Code"], sort_keys=True)
        _as_numbers(properties)
        function = original(cls, name, resource, *where, **named)
        function.stack_code = written
        _apply(function, properties)
        return function

    return create


def _update_function(
    cls: Any,
    original_resource: Any,
    new_resource_name: str,  # noqa: ARG001
    cloudformation_json: Any,
    account_id: str,  # noqa: ARG001
    region_name: str,  # noqa: ARG001
) -> Any:
    properties = cloudformation_json["Properties"]
    _as_numbers(properties)
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


def _as_numbers(properties: dict[str, Any]) -> None:
    """Parameters arrive as text; Lambda's API would have got numbers."""
    for key in ("MemorySize", "Timeout", "ReservedConcurrentExecutions"):
        if key in properties:
            properties[key] = int(properties[key])


def _apply(function: Any, properties: Mapping[str, Any]) -> None:
    _keep(function, properties)
    function.reserved_concurrency = properties.get("ReservedConcurrentExecutions")
    if properties.get("Architectures"):
        function.architectures = list(properties["Architectures"])
    if "Tags" in properties:
        function.tags = {tag["Key"]: tag["Value"] for tag in properties["Tags"]}


def _put_bucket(original: _Wrap) -> _Wrap:
    @wraps(original)
    def put(cls: Any, *arguments: Any, **named: Any) -> Any:
        bucket = original(cls, *arguments, **named)
        # Made with arguments by their place, changed with arguments by their names.
        resource = named.get("cloudformation_json") or arguments[1]
        _apply_to_bucket(bucket, resource.get("Properties") or {})
        return bucket

    return put


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


def _send_event(original: _Wrap) -> _Wrap:
    def send_event(account_id: str, event_name: str, bucket: Any, key: Any) -> None:
        named, wanted = _CALLS.get(event_name, ("", False))
        if not has_request_context() or (named in request.args) == wanted:
            original(account_id, event_name, bucket, key)

    return send_event


def _event(original: _Wrap) -> _Wrap:
    counter = itertools.count(1)

    def _get_s3_event(event_name: str, bucket: Any, key: Any, notification_id: str) -> Any:
        event = original(event_name, bucket, key, notification_id)
        stored = event["Records"][0]["s3"]["object"]
        stored["key"] = quote_plus(key.name, safe="/")
        stored["sequencer"] = f"{next(counter):016X}"
        if bucket.versioning_status == "Enabled":
            stored["versionId"] = key.version_id
        return event

    return _get_s3_event
