"""The same stack, deploys, rollback and questions, to three AWSes, one of which nobody here wrote.

They are our strict layer, plain moto, and MiniStack. Where they differ, the table in
docs/three-awses.md says what AWS documents; here it is held to what they do.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer
from pipeline.deploy.aws_session import Connection, Credentials
from pipeline.deploy.main import deploy
from pipeline.deploy.observe import Wait
from pipeline.deploy.worker import WorkerContext
from pipeline.local.background import Background, start, stop
from pipeline.project.project import Environment
from pipeline.runtime.function_code import LocalRuntime
from pipeline.verbs.rollback import rollback
from pipeline.verbs.which_function import Place

from tests.deploy.deploy_support import (
    Recorder,
    code_sha256,
    manifest,
    octopus_variables,
    write_package,
)
from tests.local.local_support import MINOR, ROLE, TRUST, eventually, zipped
from tests.repositories import ROOT, Render

pytestmark = pytest.mark.slow
NAME = "CI-Greeter"
FN = {"FunctionName": NAME}
REGION = "eu-west-1"
MINISTACK = os.environ.get("MINISTACK", "")
TABLE = ROOT / "docs" / "three-awses.md"
SAYS = """\
def handle(event, context):
    records = event.get("Records") or [{{"s3": {{"object": {{"key": ""}}}}}}]
    print("RAN", {0!r}, context.function_version, records[0]["s3"]["object"]["key"])
    return [{0!r}, context.function_version]
"""
NEW = zipped({"app.py": SAYS.format("new")})


@dataclass
class Aws:
    """One of the three: where it is, and the key that opens it."""

    endpoint: str
    key: str = "test"
    secret: str = "test"  # noqa: S105 - the word itself
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a client of a service, made once."""
        if service not in self.clients:
            self.clients[service] = botocore.session.Session().create_client(
                service,
                region_name=REGION,
                endpoint_url=self.endpoint,
                aws_access_key_id=self.key,
                aws_secret_access_key=self.secret,
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )
        return self.clients[service]


@pytest.fixture
def strict(tmp_path: Path, runtimes: dict[str, LocalRuntime]) -> Iterator[Aws]:
    """Return our own, where a change takes half a second."""
    wanted = Background(tmp_path / "state.json", runtimes, {}, REGION, settle=0.5)
    started = start(wanted)
    yield Aws(started.endpoint, started.access_key, started.secret_key)
    stop(wanted.state)


@pytest.fixture
def moto() -> Iterator[Aws]:
    """Return moto as it is, in this process, and empty."""
    moto_api_backend.reset()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Aws(f"http://{host}:{port}")
    server.stop()


@pytest.fixture
def ministack(tmp_path: Path) -> Iterator[Aws]:
    """Return MiniStack, on the loopback interface alone."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    environment = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "HOME": str(tmp_path)}
    environment["PATH"] = f"{Path(MINISTACK).parent}{os.pathsep}{os.environ['PATH']}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [MINISTACK], env=environment, stdout=log, stderr=log, cwd=tmp_path
        )

    def answers() -> bool:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))):
            return True
        return False

    try:
        eventually(answers)
        yield Aws(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


# MiniStack has an environment of its own: `nox -s three_awses` brings it, in CI too.
@pytest.fixture(params=["strict", "moto", *(["ministack"] if MINISTACK else [])])
def there(request: pytest.FixtureRequest) -> tuple[str, Aws]:
    """Return each of them with its name."""
    return request.param, request.getfixturevalue(request.param)


def package(folder: Path, release: str) -> Path:
    """Write a release's package, for the Python of these tests."""
    code = zipped({"app.py": SAYS.format(release)})
    facts = replace(manifest(code, runtime=f"python{MINOR}"), version=release)
    return write_package(folder / release, facts, code)


def deployed(aws: Aws, folder: Path, release: str) -> None:
    """Deploy a release."""
    given = octopus_variables(AWS_Lambda_Function_Name=NAME, Octopus_Release_Number=release)
    context = WorkerContext.from_globals({"octopusvariables": given}, {})
    lambdas = aws.client("lambda")

    def connect(_: Credentials, __: Mapping[str, str]) -> Connection:
        return Connection(lambdas, aws.client)

    wait = Wait(interval=0.1, ceiling=30)
    deploy(package(folder, release), context, Recorder().reporter, connect=connect, wait=wait)


