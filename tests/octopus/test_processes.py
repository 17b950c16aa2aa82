"""Deployment processes: in git or in the database, with templates, channels and steps of others."""

from __future__ import annotations

import pytest
from pipeline.core.errors import Conflict, PipelineError, UsageError
from pipeline.octopus.projects import Choice

from tests.octopus.octopus_support import Release, Verbs, environment, orders
from tests.standins.octopus_server import OctopusServer
from tests.standins.octopus_state import Document, Space
from tests.standins.octopus_steps import script_step, step
from tests.words import refused

SERVERS = ("2026.3.1024", "2022.2.1")
space = pytest.fixture(orders)
DEPLOYING = script_step("Acme.Orders")
OF_OTHERS = script_step("Acme.Other")


@pytest.fixture
def in_git(server: OctopusServer, space: Space) -> Document:
    """Return the project, which has a step of the package on the branch `change/1` alone."""
    (project,) = space.projects.values()
    server.add_branch(project, "main", OF_OTHERS)
    server.add_branch(project, "change/1", DEPLOYING)
    return project


@pytest.mark.parametrize("version", SERVERS)
def test_a_version_controlled_project_is_read_and_released_at_its_default_branch(
    server: OctopusServer, space: Space, release: Release, version: str
) -> None:
    """Process, template and release have its git reference."""
    server.state.version = version
    (project,) = space.projects.values()
    server.add_branch(project, "main", DEPLOYING)
    assert release("CI").deployed == ("CI",)
    (made,) = space.releases.values()
    assert made["VersionControlReference"] == {"GitRef": "refs/heads/main"}
    asked = [request for request in server.requests if "deploymentprocesses" in request]
    assert {request.split("/")[5] for request in asked} == {"main"}


@pytest.mark.parametrize("version", SERVERS)
def test_a_branch_is_named_by_its_flag(
    server: OctopusServer, space: Space, release: Release, in_git: Document, version: str
) -> None:
    """One with a slash in its name; the default one, without the step, is refused by itself."""
    server.state.version = version
    with refused("Octopus project Orders", PipelineError):
        release("CI")
    assert release("CI", choice=Choice(git_ref="change/1")).projects == (in_git["Name"],)
    (made,) = space.releases.values()
    assert made["VersionControlReference"] == {"GitRef": "refs/heads/change/1"}
    server.add_branch(in_git, "other", DEPLOYING)
    with refused("release Orders 2.0.7", Conflict):
        release("CI", choice=Choice(git_ref="other"))


@pytest.mark.usefixtures("in_git")
def test_a_branch_that_is_not_there_is_named(server: OctopusServer, release: Release) -> None:
    """Before anything is made."""
    with refused("Octopus project Orders", PipelineError):
        release("CI", choice=Choice(git_ref="nowhere"))
    assert not [request for request in server.requests if request.startswith("POST")]


@pytest.mark.usefixtures("space")
def test_a_reference_for_projects_without_git_is_wrong_usage(release: Release) -> None:
    """Octopus would refuse the release."""
    with refused("--git-ref", UsageError):
        release("CI", choice=Choice(git_ref="main"))


def test_a_step_in_git_that_keeps_an_environment_is_named(
    server: OctopusServer, space: Space, verbs: Verbs
) -> None:
    """What `env.delete` lists is found in version-controlled projects too."""
    (project,) = space.projects.values()
    server.add_branch(project, "main", DEPLOYING, script_step("Acme.Other"))
    created = verbs.create("Test-1")
    process = space.processes[space.branches[project["Id"], "main"]]
    process["Steps"][1]["Actions"][0]["Environments"] = [created]
    with refused("env.delete Test-1", PipelineError):
        verbs.delete("Test-1")


