from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.local import clients
from pipeline.local.state import LocalAws
from pipeline.local.strict_rules import Refusal, check_code, check_parameters, check_settings

from tests.local.local_support import APP, MINOR, ROLE, client, zipped

Create = Callable[..., str]
NEW = zipped({"app.py": APP + "# new\n"})


@pytest.fixture(scope="module")
def unchecked(aws: LocalAws) -> Any:
    """Return a client that checks nothing itself: the service has to refuse."""
    return clients.client(aws, "lambda", Config(parameter_validation=False))


def refused(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Make a call that must be refused; return status, code and message."""
    with pytest.raises(ClientError) as error:
        call()
    answer = error.value.response
    code, message = answer["Error"]["Code"], answer["Error"]["Message"]
    return answer["ResponseMetadata"]["HTTPStatusCode"], code, message


def configuration(lambdas: Any, name: str) -> Any:
    """Return the function's configuration."""
    return lambdas.get_function_configuration(FunctionName=name)


@pytest.mark.parametrize("data", [b"", b"not a zip", zipped({"a": "x"})[:-30]])
def test_bytes_that_are_no_zip_are_refused(lambdas: Any, create: Create, data: bytes) -> None:
    """Create and update say "Could not unzip uploaded file" and change nothing."""
    name = create()
    before = configuration(lambdas, name)["CodeSha256"]
    status, code, message = refused(
        lambda: lambdas.update_function_code(FunctionName=name, ZipFile=data)
    )
    assert (status, code) == (400, "InvalidParameterValueException")
    assert message.startswith("Could not unzip uploaded file.")
    assert configuration(lambdas, name)["CodeSha256"] == before
    if data:
        assert refused(lambda: create(code=data))[2] == message


def test_code_without_any_file_is_refused() -> None:
    """An empty zip is no function."""
    with pytest.raises(Refusal, match="non-empty zip"):
        check_code(zipped({}))


def test_a_function_without_a_handler_is_refused(lambdas: Any) -> None:
    """A zip function needs handler and runtime, and Lambda says which are mandatory."""
    request = {"FunctionName": "x", "Role": ROLE, "Code": {"ZipFile": NEW}}
    status, code, message = refused(lambda: lambdas.create_function(**request))
    assert (status, code) == (400, "InvalidParameterValueException")
    assert message.startswith("Runtime and Handler are mandatory parameters")


def test_a_handler_that_the_zip_lacks_fails_when_it_runs(lambdas: Any, create: Create) -> None:
    """As on AWS, a handler that is not in the zip is taken, and cannot be imported when invoked."""
    name = create(Handler="missing.handle")
    answer = lambdas.invoke(FunctionName=name, Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    assert b"Unable to import module 'missing'" in answer["Payload"].read()


@pytest.mark.parametrize(
    ("settings_", "refusal"),
    [
        ({"Timeout": 901}, ("ValidationException", "less than or equal to 900")),
        ({"MemorySize": 10241}, ("ValidationException", "less than or equal to 10240")),
        ({"MemorySize": 127}, ("ValidationException", "greater than or equal to 128")),
        ({"Description": "x" * 257}, ("ValidationException", "length less than or equal to 256")),
        ({"Handler": "x" * 129}, ("ValidationException", "length less than or equal to 128")),
        ({"Handler": "a b.c"}, ("ValidationException", "regular expression pattern")),
        ({"Runtime": "python2.6"}, ("InvalidParameterValueException", "enum value set: [")),
        ({"EphemeralStorage": {"Size": 10241}}, ("ValidationException", "equal to 10240")),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, ("Invalid", "Reserved keys used")),
        ({"Environment": {"Variables": {"A": "x"}}}, ("ValidationException", "[a-zA-Z]")),
        (
            {"Environment": {"Variables": {"KEY": "x" * 4096}}},
            ("Invalid", "exceeded the 4KB limit"),
        ),
    ],
)
def test_settings_out_of_bounds_are_refused(
    unchecked: Any, create: Create, settings_: Any, refusal: tuple[str, str]
) -> None:
    """Create and update refuse what AWS refuses, with its words, and change nothing."""
    code, words = refusal
    name = create()
    before = configuration(unchecked, name)
    updated = refused(
        lambda: unchecked.update_function_configuration(FunctionName=name, **settings_)
    )
    assert updated[0] == 400
    assert updated[1].startswith(code)
    assert words in updated[2]
    request = {"FunctionName": "x", "Role": ROLE, "Code": {"ZipFile": NEW}, "Handler": "app.handle"}
    request |= {"Runtime": f"python{MINOR}", **settings_}
    assert refused(lambda: unchecked.create_function(**request))[1] == updated[1]
    after = configuration(unchecked, name)
    assert after["RevisionId"] == before["RevisionId"]


@pytest.mark.parametrize("name", ["x" * 65, "with space", "dot.ted"])
def test_bad_names_are_refused(unchecked: Any, name: str) -> None:
    """A function's name has at most 64 characters of A-Z, a-z, 0-9, - and _."""
    request = {"FunctionName": name, "Role": ROLE, "Code": {"ZipFile": NEW}}
    request |= {"Runtime": f"python{MINOR}", "Handler": "app.handle"}
    status, code, message = refused(lambda: unchecked.create_function(**request))
    assert (status, code) == (400, "ValidationException")
    assert "functionName" in message


@settings(max_examples=50)
@given(timeout=st.integers(1, 900), memory=st.integers(128, 10240), text=st.text(max_size=256))
def test_settings_within_bounds_pass(timeout: int, memory: int, text: str) -> None:
    """Nothing that Lambda takes is refused."""
    body = {"Timeout": timeout, "MemorySize": memory, "Description": text, "Environment": {}}
    check_parameters("UpdateFunctionConfiguration", body)
    check_settings(body, creating=False)


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        (
            "CreateFunction",
            {"FunctionName": "f", "Code": {}, "MemorySize": 99999, "Timeout": 0},
            (
                "3 validation errors detected: "
                "Value null at 'role' failed to satisfy constraint: Member must not be null; "
                "Value '0' at 'timeout' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1; "
                "Value '99999' at 'memorySize' failed to satisfy constraint: "
                "Member must have value less than or equal to 10240"
            ),
        ),
        (
            "UpdateFunctionConfiguration",
            {"TracingConfig": {"Mode": "On"}},
            (
                "1 validation error detected: Value 'On' at 'tracingConfig.mode' failed to satisfy "
                "constraint: Member must satisfy enum value set: [Active, PassThrough]"
            ),
        ),
        (
            "UpdateFunctionCode",
            {"Architectures": ["x86"]},
            (
                "1 validation error detected: Value '[x86]' at 'architectures' failed to satisfy "
                "constraint: Member must satisfy constraint: "
                "[Member must satisfy enum value set: [x86_64, arm64]]"
            ),
        ),
        (
            "UpdateFunctionConfiguration",
            {"Environment": {"Variables": {"A": "a secret"}}},
            (
                "1 validation error detected: Value at 'environment.variables' failed to satisfy "
                "constraint: Map keys must satisfy constraint: [Member must satisfy regular "
                "expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"
            ),
        ),
        (
            "UpdateFunctionConfiguration",
            {"FileSystemConfigs": [{"Arn": "arn:x"}]},
            "Value null at 'fileSystemConfigs.1.member.localMountPath' failed to satisfy",
        ),
        (
            "UpdateAlias",
            {"FunctionVersion": "one"},
            (
                "Value 'one' at 'functionVersion' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: "
            ),
        ),
        ("CreateAlias", {"Name": "123", "FunctionVersion": "1"}, "Value '123' at 'name' failed"),
        (
            "UpdateAlias",
            {"RoutingConfig": {"AdditionalVersionWeights": {"1": 1.5}}},
            (
                "Value '{1=1.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
                "constraint: Map value must satisfy constraint: [Member must have value less than"
            ),
        ),
        (
            "UpdateFunctionConfiguration",
            {"Timeout": "long"},
            "The value at 'timeout' can not be converted to the type integer",
        ),
    ],
)
def test_parameters_are_refused_in_the_services_words(operation: str, body: Any, said: str) -> None:
    """What does not fit the model is named with its path, all of it at once, and no secret."""
    with pytest.raises(Refusal) as error:
        check_parameters(operation, body)
    assert said in error.value.message
    assert "secret" not in error.value.message


