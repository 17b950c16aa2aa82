"""Temporary environments: made with a machine, removed after it, and every step repeatable."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pipeline.core.errors import PipelineError, UsageError
from pipeline.edge.http import HttpError
from pipeline.octopus.environments import PHASE

from tests.octopus.octopus_support import Clock, Verbs, machines, tentacle_in_ci
from tests.project.values_support import NOON
from tests.standins.octopus_server import Fault, OctopusServer
from tests.standins.octopus_state import Document, Space
from tests.words import refused

space = pytest.fixture(tentacle_in_ci)


def phases(space: Space) -> list[tuple[str, list[str]]]:
    """Return the phases of the default lifecycle with their environments' names."""
    (lifecycle,) = space.lifecycles.values()
    return [
        (phase["Name"], [space.environments[id_]["Name"] for id_ in targets(phase)])
        for phase in lifecycle["Phases"]
    ]


def targets(phase: Document) -> list[str]:
    """Return the ids of a phase's environments."""
    return [*phase["AutomaticDeploymentTargets"], *phase["OptionalDeploymentTargets"]]


def with_phase(space: Space, *names: str) -> None:
    """Give the lifecycle one phase with these environments."""
    (lifecycle,) = space.lifecycles.values()
    lifecycle["Phases"].append(
        {
            "Id": "phase",
            "Name": "First",
            "AutomaticDeploymentTargets": [],
            "OptionalDeploymentTargets": [space.named("environments", n)["Id"] for n in names],
            "MinimumEnvironmentsBeforePromotion": 0,
            "IsOptionalPhase": False,
        }
    )


@pytest.mark.parametrize("casing", ["Pascal", "camel"])
def test_an_environment_comes_with_a_cloud_region_and_goes(
    server: OctopusServer, space: Space, verbs: Verbs, casing: str
) -> None:
    """Made with dynamic infrastructure, a machine of the step's role, in a phase of its own."""
    server.casing = casing
    with_phase(space, "CI")
    id_ = verbs.create("Test-1")
    assert space.environments[id_]["AllowDynamicInfrastructure"] is True
    (region,) = (found for found in space.machines.values() if id_ in found["EnvironmentIds"])
    assert region["Name"] == "Test-1-Orders"
    assert region["Roles"] == ["lambda"]
    assert region["Endpoint"] == {"CommunicationStyle": "None", "DefaultWorkerPoolId": ""}
    assert phases(space) == [(PHASE, ["Test-1"]), ("First", ["CI"])]
    assert verbs.delete("test-1") is True
    assert machines(space) == {"Octopus Server": ["CI"]}
    assert phases(space) == [("First", ["CI"])]
    assert [found["Name"] for found in space.environments.values()] == ["CI"]
    assert verbs.delete("Test-1") is False


def test_the_machine_goes_before_the_environment(
    server: OctopusServer, space: Space, verbs: Verbs
) -> None:
    """The order that leaves no machine without an environment."""
    verbs.create("Test-1")
    verbs.delete("Test-1")
    removals = [r.split("/")[-2] for r in server.requests if r.startswith("DELETE")]
    assert removals == ["machines", "environments"]
    assert len(space.machines) == 1


def test_creating_again_changes_nothing(server: OctopusServer, space: Space, verbs: Verbs) -> None:
    """The second time nothing is written."""
    with_phase(space, "CI")
    first = verbs.create("Test-1")
    seen = len(server.requests)
    assert verbs.create("Test-1") == first
    assert [r for r in server.requests[seen:] if not r.startswith("GET")] == []
    assert len(space.machines) == 2


@pytest.mark.parametrize("step_", ["POST /api/Spaces-1/machines", "PUT /api/Spaces-1/lifecycles"])
def test_a_half_made_environment_is_continued(
    server: OctopusServer, space: Space, verbs: Verbs, step_: str
) -> None:
    """After a failure in the middle the same command completes it."""
    with_phase(space, "CI")
    server.faults.append(Fault(step_, 400, body=b'{"ErrorMessage": "not now"}'))
    with refused(None, HttpError):
        verbs.create("Test-1")
    verbs.create("Test-1")
    assert machines(space)["Test-1-Orders"] == ["Test-1"]
    assert phases(space)[0] == (PHASE, ["Test-1"])


