"""The deploy verb: package folder and context in, applied plan and events out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline.core.errors import Conflict, NotTheSame, PipelineError
from pipeline.core.events import Artifact, Output, Warned
from pipeline.deploy.aws_errors import Missing

from tests.deploy.deploy_support import (
    ARN,
    NAME,
    code_sha256,
    function_zip,
    manifest,
    write_package,
    zip_padded,
)
from tests.deploy.deploying import CODE, Deploy
from tests.deploy.fake_lambda import refusal
from tests.words import assert_said, refused


def test_a_deploy_ends_with_what_the_package_holds(tmp_path: Path) -> None:
    """Code, configuration and tags are set, and the outputs name version, ARN and hash."""
    one = Deploy(tmp_path)
    applied = one.run()
    assert [step.name for step in applied.steps] == [
        "configure",
        "upload",
        "publish",
        "alias",
        "tag",
    ]
    assert applied.function.code_sha256 == code_sha256(CODE)
    assert one.fake.configuration["Environment"]["Variables"]["GREETING"] == "hello"
    assert one.fake.tags["pipeline:package"] == "Acme.Greeter 2.0.7"
    outputs = {event.name: event.value for event in one.recorder.of(Output)}
    assert outputs == {
        "Version": "2.0.7",
        "FunctionArn": ARN,
        "FunctionVersion": "1",
        "AliasArn": f"{ARN}:live",
        "Weight": "100",
        "CodeSha256": code_sha256(CODE),
    }
    assert not one.recorder.of(Warned)


def test_octopus_gets_the_plan_as_an_artifact(tmp_path: Path) -> None:
    """The data of a dry run, as a file beside the package; where none can be written, a warning."""
    one = Deploy(tmp_path)
    one.run()
    (kept,) = one.recorder.of(Artifact)
    path = Path(kept.path)
    assert path.is_absolute()
    assert path.stat().st_size == kept.size
    assert json.loads(path.read_bytes())["package"]["version"] == "2.0.7"
    path.unlink()
    path.mkdir()
    one.run()
    assert_said(one.recorder.of(Warned)[-1].text)


def test_the_alias_says_when_by_whom_and_what_served_before(tmp_path: Path) -> None:
    """Octopus's user where there is one: the credentials are everybody's."""
    one = Deploy(tmp_path)
    one.fake.versions["1"] = {**one.fake.configuration, "Version": "1"}
    one.fake.move("1")
    one.run(Octopus_Deployment_CreatedBy_Username="jane")
    assert (one.fake.alias or {})["Description"] == (
        "2.0.7 3f2c1ab00000: deployed 2026-11-26 09:05 UTC by jane after version 1"
    )


def test_deploying_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    """A second deploy of the same package and release makes no write, with the same outputs."""
    one = Deploy(tmp_path)
    one.run()
    one.fake.calls.clear()
    outputs = one.recorder.of(Output)
    assert one.run().steps == ()
    assert one.fake.writes() == []
    assert one.recorder.of(Output) == outputs * 2
    assert any("nothing to change" in str(event) for event in one.recorder.events)


def test_a_dry_run_shows_the_changes_and_writes_nothing(tmp_path: Path) -> None:
    """The changes of a dry run are those of the deploy after it."""
    one = Deploy(tmp_path)
    planned = one.run(Pipeline_DryRun="True")
    assert one.fake.writes() == []
    assert "runtime: python3.12 -> python3.13" in one.lines()
    assert "Dry run: nothing was changed." in one.lines()
    assert one.run().plan.changes == planned.plan.changes


def test_a_damaged_function_zip_is_found_before_anything(tmp_path: Path) -> None:
    """Bytes that are not the built ones end the deploy before AWS is asked."""
    one = Deploy(tmp_path)
    (one.folder / "function.zip").write_bytes(CODE + b"x")
    with pytest.raises(NotTheSame, match="sha256"):
        one.run()
    assert one.connected == []


@pytest.mark.parametrize("name", ["function.zip", "build.json"])
def test_a_package_without_a_part_says_which(tmp_path: Path, name: str) -> None:
    """A missing file of the package is named."""
    one = Deploy(tmp_path)
    (one.folder / name).unlink()
    with refused(None, PipelineError):
        one.run()


def test_a_function_zip_over_the_limit_is_refused_before_aws_is_asked(tmp_path: Path) -> None:
    """More than 50 MB cannot be sent directly."""
    large = bytes(50 * 1024 * 1024 + 1)
    one = Deploy(tmp_path)
    write_package(one.folder, manifest(large), large)
    with refused("FOLDER/package/function.zip", PipelineError):
        one.run()
    assert one.connected == []


def test_a_bucket_takes_the_code_of_any_size(tmp_path: Path) -> None:
    """The code goes into an object named by its hash, and from there into the function."""
    one = Deploy(tmp_path, bucket="code-#{Place}")
    one.run(Place="ci")
    assert one.fake.writes().index("put_object") < one.fake.writes().index("update_function_code")
    key = f"Acme.Greeter/{hashlib.sha256(CODE).hexdigest()}.zip"
    assert one.fake.objects == {("code-ci", key): CODE}
    assert one.fake.configuration["CodeSha256"] == code_sha256(CODE)
    one.fake.calls.clear()
    one.run(Place="ci", Pipeline_DryRun="True")
    one.run(Place="ci")
    assert one.fake.writes() == []
    large = zip_padded(50 * 1024 * 1024)
    write_package(one.folder, manifest(large, bucket="code"), large)
    assert one.run().function.code_sha256 == code_sha256(large)


def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    """The error names the object and what to do, and the function is not touched."""
    one = Deploy(tmp_path, bucket="code")
    one.fake.before["put_object"] = [refusal("NoSuchBucket", "It does not exist", "PutObject")]
    names = {"[0-9a-f]{64}": "SHA256"}
    with refused("s3://code/Acme.Greeter/SHA256.zip", Missing, names):
        one.run()
    assert one.fake.writes() == ["put_object"]


def test_a_missing_variable_is_found_before_aws_is_asked(tmp_path: Path) -> None:
    """Octopus's, those of AWS and of the function's environment: one error names them all."""
    one = Deploy(tmp_path, environment={"A": "#{One}", "B": "#{Two}"})
    with refused("deploy CI", PipelineError):
        one.run()
    one = Deploy(tmp_path, bucket="#{Three}")
    with refused("deploy CI", PipelineError):
        one.run()
    one = Deploy(tmp_path, environment={"A": "#{One}"}, bucket="#{Two}")
    empty = {"Octopus_Release_Number": "", "AWS_Deployment_Secret": "", "AWS_Deployment_Region": ""}
    with refused("deploy CI", PipelineError):
        one.run(**empty)
    assert one.connected == []


def test_the_environment_has_its_declared_spelling_and_place(tmp_path: Path) -> None:
    """Octopus's spelling of an environment is matched in any case to the declared one."""
    place = {"account": "123456789012", "region": "eu-west-1"}
    one = Deploy(tmp_path, environments={"CI": place, "Production": {}})
    one.run(Octopus_Environment_Name="ci")
    assert one.connected[0][1] == place
    assert one.fake.calls[0] == ("get_function", {"FunctionName": NAME})


