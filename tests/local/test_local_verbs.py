from __future__ import annotations

import dataclasses
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.locks import exclusive
from pipeline.edge.machine import Machine
from pipeline.local.background import Background, running
from pipeline.local.state import LocalAws, write_state
from pipeline.project.project import Function, Project
from pipeline.project.runtimes import RUNTIMES
from pipeline.runtime.function_code import LocalRuntime
from pipeline.verbs.local import start_local, state_file, stop_local
from pipeline.verbs.local_use import invoke_local, put_local
from pipeline.verbs.logs import LogOptions, function_log
from pipeline.verbs.which_function import place_of

from tests.local.local_support import (
    APP,
    MINOR,
    Seen,
    alive,
    client,
    eventually,
    function_process,
    unreadable_aws,
    written,
    zipped,
)
from tests.repositories import ROOT
from tests.words import assert_said, refused

STACK = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  FunctionName: {Type: String}
  Memory: {Type: Number, Default: 256}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement:
          - {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}
      Policies:
        - PolicyName: logs
          PolicyDocument: {Statement: [{Effect: Allow, Action: "logs:*", Resource: "*"}]}
  Letters:
    Type: AWS::SQS::Queue
    Properties: {MessageRetentionPeriod: 1209600}
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub "/aws/lambda/${FunctionName}", RetentionInDays: 30}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: !Ref FunctionName
      Runtime: RUNTIME
      Architectures: [arm64]
      Handler: index.handle
      Description: from the stack
      Role: !GetAtt Role.Arn
      MemorySize: !Ref Memory
      Timeout: 20
      DeadLetterConfig: {TargetArn: !GetAtt Letters.Arn}
      Tags: [{Key: team, Value: logs}]
      Environment: {Variables: {OWNED: by-the-stack}}
      Code:
        ZipFile: |
          def handle(event, context):
              return "placeholder"
  Live:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Function, FunctionVersion: $LATEST, Name: live}
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref Live
      Principal: s3.amazonaws.com
      SourceAccount: !Ref AWS::AccountId
  Bucket:
    Type: AWS::S3::Bucket
    DependsOn: Permission
    Properties:
      BucketName: !Sub "${FunctionName}-${AWS::AccountId}-bucket"
      VersioningConfiguration: {Status: Enabled}
      NotificationConfiguration:
        LambdaConfigurations:
          - Event: s3:ObjectCreated:*
            Function: !Ref Live
            Filter: {S3Key: {Rules: [{Name: suffix, Value: .log}]}}
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {AWS: "arn:aws:iam::127311923021:root"}
            Action: s3:PutObject
            Resource: !Sub "${Bucket.Arn}/*"
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/Lambda
      MetricName: Errors
      Dimensions: [{Name: FunctionName, Value: !Ref Function}]
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
  Address:
    Type: AWS::Lambda::Url
    Properties: {AuthType: NONE, TargetFunctionArn: !GetAtt Function.Arn}
  Daily:
    Type: AWS::Events::Rule
    Properties:
      ScheduleExpression: rate(1 day)
      Targets: [{Id: function, Arn: !GetAtt Function.Arn}]
  Hourly:
    Type: AWS::Scheduler::Schedule
    Properties:
      ScheduleExpression: rate(1 hour)
      FlexibleTimeWindow: {Mode: "OFF"}
      Target: {Arn: !GetAtt Function.Arn, RoleArn: !GetAtt Role.Arn}
  Work:
    Type: AWS::SQS::Queue
    Properties: {VisibilityTimeout: 60}
  Source:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {EventSourceArn: !GetAtt Work.Arn, FunctionName: !Ref Live, BatchSize: "3"}
Outputs:
  Address: {Value: !GetAtt Address.FunctionUrl}
  FunctionName: {Value: !Ref Function}
  BucketName: {Value: !Ref Bucket}
""".replace("RUNTIME", f"python{MINOR}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a repository with a stack."""
    root = tmp_path_factory.mktemp("a project")
    (root / "environment").mkdir()
    (root / "environment" / "stack.yaml").write_text(STACK, encoding="utf-8")
    return root


