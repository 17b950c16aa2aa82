"""What the tests of the Octopus client and of its verbs share."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.events import Event, Failed, Finished, Line, Reporter, Warned
from pipeline.core.manifest import FunctionFacts, Manifest, Source, ZipFacts
from pipeline.edge.http import Http
from pipeline.octopus.client import Access, Octopus, connect
from pipeline.project.project import Project
from pipeline.verbs.env_list import Survey, survey
from pipeline.verbs.env_octopus import OctopusHalf
from pipeline.verbs.env_reap import Reaped, reap
from pipeline.verbs.push import PushOptions
from pipeline.verbs.release import OctopusOptions, Released, connected

from tests.project.values_support import FUNCTION_SETTINGS, machine
from tests.standins.octopus_server import KEY, OctopusServer
from tests.standins.octopus_state import Document, Space
from tests.standins.octopus_steps import script_step, step

Release = Callable[..., Released]
DEPLOYED = "POST /api/Spaces-1/deployments/create/untenanted/v1"
UNPACK = step("Octopus.TentaclePackage", "Acme.Orders")


@dataclass
class Clock:
    """Seconds that pass only by sleeping; `at` runs something once when its time has come."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    plans: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds
        for plan in [plan for plan in self.plans if plan[0] <= self.now]:
            self.plans.remove(plan)
            plan[1]()

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Plan something."""
        self.plans.append((seconds, act))


@dataclass
class Events:
    """A sink that remembers."""

    all: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self.all.append(event)

    @property
    def reporter(self) -> Reporter:
        """Return a reporter that speaks to this sink."""
        return Reporter(self)

    @property
    def lines(self) -> list[str]:
        """The plain lines, without their indentation."""
        return [event.text.strip() for event in self.all if isinstance(event, Line)]

    @property
    def warnings(self) -> list[str]:
        """The warnings."""
        return [event.text for event in self.all if isinstance(event, Warned)]

    @property
    def finished(self) -> list[str]:
        """The stages that ended well."""
        return [event.stage for event in self.all if isinstance(event, Finished)]

    @property
    def failed(self) -> list[str]:
        """The stages that failed."""
        return [event.stage for event in self.all if isinstance(event, Failed)]


def package_file(folder: Path, package: str, version: str) -> Path:
    """Write the smallest package that a server can tell the name of."""
    path = folder / f"{package}.{version}.nupkg"
    names = f"<id>{package}</id><version>{version}</version>"
    nuspec = f"<package><metadata>{names}</metadata></package>"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}.nuspec", nuspec)
    return path


def opened(server: OctopusServer, clock: Clock, space: str = "") -> Octopus:
    """Return a connection to a stand-in that waits by the clock."""
    return connect(
        Http({}, sleep=clock.sleep), Access(server.url, KEY, space), Events().reporter.warn
    )


STRATEGY = "SemVerWithPatchFilledAutomaticallyWithBuildNumber"
SETTINGS = f"""\
{FUNCTION_SETTINGS.replace("GitTag", STRATEGY)}
[tool.pipeline.environments.CI]
permanent = true

[tool.pipeline.environments.Staging]
permanent = true

[tool.pipeline.octopus]
project = "Orders"
"""
FACTS = FunctionFacts("Orders", "python3.13", "arm64", "orders.handler.handle", "", {}, {})


def project_in(folder: Path, more: str = "") -> Project:
    """Return a project; `more` goes to the end of `[tool.pipeline.octopus]`."""
    (folder / "pyproject.toml").write_text(f"{SETTINGS}{more}", encoding="utf-8")
    return Project.load(folder)


def built(folder: Path, version: str = "2.0.7") -> Path:
    """Return a package as far as a release looks into one: its manifest."""
    path = package_file(folder, "Acme.Orders", version)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("orders/handler.py", "handle = print\n")
    digests = ZipFacts.of(code.getvalue(), 15, 1)
    source = Source("a" * 40, "main", dirty=False)
    manifest = Manifest("Acme.Orders", version, source, FACTS, digests, (), (), {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("build.json", manifest.to_json())
        archive.writestr("function.zip", code.getvalue())
    return path


def environment(space: Space, name: str, style: str = "None") -> Document:
    """Add an environment with one machine of the role `lambda`."""
    made = space.add("environments", {"Name": name, "Description": ""})
    endpoint = {"CommunicationStyle": style, "DefaultWorkerPoolId": ""}
    machine_ = {"Name": f"lambda-{name}", "EnvironmentIds": [made["Id"]], "Roles": ["lambda"]}
    space.add("machines", {**machine_, "Endpoint": endpoint})
    return made


def orders(server: OctopusServer) -> Space:
    """Fill the default space: CI, Staging, the project Orders and its package 2.0.7."""
    environment(server.space, "CI")
    environment(server.space, "Staging")
    server.add_project("Orders", script_step("Acme.Orders"))
    server.add_package("Acme.Orders", "2.0.7")
    return server.space


def tentacle_in_ci(server: OctopusServer) -> Space:
    """Fill the default space: CI, a Tentacle in it, and Orders with a script step."""
    environment = server.space.add("environments", {"Name": "CI", "Description": ""})
    server.space.add(
        "machines",
        {
            "Name": "Octopus Server",
            "EnvironmentIds": [environment["Id"]],
            "Roles": ["lambda"],
            "Endpoint": {"CommunicationStyle": "TentaclePassive", "Uri": "https://h:10933/"},
            "MachinePolicyId": "MachinePolicies-2",
            "Thumbprint": "AB12",
            "Uri": "https://h:10933/",
            "HealthStatus": "Healthy",
        },
    )
    server.add_project("Orders", script_step("Acme.Orders"))
    return server.space


def machines(space: Space) -> dict[str, list[str]]:
    """Return the machines with their environments' names."""
    return {
        found["Name"]: [space.environments[id_]["Name"] for id_ in found["EnvironmentIds"]]
        for found in space.machines.values()
    }


class Verbs:
    """The verbs on one server, by name, for a project with these settings."""

    def __init__(self, server: OctopusServer, folder: Path, events: Events) -> None:
        # With a key and no region no AWS is reached.
        self.machine = machine(folder, {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "-"})
        self.server, self.events = server, events
        self.project, self.folder = project_in(folder), folder

    def settings(self, text: str) -> None:
        """Use other settings of `[tool.pipeline.octopus]`."""
        self.project = project_in(self.folder, text)

    @property
    def options(self) -> OctopusOptions:
        """Return the options."""
        return OctopusOptions(Access(self.server.url, KEY))

    def create(self, name: str, expires: datetime | None = None) -> str:
        """Run env.create and return the environment's id."""
        half = self.half(name, expires)
        half.make()
        return half.made.id if half.made else ""

    def delete(self, name: str, confirm: str = "") -> bool:
        """Run env.delete."""
        return self.half(name).remove(confirm)

    def half(self, name: str, expires: datetime | None = None, **options: Any) -> OctopusHalf:
        """Return an environment's half in Octopus."""
        wanted, reporter = replace(self.options, **options), self.events.reporter
        push = PushOptions(octopus=wanted.access)
        return OctopusHalf(self.project, name, wanted, push, self.machine, reporter, expires)

    def listed(self) -> Survey:
        """Look as env.list does."""
        octopus = connected(self.options, {}, self.events.reporter)
        return survey(self.project, self.machine, octopus, local=False)

    def reap(self, *, dry_run: bool = False) -> Reaped:
        """Run env.reap."""
        reporter = self.events.reporter
        return reap(self.project, self.listed(), self.machine, reporter, dry_run=dry_run)
