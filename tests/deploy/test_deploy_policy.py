"""The policy printed for a plan: no call outside it is made, and none in it is for nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Output
from pipeline.deploy.old_versions import rights
from pipeline.deploy.verdict import Figures

from tests.deploy.deploy_support import ARN, function_zip, manifest, write_package
from tests.deploy.deploying import Deploy
from tests.deploy.fake_lambda import FakeLambda, paginator, refusal
from tests.deploy.fake_metrics import FakeMetrics
from tests.kinds.stacks import read
from tests.repositories import Render

START = datetime(2026, 11, 26, 8, tzinfo=UTC)
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
MADE_OF, S3 = "Greeter", "arn:${AWS::Partition}:s3"
# Rights without a call of their own: what Lambda does in the caller's name, and the tags that AWS
# puts into its answer to GetFunction.
_WITHOUT_CALL = {"s3:GetObject", "lambda:ListTags", "kms:Decrypt"}


@dataclass
class Recorded:
    """What is in memory, with every call kept as the IAM action and resource that it needs."""

    fake: FakeLambda | FakeMetrics
    needed: list[tuple[str, str]] = field(default_factory=list)

    def get_paginator(self, method: str) -> Any:
        """Return what reads the pages of a method."""
        return paginator(self, method)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            service, resource = "lambda", ARN
            if method == "put_object":
                service, resource = "s3", f"arn:aws:s3:::{request['Bucket']}/{request['Key']}"
            elif method == "list_event_source_mappings":
                resource = "*"
            elif isinstance(self.fake, FakeMetrics):
                service, resource = "cloudwatch", "*"
            elif "Qualifier" in request:
                resource = f"{ARN}:{request['Qualifier']}"
            action = "".join(word.capitalize() for word in method.split("_"))
            action = "InvokeFunction" if method == "invoke" else action
            self.needed.append((f"{service}:{action}", resource))
            return getattr(self.fake, method)(**request)

        return call


class RecordedDeploy(Deploy):
    """A deploy whose calls are recorded."""

    def __init__(self, folder: Path, **facts: Any) -> None:
        super().__init__(folder, **facts)
        self.recorded = Recorded(self.fake)
        self.metrics = FakeMetrics({"2": Figures(calls=50)}, {"errors": ("OK", START)})

    def _connect(self, *given: Any) -> Any:
        others = {"s3": self.recorded, "cloudwatch": Recorded(self.metrics, self.recorded.needed)}
        return replace(
            super()._connect(*given),
            functions=self.recorded,
            clients=others.__getitem__,
            now=lambda: START + timedelta(seconds=self.wait.now()),
        )

    def release(self, text: str, version: str, **facts: Any) -> None:
        """Make that the package to deploy."""
        code = function_zip(text)
        write_package(self.folder, replace(manifest(code, **facts), version=version), code)


def first(_: RecordedDeploy) -> None:
    """Leave the function as its stack makes it."""


def nothing(one: RecordedDeploy) -> None:
    """Deploy it already."""
    one.run()


def code_alone(one: RecordedDeploy) -> None:
    """Build the same release with other bytes."""
    one.run()
    one.release("other = 1\n", "2.0.7")


def configuration_alone(one: RecordedDeploy) -> None:
    """Edit it by hand."""
    one.run()
    one.fake.touch(Description="by hand")


def stack_alone(one: RecordedDeploy) -> None:
    """Change the stack, which a deploy then publishes."""
    one.run()
    one.fake.touch(Timeout=60)


def tags_alone(one: RecordedDeploy) -> None:
    """Take a tag away."""
    one.run()
    one.fake.tags.pop("team")


def an_earlier_release(one: RecordedDeploy) -> None:
    """Deploy a release whose version is there."""
    one.run()
    package = [(one.folder / name).read_bytes() for name in ("build.json", "function.zip")]
    one.release("new = 1\n", "2.0.8")
    one.run()
    for name, data in zip(("build.json", "function.zip"), package, strict=True):
        (one.folder / name).write_bytes(data)


def without_alias(one: RecordedDeploy) -> None:
    """Have an older stack."""
    one.fake.alias = None


def through_a_bucket(one: RecordedDeploy) -> None:
    """Let the code go through S3."""
    one.release("new = 1\n", "2.0.8", bucket="code")


def with_a_key(one: RecordedDeploy) -> None:
    """Encrypt the environment with a key of the team's."""
    one.fake.touch(KMSKeyArn=KEY)


