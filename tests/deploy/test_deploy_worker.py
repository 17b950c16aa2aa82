"""The whole package as it lies on a worker, run by a bare Python against plain moto."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer
from pipeline.core.errors import Interrupted, NotTheSame, PipelineError, UsageError
from pipeline.core.events import Line, Output, Warned
from pipeline.deploy.aws_session import Credentials, connect
from pipeline.deploy.worker import WorkerContext
from pipeline.octopus.launch import launch, worker_variables

from tests.deploy.deploy_support import (
    COMMIT,
    CREDENTIALS,
    NAME,
    OLD,
    PYTHON,
    SCRIPTS,
    Recorder,
    code_sha256,
    function_zip,
    job,
    manifest,
    octopus_variables,
    run,
    write_package,
    write_whole_package,
)
from tests.standins.loopback import Answer, serving
from tests.tools import python_of
from tests.words import refused

CODE = function_zip()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Return the address of a plain moto server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def whole_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a whole package, on a path with a space."""
    return write_whole_package(tmp_path_factory.mktemp("a worker") / "2.0.7", manifest(CODE), CODE)


@pytest.fixture
def package(whole_package: Path) -> Path:
    """Return it with data files of its own, whatever another test has made of them."""
    return write_package(whole_package, manifest(CODE), CODE)


@pytest.fixture
def aws(endpoint: str, package: Path) -> Any:
    """Return moto's Lambda client with a fresh function as a stack would make it."""
    (package / "hooks_deploy.py").write_bytes((SCRIPTS / "hooks_deploy.py").read_bytes())
    session = boto3.session.Session(CREDENTIALS.key, CREDENTIALS.secret, region_name="eu-west-1")
    config = Config(retries={"max_attempts": 0})
    session.client("sts", endpoint_url=endpoint, config=config).get_caller_identity()
    iam = session.client("iam", endpoint_url=endpoint, config=config)
    functions = session.client("lambda", endpoint_url=endpoint, config=config)
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    if "greeter" not in roles:
        iam.create_role(RoleName="greeter", AssumeRolePolicyDocument="{}")
    if functions.list_functions()["Functions"]:
        functions.delete_function(FunctionName=NAME)
    functions.create_function(
        FunctionName=NAME,
        Runtime="python3.12",
        Role="arn:aws:iam::123456789012:role/greeter",
        Handler="placeholder.handle",
        Code={"ZipFile": OLD},
        Architectures=["arm64"],
        Environment={"Variables": {"OWNED_BY_STACK": "42"}},
    )
    functions.create_alias(FunctionName=NAME, Name="live", FunctionVersion="$LATEST")
    return functions


def test_a_package_deploys_itself_under_both_steps(aws: Any, endpoint: str, package: Path) -> None:
    """With and without script parameters, on a worker's newest and its oldest Python.

    The bytes and settings of the package arrive. Hooks import boto3 from it, and what they print
    is a line. Deploying again changes nothing.
    """
    text = (
        "import boto3\n"
        "def after_deploy(applied):\n"
        "    there = boto3.__file__.split('/')[-3]\n"
        "    print('hook has boto3 from', there, applied.function.name)\n"
    )
    (package / "hooks_deploy.py").write_text(text, encoding="utf-8")
    said = run(job(package, endpoint))
    found = aws.get_function(FunctionName=NAME)
    configuration = found["Configuration"]
    assert configuration["CodeSha256"] == code_sha256(CODE)
    assert configuration["Runtime"] == "python3.13"
    assert configuration["Handler"] == "app.handle"
    assert configuration["Environment"]["Variables"] == {
        "OWNED_BY_STACK": "42",
        "GREETING": "hello",
        "LEVEL": "info",
    }
    assert found["Tags"]["pipeline:commit"] == COMMIT
    outputs = {event.name: event.value for event in said.of(Output)}
    assert outputs["CodeSha256"] == code_sha256(CODE)
    assert outputs["FunctionArn"].endswith(NAME)
    assert f"hook has boto3 from client {NAME}" in [event.text for event in said.of(Line)]
    assert not said.of(Warned)
    said = run(job(package, endpoint, parameters=("--colour", "blue #1"), python=python_of("3.10")))
    assert any("nothing to change" in event.text for event in said.of(Line))
    there = aws.get_function(FunctionName=NAME)["Configuration"]
    assert there["LastModified"] == configuration["LastModified"]


def test_a_function_in_node_needs_nothing_else_of_a_worker(
    aws: Any, endpoint: str, package: Path
) -> None:
    """The same script and library deploy it, by the oldest bare Python; Node is nowhere."""
    code = function_zip("export const handler = async (event) => event;\n", "lib/index.mjs")
    facts = {"runtime": "nodejs24.x", "handler": "lib/index.handler"}
    write_package(package, manifest(code, **facts, handler_file="lib/index.mjs"), code)
    said = run(job(package, endpoint, python=python_of("3.10")))
    configuration = aws.get_function(FunctionName=NAME)["Configuration"]
    assert configuration["CodeSha256"] == code_sha256(code)
    assert (configuration["Runtime"], configuration["Handler"]) == (*facts.values(),)
    assert not said.of(Warned)
    write_package(package, manifest(code, **facts, handler_file="lib/other.mjs"), code)
    with refused("deploy CI", PipelineError):
        run(job(package, endpoint, python=python_of("3.10")))


