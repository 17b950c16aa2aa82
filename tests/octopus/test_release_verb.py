"""`release`: one release a project, environment after environment, and every refusal in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline.errors import Conflict, PipelineError, UsageError
from pipeline.octopus.client import Access
from pipeline.octopus.waiting import Patience
from pipeline.verbs.release import OctopusOptions, Released, release_package

from tests.octopus.octopus_support import Clock, Events, built, project_in
from tests.standins.octopus_server import KEY, Fault, OctopusServer, script_step, step
from tests.standins.octopus_state import DEPLOYED as DONE
from tests.standins.octopus_state import FAILED, Document, Moment, Space
from tests.values.values_support import machine

Release = Callable[..., Released]
CREATED = "POST /api/Spaces-1/releases/create/v1"
DEPLOYED = "POST /api/Spaces-1/deployments/create/untenanted/v1"


def environment(space: Space, name: str, style: str = "None") -> Document:
    """Add an environment with one machine of the role `lambda`."""
    made = space.add("environments", {"Name": name, "Description": ""})
    endpoint = {"CommunicationStyle": style, "DefaultWorkerPoolId": ""}
    machine_ = {"Name": f"lambda-{name}", "EnvironmentIds": [made["Id"]], "Roles": ["lambda"]}
    space.add("machines", {**machine_, "Endpoint": endpoint})
    return made


@pytest.fixture
def space(server: OctopusServer) -> Space:
    """Return the default space, filled."""
    return orders(server)


def orders(server: OctopusServer) -> Space:
    """Fill the default space: CI, Staging, the project Orders and its package 2.0.7."""
    environment(server.space, "CI")
    environment(server.space, "Staging")
    server.add_project("Orders", script_step("Acme.Orders"))
    server.add_package("Acme.Orders", "2.0.7")
    return server.space


@pytest.fixture
def release(server: OctopusServer, clock: Clock, events: Events, tmp_path: Path) -> Release:
    """Return the verb on the package 2.0.7 in the environments named, by the test's clock."""

    def run(*environments: str, version: str = "2.0.7", **options: object) -> Released:
        patience = Patience(clock=clock, sleep=clock.sleep)
        chosen = OctopusOptions(
            Access(server.url, KEY),
            environments=environments,
            patience=patience,
            **options,  # type: ignore[arg-type]
        )
        package = built(tmp_path, version)
        project = project_in(tmp_path)
        return release_package(project, package, chosen, machine(tmp_path), events.reporter)

    return run


@pytest.mark.parametrize("casing", ["Pascal", "camel"])
@pytest.mark.parametrize("version", ["2026.3.1024", "2022.2.1", "2018.10.1"])
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


def test_a_failed_deployment_keeps_the_next_environment(
    server: OctopusServer, space: Space, release: Release, events: Events
) -> None:
    """The error names environment, project, release, task and link, and says what Octopus says."""
    server.state.script = lambda *_: FAILED
    with pytest.raises(PipelineError) as error:
        release("CI", "Staging")
    assert error.value.exit_code == 1
    for text in ("deploy CI", "project Orders", "2.0.7", "ServerTasks-1", "Step 1 failed."):
        assert text in str(error.value)
    assert f"{server.url}/app#/Spaces-1/tasks/ServerTasks-1" in error.value.then
    assert "error: the handler is missing" in events.lines
    assert len(space.deployments) == 1
    assert events.failed == ["deploy CI"]


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


def test_what_was_started_before_a_refusal_is_waited_for(
    server: OctopusServer, space: Space, release: Release, events: Events
) -> None:
    """The first project's deployment is watched to its end, then the second one's refusal told."""
    server.add_project("Two", script_step("Acme.Orders"))
    answer = b'{"ErrorMessage": "no", "Errors": ["The environment is frozen."]}'
    server.faults.append(Fault(DEPLOYED, 400, times=0, body=answer))

    def script(*_: str) -> tuple[Moment, ...]:
        server.faults[0].times = 1
        return DONE

    server.state.script = script
    with pytest.raises(PipelineError) as error:
        release("CI", "Staging", projects=("Orders", "Two"))
    assert "project Two" in error.value.what
    assert "The environment is frozen." in error.value.what
    assert "unpacked" in events.lines
    assert "frozen" in events.warnings[0]
    assert len(space.deployments) == 1


def test_a_step_of_another_channel_does_not_count(
    server: OctopusServer, release: Release, space: Space
) -> None:
    """Releases are made in the default channel: what runs in others only is no hindrance."""
    other = step("Octopus.TentaclePackage", "Acme.Orders")
    other["Actions"][0]["Channels"] = ["Channels-99"]
    other["Actions"][0]["Packages"] = []
    other["Actions"][0]["Properties"] = {"Octopus.Action.Package.PackageId": "Acme.Orders"}
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
    with pytest.raises(PipelineError, match="'nothing'"):
        release(prefix="nothing")


@pytest.mark.usefixtures("space")
def test_what_is_not_there_is_named_all_at_once(server: OctopusServer, release: Release) -> None:
    """Projects and environments, before anything is made."""
    with pytest.raises(PipelineError, match="One, Two"):
        release(projects=("One", "Orders", "Two"))
    with pytest.raises(PipelineError, match="Test, Trial") as error:
        release("CI", "Test", "Trial")
    assert "CI, Staging" in error.value.then
    with pytest.raises(UsageError):
        release("CI", "ci")
    assert not [request for request in server.requests if request.startswith("POST")]


