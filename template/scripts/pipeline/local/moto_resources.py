"""Resources of an ordinary stack that moto's CloudFormation does not know, or not to the end.

Aliases, retry settings, alarms, and policies of buckets and queues are made, and permissions, which
moto makes and never changes or deletes. What nobody knows is left out, and what refers to it gets a
text that says so. moto finds the classes by itself, as direct subclasses of its model, and takes
the later of two.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar

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

_ALARM = {
    "name": "AlarmName",
    "namespace": "Namespace",
    "metric_name": "MetricName",
    "comparison_operator": "ComparisonOperator",
    "statistic": "Statistic",
    "extended_statistic": "ExtendedStatistic",
    "description": "AlarmDescription",
    "treat_missing_data": "TreatMissingData",
    "unit": "Unit",
}
_NUMBERS = {
    "evaluation_periods": "EvaluationPeriods",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "period": "Period",
    "threshold": "Threshold",
}
_ACTIONS = {
    "alarm_actions": "AlarmActions",
    "ok_actions": "OKActions",
    "insufficient_data_actions": "InsufficientDataActions",
}
_RETRY_NUMBERS = {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}
_RETRIES = {*_RETRY_NUMBERS, "DestinationConfig"}


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


class _LeftOut:
    """A resource of a type that nobody knows."""

    physical_resource_id = LEFT_OUT

    def is_created(self) -> bool:
        return True

    @staticmethod
    def has_cfn_attr(_: str) -> bool:
        return True

    @staticmethod
    def get_cfn_attribute(_: str) -> str:
        return LEFT_OUT

    @classmethod
    def create_from_cloudformation_json(cls, *_: Any, **_named: Any) -> Any:
        return cls()

    @staticmethod
    def update_from_cloudformation_json(original_resource: Any, **_: Any) -> Any:
        return original_resource

    def delete(self, account: str, region: str) -> None:
        pass


class _Resource:
    """A resource that is put the same way when it is made and when it is changed.

    `put(name, properties, account, region)` does so, and returns the physical id; `remove` takes
    that in the place of name and properties. When a change gives it another id, it is another
    resource: the one before is removed then, as by CloudFormation. `kind` is the type as templates
    spell it, `named` the property with its name, if any.
    """

    kind: ClassVar[str]
    named: ClassVar[str] = ""
    put: ClassVar[staticmethod[[str, Mapping[str, Any], str, str], str]]
    remove: ClassVar[staticmethod[[str, str, str], None]]

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.kind

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.named

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,  # noqa: ARG003
    ) -> Any:
        properties = cloudformation_json["Properties"]
        return cls(cls.put(resource_name, properties, account_id, region_name))

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,  # noqa: ARG003
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Any:
        name = original_resource.physical_resource_id
        put = cls.put(name, cloudformation_json["Properties"], account_id, region_name)
        if put != name:
            cls.remove(name, account_id, region_name)
            original_resource.physical_resource_id = put
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003
        account_id: str,
        region_name: str,
    ) -> None:
        cls.remove(resource_name, account_id, region_name)


class StackAlias(_Resource, CloudFormationModel):
    """AWS::Lambda::Alias; what refers to it gets its ARN."""

    kind = "AWS::Lambda::Alias"
    named = "Name"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Tell whether a template may ask for an attribute."""
        return attr == "AliasArn"

    def get_cfn_attribute(self, _: str) -> str:
        """Return the alias's ARN."""
        return self.physical_resource_id

    @staticmethod
    def put(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG004
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

    @staticmethod
    def remove(name: str, account: str, region: str) -> None:
        """Remove the alias, unless it went with its function."""
        function, _, alias = name.rpartition(":")
        with contextlib.suppress(LambdaClientError):
            get_backend(account, region).delete_alias(alias, function)


class StackPermission(_Resource, CloudFormationModel):
    """AWS::Lambda::Permission, on a function or on what a qualified name leads to."""

    kind = "AWS::Lambda::Permission"

    @classmethod
    def put(cls, name: str, properties: Mapping[str, Any], account: str, region: str) -> str:
        """Add the statement, in the place of the one before."""
        function = get_backend(account, region).get_function(properties["FunctionName"])
        statement = name.rpartition("|")[2]
        physical = f"{function.function_arn}|{statement}"
        cls.remove(physical, account, region)
        function.policy.add_statement(json.dumps({**properties, "StatementId": statement}))
        return physical

    @staticmethod
    def remove(name: str, account: str, region: str) -> None:
        """Remove the statement, unless it is gone already."""
        function, _, statement = name.rpartition("|")
        with contextlib.suppress(LambdaClientError):
            get_backend(account, region).remove_permission(function, statement)


class StackRetrySettings(_Resource, CloudFormationModel):
    """AWS::Lambda::EventInvokeConfig: what becomes of asynchronous events that fail."""

    kind = "AWS::Lambda::EventInvokeConfig"

    @staticmethod
    def put(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG004
        """Set all of the settings of what the qualifier leads to."""
        backend = get_backend(account, region)
        settings = {key: value for key, value in properties.items() if key in _RETRIES}
        for key in _RETRY_NUMBERS & settings.keys():
            settings[key] = int(settings[key])
        function, qualifier = properties["FunctionName"], str(properties["Qualifier"])
        plain = backend.get_function(function).function_name
        called = plain if qualifier == "$LATEST" else f"{plain}:{qualifier}"
        backend.put_function_event_invoke_config(called, settings)
        return called

    @staticmethod
    def remove(name: str, account: str, region: str) -> None:
        """Remove the settings, unless they went with what they hung on."""
        with contextlib.suppress(LambdaClientError):
            get_backend(account, region).delete_function_event_invoke_config(name)


class StackAlarm(_Resource, CloudFormationModel):
    """AWS::CloudWatch::Alarm on one metric."""

    kind = "AWS::CloudWatch::Alarm"
    named = "AlarmName"

    @staticmethod
    def put(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:
        """Make the alarm, or overwrite it; parameters arrive as text."""
        given = {**properties, "AlarmName": name}
        settings: dict[str, Any] = {key: given.get(source) for key, source in _ALARM.items()}
        for key, source in _NUMBERS.items():
            settings[key] = float(given[source]) if source in given else None
        for key in ("evaluation_periods", "datapoints_to_alarm", "period"):
            settings[key] = None if settings[key] is None else int(settings[key])
        for key, source in _ACTIONS.items():
            settings[key] = given.get(source, [])
        settings["dimensions"] = given.get("Dimensions", [])
        cloudwatch_backends[account][region].put_metric_alarm(**settings)
        return name

    @staticmethod
    def remove(name: str, account: str, region: str) -> None:
        """Remove the alarm."""
        cloudwatch_backends[account][region].delete_alarms([name])


class StackBucketPolicy(_Resource, CloudFormationModel):
    """AWS::S3::BucketPolicy."""

    kind = "AWS::S3::BucketPolicy"

    @staticmethod
    def put(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG004
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

    @staticmethod
    def remove(name: str, account: str, region: str) -> None:  # noqa: ARG004
        """Remove the bucket's policy, unless it went with its bucket."""
        with contextlib.suppress(MissingBucket):
            s3_backends[account]["aws"].delete_bucket_policy(name)


class StackQueuePolicy(_Resource, CloudFormationModel):
    """AWS::SQS::QueuePolicy; its physical id names its queues."""

    kind = "AWS::SQS::QueuePolicy"

    @staticmethod
    def put(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:  # noqa: ARG004
        """Set the policy of each of the queues."""
        names = [url.rpartition("/")[2] for url in properties["Queues"]]
        for queue in names:
            found = sqs_backends[account][region].get_queue(queue)
            found.policy = json.dumps(properties["PolicyDocument"])
        return ",".join(names)

    @staticmethod
    def remove(name: str, account: str, region: str) -> None:
        """Remove the policy of each of the queues, unless it went with its queue."""
        queues = sqs_backends[account][region].queues
        for queue in name.split(","):
            if queue in queues:
                queues[queue].policy = None