def _project(root: Path) -> Project:
    function = Function("Logs", RUNTIMES[0], "arm64", "app.handle", "", {}, {})
    return Project(root, "logs", "Acme.Logs", (1, 0), "GitTag", (), function, (), (), ())


@pytest.fixture(scope="module")
def tools(aws: LocalAws, runtimes: dict[str, LocalRuntime], project: Path) -> Background:
    """Return what start_local needs; the shared embedded AWS runs for the project already.

    Its region is another one, where nothing of the other tests is.
    """
    state_file(project).parent.mkdir(parents=True)
    write_state(state_file(project), dataclasses.replace(aws, region="eu-west-1"))
    return Background(state_file(project), runtimes, {}, "eu-west-1", settle=0)


def test_start_local_makes_the_projects_stack(project: Path, tools: Background) -> None:
    """The stack is there with everything it says, its outputs are returned, gaps are named."""
    seen = Seen()
    started = start_local(_project(project), tools, seen.reporter)
    assert started.stack == "local-Logs"
    bucket = "local-Logs-123456789012-bucket"
    names = {"FunctionName": "local-Logs", "BucketName": bucket}
    assert started.outputs == {**names, "Address": "not-in-the-embedded-aws"}
    assert_said("\n".join(line for line in seen.lines() if "embedded AWS has" in line))
    sources = client(started.aws, "lambda").list_event_source_mappings()["EventSourceMappings"]
    assert [source["BatchSize"] for source in sources] == [3]
    function = client(started.aws, "lambda").get_function(FunctionName="local-Logs")
    settings = function["Configuration"]
    assert settings["Architectures"] == ["arm64"]
    assert (settings["MemorySize"], settings["Timeout"]) == (256, 20)
    assert settings["DeadLetterConfig"]["TargetArn"].startswith("arn:aws:sqs:eu-west-1:")
    assert settings["Description"] == "from the stack"
    assert function["Tags"]["team"] == "logs"
    groups = client(started.aws, "logs").describe_log_groups()["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [30]
    (alarm,) = client(started.aws, "cloudwatch").describe_alarms()["MetricAlarms"]
    assert (alarm["Threshold"], alarm["Period"], alarm["Statistic"]) == (1.0, 60, "Sum")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": "local-Logs"}]
    stored = client(started.aws, "s3").get_bucket_policy(Bucket=bucket)["Policy"]
    assert f"arn:aws:s3:::{bucket}/*" in stored
    policy = client(started.aws, "lambda").get_policy(FunctionName="local-Logs", Qualifier="live")[
        "Policy"
    ]
    assert "s3.amazonaws.com" in policy


def test_an_object_in_the_stacks_bucket_runs_the_deployed_code(
    project: Path, tools: Background
) -> None:
    """The bucket's notification reaches the function, which reads the object by itself."""
    aws = start_local(_project(project), tools, Seen().reporter).aws
    lambdas, s3 = client(aws, "lambda"), client(aws, "s3")
    placeholder = lambdas.invoke(FunctionName="local-Logs", Payload=b"{}")
    assert placeholder["Payload"].read() == b'"placeholder"'
    code = (
        "import urllib.request, os\n"
        "def handle(event, context):\n"
        "    stored = event['Records'][0]['s3']\n"
        "    print('GOT', stored['bucket']['name'], stored['object']['key'])\n"
    )
    lambdas.update_function_configuration(FunctionName="local-Logs", Handler="app.handle")
    lambdas.update_function_code(FunctionName="local-Logs", ZipFile=zipped({"app.py": code}))
    bucket = "local-Logs-123456789012-bucket"
    s3.put_object(Bucket=bucket, Key="ignored.txt", Body=b"x")
    s3.put_object(Bucket=bucket, Key="one.log", Body=gzip.compress(b"x"))

    def got() -> list[str]:
        events = client(aws, "logs").filter_log_events(logGroupName="/aws/lambda/local-Logs")
        return [e["message"] for e in events["events"] if "GOT" in e["message"]]

    assert eventually(got) == [f"GOT {bucket} one.log\n"]


def test_what_is_deployed_is_used(
    project: Path, tools: Background, machine: Machine, tmp_path: Path
) -> None:
    """Events, with the objects they name, a file, the log: all reach the deployed function.

    Before a deploy the way to one is said.
    """
    aws = start_local(_project(project), tools, Seen().reporter).aws
    lambdas, ours, there = client(aws, "lambda"), _project(project), replace(machine, root=project)
    arn = lambdas.get_function_configuration(FunctionName="local-Logs")["FunctionArn"]
    stored = {"bucket": {"name": "samples"}, "object": {"key": "a+key"}}
    event = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": stored}]}).encode()
    lambdas.untag_resource(Resource=arn, TagKeys=["pipeline:release"])
    with refused("local.invoke", PipelineError):
        invoke_local(ours, [event], there, Seen().reporter)
    code = (
        "def handle(event, context):\n"
        "    print('GIVEN', event['Records'][0]['s3']['object']['key'])\n"
        "    if event['Records'][0]['s3']['bucket']['name'] == 'samples':\n"
        "        raise LookupError('x' * 5000)\n"
    )
    lambdas.update_function_configuration(FunctionName="local-Logs", Handler="app.handle")
    lambdas.update_function_code(FunctionName="local-Logs", ZipFile=zipped({"app.py": code}))
    lambdas.tag_resource(Resource=arn, Tags={"pipeline:release": "1"})
    seen = Seen()
    invoke_local(ours, [event], there, seen.reporter)
    assert any("samples/a key is not in the embedded AWS" in line for line in seen.lines())
    written(project, {"tests/events/samples/a key": "from the file"})
    seen = Seen()
    (done,) = invoke_local(ours, [event], there, seen.reporter)
    assert (done.error, done.error_type) == ("Unhandled", "LookupError")
    assert not [line for line in seen.lines() if "is not in the embedded AWS" in line]
    body = client(aws, "s3").get_object(Bucket="samples", Key="a key")["Body"].read()
    assert body == b"from the file"
    (tmp_path / "new.log").write_text("x", encoding="utf-8")
    put = put_local(ours, tmp_path / "new.log", "", there, seen.reporter)
    assert put == {"bucket": "local-Logs-123456789012-bucket", "key": "new.log"}
    options = LogOptions(follow=True)
    where = place_of(ours, "local", there)
    log = function_log(where, options, there.now(), seen.reporter, time.sleep)
    lines: list[str] = []

    def given() -> list[str]:
        lines.extend(entry.text for entry in next(log))
        return [line for line in lines if line == "GIVEN new.log"]

    assert eventually(given) == ["GIVEN new.log"]
    assert lines.count("GIVEN a+key") == 2, "no line comes twice"
    with refused("local.put", PipelineError):
        put_local(ours, tmp_path / "nothing.log", "", there, seen.reporter)
    with refused("local", PipelineError):
        invoke_local(_project(tmp_path), [event], there, seen.reporter)


def test_start_local_again_changes_nothing_and_an_edit_updates(
    project: Path, tools: Background
) -> None:
    """What runs stays; an edited template updates the stack, and deployed code and alias stay."""
    seen = Seen()
    first = start_local(_project(project), tools, seen.reporter)
    lambdas = client(first.aws, "lambda")
    code = lambdas.update_function_code(FunctionName="local-Logs", ZipFile=zipped({"app.py": APP}))
    version = lambdas.publish_version(FunctionName="local-Logs")["Version"]
    lambdas.update_alias(FunctionName="local-Logs", Name="live", FunctionVersion=version)
    seen = Seen()
    assert start_local(_project(project), tools, seen.reporter).aws == first.aws
    assert seen.finished() == []
    assert seen.lines()[0].strip().startswith("local     the embedded AWS runs already, on http")
    assert seen.lines()[1].split() == ["stack", "local-Logs", "is", "there", "already"]
    path = project / "environment" / "stack.yaml"
    edited = STACK.replace("Timeout: 20", "Timeout: 33").replace("Threshold: 1", "Threshold: 2")
    path.write_text(edited, encoding="utf-8")
    seen = Seen()
    start_local(_project(project), tools, seen.reporter)
    assert seen.finished() == ["local-Logs updated"]
    after = lambdas.get_function_configuration(FunctionName="local-Logs")
    assert (after["Timeout"], after["CodeSha256"]) == (33, code["CodeSha256"])
    assert after["RevisionId"] != code["RevisionId"]
    alias = lambdas.get_alias(FunctionName="local-Logs", Name="live")
    assert alias["FunctionVersion"] == version
    assert alias["AliasArn"].endswith(":function:local-Logs:live")
    (alarm,) = client(first.aws, "cloudwatch").describe_alarms()["MetricAlarms"]
    assert (alarm["Threshold"], alarm["Statistic"]) == (2.0, "Sum")


def test_a_deleted_stack_leaves_nothing(project: Path, tools: Background) -> None:
    """Deleting the stack takes function, queue and alarm along; a start makes them anew."""
    first = start_local(_project(project), tools, Seen().reporter)
    bucket = first.outputs["BucketName"]
    s3 = client(first.aws, "s3")
    for version in s3.list_object_versions(Bucket=bucket).get("Versions", ()):
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    client(first.aws, "cloudformation").delete_stack(StackName=first.stack)
    assert client(first.aws, "lambda").list_functions()["Functions"] == []
    assert client(first.aws, "sqs").list_queues().get("QueueUrls", []) == []
    assert client(first.aws, "cloudwatch").describe_alarms()["MetricAlarms"] == []
    seen = Seen()
    assert start_local(_project(project), tools, seen.reporter).outputs == first.outputs
    assert seen.finished() == ["local-Logs created"]


def test_a_stack_that_is_missing_or_wrong_is_named(
    tmp_path: Path, project: Path, tools: Background
) -> None:
    """Without a stack file, with one that is none or that a service refuses, the error says why."""
    running = state_file(project)
    other = state_file(tmp_path)
    other.parent.mkdir(parents=True)
    other.write_bytes(running.read_bytes())
    tools = dataclasses.replace(tools, state=other)
    with refused("environment/stack.yaml", PipelineError):
        start_local(_project(tmp_path), tools, Seen().reporter)
    (tmp_path / "environment").mkdir()
    stack = tmp_path / "environment" / "stack.yaml"
    stack.write_text("Resources: {", encoding="utf-8")
    function = Function("Other", RUNTIMES[0], "arm64", "app.handle", "", {}, {})
    wrong = dataclasses.replace(_project(tmp_path), function=function)
    with refused("local stack local-Other", PipelineError):
        start_local(wrong, tools, Seen().reporter)
    stack.write_text(STACK.replace("Timeout: 60", "Timeout: 5"), encoding="utf-8")
    with refused("local stack local-Other", PipelineError):
        start_local(wrong, tools, Seen().reporter)


def test_a_start_and_a_stop_of_ones_own(tmp_path: Path, runtimes: dict[str, LocalRuntime]) -> None:
    """A start brings stack and all; a stop ends server and functions, and says what it did.

    What a killed server left is no hindrance, and makes no key. Nothing of the user's is read
    meanwhile: his AWS files are such that reading them fails.
    """
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "stack.yaml").write_text(STACK, encoding="utf-8")
    left = written(state_file(tmp_path).parent, {"work/code/0/app.py": ""})
    killed = LocalAws("http://127.0.0.1:1", "key", "secret", "eu-west-1", 1, 0.0)
    write_state(state_file(tmp_path), killed)
    tools = Background(state_file(tmp_path), runtimes, unreadable_aws(tmp_path / "home"))
    seen = Seen()
    aws = start_local(_project(tmp_path), tools, seen.reporter).aws
    assert not (left / "work" / "code").exists()
    assert (len(aws.access_key), aws.pid != killed.pid) == (28, True)
    assert seen.finished() == [
        f"embedded AWS on {aws.endpoint}, process {aws.pid}",
        "local-Logs created",
    ]
    function = function_process(aws)
    assert alive(function)
    seen = Seen()
    assert stop_local(_project(tmp_path), seen.reporter)
    assert not alive(aws.pid)
    eventually(lambda: not alive(function))
    assert not state_file(tmp_path).exists()
    assert not stop_local(_project(tmp_path), seen.reporter)
    assert seen.finished() == ["embedded AWS stopped", "no embedded AWS was running"]