def made(aws: Aws, body: str) -> dict[str, str]:
    """Make the generated stack; return its outputs. Raises what the client raises."""
    stacks = aws.client("cloudformation")
    parameters = [{"ParameterKey": "FunctionName", "ParameterValue": NAME}]
    given = {"StackName": NAME, "TemplateBody": body, "Parameters": parameters}
    stacks.create_stack(**given, Capabilities=["CAPABILITY_IAM"])

    def status() -> Any:
        (stack,) = stacks.describe_stacks(StackName=NAME)["Stacks"]
        return stack if not stack["StackStatus"].endswith("IN_PROGRESS") else None

    stack = eventually(status)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def function_alone(aws: Aws) -> None:
    """Make the function and its alias by the API, where the stack cannot."""
    with suppress(ClientError):
        aws.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
    lambdas = aws.client("lambda")
    settings = {"Runtime": f"python{MINOR}", "Role": ROLE, "Handler": "app.handle"}
    lambdas.create_function(**FN, **settings, Code={"ZipFile": zipped({"app.py": "x = 1"})})
    idle(lambdas)
    lambdas.create_alias(**FN, Name="live", FunctionVersion="$LATEST")


def idle(lambdas: Any) -> Any:
    """Wait until no change is under way, and return the configuration."""

    def read() -> Any:
        found = lambdas.get_function_configuration(**FN)
        states = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
        return found if states == ("Active", "Successful") else None

    return eventually(read)


def test_stack_deploys_and_rollback(
    there: tuple[str, Aws], tmp_path: Path, render_function: Render
) -> None:
    """The generated stack, two releases, and the way back; where functions run, events follow."""
    name, aws = there
    bucket = ""
    if name == "moto":
        function_alone(aws)
    else:
        repository = render_function(function_kind="s3-event")
        body = (repository / "environment" / "stack.yaml").read_text(encoding="utf-8")
        bucket = made(aws, re.sub(r'"python3\.\d+"', f'"python{MINOR}"', body))["BucketName"]
    lambdas = aws.client("lambda")
    for release, version in (("2.0.7", "1"), ("2.0.8", "2")):
        deployed(aws, tmp_path, release)
        found = lambdas.get_function_configuration(**FN, Qualifier="live")
        assert (found["Version"], found["Description"][:5]) == (version, release)
        if bucket:
            assert runs(aws, bucket) == [release, version]
    place = Place(Environment("CI"), NAME, Connection(lambdas, lambda _: None))
    done = rollback(place, "2.0.7", "a test", datetime.now(UTC), Recorder().reporter)
    assert (done.version, done.function_version) == ("2.0.7", "1")
    if bucket:
        assert runs(aws, bucket) == ["2.0.7", "1"]
        aws.client("cloudformation").delete_stack(StackName=NAME)

        def gone() -> bool:
            names = [one["FunctionName"] for one in lambdas.list_functions()["Functions"]]
            return NAME not in names

        eventually(gone)