def test_tags_in_any_script_pass() -> None:
    """The model's patterns are Java's; their classes of letters are understood."""
    request = {"FunctionName": "f", "Role": ROLE, "Code": {}, "Tags": {"Straße 1": "Łódź / 2"}}
    check_parameters("CreateFunction", request)
    with pytest.raises(Refusal, match="at 'tags' failed to satisfy constraint: Map keys must"):
        check_parameters("CreateFunction", {**request, "Tags": {"semi;colon": ""}})


def test_an_alias_by_number_is_refused(lambdas: Any, create: Create) -> None:
    """A name that could be a version is no name of an alias."""
    name = create(Publish=True)
    status, code, message = refused(
        lambda: lambdas.create_alias(FunctionName=name, Name="12", FunctionVersion="1")
    )
    assert (status, code) == (400, "ValidationException")
    assert message.startswith("1 validation error detected: Value '12' at 'name' failed")


def test_a_request_over_the_limit_is_413(lambdas: Any, create: Create) -> None:
    """A direct upload of more than 50 MB is RequestEntityTooLarge, before anything is read."""
    name = create()
    data = b"x" * 53_000_000
    status, code, message = refused(
        lambda: lambdas.update_function_code(FunctionName=name, ZipFile=data)
    )
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert "70167211" in message


