from __future__ import annotations

import contextlib
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import moto.awslambda.models
import moto.awslambda.responses
import moto.s3.notifications
import moto.sqs.models
from pipeline.core.errors import PipelineError
from pipeline.local.embedded import embedded_aws
from pipeline.local.patches import Patches
from pipeline.runtime.function_code import LocalRuntime

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

# Some of what is replaced: a function, a method of a class, of an instance, a property.
REPLACED: list[tuple[Any, str]] = [
    (moto.s3.notifications, "send_event"),
    (moto.awslambda.models.LambdaFunction, "create_from_cloudformation_json"),
    (moto.awslambda.responses.LambdaResponse, "invoke"),
    (moto.sqs.models.Queue, "physical_resource_id"),
]


def _replaced() -> list[Any]:
    return [vars(owner)[name] for owner, name in REPLACED]


def _processes(folder: Path) -> list[str]:
    """Return the ids of the processes that run code below a folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            if str(folder).encode() in command.read_bytes():
                found.append(command.parent.name)
    return found


def test_the_replacements_work_and_are_taken_back(
    tmp_path: Path, runtimes: dict[str, LocalRuntime]
) -> None:
    """In process it runs functions too; what is replaced is so only meanwhile."""
    before = _replaced()
    with embedded_aws(tmp_path, runtimes, region="eu-west-1") as aws:
        assert not [one for one in _replaced() if one in before]
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
    assert _replaced() == before
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