def test_the_name_override_wins(tmp_path: Path) -> None:
    """AWS.Lambda.Function.Name is the whole name of the function."""
    one = Deploy(tmp_path)
    one.run(AWS_Lambda_Function_Name="somewhere-else")
    assert one.fake.calls[0] == ("get_function", {"FunctionName": "somewhere-else"})


def test_a_conflict_names_the_deploy(tmp_path: Path) -> None:
    """A conflict says which environment's deploy it stopped."""
    one = Deploy(tmp_path)
    one.fake.before["update_function_configuration"] = [lambda f: f.touch(Timeout=60)]
    with refused("deploy CI", Conflict):
        one.run()


def test_a_service_without_architectures_is_a_warning(tmp_path: Path) -> None:
    """A function that keeps its old architecture is told, not failed."""
    one = Deploy(tmp_path)
    one.fake.after["update_function_code"] = [lambda f: f.touch(Architectures=["x86_64"])]
    one.run()
    assert_said(one.recorder.of(Warned)[0].text)


def test_hooks_run_around_the_changes(tmp_path: Path) -> None:
    """before_deploy gets the plan before the first write, after_deploy what was applied."""
    one = Deploy(tmp_path)
    seen = tmp_path / "seen"
    (one.folder / "hooks_deploy.py").write_text(
        "from pathlib import Path\n"
        f"SEEN = Path({str(seen)!r})\n"
        "def before_deploy(plan):\n"
        "    SEEN.write_text(' '.join(step.name for step in plan.steps))\n"
        "def after_deploy(applied):\n"
        "    SEEN.write_text(SEEN.read_text() + ' then ' + applied.function.code_sha256)\n",
        encoding="utf-8",
    )
    one.run()
    steps = "configure upload publish alias tag"
    assert seen.read_text(encoding="utf-8") == f"{steps} then {code_sha256(CODE)}"


@pytest.mark.parametrize("hook", ["before_deploy", "after_deploy"])
def test_an_exception_in_a_hook_stops_the_deploy(tmp_path: Path, hook: str) -> None:
    """The error names file, hook and line; before_deploy stops it before the first write."""
    one = Deploy(tmp_path)
    text = f"def {hook}(stage):\n    raise ValueError('not today')\n"
    (one.folder / "hooks_deploy.py").write_text(text, encoding="utf-8")
    with refused("hooks_deploy.py:2", PipelineError):
        one.run()
    assert bool(one.fake.writes()) == (hook == "after_deploy")


def test_an_exit_in_a_hook_is_no_success(tmp_path: Path) -> None:
    """A hook that exits with 0 stops the deploy like any exception."""
    one = Deploy(tmp_path)
    text = "import sys\ndef before_deploy(stage):\n    sys.exit(0)\n"
    (one.folder / "hooks_deploy.py").write_text(text, encoding="utf-8")
    with refused("hooks_deploy.py:3", PipelineError):
        one.run()
    assert one.fake.writes() == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import nowhere_to_be_found\n", 1),
        ("import os\n\ndef f(:\n", 3),
        ("import json\n\njson.loads('[')\n", 3),
    ],
)
def test_a_hooks_file_that_cannot_be_imported_stops_before_aws_is_asked(
    tmp_path: Path, text: str, line: int
) -> None:
    """An error in the hooks is found first, with the line of the file that it comes from."""
    one = Deploy(tmp_path)
    (one.folder / "hooks_deploy.py").write_text(text, encoding="utf-8")
    with refused(f"hooks_deploy.py:{line}", PipelineError):
        one.run()
    assert one.connected == []