@pytest.mark.parametrize("git", [True, False])
def test_process_templates_are_resolved(
    server: OctopusServer, space: Space, release: Release, *, git: bool
) -> None:
    """A step that deploys may come from a template; one that is not shared any more is no step."""
    (project,) = space.projects.values()
    usage = {"Name": "Lambda", "Type": "ProcessTemplateUsage", "Actions": [], "Properties": {}}
    if git:
        server.add_branch(project, "main", usage)
    else:
        next(iter(space.processes.values()))["Steps"] = [usage]
    with refused("Octopus project Orders", PipelineError):
        release("CI")
    space.process_templates["Lambda"] = [DEPLOYING]
    assert release("CI").deployed == ("CI",)


def channel(space: Space, name: str) -> Document:
    """Add a channel to the only project."""
    (project,) = space.projects
    document = {"ProjectId": project, "Name": name, "IsDefault": False, "Rules": []}
    return space.add("channels", document)


@pytest.mark.parametrize("version", SERVERS)
def test_steps_are_judged_and_releases_are_made_in_one_channel(
    server: OctopusServer, space: Space, release: Release, version: str
) -> None:
    """The one that is named, in any case and on any page of the list, else the default one."""
    server.state.version = version
    for number in range(120):
        channel(space, f"Other {number}")
    hotfix = channel(space, "Hotfix")
    (process,) = space.processes.values()
    process["Steps"][0]["Actions"][0]["Channels"] = [hotfix["Id"]]
    with refused("Octopus project Orders", PipelineError):
        release("CI")
    assert release("CI", choice=Choice("hotfix")).deployed == ("CI",)
    (made,) = space.releases.values()
    assert made["ChannelId"] == hotfix["Id"]
    process["Steps"][0]["Actions"][0]["Channels"] = []
    with refused("release Orders 2.0.7", Conflict):
        release("CI")


def test_a_channel_that_is_not_there_is_named(server: OctopusServer, release: Release) -> None:
    """With those that are."""
    orders(server)
    with refused("Octopus project Orders", PipelineError):
        release("CI", choice=Choice("Beta"))


def test_other_steps_may_use_the_package(space: Space, release: Release, verbs: Verbs) -> None:
    """Its stack's template, an inline smoke test: one step that runs deploy.py is enough."""
    stack = step("Octopus.AwsRunCloudFormation", "Acme.Orders", roles="")
    smoke = step("Octopus.Script", "Acme.Orders", Octopus__Action__Script__ScriptSource="Inline")
    smoke["Actions"][0]["Packages"][0]["Name"] = "orders"
    (process,) = space.processes.values()
    process["Steps"] = [stack, *process["Steps"], smoke]
    assert release("CI").deployed == ("CI",)
    verbs.create("Test-1")
    process["Steps"] = [stack, smoke]
    with refused("Octopus project Orders", PipelineError):
        release("CI")


def test_a_script_of_another_package_is_not_ours(space: Space, release: Release) -> None:
    """Its deploy.py is in its own primary package; ours is an additional one."""
    (process,) = space.processes.values()
    (action,) = process["Steps"][0]["Actions"]
    tools = {**action["Packages"][0], "PackageId": "Acme.Tools"}
    action["Packages"] = [tools, {**action["Packages"][0], "Name": "orders"}]
    with refused("Octopus project Orders", PipelineError):
        release("CI")


def test_names_may_have_blanks_in_them_and_between_them(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """As they come from a build server's field, which is split at blanks."""
    environment(space, "Pre Production")
    server.add_project("Orders Two", DEPLOYING)
    done = release("ci pre production Staging", projects=("Orders Two orders",))
    assert done.deployed == ("CI", "Pre Production", "Staging")
    assert done.projects == ("Orders Two", "Orders")
    with refused("--environments", UsageError):
        release("CI staging ci")
    nowhere = "CI " + "Nowhere " * 40
    with refused("Octopus environments", PipelineError):
        release(nowhere)


def test_environments_are_named_to_octopus(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """The executions API takes names: an id is no name."""
    assert release("ci").deployed == ("CI",)
    (body,) = server.posted("deployments/create")
    assert (body["environmentNames"], body["projectName"]) == (["CI"], "Orders")
    assert len(space.deployments) == 1