@pytest.mark.parametrize(
    ("step_", "kind"),
    [
        ("DELETE .*/machines", HttpError),
        ("PUT .*/lifecycles", HttpError),
        ("DELETE .*/env", PipelineError),
    ],
)
def test_a_half_removed_environment_is_continued(
    server: OctopusServer, space: Space, verbs: Verbs, step_: str, kind: type[PipelineError]
) -> None:
    """Whatever was done before the failure stays done."""
    with_phase(space, "CI")
    verbs.create("Test-1")
    server.faults.append(Fault(step_, 400, body=b'{"ErrorMessage": "not now"}'))
    with refused(None, kind):
        verbs.delete("Test-1")
    assert verbs.delete("Test-1") is True
    assert len(space.environments) == 1


def test_a_lost_answer_makes_no_second_environment(
    server: OctopusServer, space: Space, verbs: Verbs
) -> None:
    """The environment that was made is found and used; a lost removal is looked after."""
    server.faults.append(Fault("POST /api/Spaces-1/environments", "lose"))
    verbs.create("Test-1")
    assert len(space.environments) == 2
    server.faults.append(Fault("DELETE .*/environments", "lose"))
    assert verbs.delete("Test-1") is True


@pytest.mark.parametrize("name", ["CI", "staging"])
def test_permanent_environments_are_left_alone(
    server: OctopusServer, verbs: Verbs, name: str
) -> None:
    """Neither made nor removed, in any case of the name, and nothing is even asked."""
    assert (verbs.create(name), verbs.delete(name, confirm=name)) == ("", False)
    assert server.requests == []


def test_the_embedded_aws_is_no_environment_of_octopus(server: OctopusServer, verbs: Verbs) -> None:
    """It is refused before anything is asked."""
    with refused("env.create local", PipelineError):
        verbs.create("local")
    with refused("env.delete local", PipelineError):
        verbs.delete("local")
    assert server.requests == []


@pytest.mark.usefixtures("space")
def test_a_name_that_octopus_refuses_is_refused_first(server: OctopusServer, verbs: Verbs) -> None:
    """50 characters are its limit: the stand-in has it too."""
    with refused("environment name", UsageError):
        verbs.create("T" * 51)
    verbs.create("T" * 50)
    assert len([asked for asked in server.requests if asked.startswith("POST")]) == 2


def test_an_environment_of_others_is_not_taken_over(space: Space, verbs: Verbs) -> None:
    """It is neither changed nor removed; the latter only with its name repeated."""
    space.add("environments", {"Name": "Trial", "Description": "by hand"})
    with refused("env.create Trial", PipelineError):
        verbs.create("Trial")
    with refused("env.delete Trial", PipelineError):
        verbs.delete("Trial")
    assert verbs.delete("Trial", confirm="Trial") is True


def test_an_environment_of_another_service_keeps_its_place(space: Space, verbs: Verbs) -> None:
    """Only this service's machine goes; --confirm removes all of it."""
    identity = verbs.create("Test-1")
    space.environments[identity]["Description"] = "Made by env.create for Acme.Billing."
    space.add("machines", {"Name": "Test-1-Billing", "EnvironmentIds": [identity], "Roles": []})
    assert verbs.delete("Test-1") is False
    assert machines(space).get("Test-1-Billing") == ["Test-1"]
    assert "Test-1-Orders" not in machines(space)
    assert verbs.delete("Test-1", confirm="Test-1") is True
    assert identity not in space.environments


def test_what_refers_to_an_environment_is_listed(space: Space, verbs: Verbs) -> None:
    """Steps and phases of others that hold it, beside the server's own words."""
    id_ = verbs.create("Test-1")
    with_phase(space, "Test-1")
    (process,) = space.processes.values()
    process["Steps"][0]["Actions"][0]["Environments"] = [id_]
    with refused("env.delete Test-1", PipelineError):
        verbs.delete("Test-1")


def test_a_phase_for_any_environment_is_left_as_it_is(space: Space, verbs: Verbs) -> None:
    """A first entry would make it a phase for that environment alone."""
    with_phase(space)
    verbs.create("Test-1")
    assert phases(space) == [("First", [])]