def test_every_change_has_its_own_revision(lambdas: Any, create: Create) -> None:
    """RevisionIds are issued everywhere, and change with every change and never else."""
    name = create()
    seen = [configuration(lambdas, name)["RevisionId"]]
    assert lambdas.get_function(FunctionName=name)["Configuration"]["RevisionId"] == seen[0]
    listed = lambdas.list_functions()["Functions"]
    assert seen[0] in {function["RevisionId"] for function in listed}
    update = lambdas.update_function_configuration
    seen.append(update(FunctionName=name, Timeout=9)["RevisionId"])
    seen.append(update(FunctionName=name, Timeout=9)["RevisionId"])
    seen.append(lambdas.update_function_code(FunctionName=name, ZipFile=NEW)["RevisionId"])
    assert configuration(lambdas, name)["RevisionId"] == seen[-1]
    assert len(set(seen)) == 4


def test_a_stale_revision_is_412(lambdas: Any, create: Create) -> None:
    """Code, settings, versions and aliases refuse a RevisionId that is not the latest."""
    name = create()
    old = configuration(lambdas, name)["RevisionId"]
    lambdas.update_function_configuration(FunctionName=name, Timeout=9, RevisionId=old)
    lambdas.publish_version(FunctionName=name)
    alias = lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    moved = lambdas.update_alias(
        FunctionName=name, Name="live", Description="x", RevisionId=alias["RevisionId"]
    )
    assert moved["RevisionId"] != alias["RevisionId"]
    stale = [
        lambda: lambdas.update_function_configuration(FunctionName=name, RevisionId=old),
        lambda: lambdas.update_function_code(FunctionName=name, ZipFile=NEW, RevisionId=old),
        lambda: lambdas.publish_version(FunctionName=name, RevisionId=old),
        lambda: lambdas.update_alias(
            FunctionName=name, Name="live", Description="y", RevisionId=alias["RevisionId"]
        ),
    ]
    for call in stale:
        status, code, message = refused(call)
        assert (status, code) == (412, "PreconditionFailedException")
        assert message.startswith("The Revision Id provided does not match")
    current = configuration(lambdas, name)
    assert current["Timeout"] == 9
    lambdas.update_function_code(FunctionName=name, ZipFile=NEW, RevisionId=current["RevisionId"])


