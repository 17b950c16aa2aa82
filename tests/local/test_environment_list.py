"""`env.list` and `env.reap` on real stacks in the embedded AWS, beside the Octopus stand-in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from invoke import Config, Context, Exit
from pipeline.cli import octopus
from pipeline.core.errors import PipelineError
from pipeline.core.names import release_description
from pipeline.deploy.aws_session import Connection
from pipeline.edge.http import Http
from pipeline.edge.machine import utc_now
from pipeline.local.state import LocalAws
from pipeline.octopus.client import Access, connect
from pipeline.project.project import Project
from pipeline.stack.change_set import (
    ENVIRONMENT,
    EXPIRES,
    SERVICE,
    Stacks,
    Wanted,
    apply_change_set,
    make_change_set,
)
from pipeline.stack.listing import FoundStack
from pipeline.verbs.env_list import Known, Survey, survey
from pipeline.verbs.env_reap import Reaped, reap
from pipeline.verbs.which_function import Place

from tests.local.local_support import Seen, client
from tests.local.test_local_verbs import STACK
from tests.project.values_support import FUNCTION_SETTINGS, machine, write_settings
from tests.standins.octopus_server import KEY, Fault, OctopusServer
from tests.standins.octopus_state import State
from tests.words import refused

REGION = "eu-north-1"  # its stacks are those of this file alone
SETTINGS = f"""\
{FUNCTION_SETTINGS}
[tool.pipeline.environments.CI]
permanent = true
region = "eu-north-1"
account = "123456789012"

[tool.pipeline.environments.Production]
permanent = true
region = "eu-north-1"
account = "210987654321"

[tool.pipeline.octopus]
project = "Orders"
"""
MADE = "Made by env.create for Acme.Orders."


@dataclass
class Team:
    """A team's settings, its Octopus, and its AWS; `now` is its clock."""

    project: Project
    server: OctopusServer
    aws: LocalAws
    now: datetime = field(default_factory=utc_now)
    seen: Seen = field(default_factory=Seen)
    key: str = ""

    def client(self, service: str) -> Any:
        """Return a client in the team's region."""
        return client(self.aws, service)

    def stack(
        self, environment: str, expires: datetime | None = None, service: str = "Acme.Orders"
    ) -> None:
        """Make an environment's stack, as env.create does."""
        name = f"{environment}-Orders"
        end = {EXPIRES: f"{expires:%Y-%m-%dT%H:%MZ}"} if expires else {}
        marks = {SERVICE: service, ENVIRONMENT: environment, **end}
        stacks = Stacks(self.client("cloudformation"), time.sleep)
        wanted = Wanted(name, STACK.replace("RUNTIME", "python3.13"), {"FunctionName": name}, marks)
        change = make_change_set(stacks, wanted, keep_on_failure=False)
        apply_change_set(stacks, change, self.seen.reporter)

    def in_octopus(self, environment: str, text: str = MADE) -> None:
        """Make an environment in Octopus."""
        self.server.space.add("environments", {"Name": environment, "Description": text})

    def look(self, *, with_octopus: bool = True) -> Survey:
        """Look at everything."""
        here = machine(
            self.project.root,
            {
                "AWS_ACCESS_KEY_ID": self.key or self.aws.access_key,
                "AWS_SECRET_ACCESS_KEY": self.aws.secret_key,
            },
        )
        self.here = replace(here, now=lambda: self.now)
        access = Access(self.server.url, KEY) if with_octopus else Access("", "")
        try:
            reach = connect(Http({}), access, self.seen.reporter.warn)
        except PipelineError as error:
            return survey(self.project, self.here, error, local=False)
        return survey(self.project, self.here, reach, local=False)

    def reap(self, *, with_octopus: bool = True, dry_run: bool = False) -> Reaped:
        """Run env.reap."""
        found = self.look(with_octopus=with_octopus)
        return reap(self.project, found, self.here, self.seen.reporter, dry_run=dry_run)

    def stacks(self) -> list[str]:
        """Return the names of the stacks there are."""
        found = self.client("cloudformation").describe_stacks()["Stacks"]
        return sorted(one["StackName"] for one in found)


