"""Resources of an ordinary stack that moto's CloudFormation does not know, or not to the end.

Alarms and bucket policies; a function's alias, its retry settings, and permissions, which moto
makes and never changes or deletes. moto finds the classes by itself, as direct subclasses of its
model of a resource; of two for one type it takes the later.
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


def add_resources() -> None:
    """Let moto look again for the resources it knows; it remembers what it found before."""
    parsing.get_model_map.cache_clear()
    parsing.get_name_type_map.cache_clear()


class _Resource:
    """A resource that is put the same way when it is made and when it is changed.

    `put(name, properties, account, region)` does so, and returns the physical id. When a change
    gives it another one, it is another resource: the one before is deleted then, as by
    CloudFormation.
    """

    put: ClassVar[staticmethod[[str, Mapping[str, Any], str, str], str]]

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

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
            cls.delete_from_cloudformation_json(name, cloudformation_json, account_id, region_name)
            original_resource.physical_resource_id = put
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> None:
        raise NotImplementedError


class StackAlarm(_Resource, CloudFormationModel):
    """AWS::CloudWatch::Alarm on one metric."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """Return the property that names the resource."""
        return "AlarmName"

    @staticmethod
    def cloudformation_type() -> str:
        """Return the type as templates spell it."""
        return "AWS::CloudWatch::Alarm"

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

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003
        account_id: str,
        region_name: str,
    ) -> None:
        """Remove the alarm."""
        cloudwatch_backends[account_id][region_name].delete_alarms([resource_name])


class StackBucketPolicy(_Resource, CloudFormationModel):
    """AWS::S3::BucketPolicy."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """Return the property that names the resource."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Return the type as templates spell it."""
        return "AWS::S3::BucketPolicy"

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

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003
        account_id: str,
        region_name: str,  # noqa: ARG003
    ) -> None:
        """Remove the bucket's policy, unless it went with its bucket."""
        with contextlib.suppress(MissingBucket):
            s3_backends[account_id]["aws"].delete_bucket_policy(resource_name)


class StackAlias(_Resource, CloudFormationModel):
    """AWS::Lambda::Alias; a reference to it is its ARN."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """Return the property that names the resource."""
        return "Name"

    @staticmethod
    def cloudformation_type() -> str:
        """Return the type as templates spell it."""
        return "AWS::Lambda::Alias"

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

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003
        account_id: str,
        region_name: str,
    ) -> None:
        """Remove the alias, unless it went with its function."""
        function, _, name = resource_name.rpartition(":")
        with contextlib.suppress(LambdaClientError):
            get_backend(account_id, region_name).delete_alias(name, function)


class StackPermission(_Resource, CloudFormationModel):
    """AWS::Lambda::Permission, on a function or on what a qualified name leads to."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """Return the property that names the resource."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Return the type as templates spell it."""
        return "AWS::Lambda::Permission"

    @classmethod
    def put(cls, name: str, properties: Mapping[str, Any], account: str, region: str) -> str:
        """Add the statement, in the place of the one before."""
        backend = get_backend(account, region)
        function = backend.get_function(properties["FunctionName"])
        statement = name.rpartition("|")[2]
        physical = f"{function.function_arn}|{statement}"
        cls.delete_from_cloudformation_json(physical, {}, account, region)
        function.policy.add_statement(json.dumps({**properties, "StatementId": statement}))
        return physical

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003
        account_id: str,
        region_name: str,
    ) -> None:
        """Remove the statement, unless it is gone already."""
        function, _, statement = resource_name.rpartition("|")
        with contextlib.suppress(LambdaClientError):
            get_backend(account_id, region_name).remove_permission(function, statement)


class StackRetrySettings(_Resource, CloudFormationModel):
    """AWS::Lambda::EventInvokeConfig: what becomes of asynchronous events that fail."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """Return the property that names the resource."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Return the type as templates spell it."""
        return "AWS::Lambda::EventInvokeConfig"

    @staticmethod
    def put(name: str, properties: Mapping[str, Any], account: str, region: str) -> str:
        """Set all of the settings of what the qualifier leads to."""
        backend = get_backend(account, region)
        settings = {key: value for key, value in properties.items() if key in _RETRIES}
        for key in _RETRY_NUMBERS & settings.keys():
            settings[key] = int(settings[key])
        function, qualifier = properties["FunctionName"], str(properties["Qualifier"])
        name = backend.get_function(function).function_name
        suffix = "" if qualifier == "$LATEST" else f":{qualifier}"
        backend.put_function_event_invoke_config(name + suffix, settings)
        return name + suffix

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003
        account_id: str,
        region_name: str,
    ) -> None:
        """Remove the settings, unless they went with what they hung on."""
        with contextlib.suppress(LambdaClientError):
            backend = get_backend(account_id, region_name)
            backend.delete_function_event_invoke_config(resource_name)
