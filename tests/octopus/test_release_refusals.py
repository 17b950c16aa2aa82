"""`release` refused: by Octopus or before it is asked, each time in words that say what next."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import Conflict, PipelineError, UsageError
from pipeline.octopus.client import Access
from pipeline.octopus.projects import Choice
from pipeline.octopus.waiting import Patience
from pipeline.package.inputs import Inputs, file_digest
from pipeline.project.buildserver import BuildServer
from pipeline.project.project import Project
from pipeline.project.worktree import WorkTree
from pipeline.verbs.build import BuildOptions
from pipeline.verbs.env_octopus import OctopusHalf
from pipeline.verbs.last_build import OUTPUT, Latest, write_last_build
from pipeline.verbs.push import PushOptions
from pipeline.verbs.release import (
    OctopusOptions,
    Released,
    build_and_deploy,
    release,
)
from pipeline.verbs.version import VersionOptions

from tests.octopus.octopus_support import (
    DEPLOYED,
    UNPACK,
    Clock,
    Events,
    Release,
    built,
    environment,
    orders,
    project_in,
)
from tests.project.values_support import machine
from tests.repositories import ROOT
from tests.standins.octopus_server import KEY, Fault, OctopusServer
from tests.standins.octopus_state import DEPLOYED as DONE
from tests.standins.octopus_state import FAILED, Document, Moment, Space
from tests.standins.octopus_steps import script_step, step
from tests.words import refused

space = pytest.fixture(orders)


@pytest.mark.usefixtures("space")
def test_what_is_not_there_is_named_all_at_once(server: OctopusServer, release: Release) -> None:
    """Projects and environments, before anything is made."""
    with refused("Octopus projects", PipelineError):
        release(projects=("One", "Orders", "Two"))
    with refused("Octopus environments", PipelineError):
        release("CI", "Test", "Trial")
    with refused("--environments", UsageError):
        release("CI", "ci")
    assert not [request for request in server.requests if request.startswith("POST")]


def test_missing_settings_are_named(server: OctopusServer, events: Events, tmp_path: Path) -> None:
    """The variables that lead to Octopus, in the same words by every verb; no request is made."""
    access, project = Access("", ""), project_in(tmp_path)
    options, package = OctopusOptions(access), built(tmp_path)
    for verb in (
        lambda: release(project, str(package), options, machine(tmp_path), events.reporter),
        OctopusHalf(
            project, "Trial", options, PushOptions(), machine(tmp_path), events.reporter
        ).make,
    ):
        with refused("Octopus", PipelineError):
            verb()
    assert server.requests == []


@pytest.mark.usefixtures("space")
@pytest.mark.parametrize(
    "named",
    [
        {"environments": ("Nowhere",)},
        {"projects": ("Nothing",)},
        {"choice": Choice("Beta")},
    ],
)
def test_names_are_looked_up_before_anything_is_built(
    server: OctopusServer, events: Events, tmp_path: Path, named: dict[str, Any]
) -> None:
    """`build --deploy` in a folder where a build would fail at once."""
    options = OctopusOptions(Access(server.url, KEY), **named)
    with refused(None, PipelineError):
        build_and_deploy(
            project_in(tmp_path), BuildOptions(VersionOptions()), PushOptions(), options,
            machine(tmp_path), events.reporter,
        )  # fmt: skip
    assert not (tmp_path / "build-output").exists()
    assert not [request for request in server.requests if request.startswith("POST")]


def last_built(root: Path, *, verified: bool) -> Project:
    """Return a project whose last build is there, of the files that lie there now."""
    project, folder = project_in(root), root / OUTPUT / "2.0.7"
    folder.mkdir(parents=True)
    tools = "scripts/requirements-build.txt"
    (root / "scripts").mkdir()
    shutil.copy(ROOT / "template" / tools, root / tools)
    package = built(root).rename(folder / "a.nupkg")
    with zipfile.ZipFile(package) as archive:
        for name in ("build.json", "function.zip"):
            archive.extract(name, folder)
    made = Latest(
        version="2.0.7",
        package=f"{OUTPUT}/2.0.7/a.nupkg",
        package_sha256=file_digest(package).hex(),
        inputs=Inputs.read(root, None, WorkTree.read(None, BuildServer())).digest,
        dirty=None,
        tested=True,
        verified=verified,
        why_not="" if verified else "it is dirty",
    )
    write_last_build(root, made)
    return project


@pytest.mark.usefixtures("space")
@pytest.mark.parametrize("deploys", [True, False], ids=["build --deploy", "release"])
def test_a_build_that_is_not_verified_goes_to_no_permanent_environment(
    server: OctopusServer, clock: Clock, events: Events, tmp_path: Path, *, deploys: bool
) -> None:
    """It is said before anything is pushed or released; `release` can be told to all the same."""
    project, here = last_built(tmp_path, verified=False), machine(tmp_path)
    options = OctopusOptions(Access(server.url, KEY), environments=("ci",))

    def go(options: OctopusOptions) -> Released:
        if not deploys:
            return release(project, None, options, here, events.reporter)
        feed = PushOptions(octopus=options.access)
        return build_and_deploy(project, BuildOptions(), feed, options, here, events.reporter)[2]

    with refused("deploy CI", PipelineError):
        go(options)
    assert not [request for request in server.requests if request.startswith("POST")]
    if not deploys:
        patience = Patience(clock=clock, sleep=clock.sleep)
        taken = replace(options, allow_dirty=True, patience=patience)
        assert go(taken).deployed == ("CI",)


@pytest.mark.parametrize(
    ("names", "where"),
    [(("CI",), "deploy CI"), (("Test-1",), "release"), ((), "release")],
    ids=["permanent", "made by env.create", "the release alone"],
)
def test_a_stale_build_is_not_released(
    server: OctopusServer, space: Space, clock: Clock, events: Events, tmp_path: Path,
    names: tuple[str, ...], where: str,
) -> None:  # fmt: skip
    """A file was saved since: nothing is asked of Octopus but what is there, wherever it goes."""
    environment(space, "Test-1")
    project = last_built(tmp_path, verified=True)
    (tmp_path / "new.txt").touch()
    patience = Patience(clock=clock, sleep=clock.sleep)
    options = OctopusOptions(Access(server.url, KEY), environments=names, patience=patience)
    with refused(where, PipelineError):
        release(project, None, options, machine(tmp_path), events.reporter)
    assert not [request for request in server.requests if request.startswith("POST")]


def test_a_missing_package_is_refused_in_the_servers_words(space: Space, release: Release) -> None:
    """With what to do: push it."""
    space.packages.clear()
    with refused("release Orders 2.0.7", PipelineError):
        release("CI")


@pytest.mark.parametrize("version", ["2026.3.1024", "2019.1.0"])
def test_a_release_with_another_package_is_refused(
    server: OctopusServer, space: Space, release: Release, version: str
) -> None:
    """What it holds is compared: the server would not."""
    server.state.version = version
    release()
    (made,) = space.releases.values()
    made["SelectedPackages"][0]["Version"] = "2.0.6"
    with refused("release Orders 2.0.7", Conflict):
        release("CI")
    assert space.deployments == {}


def test_an_old_server_needs_a_first_release_for_other_packages(
    server: OctopusServer, release: Release, space: Space
) -> None:
    """There is no version to take: the error names step and package."""
    server.state.version = "2019.1.0"
    server.add_project("Both", script_step("Acme.Orders"), step("Octopus.Script", "Acme.Tools"))
    with refused("release Both 2.0.7", PipelineError):
        release(projects=("Both",))
    assert space.releases == {}


def test_a_channels_refusal_comes_in_the_servers_words(
    server: OctopusServer, space: Space, release: Release
) -> None:
    """A rule against prereleases is named, and where to look."""
    server.add_package("Acme.Orders", "2.0.7-fix")
    (channel,) = space.channels.values()
    channel["Rules"] = [{"Tag": "^$"}]
    with refused("release Orders 2.0.7-fix", PipelineError):
        release("CI", version="2.0.7-fix")


def phase(space: Space, name: str) -> Document:
    """Return a phase with the environment of that name."""
    return {
        "Name": name,
        "AutomaticDeploymentTargets": [],
        "OptionalDeploymentTargets": [space.named("environments", name)["Id"]],
        "MinimumEnvironmentsBeforePromotion": 0,
        "IsOptionalPhase": False,
    }


def test_a_lifecycles_refusal_comes_in_the_servers_words(space: Space, release: Release) -> None:
    """Staging before CI is refused by Octopus, and the message names project and environment."""
    (lifecycle,) = space.lifecycles.values()
    lifecycle["Phases"] = [phase(space, "CI"), phase(space, "Staging")]
    with refused("deploy Staging", PipelineError):
        release("Staging")
    assert release("CI", "Staging").deployed == ("CI", "Staging")


@pytest.mark.parametrize(
    ("process", "style"),
    [
        (UNPACK, "None"),
        (script_step("Acme.Orders", "other.py"), "None"),
        (script_step("Acme.Other"), "None"),
        (step("Octopus.Script", "Acme.Orders"), "Ssh"),
    ],
)
def test_a_step_that_cannot_work_is_refused_before_anything_is_made(
    server: OctopusServer, release: Release, process: Document, style: str
) -> None:
    """The error names project and step, and how to correct it."""
    environment(server.space, "CI", style)
    server.add_project("Wrong", process)
    with refused(None, PipelineError) as error:
        release("CI", projects=("Wrong",))
    assert "project Wrong" in error.value.where
    assert not [request for request in server.requests if request.startswith("POST")]


def test_an_environment_without_a_machine_for_the_step_is_refused(
    space: Space, release: Release
) -> None:
    """Octopus would report success for a deployment to nothing."""
    for found in space.machines.values():
        found["Roles"] = ["web"]
    with refused("Octopus project Orders, step 'Deploy'", PipelineError):
        release("CI")


def test_a_failed_deployment_keeps_the_next_environment(
    server: OctopusServer, space: Space, release: Release, events: Events
) -> None:
    """The error names environment, project, release, task and link, and says what Octopus says."""
    server.state.script = lambda *_: FAILED
    with refused("deploy CI", PipelineError) as error:
        release("CI", "Staging")
    for text in ("deploy CI", "project Orders", "2.0.7", "ServerTasks-1", "Step 1 failed."):
        assert text in str(error.value)
    assert "error: the handler is missing" in events.lines
    assert len(space.deployments) == 1
    assert events.failed == ["deploy CI"]


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
    with refused("deploy CI", PipelineError):
        release("CI", "Staging", projects=("Orders", "Two"))
    assert "unpacked" in events.lines
    assert "frozen" in events.warnings[0]
    assert len(space.deployments) == 1
