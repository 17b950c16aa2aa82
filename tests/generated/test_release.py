"""A built package through Octopus, as a build server does it: the verbs as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.generated.repository import Repository, environment, set_up_child, wait_for_text
from tests.standins.octopus_server import KEY, TOKEN, OctopusServer
from tests.standins.octopus_state import Moment, State
from tests.standins.octopus_steps import script_step

GATE = """\
import os


def test_the_environment_is_right():
    assert os.environ["ENVIRONMENT"] == "CI"
    assert not [name for name in os.environ if name.startswith("OCTOPUS_")]
"""


@pytest.fixture
def octopus() -> Iterator[OctopusServer]:
    """Return a stand-in with CI and Staging, each with a cloud region."""
    with OctopusServer(State(time.monotonic)) as server:
        for name in ("CI", "Staging"):
            made = server.space.add("environments", {"Name": name, "Description": ""})
            machine = {"Name": name, "EnvironmentIds": [made["Id"]], "Roles": ["lambda"]}
            endpoint = {"CommunicationStyle": "None", "DefaultWorkerPoolId": ""}
            server.space.add("machines", {**machine, "Endpoint": endpoint})
        yield server
    assert server.unknown == []


def access(server: OctopusServer) -> dict[str, str]:
    """Return the variables that lead to a stand-in, with both credentials."""
    return {"OCTOPUS_URL": server.url, "OCTOPUS_API_KEY": KEY, "OCTOPUS_ACCESS_TOKEN": TOKEN}


def prepared(repository: Repository, server: OctopusServer, verb: str = "package") -> str:
    """Build version 1.0.7 and let Octopus have it and a project for it; return the package id."""
    repository.must(verb, "--build-number", "7")
    package = repository.nuspec().removeprefix("src/").removesuffix(".nuspec")
    server.add_project("ELB Logs Processor", script_step(package))
    server.add_package(package, "1.0.7")
    return package


@pytest.mark.slow
def test_a_build_goes_through_ci_and_its_tests_to_staging(
    repository: Repository, octopus: OctopusServer
) -> None:
    """Release with notes, CI, post-deployment tests that stop it there; then on to Staging."""
    repository.write("tests/post_deployment/test_gate.py", GATE)
    repository.commit("Test what was deployed")
    prepared(repository, octopus, "build")
    words = ("release", "--environments", "ci,Staging")
    done = repository.verb(*words, "--json", extra=access(octopus))
    assert done.code == 1
    assert done.document["error"]["where"] == "test Staging"
    assert "'Staging' == 'CI'" in done.document["error"]["what"]
    assert len(octopus.space.deployments) == 2
    assert "Test what was deployed" in next(iter(octopus.space.releases.values()))["ReleaseNotes"]
    repository.edit("tests/post_deployment/test_gate.py", '== "CI"', 'in ("CI", "Staging")')
    package = f"build-output/{repository.latest()['version']}"
    (file,) = (repository.root / package).glob("*.nupkg")
    again = repository.must(
        "release", str(file), "--environments=CI,Staging", extra=access(octopus)
    )
    assert "1 passed, post-deployment" in again.err
    assert "deploy Staging" in again.err
    assert KEY not in again.err + again.out
    assert TOKEN not in again.err + again.out
    assert repository.output() == [
        "1.0.7", "latest.json", "post-deployment-CI.xml", "post-deployment-Staging.xml",
        "tests.xml",
    ]  # fmt: skip


@pytest.mark.slow
def test_one_command_builds_pushes_releases_and_deploys(
    repository: Repository, octopus: OctopusServer
) -> None:
    """`build --deploy` with the original's parameters; a missing key stops it before the build."""
    package = repository.nuspec().removeprefix("src/").removesuffix(".nuspec")
    octopus.add_project("ELB Logs Processor", script_step(package))
    words = ("build", "--build-number", "8", "--deploy", "--environments", "CI,Staging")
    repository.refused(1, "Octopus", *words)
    assert repository.output() == []
    done = repository.must(*words, "--component", "any", "--json", extra=access(octopus))
    # One connection, and so one warning where the key travels unencrypted.
    assert len([asked for asked in octopus.requests if "/api/spaces?" in asked]) == 1
    assert done.document["pushed"]["sent"] is True
    assert done.document["released"]["deployed"] == ["CI", "Staging"]
    assert done.document["version"] == "1.0.8"
    again = repository.must(*words, "--json", extra=access(octopus))
    assert again.document["pushed"]["sent"] is False
    assert KEY not in done.err + done.out
    misplaced = repository.verb("build", "--environments", "CI")
    assert misplaced.code == 2