def test_publishing_other_code_than_expected_is_refused(lambdas: Any, create: Create) -> None:
    """PublishVersion with another CodeSha256 names both and makes no version."""
    name = create()
    given_ = base64.b64encode(hashlib.sha256(NEW).digest()).decode()
    status, code, message = refused(
        lambda: lambdas.publish_version(FunctionName=name, CodeSha256=given_)
    )
    assert (status, code) == (400, "InvalidParameterValueException")
    assert given_ in message
    assert len(lambdas.list_versions_by_function(FunctionName=name)["Versions"]) == 1


def test_a_dry_run_reports_the_new_hash_and_changes_nothing(lambdas: Any, create: Create) -> None:
    """DryRun answers with the hash of the code that was sent; the function keeps its own."""
    name = create()
    before = configuration(lambdas, name)
    answer = lambdas.update_function_code(FunctionName=name, ZipFile=NEW, DryRun=True)
    assert answer["CodeSha256"] == base64.b64encode(hashlib.sha256(NEW).digest()).decode()
    after = configuration(lambdas, name)
    assert (after["CodeSha256"], after["RevisionId"]) == (
        before["CodeSha256"],
        before["RevisionId"],
    )
    status, _, message = refused(
        lambda: lambdas.update_function_code(FunctionName=name, ZipFile=b"no zip", DryRun=True)
    )
    assert (status, message[:15]) == (400, "Could not unzip")


def test_the_architecture_changes_with_the_code(lambdas: Any, create: Create) -> None:
    """Architectures in UpdateFunctionCode is honoured, in the answer and afterwards."""
    name = create(Architectures=["x86_64"])
    answer = lambdas.update_function_code(FunctionName=name, ZipFile=NEW, Architectures=["arm64"])
    assert answer["Architectures"] == ["arm64"]
    assert configuration(lambdas, name)["Architectures"] == ["arm64"]