def test_the_same_release_is_used_again(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """A release with the same package is fine, and is deployed once more."""
    release("CI")
    release("CI")
    assert len(space.releases) == 1
    assert len(space.deployments) == 2
    assert server.requests.count(CREATED) == 1


@pytest.mark.parametrize("version", ["2026.3.1024", "2018.10.1"])
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


def test_an_old_server_needs_a_first_release_for_other_packages(
    server: OctopusServer, release: Release, space: Space
) -> None:
    """There is no version to take: the error names step and package."""
    server.state.version = "2018.10.1"
    server.add_project("Both", script_step("Acme.Orders"), step("Octopus.Script", "Acme.Tools"))
    with pytest.raises(PipelineError, match=r"uses Acme\.Tools too"):
        release(projects=("Both",))
    assert space.releases == {}


@pytest.mark.parametrize("version", ["2026.3.1024", "2018.10.1"])
def test_a_release_with_another_package_is_refused(
    server: OctopusServer, space: Space, release: Release, version: str
) -> None:
    """What it holds is compared: the server would not."""
    server.state.version = version
    release()
    (made,) = space.releases.values()
    made["SelectedPackages"][0]["Version"] = "2.0.6"
    with pytest.raises(Conflict) as error:
        release("CI")
    assert "version 2.0.6 of Acme.Orders" in error.value.what
    assert space.deployments == {}


def test_a_lost_answer_does_not_release_or_deploy_twice(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """What was done before the connection broke is found, what was not is done."""
    server.faults += [Fault(CREATED, "lose"), Fault(DEPLOYED, "lose"), Fault(DEPLOYED, "drop")]
    assert release("CI", "Staging").deployed == ("CI", "Staging")
    assert len(space.releases) == 1
    assert len(space.deployments) == 2
    assert server.requests.count(DEPLOYED) == 3


def test_a_missing_package_is_refused_in_the_servers_words(space: Space, release: Release) -> None:
    """With what to do: push it."""
    space.packages.clear()
    with pytest.raises(PipelineError) as error:
        release("CI")
    assert error.value.where == "release Orders 2.0.7"
    assert "'Acme.Orders' version '2.0.7' was not found" in error.value.what
    assert "invoke push" in error.value.then


def test_a_channels_refusal_comes_in_the_servers_words(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """A rule against prereleases is named, and where to look."""
    server.add_package("Acme.Orders", "2.0.7-fix")
    (channel,) = space.channels.values()
    channel["Rules"] = [{"Tag": "^$"}]
    with pytest.raises(PipelineError) as error:
        release("CI", version="2.0.7-fix")
    assert "violates the pre-release tag '^$' of channel 'Default'" in error.value.what
    assert "channel" in error.value.then


def test_a_lifecycles_refusal_comes_in_the_servers_words(space: Space, release: Release) -> None:
    """Staging before CI is refused by Octopus, and the message names project and environment."""
    (lifecycle,) = space.lifecycles.values()
    lifecycle["Phases"] = [phase(space, "CI"), phase(space, "Staging")]
    with pytest.raises(PipelineError) as error:
        release("Staging")
    assert error.value.where == "deploy Staging"
    assert "project Orders, release 2.0.7" in error.value.what
    assert "cannot be deployed to 'Staging'" in error.value.what
    assert "lifecycle" in error.value.then
    assert release("CI", "Staging").deployed == ("CI", "Staging")


def phase(space: Space, name: str) -> Document:
    """Return a phase with the environment of that name."""
    return {
        "Name": name,
        "AutomaticDeploymentTargets": [],
        "OptionalDeploymentTargets": [space.named("environments", name)["Id"]],
        "MinimumEnvironmentsBeforePromotion": 0,
        "IsOptionalPhase": False,
    }


SCRIPT = script_step("Acme.Orders")
UNPACK = step("Octopus.TentaclePackage", "Acme.Orders")


@pytest.mark.parametrize(
    ("process", "style", "what"),
    [
        (UNPACK, "None", "has no disk"),
        (script_step("Acme.Orders", "other.py"), "None", "'other.py'"),
        (script_step("Acme.Other"), "None", "no step of its deployment process uses"),
        (step("Octopus.Script", "Acme.Orders"), "Ssh", "has its script elsewhere"),
    ],
)
def test_a_step_that_cannot_work_is_refused_before_anything_is_made(
    server: OctopusServer, release: Release, process: Document, style: str, what: str
) -> None:
    """The error names project and step, and how to correct it."""
    environment(server.space, "CI", style)
    server.add_project("Wrong", process)
    with pytest.raises(PipelineError) as error:
        release("CI", projects=("Wrong",))
    assert "project Wrong" in error.value.where
    assert what in error.value.what
    assert "deploy.py" in error.value.then
    assert not [request for request in server.requests if request.startswith("POST")]


def test_deploy_a_package_works_on_a_machine_with_a_disk(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """The same step that a cloud region cannot run."""
    environment(space, "Production", "TentaclePassive")
    server.add_project("Unpacked", UNPACK)
    assert release("Production", projects=("Unpacked",)).deployed == ("Production",)


def test_an_environment_without_a_machine_for_the_step_is_refused(
    space: Space, release: Release
) -> None:
    """Octopus would report success for a deployment to nothing."""
    for found in space.machines.values():
        found["Roles"] = ["web"]
    with pytest.raises(PipelineError, match="no machine in CI has the role lambda"):
        release("CI")


def test_missing_settings_are_named(server: OctopusServer, events: Events, tmp_path: Path) -> None:
    """The variables that lead to Octopus, and no request without them."""
    options = OctopusOptions(Access("", ""))
    with pytest.raises(PipelineError, match="not set: OCTOPUS_URL and OCTOPUS_API_KEY"):
        release_package(
            project_in(tmp_path), built(tmp_path), options, machine(tmp_path), events.reporter
        )
    assert server.requests == []