def test_a_temporary_environment_by_its_verbs(
    repository: Repository, octopus: OctopusServer
) -> None:
    """env.create, release to it, env.list, env.delete, env.reap: each with its document."""
    package = prepared(repository, octopus)
    extra = access(octopus)
    made = repository.must("env.create", "Test-1", "--expires", "8h", "--json", extra=extra)
    assert made.document["environment"] == "Test-1"
    done = repository.must("release", "--environments", "Test-1", "--json", extra=extra)
    assert done.document["deployed"] == ["Test-1"]
    listed = repository.must("env.list", "--json", extra=extra).document["environments"]
    assert [found["owner"] for found in listed] == ["", "", "", package]
    reaped = repository.must("env.reap", "--json", extra=extra).document
    assert reaped == {"environments": [], "warned": [], "left": [], "dry_run": False}
    gone = repository.must("env.delete", "test-1", "--json", extra=extra).document
    assert gone == {"environment": "test-1", "removed": True, "left": []}
    repository.refused(1, "env.delete CI", "env.delete", "CI", extra=extra)
    assert len(octopus.space.environments) == 2


def test_wrong_usage_is_said_before_anything_happens(
    repository: Repository, octopus: OctopusServer
) -> None:
    """Exit code 2, and nothing is sent."""
    prepared(repository, octopus)
    for words in (
        ("release", "--wait", "soon"),
        ("release", "--wait=-1"),
        ("release", "--environments", "CI,ci"),
        ("env.create", "Test-1", "--expires", "tomorrow"),
        ("env.create",),
    ):
        done = repository.verb(*words, extra=access(octopus))
        assert done.code == 2, done.err
    assert octopus.requests == []


def test_ctrl_c_cancels_the_deployment(repository: Repository, octopus: OctopusServer) -> None:
    """The verb ends with 130 and says that the task was cancelled; nothing goes on unwatched."""
    prepared(repository, octopus)
    octopus.state.script = lambda *_: (Moment(0.0, "at work", state="Executing"),)
    log = repository.root / ".pipeline" / "release.log"
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            repository.command("release", "--environments", "CI", "--allow-dirty"),
            env=environment(access(octopus)),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            process_group=0,
            preexec_fn=set_up_child,  # noqa: PLW1509 - what the stand-in's threads hold is not used
        )
        wait_for_text(log, "at work")
        os.killpg(child.pid, signal.SIGINT)
        code = child.wait(timeout=120)
    said = log.read_text(encoding="utf-8")
    assert code == 130, said
    assert "task ServerTasks-1 was cancelled" in said
    assert "Traceback" not in said
    assert octopus.space.tasks["ServerTasks-1"].state(time.monotonic()) == "Canceled"


def test_the_key_may_come_on_standard_input(repository: Repository, octopus: OctopusServer) -> None:
    """`-` reads it; flags that are build's alone work, with a line each, and a key is hidden."""
    url = {"OCTOPUS_URL": octopus.url}
    quiet = repository.must("env.list", extra=url | {"OCTOPUS_API_KEY": "-"}, stdin=f"{KEY}\n")
    loud = repository.must(
        "env.list", "--octopus-server-url", octopus.url, f"--octopus-api-key={KEY}"
    )
    assert "CI" in quiet.err
    # Of AWS, which has no key here.
    assert quiet.err.count("warning: ") == quiet.err.count("warning: not read: AWS of CI: ") == 1
    assert "CI" in loud.err
    assert loud.err.count("warning") == 3
    assert "set OCTOPUS_API_KEY instead" in loud.err
    assert KEY not in loud.err