def test_two_temporary_environments_share_the_phase(space: Space, verbs: Verbs) -> None:
    """It goes with the last of them."""
    with_phase(space, "CI")
    verbs.create("Test-1")
    verbs.create("Test-2")
    assert phases(space)[0] == (PHASE, ["Test-1", "Test-2"])
    verbs.delete("Test-1")
    assert phases(space)[0] == (PHASE, ["Test-2"])
    verbs.delete("Test-2")
    assert phases(space) == [("First", ["CI"])]


@pytest.mark.usefixtures("space")
def test_the_list_says_whose_they_are_and_what_is_in_them(verbs: Verbs) -> None:
    """Permanent ones, in Octopus or not yet, and ours with their end; AWS is not read, and said."""
    verbs.create("Test-1", expires=NOON + timedelta(hours=8))
    found = verbs.listed()
    assert [(e.name, e.is_permanent, bool(e.made), e.machines) for e in found.environments] == [
        ("CI", True, False, ("Octopus Server",)),
        ("Staging", True, False, ()),
        ("Test-1", False, True, ("Test-1-Orders",)),
    ]
    assert found.document()["environments"][2]["expires"] == "2026-11-23T20:00:00+00:00"
    assert len(found.unread) == 1
    assert found.unread[0].startswith("not read: AWS of CI: ")


def test_only_what_is_over_and_ours_is_reaped(space: Space, verbs: Verbs) -> None:
    """Not those without an end, nor those of another package; the first run only warns."""
    verbs.create("Over", expires=NOON - timedelta(minutes=1))
    verbs.create("Later", expires=NOON + timedelta(minutes=1))
    verbs.create("Endless")
    other = space.named("environments", "Over")["Description"].replace("Orders", "Other")
    space.add("environments", {"Name": "Another", "Description": other})
    assert verbs.reap(dry_run=True).warned == ("Over",)
    first = verbs.reap()
    assert (first.environments, first.warned) == ((), ("Over",))
    assert verbs.reap(dry_run=True).environments == ("Over",)
    assert len(space.environments) == 5
    second = verbs.reap()
    assert (second.environments, second.warned, second.left) == (("Over",), (), ())
    assert len(space.environments) == 4
    assert verbs.reap().environments == ()


def test_a_later_end_takes_the_warning_back(space: Space, verbs: Verbs) -> None:
    """Who is warned and makes it again, with another end, is warned of that one too."""
    verbs.create("Test-1", expires=NOON - timedelta(days=1))
    assert verbs.reap().warned == ("Test-1",)
    verbs.create("Test-1", expires=NOON)
    assert verbs.reap().warned == ("Test-1",)
    assert verbs.reap().environments == ("Test-1",)
    assert [found["Name"] for found in space.environments.values()] == ["CI"]


def test_one_that_octopus_keeps_does_not_keep_the_others(
    server: OctopusServer, space: Space, verbs: Verbs
) -> None:
    """What is left is named, and goes with the next run."""
    for name in ("One", "Two", "Three"):
        verbs.create(name, expires=NOON)
    verbs.reap()
    id_ = space.named("environments", "Three")["Id"]
    refusal = Fault(f"DELETE .*/environments/{id_}", 400, body=b'{"ErrorMessage": "in use"}')
    server.faults.append(refusal)
    done = verbs.reap()
    assert done.environments == ("One", "Two")
    assert [text.partition(":")[0] for text in done.left] == ["Three"]
    assert verbs.reap().environments == ("Three",)


def test_creating_again_moves_the_end(space: Space, verbs: Verbs) -> None:
    """A new end counts; without one the old stays."""
    id_ = verbs.create("Test-1", expires=NOON)
    verbs.create("Test-1")
    assert "2026-11-23T12:00Z" in space.environments[id_]["Description"]
    verbs.create("Test-1", expires=NOON + timedelta(days=2))
    assert "2026-11-25T12:00Z" in space.environments[id_]["Description"]


def test_somebody_elses_change_to_the_lifecycle_is_not_lost(
    server: OctopusServer, clock: Clock, space: Space, verbs: Verbs
) -> None:
    """A write that is undone by another one is noticed and repeated."""
    with_phase(space, "CI")
    # Accepted and then overwritten by somebody else, as far as we can see.
    server.faults.append(Fault("PUT .*/lifecycles", 200, body=b"{}"))
    verbs.create("Test-1")
    assert phases(space)[0] == (PHASE, ["Test-1"])
    assert len([r for r in server.requests if r.startswith("PUT") and "lifecycles" in r]) == 2
    assert clock.now == 0
