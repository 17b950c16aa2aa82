"""`release`: one release a project, deployed to environment after environment, and never twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.octopus.client import Access
from pipeline.verbs.status import elsewhere

from tests.octopus.octopus_support import (
    DEPLOYED,
    UNPACK,
    Events,
    Release,
    environment,
    orders,
    project_in,
)
from tests.project.values_support import machine
from tests.standins.octopus_server import KEY, Fault, OctopusServer
from tests.standins.octopus_state import Space
from tests.standins.octopus_steps import script_step, step
from tests.words import assert_said, refused

CREATED = "POST /api/Spaces-1/releases/create/v1"
space = pytest.fixture(orders)


@pytest.mark.parametrize("casing", ["Pascal", "camel"])
@pytest.mark.parametrize("version", ["2026.3.1024", "2022.2.1", "2019.1.0"])
def test_a_release_goes_from_environment_to_environment(
    server: OctopusServer, release: Release, events: Events, casing: str, version: str
) -> None:
    """On servers of every age and casing: release, CI, then Staging, each waited for."""
    space = orders(server)
    server.casing, server.state.version = casing, version
    done = release("ci", "Staging")
    assert done.deployed == ("CI", "Staging")
    assert done.left_out == ()
    assert events.finished == ["release", "deploy CI", "deploy Staging"]
    (made,) = space.releases.values()
    assert (made["Version"], made["SelectedPackages"][0]["Version"]) == ("2.0.7", "2.0.7")
    assert "Acme.Orders 2.0.7, main at aaaaaaa" in made["ReleaseNotes"]
    names = [space.environments[d["EnvironmentId"]]["Name"] for d in space.deployments.values()]
    assert names == ["CI", "Staging"]
    assert [line for line in events.lines if line == "unpacked"] == ["unpacked"] * 2
    assert len(done.tasks) == 2
    assert all(link.startswith(f"{server.url}/app#/") for link in done.tasks)
    assert any("create/" in r for r in server.requests) is (version == "2026.3.1024")


def test_more_than_two_environments_are_deployed_in_their_order(
    space: Space, release: Release
) -> None:
    """As many as are named."""
    environment(space, "Production")
    assert release("CI", "Staging", "Production").deployed == ("CI", "Staging", "Production")


def test_without_environments_only_the_release_is_made(space: Space, release: Release) -> None:
    """Nothing is deployed that nobody asked for."""
    assert release().deployed == ()
    assert len(space.releases) == 1
    assert space.deployments == {}


def test_a_prerelease_stops_after_the_first_environment(
    server: OctopusServer, space: Space, release: Release, events: Events
) -> None:
    """And says why, naming what it did not go to."""
    server.add_package("Acme.Orders", "2.0.7-fix")
    done = release("CI", "Staging", version="2.0.7-fix")
    assert (done.deployed, done.left_out) == (("CI",), ("Staging",))
    assert len(space.deployments) == 1
    (warning,) = events.warnings
    assert "prerelease" in warning
    assert "Staging" in warning


def test_all_projects_go_to_an_environment_together(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """One release each; their tasks are watched in one request; the next environment waits."""
    server.add_project("Orders Two", script_step("Acme.Orders"))
    done = release("CI", "Staging", projects=("Orders Two", "orders"))
    assert done.projects == ("Orders Two", "Orders")
    assert len(space.releases) == 2
    polls = [request for request in server.requests if "/tasks?" in request]
    assert any("ids=ServerTasks-1,ServerTasks-2" in request for request in polls)
    assert all("ids=S" in request for request in polls)
    where = [d["EnvironmentId"] for d in space.deployments.values()]
    assert where == sorted(where)


def test_a_step_of_another_channel_does_not_count(
    server: OctopusServer, release: Release, space: Space
) -> None:
    """Releases are made in the default channel: what runs in others only is no hindrance."""
    other = step("Octopus.TentaclePackage", "Acme.Orders")
    other["Actions"][0]["Channels"] = ["Channels-99"]
    server.add_project("Both", other, script_step("Acme.Orders"))
    assert release("CI", projects=("Both",)).deployed == ("CI",)
    assert len(space.deployments) == 1


def test_projects_are_chosen_by_a_prefix(
    server: OctopusServer, space: Space, release: Release, events: Events
) -> None:
    """In any case; a list that is given as well counts instead, with a warning."""
    server.add_project("Orders Two", script_step("Acme.Orders"))
    server.add_project("My Orders", script_step("Acme.Orders"))
    assert release(prefix="orders").projects == ("Orders", "Orders Two")
    assert release(prefix="orders", projects=("My Orders",)).projects == ("My Orders",)
    assert len(events.warnings) == 1
    assert len(space.releases) == 3
    with refused("Octopus projects", PipelineError):
        release(prefix="nothing")


def test_the_same_release_is_used_again(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """A release with the same package is fine, and is deployed once more."""
    release("CI")
    release("CI")
    assert len(space.releases) == 1
    assert len(space.deployments) == 2
    assert server.requests.count(CREATED) == 1


@pytest.mark.parametrize("version", ["2026.3.1024", "2019.1.0"])
def test_other_packages_of_the_process_have_versions_of_their_own(
    server: OctopusServer, space: Space, release: Release, version: str
) -> None:
    """Ours gets its version, the others what Octopus chooses, or what the last release had."""
    tools = step("Octopus.Script", "Acme.Tools")
    tools["Name"] = tools["Actions"][0]["Name"] = "Tools"
    server.add_project("Both", script_step("Acme.Orders"), tools)
    server.add_package("Acme.Tools", "0.3.0")
    server.add_package("Acme.Orders", "2.0.6")
    release(version="2.0.6", projects=("Both",))
    server.state.version = version
    release(projects=("Both",))
    made = [
        {package["ActionName"]: package["Version"] for package in found["SelectedPackages"]}
        for found in space.releases.values()
    ]
    assert made == [
        {"Deploy": "2.0.6", "Tools": "0.3.0"},
        {"Deploy": "2.0.7", "Tools": "0.3.0"},
    ]


def test_a_lost_answer_does_not_release_or_deploy_twice(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """What was done before the connection broke is found, what was not is done."""
    server.faults += [Fault(CREATED, "lose"), Fault(DEPLOYED, "lose"), Fault(DEPLOYED, "drop")]
    assert release("CI", "Staging").deployed == ("CI", "Staging")
    assert len(space.releases) == 1
    assert len(space.deployments) == 2
    assert server.requests.count(DEPLOYED) == 3


def test_deploy_a_package_works_on_a_machine_with_a_disk(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """The same step that a cloud region cannot run."""
    environment(space, "Production", "TentaclePassive")
    server.add_project("Unpacked", UNPACK)
    assert release("Production", projects=("Unpacked",)).deployed == ("Production",)


@pytest.mark.usefixtures("space")
def test_status_knows_the_releases_in_octopus(
    server: OctopusServer, release: Release, events: Events, tmp_path: Path
) -> None:
    """The newest first; an Octopus that cannot be asked is a warning, and without a key none."""
    server.add_package("Acme.Orders", "2.0.8")
    release()
    release(version="2.0.8")
    project, here = project_in(tmp_path), machine(tmp_path)
    found = elsewhere(project, here, Access(server.url, KEY), events.reporter)
    assert found.octopus == ["2.0.8", "2.0.7"]
    assert not elsewhere(project, here, Access(server.url, ""), events.reporter).octopus
    assert not events.warnings
    assert not elsewhere(project, here, Access(server.url, "API-WRONG"), events.reporter).octopus
    assert_said(events.warnings[0])
