from __future__ import annotations

import dataclasses
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.errors import PipelineError
from pipeline.local.clients import client
from pipeline.local.code import FunctionConfig
from pipeline.local.pool import LocalRuntime
from pipeline.report.events import Event, Line, Reporter, Warned
from pipeline.values.manifest import FunctionFacts
from pipeline.values.project import Function, Project
from pipeline.values.runtimes import RUNTIMES
from pipeline.verbs.local import LocalTools, start_local, state_file, stop_local
from pipeline.verbs.run import RunRequest, run_function

from tests.local.local_support import APP, MINOR, eventually, zipped

FACTS = FunctionFacts("Logs", f"python{MINOR}", "x86_64", "app.handle", "", {"FROM": "m"}, {})
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
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref Function
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
            Function: !GetAtt Function.Arn
            Filter: {S3Key: {Rules: [{Name: suffix, Value: .log}]}}
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
  Unknown:
    Type: AWS::Lambda::CodeSigningConfig
    Properties: {AllowedPublishers: {SigningProfileVersionArns: []}}
Outputs:
  FunctionName: {Value: !Ref Function}
  BucketName: {Value: !Ref Bucket}
""".replace("RUNTIME", f"python{MINOR}")


class Seen:
    """A sink that keeps what verbs say."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reporter = Reporter(self.events.append)

    def lines(self) -> list[str]:
        """Return the lines and warnings."""
        return [event.text for event in self.events if isinstance(event, Line | Warned)]

    def finished(self) -> list[str]:
        """Return what the stages achieved."""
        return [event.text for event in self.events if type(event).__name__ == "Finished"]


@pytest.fixture
def request_(tmp_path: Path, python: Path, ric: Path) -> RunRequest:
    """Return a request to run the well known function."""
    path = tmp_path / "function.zip"
    path.write_bytes(zipped({"app.py": APP}))
    return RunRequest(path, FACTS, (), python, MINOR, ric)


def test_run_feeds_every_event_to_one_warm_process(request_: RunRequest) -> None:
    """Events run one after another in one process; logs and answers are shown in order."""
    seen = Seen()
    events = (b'{"do":"started"}', b'{"do":"print","text":"hello"}', b'{"do":"started"}')
    outcome = run_function(dataclasses.replace(request_, events=events), seen.reporter)
    assert outcome.failed == 0
    assert outcome.invocations[0].payload == outcome.invocations[2].payload
    lines = seen.lines()
    assert lines.index("hello") < lines.index('{"do": "print", "text": "hello"}')
    assert len([line for line in lines if line.startswith("REPORT")]) == 3


def test_run_shows_a_readable_trace(request_: RunRequest) -> None:
    """A trace has a line per frame, with the paths it would have on Lambda."""
    seen = Seen()
    events = (b'{"do":"raise"}', b'{"do":"x"}')
    outcome = run_function(dataclasses.replace(request_, events=events), seen.reporter)
    assert outcome.failed == 1
    assert any('File "/var/task/app.py", line' in line for line in seen.lines())
    assert Warned("Unhandled ValueError: a bad value: \u00e9") in seen.events
    assert not [line for line in seen.lines() if "\r" in line]


def test_run_reaches_nothing_outside(request_: RunRequest) -> None:
    """Without an embedded AWS a call to AWS fails at once; manifest and settings meet."""
    settings = FunctionConfig("x", environment={"MINE": "1"}, memory=512)
    asked = dataclasses.replace(request_, events=[b'{"do":"environment"}'], settings=settings)
    outcome = run_function(asked, Seen().reporter)
    environment = json.loads(outcome.invocations[0].payload)
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert (environment["FROM"], environment["MINE"]) == ("m", "1")
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "Logs"


def test_run_says_that_the_python_is_another(request_: RunRequest) -> None:
    """Another minor than the runtime's is used with a clear note."""
    seen = Seen()
    facts = dataclasses.replace(FACTS, runtime="python3.99")
    run_function(dataclasses.replace(request_, function=facts, events=[b"{}"]), seen.reporter)
    (warning,) = [event.text for event in seen.events if isinstance(event, Warned)]
    assert warning.startswith(f"Python 3.99 is not on this machine: this runs on {MINOR}")