def a_canary(one: RecordedDeploy) -> None:
    """Give the next release a smoke test, and a part of the calls first."""
    one.run()
    place = {"strategy": "canary:10:15m", "alarms": "errors"}
    one.release("new = 1\n", "2.0.8", environments={"CI": place})
    (one.folder / "smoke").mkdir()
    (one.folder / "smoke" / "smoke.json").write_text('{"event": {}}')


def taken_back(one: RecordedDeploy) -> None:
    """Refuse the code, after the configuration."""
    one.fake.refuses["update_function_code"] = refusal("ServiceException", "oops")


KINDS = [
    first, nothing, code_alone, configuration_alone, stack_alone, tags_alone, an_earlier_release,
    without_alias, through_a_bucket, with_a_key, a_canary, taken_back,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_deploy_makes_the_calls_of_its_policy_and_no_others(
    tmp_path: Path, kind: Callable[[RecordedDeploy], None]
) -> None:
    """The policy is printed before the deploy, which then keeps to it; each right of it is used."""
    one = RecordedDeploy(tmp_path)
    kind(one)
    one.recorded.needed.clear()
    one.run(Pipeline_PrintPolicy="True")
    (text,) = [event.value for event in one.recorder.of(Output) if event.name == "Policy"]
    try:
        one.run()
    except PipelineError:
        assert kind is taken_back
    allowed = [
        (action, statement["Resource"])
        for statement in json.loads(text)["Statement"]
        for action in statement["Action"]
    ]
    for action, resource in one.recorded.needed:
        assert [
            right for right in allowed if right[0] == action and fnmatchcase(resource, right[1])
        ], f"{action} on {resource} is outside the policy"
    if kind is not taken_back:
        used = {action for action, _ in one.recorded.needed}
        assert {action for action, _ in allowed} - used - _WITHOUT_CALL == set()


def test_bootstrap_grants_what_is_printed_for_any_deploy(
    tmp_path: Path, render_function: Render
) -> None:
    """DeployPolicy is what the policies of all kinds of deploys have together, for any name."""
    printed = {(one.action, one.resource) for one in rights(ARN)}
    for number, kind in enumerate(KINDS):
        (folder := tmp_path / str(number)).mkdir()
        one = RecordedDeploy(folder)
        kind(one)
        one.run(Pipeline_PrintPolicy="True")
        texts = [event.value for event in one.recorder.of(Output) if event.name == "Policy"]
        printed |= {
            (action, statement["Resource"])
            for statement in json.loads(texts[-1])["Statement"]
            for action in statement["Action"]
        }
    # One deploy is to one function, with one bucket and one key; these are for all of them.
    function = f"arn:${{AWS::Partition}}:lambda:*:${{AWS::AccountId}}:function:*-{MADE_OF}"
    wide = {
        (
            action,
            re.sub(r"s3:::code/.*", "s3:::${CodeBucket}/*", resource.replace("arn:aws:s3", S3))
            .replace(ARN, function)
            .replace(KEY, "${KeyArn}"),
        )
        for action, resource in printed
    }
    bootstrap = read(render_function(function_name=MADE_OF), "bootstrap.yaml")
    policy = bootstrap["Resources"]["DeployPolicy"]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    granted = {
        (action, resource.get("Sub") or f"${{{resource['Ref']}}}" if resource != "*" else "*")
        for one in statements
        for statement in [one["If"][1] if "If" in one else one]
        for action in statement["Action"]
        for resource in [statement["Resource"]]
    }
    assert granted == wide
