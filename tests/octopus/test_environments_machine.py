"""The machine of a temporary environment: a cloud region of its own or a shared one, if it fits."""

from __future__ import annotations

import pytest
from pipeline.core.errors import PipelineError

from tests.octopus.octopus_support import UNPACK, Verbs, machines, tentacle_in_ci
from tests.standins.octopus_server import OctopusServer
from tests.standins.octopus_state import Document, Space
from tests.standins.octopus_steps import script_step
from tests.words import refused

BY_MACHINE = 'worker = "machine:Octopus Server"\n'
space = pytest.fixture(tentacle_in_ci)


def test_a_shared_machine_gets_the_environment_and_keeps_its_own(
    space: Space, verbs: Verbs
) -> None:
    """`machine:NAME` adds the environment to it, and takes it out again."""
    verbs.settings(BY_MACHINE)
    verbs.create("Test-1")
    assert machines(space) == {"Octopus Server": ["CI", "Test-1"]}
    (found,) = space.machines.values()
    assert found["Endpoint"]["CommunicationStyle"] == "TentaclePassive"
    assert (found["MachinePolicyId"], found["Thumbprint"]) == ("MachinePolicies-2", "AB12")
    verbs.delete("Test-1")
    assert machines(space) == {"Octopus Server": ["CI"]}


def test_the_worker_pool_is_found_by_name(space: Space, verbs: Verbs) -> None:
    """`worker-pool` names the pool of the cloud region; an unknown one is named."""
    verbs.settings('worker-pool = "default worker pool"\n')
    verbs.create("Test-1")
    region = next(m for m in space.machines.values() if m["Name"] == "Test-1-Orders")
    assert region["Endpoint"]["DefaultWorkerPoolId"] in space.pools
    verbs.settings('worker-pool = "Nowhere"\n')
    with refused("Octopus worker pool Nowhere", PipelineError):
        verbs.create("Test-2")


@pytest.mark.parametrize(
    ("process", "settings"),
    [
        (UNPACK, ""),
        (script_step("Acme.Orders", "deploy.ps1"), ""),
        (script_step("Acme.Other"), ""),
        (UNPACK, 'worker = "machine:Nowhere"\n'),
    ],
)
@pytest.mark.usefixtures("space")
def test_a_process_that_does_not_fit_is_refused_before_anything_is_made(
    server: OctopusServer, verbs: Verbs, process: Document, settings: str
) -> None:
    """The same check as a release's, for the machine that would be registered."""
    next(iter(server.space.processes.values()))["Steps"] = [process]
    verbs.settings(settings)
    with refused(None, PipelineError):
        verbs.create("Test-1")
    assert [r for r in server.requests if not r.startswith("GET")] == []


def test_deploy_a_package_fits_a_shared_machine(space: Space, verbs: Verbs) -> None:
    """With a disk, the step that a cloud region cannot run is fine."""
    next(iter(space.processes.values()))["Steps"] = [UNPACK]
    verbs.settings(BY_MACHINE)
    verbs.create("Test-1")
    assert machines(space)["Octopus Server"] == ["CI", "Test-1"]


def test_a_step_that_is_limited_to_others_is_refused(space: Space, verbs: Verbs) -> None:
    """Nothing would be deployed to the new environment."""
    (process,) = space.processes.values()
    process["Steps"][0]["Actions"][0]["Environments"] = ["Environments-1"]
    with refused("Octopus project Orders", PipelineError):
        verbs.create("Test-1")


@pytest.mark.usefixtures("space")
def test_a_step_that_does_not_fit_is_named_with_its_own_project(
    server: OctopusServer, verbs: Verbs
) -> None:
    """Of two projects the one that has the step."""
    server.add_project("Second", UNPACK)
    with refused("Octopus project Second, step 'Deploy'", PipelineError):
        verbs.half("Test-1", projects=("Orders", "Second")).make()