def test_code_from_s3_is_the_version_that_was_asked_for(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """S3ObjectVersion takes that version; without it the latest; what is missing is named."""
    s3 = client(aws, "s3")
    bucket = f"code-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = zipped({"app.py": APP + "# old\n"})
    version = s3.put_object(Bucket=bucket, Key="code.zip", Body=old)["VersionId"]
    s3.put_object(Bucket=bucket, Key="code.zip", Body=NEW)
    name = create()
    place = {"FunctionName": name, "S3Bucket": bucket, "S3Key": "code.zip"}
    latest = lambdas.update_function_code(**place)
    assert latest["CodeSha256"] == base64.b64encode(hashlib.sha256(NEW).digest()).decode()
    answer = lambdas.update_function_code(**place, S3ObjectVersion=version)
    assert answer["CodeSha256"] == base64.b64encode(hashlib.sha256(old).digest()).decode()
    missing = {**place, "S3Key": "nothing.zip"}
    assert "NoSuchKey" in refused(lambda: lambdas.update_function_code(**missing))[2]
    missing = {**place, "S3Bucket": "no-such-bucket"}
    assert "NoSuchBucket" in refused(lambda: lambdas.update_function_code(**missing))[2]


def test_updates_of_a_version_are_refused(lambdas: Any, create: Create) -> None:
    """Code and settings change on $LATEST only."""
    name = create()
    lambdas.publish_version(FunctionName=name)
    for call in (
        lambda: lambdas.update_function_code(FunctionName=f"{name}:1", ZipFile=NEW),
        lambda: lambdas.update_function_configuration(FunctionName=f"{name}:1", Timeout=9),
    ):
        status, code, message = refused(call)
        assert (status, code) == (400, "InvalidParameterValueException")
        assert "other than $LATEST" in message


def test_a_function_that_is_not_there_is_404(lambdas: Any) -> None:
    """Reading and updating an unknown function is ResourceNotFound, with its ARN."""
    for call in (
        lambda: lambdas.get_function(FunctionName="unknown"),
        lambda: lambdas.update_function_code(FunctionName="unknown", ZipFile=NEW),
        lambda: lambdas.update_function_configuration(FunctionName="unknown", Timeout=9),
    ):
        status, code, message = refused(call)
        assert (status, code) == (404, "ResourceNotFoundException")
        assert "function:unknown" in message


def versions(lambdas: Any, name: str) -> list[str]:
    """Return the numbers of the versions there are."""
    listed = lambdas.list_versions_by_function(FunctionName=name)["Versions"]
    return [version["Version"] for version in listed]


def test_a_version_that_an_alias_needs_is_not_deleted(lambdas: Any, create: Create) -> None:
    """Neither one it leads to nor one with a weight; what nobody needs goes, and only that."""
    name = create(Publish=True)
    for seconds in (11, 12, 13):
        lambdas.update_function_configuration(FunctionName=name, Timeout=seconds)
        lambdas.publish_version(FunctionName=name)
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    alias = {"FunctionName": name, "Name": "live"}
    lambdas.create_alias(**alias, FunctionVersion="1", RoutingConfig=weights)
    before = configuration(lambdas, name)["RevisionId"]
    for qualifier in ("1", "2", "live"):
        status, code, message = refused(
            partial(lambdas.delete_function, FunctionName=name, Qualifier=qualifier)
        )
        assert (status, code) == (409, "ResourceConflictException")
        assert message == (
            "Unable to delete version because the following aliases reference it: [live]"
        )
    refusal = refused(lambda: lambdas.delete_function(FunctionName=f"{name}:$LATEST"))
    assert refusal[:2] == (400, "InvalidParameterValueException")
    lambdas.delete_function(FunctionName=name, Qualifier="3")
    lambdas.delete_function(FunctionName=name, Qualifier="99")
    assert versions(lambdas, name) == ["$LATEST", "1", "2", "4"]
    assert configuration(lambdas, name)["RevisionId"] == before
    lambdas.update_alias(**alias, RoutingConfig={"AdditionalVersionWeights": {}})
    lambdas.delete_function(FunctionName=name, Qualifier="2")
    lambdas.delete_function(FunctionName=name)
    with pytest.raises(ClientError, match="Function not found"):
        configuration(lambdas, name)


def test_a_versions_number_is_never_used_again(lambdas: Any, create: Create) -> None:
    """Not after the version was deleted, and not after the function was."""
    name = create(Publish=True)
    lambdas.update_function_configuration(FunctionName=name, Timeout=11)
    assert lambdas.publish_version(FunctionName=name)["Version"] == "2"
    lambdas.delete_function(FunctionName=name, Qualifier="2")
    assert lambdas.publish_version(FunctionName=name)["Version"] == "3"
    settings_ = {"Runtime": f"python{MINOR}", "Handler": "app.handle", "Role": ROLE}
    lambdas.delete_function(FunctionName=name)
    lambdas.create_function(FunctionName=name, **settings_, Code={"ZipFile": NEW})
    assert lambdas.publish_version(FunctionName=name)["Version"] == "4"


def test_what_is_published_already_is_not_published_again(lambdas: Any, create: Create) -> None:
    """The same code and settings are the same version, however often they were set meanwhile."""
    name = create(Publish=True, Timeout=10)
    publish = lambdas.publish_version
    assert publish(FunctionName=name)["Version"] == "1"
    lambdas.update_function_configuration(FunctionName=name, Timeout=11)
    lambdas.update_function_configuration(FunctionName=name, Timeout=10)
    lambdas.tag_resource(Resource=configuration(lambdas, name)["FunctionArn"], Tags={"a": "b"})
    assert publish(FunctionName=name, Description="another")["Version"] == "1"
    code = {"FunctionName": name, "ZipFile": NEW, "Architectures": ["arm64"], "Publish": True}
    second = lambdas.update_function_code(**code)
    assert (second["Version"], second["Architectures"]) == ("2", ["arm64"])
    assert lambdas.update_function_code(**code)["Version"] == "2"
    lambdas.update_function_configuration(FunctionName=name, Description="a release")
    assert publish(FunctionName=name)["Version"] == "3"
    assert versions(lambdas, name) == ["$LATEST", "1", "2", "3"]


def test_an_alias_that_leads_nowhere_is_refused(unchecked: Any, create: Create) -> None:
    """A missing version is 404, weights that cannot be are 400, and the alias stays as it was."""
    name = create(Publish=True)
    unchecked.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": ROLE})
    unchecked.publish_version(FunctionName=name)
    alias = {"FunctionName": name, "Name": "live"}
    made = unchecked.create_alias(**alias, FunctionVersion="1")
    missing = (
        404,
        "ResourceNotFoundException",
        f"{configuration(unchecked, name)['FunctionArn']}:77",
    )
    invalid_ = (400, "InvalidParameterValueException")
    for change, refusal in (
        ({"FunctionVersion": "77"}, missing),
        (weighted({"77": 0.1}), missing),
        (weighted({"1": 0.1}), (*invalid_, "Function version 1 is already included in routing")),
        (weighted({"2": 0.1, "1": 0.1}), (*invalid_, "cannot be greater than 1")),
        ({"FunctionVersion": "$LATEST", **weighted({"1": 0.1})}, (*invalid_, "$LATEST is not")),
        (weighted({"2": 0.1}), (*invalid_, "dead-letter configuration")),
        (weighted({"2": 1.1}), (400, "ValidationException", "less than or equal to 1")),
        (weighted({"live": 0.1}), (400, "ValidationException", "[0-9]+")),
        ({"RevisionId": "another"}, (412, "PreconditionFailedException", "does not match")),
    ):
        status, code, message = refused(partial(unchecked.update_alias, **alias, **change))
        assert (status, code) == refusal[:2], change
        assert refusal[2] in message
        if "RevisionId" not in change:
            other = {"FunctionName": name, "Name": "other", "FunctionVersion": "1", **change}
            assert refused(partial(unchecked.create_alias, **other))[1] == code
    assert unchecked.get_alias(**alias)["RevisionId"] == made["RevisionId"]
    nobody = {"FunctionName": name, "Name": "nobody", "RevisionId": "x"}
    status, _, message = refused(lambda: unchecked.update_alias(**nobody))
    assert (status, message[:22]) == (404, "Cannot find alias arn:")


def test_weights_are_kept_until_they_are_emptied(lambdas: Any, create: Create) -> None:
    """Left out they stay, with the checks that go with them; an empty map ends them."""
    name = create(Publish=True)
    lambdas.update_function_configuration(FunctionName=name, Timeout=11)
    lambdas.publish_version(FunctionName=name)
    alias = {"FunctionName": name, "Name": "live"}
    lambdas.create_alias(**alias, FunctionVersion="1", **weighted({"2": 0.5}))
    assert lambdas.update_alias(**alias, Description="x")["RoutingConfig"] == {
        "AdditionalVersionWeights": {"2": 0.5}
    }
    assert refused(lambda: lambdas.update_alias(**alias, FunctionVersion="2"))[0] == 400
    finished = lambdas.update_alias(**alias, FunctionVersion="2", **weighted({}))
    assert finished["FunctionVersion"] == "2"
    assert not finished.get("RoutingConfig", {}).get("AdditionalVersionWeights")


def test_aliases_of_one_name_have_revisions_of_their_own(lambdas: Any, create: Create) -> None:
    """Moving `live` of one function leaves the RevisionId of another function's `live` alone."""
    mine, other = create(Publish=True), create(Publish=True)
    alias = {"Name": "live", "FunctionVersion": "1"}
    lambdas.create_alias(FunctionName=mine, **alias)
    kept = lambdas.create_alias(FunctionName=other, **alias)["RevisionId"]
    lambdas.update_alias(FunctionName=mine, **alias)
    assert lambdas.get_alias(FunctionName=other, Name="live")["RevisionId"] == kept


def weighted(share: dict[str, float]) -> dict[str, Any]:
    """Return what CreateAlias and UpdateAlias take for these weights."""
    return {"RoutingConfig": {"AdditionalVersionWeights": share}}
