"""Resources of an ordinary stack that moto's CloudFormation does not know, or not to the end.

Aliases, retry settings, alarms, and policies of buckets and queues are made, and permissions, which
moto makes and never changes or deletes. What nobody knows is left out, and what refers to it gets a
text that says so. Each is put the same way when it is made and when it is changed; parameters
arrive as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import signature
from typing import Any

from botocore import xform_name
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.utils import get_backend
from moto.cloudformation import parsing
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from .clients import LEFT_OUT
from .patches import Original, Patches

# Gets name, properties, account and region, and returns the physical id.
Put = Callable[[str, Mapping[str, Any], str, str], str]
# Gets the physical id, account and region; what is gone already is no error.
Remove = Callable[[str, str, str], None]
_ALARM_NUMBERS = {
    "EvaluationPeriods": int,
    "DatapointsToAlarm": int,
    "Period": int,
    "Threshold": float,
}
_RETRY_NUMBERS = {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}


def add_resources(patches: Patches) -> None:
    """Let moto look again for the resources it knows; it remembers what it found before."""
    parsing.get_model_map.cache_clear()
    parsing.get_name_type_map.cache_clear()
    patches.wrap(parsing, "resource_class_from_type", _class_or_left_out)


def _class_or_left_out(original: Original, resource_type: str) -> Any:
    known = parsing.NULL_MODELS, parsing.get_model_map()
    if resource_type.startswith("Custom::") or any(resource_type in some for some in known):
        return original(resource_type)
    return _LeftOut


class _Resource:
    """A resource as moto wants it.

    When a change gives it another physical id, it is another resource: the one before is removed
    then, as by CloudFormation.
    """

    put: Put
    remove: Remove

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @classmethod
    def create_from_cloudformation_json(
        cls, name: str, resource: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        return cls(cls.put(name, resource["Properties"], account_id, region_name))

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,  # noqa: ARG003
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        name = original_resource.physical_resource_id
        put = cls.put(name, cloudformation_json["Properties"], account_id, region_name)
        if put != name:
            cls.remove(name, account_id, region_name)
            original_resource.physical_resource_id = put
        return original_resource

    def delete(self, account: str, region: str) -> None:
        type(self).remove(self.physical_resource_id, account, region)

    def is_created(self) -> bool:
        return True

    @staticmethod
    def has_cfn_attr(attribute: str) -> bool:
        return attribute == "AliasArn"

    def get_cfn_attribute(self, _: str) -> str:
        return self.physical_resource_id


class _LeftOut(_Resource):
    """A resource of a type that nobody knows; it has whatever attribute it is asked for."""

    @staticmethod
    def put(*_: Any) -> str:
        return LEFT_OUT

    @staticmethod
    def remove(*_: Any) -> None:
        pass

    @staticmethod
    def has_cfn_attr(_: str) -> bool:
        return True


def _resource(kind: str, put: Put, remove: Remove, named: str = "") -> type:
    """Return the class of a type as templates spell it; `named` is the property with its name.

    moto finds it by itself, as a direct subclass of its model, and takes the later of two.
    """
    parts = {
        "put": staticmethod(put),
        "remove": staticmethod(remove),
        "cloudformation_type": staticmethod(lambda: kind),
        "cloudformation_name_type": staticmethod(lambda: named),
    }
    return type(kind, (_Resource, CloudFormationModel), parts)


def _put_alias(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG001
    """Make the alias, or set all of it: it leads back to where the template says."""
    backend = get_backend(account, region)
    function = backend.get_function(properties["FunctionName"]).function_name
    shares = properties.get("RoutingConfig", {}).get("AdditionalVersionWeights", ())
    weights = {item["FunctionVersion"]: float(item["FunctionWeight"]) for item in shares}
    settings: dict[str, Any] = {
        "name": properties["Name"],
        "function_name": function,
        "function_version": str(properties["FunctionVersion"]),
        "description": properties.get("Description", ""),
        "routing_config": {"AdditionalVersionWeights": weights},
    }
    there = [alias.name for alias in backend.list_aliases(function)]
    change = backend.update_alias if settings["name"] in there else backend.create_alias
    return str(change(**settings).arn)


def _remove_alias(name: str, account: str, region: str) -> None:
    function, _, alias = name.rpartition(":")
    with suppress(LambdaClientError):
        get_backend(account, region).delete_alias(alias, function)


def _put_permission(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:
    """Add the statement, in the place of the one before, to what the name leads to."""
    function = get_backend(account, region).get_function(properties["FunctionName"])
    statement = name.rpartition("|")[2]
    physical = f"{function.function_arn}|{statement}"
    _remove_permission(physical, account, region)
    function.policy.add_statement(json.dumps({**properties, "StatementId": statement}))
    return physical


def _remove_permission(name: str, account: str, region: str) -> None:
    function, _, statement = name.rpartition("|")
    with suppress(LambdaClientError):
        get_backend(account, region).remove_permission(function, statement)


def _put_retries(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG001
    """Set all of the settings of what the qualifier leads to."""
    backend, settings = get_backend(account, region), dict(properties)
    called = str(backend.get_function(settings.pop("FunctionName")).function_name)
    if (qualifier := str(settings.pop("Qualifier"))) != "$LATEST":
        called += f":{qualifier}"
    numbers = {key: int(settings[key]) for key in _RETRY_NUMBERS & settings.keys()}
    backend.put_function_event_invoke_config(called, {**settings, **numbers})
    return called


def _remove_retries(name: str, account: str, region: str) -> None:
    with suppress(LambdaClientError):
        get_backend(account, region).delete_function_event_invoke_config(name)


def _put_alarm(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:
    """Make the alarm on one metric, or overwrite it."""
    put = cloudwatch_backends[account][region].put_metric_alarm
    known = signature(put).parameters
    settings: dict[str, Any] = {key: None for key, one in known.items() if one.default is one.empty}
    settings |= {"name": name, "dimensions": [], "alarm_actions": []}
    for key, value in properties.items():
        word = xform_name(key.replace("AlarmDescription", "Description"))
        if word in known:
            settings[word] = _ALARM_NUMBERS.get(key, _same)(value)
    put(**settings)
    return name


def _same(value: Any) -> Any:
    return value


def _remove_alarm(name: str, account: str, region: str) -> None:
    cloudwatch_backends[account][region].delete_alarms([name])


def _put_bucket_policy(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG001
    """Set the bucket's policy, without what moto would misunderstand.

    moto denies without looking at conditions, so "deny without TLS" would deny everything.
    """
    document = properties["PolicyDocument"]
    judged = [
        statement
        for statement in document.get("Statement", ())
        if not (statement.get("Effect") == "Deny" and statement.get("Condition"))
    ]
    policy = json.dumps({**document, "Statement": judged}).encode()
    s3_backends[account]["aws"].put_bucket_policy(properties["Bucket"], policy)
    # When the stack is deleted its references are not resolved any more.
    return str(properties["Bucket"])


def _remove_bucket_policy(name: str, account: str, region: str) -> None:  # noqa: ARG001
    with suppress(MissingBucket):
        s3_backends[account]["aws"].delete_bucket_policy(name)


def _put_queue_policy(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG001
    """Set the policy of each of the queues, and return their names."""
    names = [url.rpartition("/")[2] for url in properties["Queues"]]
    for queue in names:
        found = sqs_backends[account][region].get_queue(queue)
        found.policy = json.dumps(properties["PolicyDocument"])
    return ",".join(names)


def _remove_queue_policy(name: str, account: str, region: str) -> None:
    queues = sqs_backends[account][region].queues
    for queue in queues.keys() & set(name.split(",")):
        queues[queue].policy = None


# moto knows them by its model alone: kept here, they last as long as this module.
_RESOURCES = [
    _resource("AWS::Lambda::Alias", _put_alias, _remove_alias, "Name"),
    _resource("AWS::Lambda::Permission", _put_permission, _remove_permission),
    _resource("AWS::Lambda::EventInvokeConfig", _put_retries, _remove_retries),
    _resource("AWS::CloudWatch::Alarm", _put_alarm, _remove_alarm, "AlarmName"),
    _resource("AWS::S3::BucketPolicy", _put_bucket_policy, _remove_bucket_policy),
    _resource("AWS::SQS::QueuePolicy", _put_queue_policy, _remove_queue_policy),
]