def test_run_refuses_an_event_that_is_no_json(request_: RunRequest) -> None:
    """The number of the bad event is named, and no process is left."""
    with pytest.raises(PipelineError, match="event 2: this is not JSON"):
        run_function(dataclasses.replace(request_, events=[b"{}", b"{"]), Seen().reporter)


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
def tools(runtimes: dict[str, LocalRuntime], project: Path) -> Iterator[LocalTools]:
    """Return what start_local needs; whatever it started is stopped in the end."""
    yield LocalTools({}, Path(sys.executable), runtimes, "eu-west-1")
    stop_local(_project(project), Seen().reporter)


def test_start_local_makes_the_projects_stack(project: Path, tools: LocalTools) -> None:
    """The stack is there with everything it says, its outputs are shown, gaps are named."""
    seen = Seen()
    started = start_local(_project(project), tools, seen.reporter)
    assert started.stack == "local-Logs"
    bucket = "local-Logs-123456789012-bucket"
    assert started.outputs == {"FunctionName": "local-Logs", "BucketName": bucket}
    assert "FunctionName  local-Logs" in seen.lines()
    assert any("no AWS::Lambda::CodeSigningConfig" in line for line in seen.lines())
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
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": "local-Logs"}]
    policy = client(started.aws, "lambda").get_policy(FunctionName="local-Logs")["Policy"]
    assert "s3.amazonaws.com" in policy


def test_an_object_in_the_stacks_bucket_runs_the_deployed_code(
    project: Path, tools: LocalTools
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


def test_start_local_again_changes_nothing_and_an_edit_updates(
    project: Path, tools: LocalTools
) -> None:
    """What runs stays; an edited template updates the stack and leaves deployed code alone."""
    seen = Seen()
    first = start_local(_project(project), tools, seen.reporter)
    lambdas = client(first.aws, "lambda")
    code = lambdas.update_function_code(FunctionName="local-Logs", ZipFile=zipped({"app.py": APP}))
    seen = Seen()
    assert start_local(_project(project), tools, seen.reporter).aws == first.aws
    assert seen.finished()[0].startswith("already running on http://127.0.0.1:")
    assert seen.finished()[1] == "local-Logs is there already"
    path = project / "environment" / "stack.yaml"
    path.write_text(STACK.replace("Timeout: 20", "Timeout: 33"), encoding="utf-8")
    seen = Seen()
    start_local(_project(project), tools, seen.reporter)
    assert seen.finished()[1] == "local-Logs updated"
    after = lambdas.get_function_configuration(FunctionName="local-Logs")
    assert (after["Timeout"], after["CodeSha256"]) == (33, code["CodeSha256"])
    assert after["RevisionId"] != code["RevisionId"]


def test_a_stack_that_is_missing_or_wrong_is_named(
    tmp_path: Path, project: Path, tools: LocalTools
) -> None:
    """Without a stack file, or with one that is none, the error says which file."""
    running = state_file(project)
    other = state_file(tmp_path)
    other.parent.mkdir(parents=True)
    other.write_bytes(running.read_bytes())
    with pytest.raises(PipelineError, match=r"stack\.yaml cannot be read"):
        start_local(_project(tmp_path), tools, Seen().reporter)
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "stack.yaml").write_text("Resources: {", encoding="utf-8")
    function = Function("Other", RUNTIMES[0], "arm64", "app.handle", "", {}, {})
    wrong = dataclasses.replace(_project(tmp_path), function=function)
    with pytest.raises(PipelineError, match="local stack local-Other"):
        start_local(wrong, tools, Seen().reporter)


def test_stop_local_says_what_it_did(project: Path, tools: LocalTools) -> None:
    """Stopping says that it stopped, and the second time that nothing was running."""
    assert tools.python.exists()
    seen = Seen()
    assert stop_local(_project(project), seen.reporter)
    assert not stop_local(_project(project), seen.reporter)
    assert seen.finished() == ["stopped", "was not running"]
