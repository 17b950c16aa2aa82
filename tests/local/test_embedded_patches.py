from __future__ import annotations

import contextlib
import inspect
import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import moto.awslambda.models
import moto.awslambda.responses
import moto.cloudformation.models
import moto.cloudformation.parsing
import moto.cloudformation.responses
import moto.cloudwatch.models
import moto.cloudwatch.responses
import moto.events.models
import moto.iam.models
import moto.s3.models
import moto.s3.notifications
import moto.sqs.models
import pytest
from pipeline.core.errors import PipelineError
from pipeline.local.embedded import embedded_aws
from pipeline.local.moto_aliases import replace_qualifiers
from pipeline.local.moto_lambda import Execution, replace_execution
from pipeline.local.moto_stack import replace_dropped
from pipeline.local.patches import Patches
from pipeline.runtime.function_code import FunctionConfig, LocalRuntime
from pipeline.runtime.pool import Pool

from tests.local.local_support import (
    APP,
    MINOR,
    ROLE,
    TRUST,
    client,
    eventually,
    messages,
    zipped,
)
from tests.words import refused

LAMBDA = moto.awslambda.models
METRICS = moto.cloudwatch
STACKS = moto.cloudformation.models.CloudFormationBackend
# Everything of moto that is replaced, with its parameters in the version we are locked to.
REPLACED = {
    (moto.awslambda.responses.LambdaResponse, "invoke"): "self",
    (LAMBDA.LambdaBackend, "invoke"): (
        "self function_name qualifier body headers response_headers"
    ),
    (LAMBDA.LambdaBackend, "create_event_source_mapping"): "self spec",
    (LAMBDA.LambdaBackend, "update_event_source_mapping"): "self uuid spec",
    (LAMBDA.LambdaBackend, "delete_event_source_mapping"): "self uuid",
    (LAMBDA.LambdaFunction, "invoke"): "self body request_headers response_headers",
    (LAMBDA.LambdaFunction, "__init__"): "self account_id spec region version",
    (LAMBDA.LambdaFunction, "get_configuration"): "self on_create",
    (LAMBDA.LambdaFunction, "update_configuration"): "self config_updates",
    (LAMBDA.LambdaFunction, "update_function_code"): "self updated_spec",
    (LAMBDA.LambdaStorage, "get_function_by_name_with_qualifier"): "self name qualifier",
    (LAMBDA.LambdaStorage, "get_arn"): "self arn",
    (LAMBDA.LambdaStorage, "publish_version"): "self name_or_arn description",
    (LAMBDA.LambdaBackend, "put_function_event_invoke_config"): "self function_name config",
    (LAMBDA.LambdaBackend, "update_function_event_invoke_config"): "self function_name config",
    (LAMBDA.LambdaBackend, "delete_function_event_invoke_config"): "self function_name",
    (LAMBDA.LambdaBackend, "list_function_event_invoke_configs"): "self function_name",
    (LAMBDA.LambdaBackend, "list_event_source_mappings"): "self event_source_arn function_name",
    (METRICS.models.CloudWatchBackend, "get_metric_data"): (
        "self queries start_time end_time scan_by"
    ),
    (METRICS.responses.CloudWatchResponse, "get_metric_statistics"): "self",
    (METRICS.responses.CloudWatchResponse, "describe_alarms"): "self",
    (METRICS.responses.CloudWatchResponse, "describe_alarms_for_metric"): "self",
    (moto.events.models.Rule, "send_to_targets"): "self original_event transform_input",
    (LAMBDA.LambdaFunction, "create_from_cloudformation_json"): (
        "cls resource_name cloudformation_json account_id region_name kwargs"
    ),
    (LAMBDA.LambdaFunction, "update_from_cloudformation_json"): (
        "cls original_resource new_resource_name cloudformation_json account_id region_name"
    ),
    (moto.s3.models.FakeBucket, "create_from_cloudformation_json"): (
        "cls resource_name cloudformation_json account_id region_name kwargs"
    ),
    (moto.s3.models.FakeBucket, "update_from_cloudformation_json"): (
        "cls original_resource new_resource_name cloudformation_json account_id region_name"
    ),
    (moto.sqs.models.Queue, "physical_resource_id"): "self",
    (moto.sqs.models.Queue, "update_from_cloudformation_json"): (
        "cls original_resource new_resource_name cloudformation_json account_id region_name"
    ),
    (moto.s3.models.Notification, "_key_matches"): "self key_name",
    (moto.s3.notifications, "send_event"): "account_id event_name bucket key",
    (moto.s3.notifications, "_get_s3_event"): "event_name bucket key notification_id",
    (moto.cloudformation.parsing, "resource_class_from_type"): "resource_type",
    (moto.cloudformation.parsing.ResourceMap, "build_resource_diff"): (
        "self other_template parameters"
    ),
    (STACKS, "create_change_set"): (
        "self stack_name change_set_name template parameters description change_set_type"
        " notification_arns tags role_arn"
    ),
    (STACKS, "execute_change_set"): "self change_set_name stack_name",
    (moto.cloudformation.models.ChangeSet, "diff"): "self",
    (moto.cloudformation.responses.CloudFormationResponse, "_validate_different_update"): (
        "self incoming_params stack_body old_stack"
    ),
    (moto.iam.models.Role, "put_policy"): "self policy_name policy_json",
    (moto.cloudformation.parsing, "clean_json"): "resource_json resources_map",
    (moto.cloudformation.models, "yaml_tag_constructor"): "loader tag node",
    (moto.cloudformation.responses, "yaml_tag_constructor"): "loader tag node",
    (moto.cloudformation.responses.CloudFormationResponse, "create_stack"): "self",
    (moto.cloudformation.responses.CloudFormationResponse, "update_stack"): "self",
    (moto.cloudformation.responses.CloudFormationResponse, "create_change_set"): "self",
    (moto.cloudformation.responses.CloudFormationResponse, "get_template_summary"): "self",
    (STACKS, "create_stack"): (
        "self name template parameters notification_arns tags role_arn "
        "enable_termination_protection timeout_in_mins stack_policy_body"
    ),
    (STACKS, "update_stack"): "self name template role_arn parameters tags",
    (STACKS, "delete_stack"): "self name_or_stack_id",
    (moto.cloudformation.responses.CloudFormationResponse, "delete_stack"): "self",
    (moto.cloudformation.parsing, "parse_and_create_resource"): (
        "logical_id resource_json resources_map account_id region_name"
    ),
}