def test_no_variable_of_the_function_is_shown(tmp_path: Path) -> None:
    """The values that fill the environment appear in no event: Octopus hides, artifacts don't."""
    one = Deploy(tmp_path)
    one.run(Greeting="hunter22-greeting")
    assert "hunter22-greeting" not in repr(one.recorder.events)


def test_variables_that_aws_quotes_are_hidden(tmp_path: Path) -> None:
    """Ours and other people's values stay hidden where AWS repeats them in what it refuses."""
    one = Deploy(tmp_path)
    one.fake.touch(Environment={"Variables": {"THEIRS": "sesame-open"}})
    said = "1 validation error: {GREETING=hunter22-greeting, THEIRS=sesame-open} is too large"
    refused = refusal("InvalidParameterValueException", said)
    one.fake.before["update_function_configuration"] = [refused]
    with pytest.raises(PipelineError) as caught:
        one.run(Greeting="hunter22-greeting")
    shown = f"{caught.value}{one.recorder.events!r}"
    assert "is too large" in shown
    assert not [value for value in ("hunter22-greeting", "sesame-open") if value in shown]


def test_what_is_not_on_the_alias_is_named(tmp_path: Path) -> None:
    """Each way around what a deploy publishes is a word of one warning; without an alias, that."""
    one = Deploy(tmp_path)
    for arn, sid in ((ARN, "Bucket"), (f"{ARN}:live", "Moved")):
        statement = {"Sid": sid, "Principal": {"Service": "s3.amazonaws.com"}, "Resource": arn}
        one.fake.statements.append(statement)
    for arn, queue in ((ARN, "q1"), (f"{ARN}:live", "q2")):
        one.fake.sources.append({"FunctionArn": arn, "EventSourceArn": f"arn:aws:sqs:::{queue}"})
    one.fake.retries = [{"FunctionArn": f"{ARN}:$LATEST"}, {"FunctionArn": f"{ARN}:live"}]
    one.run()
    (warning,) = one.recorder.of(Warned)
    assert_said(warning.text)
    one.fake.refuses["get_policy"] = refusal("AccessDeniedException", "no", "GetPolicy")
    one.run()
    assert_said(one.recorder.of(Warned)[-1].text)
    one.fake.alias = None
    one.run()
    assert "AWS::Lambda::Alias" in one.recorder.of(Warned)[-1].text


def test_the_policy_is_printed_and_nothing_changed(tmp_path: Path) -> None:
    """`--print-policy` ends after the plan, with the policy as an output."""
    one = Deploy(tmp_path)
    one.run(Pipeline_PrintPolicy="True")
    (policy,) = [event.value for event in one.recorder.of(Output)]
    statements = {one["Resource"]: one["Action"] for one in json.loads(policy)["Statement"]}
    assert statements.keys() == {ARN, f"{ARN}:*", "*"}
    assert {"lambda:UpdateFunctionCode", "lambda:UpdateAlias"} <= set(statements[ARN])
    assert one.fake.writes() == []


@pytest.mark.parametrize(
    "code",
    [
        b"no zip",
        CODE[:-30],
        CODE.replace(b"PK\1\2\x14\x03\x14\0", b"PK\1\2\x14\x03\xff\0"),
    ],
    ids=["no zip", "cut", "too new"],
)
def test_a_function_zip_that_cannot_be_read_is_no_trace(tmp_path: Path, code: bytes) -> None:
    """Though it is the one the manifest names; nothing is asked of AWS."""
    one = Deploy(tmp_path)
    write_package(one.folder, manifest(code, handler_file="app.py"), code)
    with refused("deploy CI", PipelineError):
        one.run()
    assert one.connected == []


def test_a_handler_whose_file_is_not_there_is_found_before_aws_is_asked(tmp_path: Path) -> None:
    """The manifest says which file of the function zip it is in."""
    one = Deploy(tmp_path, handler_file="app/other.py")
    with refused("deploy CI", PipelineError):
        one.run()
    assert one.connected == []


@pytest.mark.parametrize("fact", ["size", "code_sha256", "sha256"])
def test_every_fact_of_the_function_zip_has_to_fit(tmp_path: Path, fact: str) -> None:
    """Not the one hash alone: what the manifest says is what AWS's answer is compared with."""
    one = Deploy(tmp_path)
    facts = manifest(CODE)
    other = manifest(function_zip("other = 1\n")).function_zip
    wrong = replace(facts.function_zip, **{fact: getattr(other, fact)})
    write_package(one.folder, replace(facts, function_zip=wrong), CODE)
    with pytest.raises(NotTheSame, match=fact):
        one.run()
    assert one.connected == []
