"""Planning: pure comparison of what is there with what a package wants."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from pipeline.deploy.observe import Alias, Observed
from pipeline.deploy.plan import Bucket, Plan, Wanted
from pipeline.deploy.policy import policy

from tests.deploy.deploy_support import (
    ARN,
    COMMIT,
    NAME,
    code_sha256,
    function_zip,
    manifest,
)

CODE_BYTES = function_zip()
WANTED = Wanted.from_manifest(
    manifest(CODE_BYTES), {"GREETING": "hunter22", "LEVEL": "info"}, "2.0.7"
)


def observed_as(wanted: Wanted) -> Observed:
    """Return a function that is exactly as wanted."""
    return Observed(
        name=NAME,
        arn=ARN,
        runtime=wanted.runtime,
        handler=wanted.handler,
        description=wanted.description,
        architecture=wanted.architecture,
        code_sha256=wanted.code_sha256,
        environment={**wanted.environment, "OWNED_BY_STACK": "topsecret"},
        tags={**wanted.tags, "aws:cloudformation:stack-name": "CI-Greeter"},
        revision_id="r1",
    )


def test_nothing_to_change() -> None:
    """A function that is as wanted, with keys and tags of others, needs no step."""
    there = observed_as(WANTED)
    made = replace(there, version="7")
    assert Plan.between(there, WANTED, versions=[made]).steps == ()
    alias = Alias(f"{ARN}:live", "7")
    assert Plan.between(there, WANTED, alias=alias, versions=[made]).steps == ()


def test_every_difference_has_its_step() -> None:
    """Each difference is one change, under the step that removes it, in the order of steps."""
    there = replace(
        observed_as(WANTED),
        runtime="python3.12",
        architecture="x86_64",
        code_sha256="old",
        environment={"GREETING": "other"},
        tags={},
    )
    plan = Plan.between(there, WANTED)
    assert [step.name for step in plan.steps] == ["configure", "upload", "publish", "tag"]
    found = {(step.name, change.what) for step in plan.steps for change in step.changes}
    assert found >= {
        ("configure", "runtime"),
        ("configure", "environment GREETING"),
        ("configure", "environment LEVEL"),
        ("upload", "architecture"),
        ("upload", "code"),
        ("tag", "tag team"),
    }
    assert not any("OWNED_BY_STACK" in change.what for change in plan.changes)


def test_wanted_takes_the_manifests_facts() -> None:
    """Tags say package, release and commit beside the project's own; the hash is the manifest's."""
    assert WANTED.code_sha256 == code_sha256(CODE_BYTES)
    assert WANTED.tags == {
        "team": "web",
        "pipeline:package": "Acme.Greeter 2.0.7",
        "pipeline:release": "2.0.7",
        "pipeline:commit": COMMIT,
    }


def test_a_dirty_build_is_tagged_as_such() -> None:
    """The commit of a dirty build does not pass for a clean one."""
    built = manifest(CODE_BYTES)
    dirty = replace(built, source=replace(built.source, dirty=True))
    assert Wanted.from_manifest(dirty, {}, "1").tags["pipeline:commit"] == f"{COMMIT}-dirty"


def test_no_environment_value_is_ever_shown() -> None:
    """Neither our values nor others' appear in changes or repr: they may be secrets."""
    there = replace(observed_as(WANTED), environment={"GREETING": "oldsecret", "X": "topsecret"})
    plan = Plan.between(there, WANTED)
    shown = repr(plan) + "".join(map(str, plan.changes))
    assert not [secret for secret in ("hunter22", "oldsecret", "topsecret") if secret in shown]
    assert "#{Greeting}" in shown


_TEXTS = st.dictionaries(st.sampled_from(["A", "B", "C"]), st.sampled_from(["1", "2"]))


@given(mine=_TEXTS, theirs=_TEXTS)
def test_the_environments_changes_are_exactly_ours_that_differ(
    mine: dict[str, str], theirs: dict[str, str]
) -> None:
    """A key is a change if and only if we want it and it is missing or another value."""
    wanted = replace(WANTED, environment=mine)
    there = replace(observed_as(wanted), environment=theirs)
    expected = {f"environment {key}" for key, value in mine.items() if theirs.get(key) != value}
    found = {change.what for change in Plan.between(there, wanted).changes}
    assert found - {"version"} == expected


def test_through_s3_the_code_is_stored_before_the_function_is_touched() -> None:
    """A bucket adds a step of its own in front, and the rights that it needs."""
    there = replace(observed_as(WANTED), code_sha256="old", handler="old.handle")
    plan = Plan.between(there, WANTED, Bucket("code", "a/b.zip"))
    assert [step.name for step in plan.steps] == ["store", "configure", "upload", "publish"]
    rights = {(one.action, one.resource) for one in plan.permissions()}
    assert {
        (f"s3:{name}", "arn:aws:s3:::code/a/b.zip") for name in ("GetObject", "PutObject")
    } < rights
    same = Plan.between(observed_as(WANTED), WANTED, Bucket("code", "a/b.zip"))
    assert [step.name for step in same.steps] == ["publish"]


def test_the_policy_allows_what_the_steps_need_and_no_more() -> None:
    """A plan without changes needs to read the function; each step adds its own call."""
    there = observed_as(WANTED)
    made = replace(there, version="7")
    reading = [
        "lambda:GetAlias", "lambda:GetFunction", "lambda:ListTags", "lambda:ListVersionsByFunction",
    ]  # fmt: skip
    read = json.loads(policy(Plan.between(there, WANTED, versions=[made])))
    assert read["Statement"] == [{"Effect": "Allow", "Action": reading, "Resource": ARN}]
    tagged = json.loads(policy(Plan.between(replace(there, tags={}), WANTED, versions=[made])))
    assert tagged["Statement"][0]["Action"] == [*reading, "lambda:TagResource"]
    alias = Alias(f"{ARN}:live", "6")
    moved = json.loads(policy(Plan.between(there, WANTED, alias=alias)))
    looking = ["lambda:GetPolicy", "lambda:ListFunctionEventInvokeConfigs"]
    writing = ["lambda:PublishVersion", "lambda:UpdateAlias"]
    assert moved["Statement"] == [
        {"Effect": "Allow", "Action": sorted(reading + looking + writing), "Resource": ARN},
        {"Effect": "Allow", "Action": ["lambda:ListEventSourceMappings"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["lambda:GetFunction"], "Resource": f"{ARN}:*"},
    ]