def runs(aws: Aws, bucket: str) -> list[str]:
    """Put an object; return what its event ran, and what a caller of the alias gets: the same."""
    logs, key = aws.client("logs"), f"{uuid.uuid4()}.json"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")

    def ran() -> list[str]:
        with suppress(ClientError):
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{NAME}")["events"]
            lines = [event["message"].split() for event in events if key in event["message"]]
            return next((line[1:3] for line in lines if line[0] == "RAN"), [])
        return []

    said: list[str] = eventually(ran)
    answer = aws.client("lambda").invoke(**FN, Qualifier="live", Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == said
    return said


def outcome(call: Callable[[], Any], taken: str = "taken") -> str:
    """Return the status of a refusal, or that there was none."""
    try:
        call()
    except ClientError as error:
        return str(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return taken


def observed(aws: Aws) -> dict[str, str]:
    """Ask what a deploy relies on; the keys are the rows of the table."""
    function_alone(aws)
    lambdas = aws.client("lambda")
    configure = partial(lambdas.update_function_configuration, **FN)
    found: dict[str, str] = {}
    first = idle(lambdas).get("RevisionId", "none")
    answer = configure(Timeout=11)
    found["LastUpdateStatus in the answer to an update"] = answer.get("LastUpdateStatus", "none")
    found["another update while one is under way"] = outcome(lambda: configure(Timeout=12))
    settled = idle(lambdas).get("RevisionId", "none")
    same = settled == answer.get("RevisionId")
    found["RevisionId when an update has settled"] = (
        "none" if settled == "none" else "as in the answer" if same else "another"
    )
    found["update of the function with a stale RevisionId"] = outcome(
        lambda: configure(Timeout=13, RevisionId=first if first != "none" else "x" * 8)
    )
    idle(lambdas)
    found["code that is no zip"] = outcome(
        lambda: lambdas.update_function_code(**FN, ZipFile=b"not a zip")
    )
    dry = lambdas.update_function_code(**FN, ZipFile=NEW, DryRun=True)["CodeSha256"]
    found["CodeSha256 in the answer to a dry run"] = (
        "of the new code" if dry == code_sha256(NEW) else "of the old code"
    )
    found["publishing with another CodeSha256"] = outcome(
        lambda: lambdas.publish_version(**FN, CodeSha256=code_sha256(b"other"))
    )
    one = lambdas.publish_version(**FN)["Version"]
    idle(lambdas)
    again = lambdas.publish_version(**FN)["Version"]
    found["publishing what is published"] = "the same version" if one == again else "another"
    lambdas.update_function_code(**FN, ZipFile=NEW)
    idle(lambdas)
    two = lambdas.publish_version(**FN)["Version"]
    live = {**FN, "Name": "live"}
    stale = lambdas.update_alias(**live, FunctionVersion=one)["RevisionId"]
    lambdas.update_alias(**live, FunctionVersion=two)
    found["update of the alias with a stale RevisionId"] = outcome(
        lambda: lambdas.update_alias(**live, FunctionVersion=one, RevisionId=stale)
    )
    weights = {"AdditionalVersionWeights": {two: 1.0}}
    lambdas.update_alias(**live, FunctionVersion=one, RoutingConfig=weights)
    idle(lambdas)
    since = datetime.now(UTC).replace(second=0, microsecond=0)
    ran = lambdas.invoke(**FN, Qualifier="live", Payload=b"{}").get("ExecutedVersion")
    found["what a weight of 1 runs"] = {two: "the other version", one: "the alias's own"}.get(
        ran, "nothing that tells its version"
    )
    found["deleting a version that an alias needs"] = outcome(
        lambda: lambdas.delete_function(**FN, Qualifier=one)
    )
    named = {"FunctionName": NAME, "Resource": f"{NAME}:live", "ExecutedVersion": str(ran)}
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Invocations",
        "Dimensions": [{"Name": key, "Value": value} for key, value in named.items()],
    }
    counted = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {"Id": "x", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
        ],
        StartTime=since,
        EndTime=since + timedelta(minutes=2),
    )["MetricDataResults"]
    values = counted[0]["Values"] if counted else []
    found["Invocations by alias and executed version"] = "counted" if values == [1.0] else "none"
    weights_on_latest = {"AdditionalVersionWeights": {two: 0.5}}
    found["weights on $LATEST"] = outcome(
        lambda: lambdas.update_alias(
            **live, FunctionVersion="$LATEST", RoutingConfig=weights_on_latest
        )
    )
    return found


def test_what_differs_is_in_the_table(there: tuple[str, Aws]) -> None:
    """Each cell of the table is what that AWS does; ours does what AWS documents."""
    name, aws = there
    found = observed(aws)
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    heads, *rows = cells
    (column,) = (number for number, head in enumerate(heads) if head.lower().startswith(name))
    table = {row[0]: row[column] for row in rows}
    assert found.keys() == table.keys()
    runs_here = {key for key, value in table.items() if value != "needs docker"}
    assert {key: found[key] for key in runs_here} == {key: table[key] for key in runs_here}
    if name == "strict":
        assert found == {row[0]: row[1] for row in rows}