def test_a_stack_is_not_deleted_while_it_is_made(aws: LocalAws) -> None:
    """Who deletes a stack that somebody else is making gets rid of all of it."""
    there = dataclasses.replace(aws, region="eu-central-1")
    cloudformation = client(there, "cloudformation")
    queues = "".join(f"  Q{number}: {{Type: AWS::SQS::Queue}}\n" for number in range(300))
    making = threading.Thread(
        target=cloudformation.create_stack,
        kwargs={"StackName": "Large", "TemplateBody": f"Resources:\n{queues}"},
    )
    making.start()
    eventually(lambda: cloudformation.describe_stacks()["Stacks"])
    cloudformation.delete_stack(StackName="Large")
    making.join()
    assert client(there, "sqs").list_queues().get("QueueUrls", []) == []


# A start, or with no more arguments a stop, in a process of its own.
STARTER = """\
import json, sys
from pathlib import Path
from pipeline.core.events import Reporter
from pipeline.local.background import Background
from pipeline.verbs.local import start_local, state_file, stop_local
from tests.local.local_support import Seen
from tests.local.test_local_verbs import _project

root, *told = sys.argv[1:]
project, seen = _project(Path(root)), Seen()

def tell(event):
    seen.events.append(event)
    print(event, file=sys.stderr, flush=True)

if told:
    started = start_local(project, Background.read(*told), Reporter(tell))
    print(json.dumps([started.aws.pid, dict(started.outputs), seen.finished()]))
else:
    print(json.dumps(stop_local(project, Reporter(tell))))
"""