@pytest.fixture
def team(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    """Return a team; nothing is left of its stacks after the test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    project = Project.load(write_settings(tmp_path, SETTINGS))
    with OctopusServer(State(time.monotonic)) as server:
        made = Team(project, server, replace(aws, region=REGION))
        yield made
        made.now += timedelta(days=9999)
        for name in made.stacks():
            made.client("cloudformation").delete_stack(StackName=name)


def named(found: Survey, name: str) -> Known:
    """Return the environment of that name."""
    (one,) = (one for one in found.environments if one.name == name)
    return one


def test_what_is_known_of_an_environment_stands_side_by_side(team: Team) -> None:
    """Release, end and stack of each; what nobody owns stands out, and what is not read is said."""
    team.stack("CI")
    team.stack("test-1", team.now - timedelta(hours=3))
    team.stack("lost")
    team.stack("theirs", service="Acme.Other")
    for name in ("CI", "Production"):
        team.in_octopus(name, "by hand")
    team.in_octopus("test-1")
    team.in_octopus("bare")
    functions = team.client("lambda")
    functions.update_function_configuration(
        FunctionName="CI-Orders", Description=release_description("2.0.7", "a" * 40, "Orders")
    )
    found = team.look()
    assert [one.name for one in found.environments] == [
        "CI",
        "Production",
        "bare",
        "lost",
        "test-1",
    ]
    assert [bool(one.stack) for one in found.environments] == [True, False, False, True, True]
    ci = named(found, "CI")
    assert ci.function
    assert (ci.function.release, ci.function.commit) == ("2.0.7", "a" * 40)
    assert list(found.notes(ci)) == []
    over = {one.name: found.over(one) for one in found.environments}
    assert [name for name, why in over.items() if why] == ["lost", "test-1"]
    assert over["test-1"] == "it expired 3h ago"
    # Production's account is another one, so nobody knows whether a stack of `bare` is there.
    assert [text.partition(":")[2][:19] for text in found.unread] == [" AWS of Production:"]
    assert list(found.notes(named(found, "bare"))) == []
    lines = found.lines()
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.startswith("  over      ")]) == 2
    document = found.document()
    assert document["environments"][4]["stack"]["name"] == "test-1-Orders"
    assert document["unread"] == list(found.unread)


def test_what_is_over_goes_after_a_warning_whatever_happens_to_others(team: Team) -> None:
    """An expired one, one without its environment; one whose removal fails stays and is named."""
    end = team.now - timedelta(hours=1)
    for name in ("expired", "stuck", "tomorrow"):
        team.stack(name, end if name != "tomorrow" else team.now + timedelta(days=1))
        team.in_octopus(name)
    team.stack("orphan")
    team.stack("CI", end)
    team.in_octopus("CI", "by hand")
    assert team.reap(dry_run=True).warned == ("expired", "orphan", "stuck")
    first = team.reap()
    assert (first.environments, first.warned) == ((), ("expired", "orphan", "stuck"))
    assert len(team.stacks()) == 5
    stuck = team.server.space.named("environments", "stuck")["Id"]
    refusal = Fault(f"DELETE .*/environments/{stuck}", 400, body=b'{"ErrorMessage": "in use"}')
    team.server.faults.append(refusal)
    second = team.reap()
    assert second.environments == ("expired", "orphan")
    assert [text.partition(":")[0] for text in second.left] == ["stuck"]
    assert team.stacks() == ["CI-Orders", "stuck-Orders", "tomorrow-Orders"]
    third = team.reap()
    assert (third.environments, third.left) == (("stuck",), ())
    left = [one["Name"] for one in team.server.space.environments.values()]
    assert (team.stacks(), left) == (["CI-Orders", "tomorrow-Orders"], ["tomorrow", "CI"])


def test_only_an_end_counts_where_octopus_is_not_read(team: Team) -> None:
    """A stack may have its environment there; one that expired is over all the same."""
    team.stack("somewhere")
    team.stack("expired", team.now)
    assert team.reap(with_octopus=False).warned == ("expired",)
    assert team.reap(with_octopus=False).environments == ("expired",)
    assert team.stacks() == ["somewhere-Orders"]


def test_without_a_project_in_octopus_no_stack_misses_its_environment(team: Team) -> None:
    """Who deploys without Octopus makes stacks alone, on a server that has a key for it too."""
    team.stack("test-1")
    own = replace(team.project.octopus, project="")
    team.project = replace(team.project, octopus=own)
    assert team.reap() == Reaped((), (), (), dry_run=False)


def test_who_is_not_over_any_more_is_warned_anew(team: Team) -> None:
    """A warning ends with its reason."""
    team.stack("orphan")
    assert team.reap().warned == ("orphan",)
    team.in_octopus("orphan")
    assert team.reap().warned == ()
    team.server.space.environments.clear()
    assert team.reap().warned == ("orphan",)
    assert team.reap().environments == ("orphan",)


def test_a_protected_stack_is_permanent_also_without_its_declaration(team: Team) -> None:
    """The settings call Production something else now, and so does Octopus: it is not over."""
    team.stack("Once", team.now)
    team.client("cloudformation").update_termination_protection(
        StackName="Once-Orders", EnableTerminationProtection=True
    )
    try:
        assert team.look().over(named(team.look(), "Once")) == ""
        assert team.reap() == Reaped((), (), (), dry_run=False)
    finally:
        team.client("cloudformation").update_termination_protection(
            StackName="Once-Orders", EnableTerminationProtection=False
        )


def test_an_end_that_is_moved_while_others_are_removed_counts(team: Team) -> None:
    """A run may take an hour: what it read at its beginning is old by then."""
    team.stack("moved", team.now)
    assert team.reap().warned == ("moved",)
    warned = "env.reap warned of its end 2026-01-02T00:00Z. "
    team.in_octopus("noted", f"{warned}{MADE} Expires 2026-01-01T00:00Z.")
    found = team.look()
    over = [one.name for one in found.environments if found.over(one) and found.goes_at_once(one)]
    assert over == ["moved", "noted"]
    team.stack("moved", team.now + timedelta(days=1))
    (noted,) = team.server.space.environments.values()
    noted["Description"] = MADE
    done = reap(team.project, found, team.here, team.seen.reporter, dry_run=False)
    assert done.environments == ()
    assert (team.stacks(), len(team.server.space.environments)) == (["moved-Orders"], 1)


def test_nothing_read_is_an_error(team: Team) -> None:
    """A nightly job without any key must not look as if nothing was over."""
    team.key = "nobody's"
    assert len(team.look(with_octopus=False).unread) == 3
    with refused("env.reap", PipelineError):
        team.reap(with_octopus=False)


def test_a_removal_that_aws_held_up_goes_on_without_another_warning(tmp_path: Path) -> None:
    """As while AWS holds a network interface; a stack that is being changed is left to that."""
    project, here, seen = Project.load(write_settings(tmp_path)), machine(tmp_path), Seen()
    place = Place(project.environment("CI"), "", Connection(None, client))
    why = "The following resource(s) failed to delete: [SecurityGroup]."
    stack = FoundStack(
        "t-Orders", "t", "Acme.Orders", "", "DELETE_FAILED", why, utc_now(), "r", "1"
    )
    held = Known("t", "Acme.Orders", stack=stack, place=place)
    over = replace(stack, status="UPDATE_IN_PROGRESS", expires="2026-01-01T00:00Z")
    moving = replace(held, name="u", stack=over)
    unread = replace(held, name="v", stack=replace(over, status="CREATE_COMPLETE"), is_read=False)
    found = Survey(
        "Acme.Orders", utc_now(), (held, moving, unread), None,
        has_places=True, is_deployed_by_octopus=True,
    )  # fmt: skip
    done = reap(project, found, here, seen.reporter, dry_run=True)
    assert (done.environments, done.warned) == (("t",), ("v",))
    assert ["SecurityGroup" in line for line in seen.lines()] == [True, False, False]
    # Where no warning can be noted nothing is removed, not by the next run either.
    done = reap(project, replace(found, environments=(unread,)), here, seen.reporter, dry_run=False)
    assert (done.environments, done.warned, len(done.left)) == ((), (), 1)


def test_exit_1_names_what_is_left(
    team: Team, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verb's document has it, beside what went; and the listing is a document too."""
    for name in ("stuck", "gone"):
        ends = f"{MADE} Expires 2026-01-01T00:00Z."
        team.in_octopus(name, f"env.reap warned of its end 2026-01-02T00:00Z. {ends}")
    stuck = team.server.space.named("environments", "stuck")["Id"]
    team.server.faults.append(Fault(f"DELETE .*/environments/{stuck}", 400, body=b"{}"))
    for key, value in {
        "OCTOPUS_URL": team.server.url, "OCTOPUS_API_KEY": KEY,
        "AWS_ACCESS_KEY_ID": team.aws.access_key, "AWS_SECRET_ACCESS_KEY": team.aws.secret_key,
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    context = Context(Config(overrides={"pipeline": {"root": str(team.project.root)}}))
    with pytest.raises(Exit) as end:
        octopus.reap(context, json=True)
    said = capsys.readouterr()
    done = json.loads(said.out)
    assert end.value.code == 1
    assert (done["environments"], [text[:6] for text in done["left"]]) == (["gone"], ["stuck:"])
    assert "env.reap: stuck: env.delete stuck" in said.err
    octopus.list_(context, json=True)
    listed = json.loads(capsys.readouterr().out)["environments"]
    assert [one["name"] for one in listed] == ["CI", "Production", "stuck"]
