"""Planning: pure comparison of what is there with what a package wants."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from pipeline.values.plan import CODE, CONFIGURATION, TAGS, Observed, Plan, Wanted

from tests.deploy.deploy_support import (
    ARN,
    COMMIT,
    NAME,
    as_json,
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
    assert Plan.between(observed_as(WANTED), WANTED).steps == ()


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
    assert plan.steps == (CONFIGURATION, CODE, TAGS)
    found = {(change.step, change.what) for change in plan.changes}
    assert found >= {
        (CONFIGURATION, "runtime"),
        (CONFIGURATION, "environment GREETING"),
        (CONFIGURATION, "environment LEVEL"),
        (CODE, "architecture"),
        (CODE, "code"),
        (TAGS, "tag team"),
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
    """Neither our values nor others' appear in changes, JSON or repr: they may be secrets."""
    there = replace(observed_as(WANTED), environment={"GREETING": "oldsecret", "X": "topsecret"})
    plan = Plan.between(there, WANTED)
    shown = plan.to_json() + repr(plan) + "".join(map(str, plan.changes))
    assert not [secret for secret in ("hunter22", "oldsecret", "topsecret") if secret in shown]
    assert "#{Greeting}" in shown


def test_the_json_form_names_what_was_planned_on() -> None:
    """The plan as JSON has function, steps, changes and the revision it was planned on."""
    plan = Plan.between(replace(observed_as(WANTED), handler="old.handle"), WANTED)
    document = as_json(plan.to_json())
    assert document["function"] == NAME
    assert document["plannedOn"]["revisionId"] == "r1"
    assert document["steps"] == [CONFIGURATION]
    assert document["changes"] == [
        {
            "step": CONFIGURATION,
            "what": "handler",
            "now": "old.handle",
            "planned": "app.handle",
        }
    ]


_TEXTS = st.dictionaries(st.sampled_from(["A", "B", "C"]), st.sampled_from(["1", "2"]))


@given(mine=_TEXTS, theirs=_TEXTS)
def test_the_environments_changes_are_exactly_ours_that_differ(
    mine: dict[str, str], theirs: dict[str, str]
) -> None:
    """A key is a change if and only if we want it and it is missing or another value."""
    wanted = replace(WANTED, environment=mine)
    there = replace(observed_as(wanted), environment=theirs)
    expected = {f"environment {key}" for key, value in mine.items() if theirs.get(key) != value}
    assert {change.what for change in Plan.between(there, wanted).changes} == expected