class Recording(Patches):
    """Patches that keep what they replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.replaced: list[tuple[Any, str]] = []

    def wrap(self, owner: Any, name: str, ours: Callable[..., Any], *, alone: bool = False) -> None:
        """Replace, and remember it."""
        super().wrap(owner, name, ours, alone=alone)
        self.replaced.append((owner, name))


def _originals() -> dict[tuple[Any, str], Any]:
    return {(owner, name): vars(owner)[name] for owner, name in REPLACED}


def _processes(folder: Path) -> list[str]:
    """Return the ids of the processes that run code below a folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            if str(folder).encode() in command.read_bytes():
                found.append(command.parent.name)
    return found


@pytest.mark.parametrize(("owner", "name"), list(REPLACED), ids=lambda part: str(part)[-40:])
def test_moto_still_has_what_is_replaced(owner: Any, name: str) -> None:
    """Each function of moto that is replaced is where it was, with the same parameters."""
    found = vars(owner)[name]
    plain = getattr(found, "__func__", None) or getattr(found, "fget", found)
    assert list(inspect.signature(plain).parameters) == REPLACED[owner, name].split()


def test_nothing_else_of_moto_is_replaced(
    tmp_path: Path, runtimes: dict[str, LocalRuntime]
) -> None:
    """The list above is the whole of it."""
    execution = Execution(Pool(tmp_path, runtimes), FunctionConfig(""))
    with Recording() as patches:
        replace_execution(patches, execution)
        replace_qualifiers(patches)
        replace_dropped(patches)
        assert set(patches.replaced) == REPLACED.keys()
    execution.close()


def test_the_replacements_work_and_are_taken_back(
    tmp_path: Path, runtimes: dict[str, LocalRuntime]
) -> None:
    """In process it runs functions too; every listed function changes, and only meanwhile."""
    before = _originals()
    with embedded_aws(tmp_path, runtimes, region="eu-west-1") as aws:
        assert not [key for key, value in _originals().items() if value is before[key]]
        client(aws, "iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
        lambdas = client(aws, "lambda")
        lambdas.create_function(
            FunctionName="fn",
            Role=ROLE,
            Handler="app.handle",
            Runtime=f"python{MINOR}",
            Code={"ZipFile": zipped({"app.py": APP})},
        )
        lambdas.invoke(FunctionName="fn", InvocationType="Event", Payload=b"{}")
        eventually(lambda: messages(aws, "/aws/lambda/fn", "REPORT"))
        answer = lambdas.invoke(FunctionName="fn", Payload=b'{"do":"environment"}')
        assert json.loads(answer["Payload"].read())["AWS_REGION"] == "eu-west-1"
        assert len(_processes(tmp_path)) == 1
        with (
            refused("embedded AWS", PipelineError),
            embedded_aws(tmp_path / "two", runtimes),
        ):
            pass
    assert _originals() == before
    assert _processes(tmp_path) == []
    assert not list((tmp_path / "code").iterdir())


def test_a_moved_function_is_refused_by_name() -> None:
    """What is missing, or takes other arguments, is an error that names moto's version."""

    class Owner:
        def method(self, one: int) -> int:
            return one

    with Patches() as patches:
        moto = {re.escape(version("moto")): "VERSION"}
        with refused("embedded AWS", PipelineError, moto):
            patches.replace(Owner, "gone", lambda: None)
        with refused("embedded AWS", PipelineError, moto):
            patches.replace(Owner, "method", lambda self, other: (self, other))
        with refused("embedded AWS", PipelineError, moto):
            patches.wrap(Owner, "method", lambda original, self, other: (original, self, other))
        patches.wrap(Owner, "method", lambda original, self, one: original(self, one) + 1)
        assert Owner().method(1) == 2
    assert Owner().method(1) == 1