def _process(root: Path, log: Path, told: tuple[str, ...]) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "template/scripts")])}
    with log.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-c", STARTER, str(root), *told],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=env,
        )


def _at_once(root: Path, *each: tuple[str, ...]) -> list[Any]:
    """Start processes, let none begin before all of them wait, and return their answers."""
    logs = [root / f"{number}.log" for number, _ in enumerate(each)]
    with exclusive(state_file(root).with_name("start.lock"), lambda: None):
        children = [_process(root, log, one) for log, one in zip(logs, each, strict=True)]
        eventually(lambda: all("waiting for it" in log.read_text() for log in logs))
    answers = [child.communicate(timeout=120)[0] for child in children]
    codes = [child.returncode for child in children]
    assert codes == [0] * len(each), [log.read_text() for log in logs]
    return [json.loads(answer) for answer in answers]


@pytest.mark.slow
def test_starts_and_a_stop_at_once(tmp_path: Path, runtimes: dict[str, LocalRuntime]) -> None:
    """Starts at the same time, cold, all succeed: one makes the stack. A stop waits its turn."""
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "stack.yaml").write_text(STACK, encoding="utf-8")
    start = (Background(state_file(tmp_path), runtimes, {}).command()[-1],)
    starts = _at_once(tmp_path, start, start, start)
    assert len({pid for pid, _, _ in starts}) == 1
    assert [outputs for _, outputs, _ in starts] == [starts[0][1]] * 3
    told = [line for _, _, lines in starts for line in lines if "local-Logs" in line]
    assert told == ["local-Logs created"]
    # In whatever order these come, each does its whole work.
    assert _at_once(tmp_path, start, start, ())[2] is True
    stop_local(_project(tmp_path), Seen().reporter)
    assert running(state_file(tmp_path)) is None