def test_a_dry_run_whose_plan_is_deployed_with_credentials_of_the_environment(
    aws: Any, endpoint: str, package: Path
) -> None:
    """Variables made outside Octopus work, AWS's own credentials too; a dry run writes nothing.

    Its output is the plan for a step after it, which another process makes once more.
    """
    variables = worker_variables("CI", "2.0.7", {"Greeting": "hi", "Pipeline.DryRun": "True"})
    said = run(job(package, endpoint, variables=variables, credentials=CREDENTIALS))
    assert any("runtime: python3.12 -> python3.13" in event.text for event in said.of(Line))
    found = aws.get_function(FunctionName=NAME)["Configuration"]
    assert found["Handler"] == "placeholder.handle"
    outputs = {event.name: event.value for event in said.of(Output)}
    approved = {**variables, "Pipeline.DryRun": "", "Pipeline.FromPlan": outputs["Plan"]}
    run(job(package, endpoint, variables=approved, credentials=CREDENTIALS))
    found = aws.get_function(FunctionName=NAME)["Configuration"]
    assert found["Handler"] == "app.handle"


def test_a_function_that_is_not_there(aws: Any, endpoint: str, package: Path) -> None:
    """The error says that the environment's stack makes the function."""
    aws.delete_function(FunctionName=NAME)
    with refused("CI-Greeter", PipelineError):
        run(job(package, endpoint))
    aws.create_function(
        FunctionName=NAME,
        Runtime="python3.12",
        Role="arn:aws:iam::123456789012:role/greeter",
        Handler="x.y",
        Code={"ZipFile": CODE},
    )


def test_the_caller_is_in_the_environments_account(
    aws: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A declared role is assumed, and its account counts; another one is refused with both."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    role = aws.get_function(FunctionName=NAME)["Configuration"]["Role"]
    with refused("AWS session", PipelineError):
        connect(CREDENTIALS, {"account": "999999999999", "region": "eu-west-1"})
    there = connect(CREDENTIALS, {"account": "123456789012", "role": role})
    assert there.caller.endswith("assumed-role/greeter/pipeline-deploy")


def test_octopus_names_a_role_and_its_external_id(aws: Any, endpoint: str, package: Path) -> None:
    """They win over the declared ones, whose external id is not for that role."""
    declared = {"role": "arn:aws:iam::123456789012:role/another", "external_id": "of-another"}
    place = {"account": "123456789012", **declared}
    write_package(package, manifest(CODE, environments={"CI": place}), CODE)
    role = "arn:aws:iam::123456789012:role/greeter"
    variables = octopus_variables(AWS_Deployment_RoleArn=role)
    context = WorkerContext.from_globals({"octopusvariables": variables}, {})
    assert context.place(place) == {**place, "role": role, "external_id": ""}
    said = run(job(package, endpoint, variables=variables))
    assert any("assumed-role/greeter/pipeline-deploy" in event.text for event in said.of(Line))
    assert aws.get_alias(FunctionName=NAME, Name="live")["FunctionVersion"] == "1"


def test_the_external_id_is_sent_with_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS gets it with the role that it belongs to, and nothing where there is none."""
    place = {"role": "arn:aws:iam::123456789012:role/deploy"}
    with serving(lambda _: Answer(403)) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL", sts.url)
        for given in (place, {**place, "external_id": "shared"}):
            with pytest.raises(PipelineError):
                connect(CREDENTIALS, given)
    sent = [parse_qs(asked.body.decode()) for asked in sts.asked]
    assert [request.get("ExternalId") for request in sent] == [None, ["shared"]]


def test_the_wrong_region_is_refused(package: Path) -> None:
    """A declared region and another one of the credentials are both named."""
    write_package(package, manifest(CODE, environments={"CI": {"region": "eu-north-1"}}), CODE)
    with refused("AWS session", PipelineError):
        run(job(package))


def test_a_server_that_is_not_there(package: Path) -> None:
    """No connection is a known error that names the address."""
    with refused("CI-Greeter", PipelineError):
        run(job(package))


@pytest.mark.parametrize("config", ["[default", "[default]\nregion = us-east-1\n"])
def test_given_keys_need_nothing_of_the_workers_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """Neither a profile that is not there nor a broken file; without keys both are errors."""
    (tmp_path / "config").write_text(config, encoding="utf-8")
    monkeypatch.setenv("AWS_PROFILE", "of-somebody-else")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "config"))
    there = connect(CREDENTIALS, {}).functions.meta
    assert there.region_name == "eu-west-1"
    with pytest.raises(PipelineError) as error:
        connect(Credentials(region="eu-west-1"), {})
    assert error.value.where == "AWS session"


def test_missing_credentials_are_named(aws: Any, endpoint: str, package: Path) -> None:
    """Nothing of this machine stands in for credentials that the worker would not have."""
    variables = worker_variables("CI", "2.0.7", {"Greeting": "hi", "AWS.Deployment.Region": "x-1"})
    with refused("CI-Greeter", PipelineError):
        run(job(package, endpoint, variables=variables))
    assert aws.get_function(FunctionName=NAME)["Configuration"]["Handler"] == "placeholder.handle"


@pytest.mark.parametrize(
    "missing", ["Octopus.Environment.Name", "AWS.Deployment.Secret", "Greeting"]
)
def test_a_missing_variable_is_named(package: Path, missing: str) -> None:
    """The message of the script reaches the caller as its error."""
    variables = octopus_variables()
    del variables[missing]
    with refused(None, PipelineError):
        run(job(package, variables=variables))


def test_a_missing_region_is_named(package: Path) -> None:
    """Without any region the variable to set is named."""
    variables = octopus_variables()
    del variables["AWS.Deployment.Region"]
    with refused("deploy CI", PipelineError):
        run(job(package, variables=variables))


def test_exit_codes_keep_the_kind_of_an_error(package: Path) -> None:
    """A damaged zip is the error that it is inside the script, with the same text."""
    (package / "function.zip").write_bytes(b"other")
    with refused("PACKAGE/function.zip", NotTheSame, {re.escape(str(package)): "PACKAGE"}):
        run(job(package))


def test_a_bug_keeps_its_trace(tmp_path: Path) -> None:
    """An unexpected exception is the result, and its trace is in the log."""
    package = write_whole_package(tmp_path, manifest(CODE), CODE)
    with (package / "pipeline" / "deploy" / "hooks.py").open("a", encoding="utf-8") as library:
        library.write("\n\ndef load_hooks(path):\n    return path / 0\n")
    recorder = Recorder()
    with refused("deploy", PipelineError):
        launch(job(package), recorder.reporter)
    assert any("Traceback" in event.text for event in recorder.of(Line))


def test_secrets_are_nowhere_in_the_output(aws: Any, endpoint: str, package: Path) -> None:
    """A hook that prints a secret through an error gets it masked; no line has it."""
    text = "def before_deploy(stage):\n    raise ValueError('key testing-secret is bad')\n"
    (package / "hooks_deploy.py").write_text(text, encoding="utf-8")
    recorder = Recorder()
    with refused("hooks_deploy.py:2", PipelineError) as caught:
        launch(job(package, endpoint), recorder.reporter)
    assert "testing-secret" not in repr(recorder.events) + str(caught.value)
    assert aws.get_function(FunctionName=NAME)["Configuration"]["Handler"] == "placeholder.handle"


def test_a_cancelled_task_is_stopped_between_two_steps(
    aws: Any, endpoint: str, package: Path
) -> None:
    """SIGTERM is a request to stop; the script says where things stand, and exits with 130."""
    text = "import os, signal\ndef before_deploy(plan):\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    (package / "hooks_deploy.py").write_text(text, encoding="utf-8")
    with refused("CI-Greeter", Interrupted):
        run(job(package, endpoint))
    assert aws.get_function(FunctionName=NAME)["Configuration"]["Handler"] == "placeholder.handle"


def test_outside_octopus_the_script_says_how_to_run(package: Path) -> None:
    """Started by hand, it exits with 2, and tells the command on standard output."""
    done = subprocess.run(
        [PYTHON, package / "deploy.py"], capture_output=True, text=True, check=False, env={}
    )
    assert done.returncode == UsageError.exit_code
    assert "python3 tasks.py deploy ENVIRONMENT" in done.stdout
    assert done.stderr == ""


def test_the_script_can_be_read_by_octopus_and_by_old_pythons() -> None:
    """ASCII, nothing that Octopus substitutes, and syntax that Python 3.5 understands."""
    source = (SCRIPTS / "deploy.py").read_bytes()
    assert source.isascii()
    assert b"#{" not in source
    assert b"\r" not in source
    ast.parse(source, feature_version=(3, 5))


def test_too_old_a_python_gets_one_sentence(tmp_path: Path) -> None:
    """Below 3.10 the script ends before it needs anything of the library."""
    script = (SCRIPTS / "deploy.py").read_text(encoding="utf-8")
    assert script.count("sys.version_info") == 2
    older = script.replace("sys.version_info", "(3, 6, 9)")
    (tmp_path / "deploy.py").write_text(older, encoding="utf-8")
    done = subprocess.run(
        [PYTHON, "-I", "-S", tmp_path / "deploy.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("This deploy needs Python 3.10 or newer")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_the_support_zip_is_a_zip() -> None:
    """The hash that the tests compare is SHA-256 in base64, as Lambda documents it."""
    assert zipfile.ZipFile(io.BytesIO(CODE)).namelist() == ["app.py"]
    assert base64.b64decode(code_sha256(CODE)) == hashlib.sha256(CODE).digest()
