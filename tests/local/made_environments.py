"""Whole environments in process: the embedded AWS and an Octopus, faults before each."""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import FunctionFacts, Manifest, Source, ZipFacts
from pipeline.deploy.aws_session import Connection, Credentials
from pipeline.deploy.main import deploy
from pipeline.deploy.observe import Wait
from pipeline.deploy.worker import WorkerContext
from pipeline.edge.machine import Machine
from pipeline.local.embedded import embedded_aws
from pipeline.octopus.client import Access
from pipeline.octopus.waiting import Patience
from pipeline.package.contents import Package
from pipeline.project.project import Project
from pipeline.runtime.function_code import LocalRuntime
from pipeline.verbs.env_octopus import OctopusHalf
from pipeline.verbs.env_place import Asked, Means, StackOptions
from pipeline.verbs.env_stack import create_stack, delete_stack
from pipeline.verbs.push import PushOptions
from pipeline.verbs.release import OctopusOptions

from tests.local.local_support import MINOR, Seen, zipped
from tests.local.test_local_verbs import STACK
from tests.octopus.octopus_support import Clock
from tests.project.values_support import FUNCTION_SETTINGS, machine
from tests.standins.faults import Faults, faults_before
from tests.standins.octopus_server import KEY, OctopusServer
from tests.standins.octopus_state import DEPLOYED, FAILED, Moment, State
from tests.standins.octopus_steps import script_step

SETTINGS = f"""\
{FUNCTION_SETTINGS.replace("python3.13", f"python{MINOR}").replace("orders.handler", "app")}\
bucket = "deployments/#{{Octopus.Environment.Name}}"
[tool.pipeline.function.environment]
GREETING = "hello"
[tool.pipeline.environments.CI]
permanent = true
account = "123456789012"
region = "eu-west-1"
[tool.pipeline.environments.CI.parameters]
Memory = "MEMORY"
[tool.pipeline.octopus]
project = "Orders"
"""
# As the template's: what load balancers wrote outlives a stack.
RETAINED = (
    STACK.replace("  Bucket:\n", "  Bucket:\n    DeletionPolicy: Retain\n", 1).replace(
        "RUNTIME", f"python{MINOR}"
    )
    + "Outputs:\n  BucketName: {Value: !Ref Bucket}\n"
)
CODE = """\
def handle(event, context):
    print('VERSION', event['Records'][0]['s3']['object']['key'])
"""


@dataclass
class Whole:
    """Both sides, with the verbs between them; `aws` goes past the faults."""

    folder: Path
    endpoint: str
    key: str
    octopus: OctopusServer
    aws_faults: Faults
    octopus_faults: Faults
    clock: Clock = field(default_factory=Clock)
    seen: Seen = field(default_factory=Seen)
    memory: int = 256
    permanent: str = "CI"
    through_octopus: bool = True
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, endpoint: str, service: str) -> Any:
        """Return a client that tries each call once."""
        if (endpoint, service) not in self._clients:
            self._clients[endpoint, service] = _session.create_client(
                service,
                region_name="eu-west-1",
                endpoint_url=endpoint,
                aws_access_key_id=self.key,
                aws_secret_access_key="any",  # noqa: S106 - the key alone is looked at
                config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
            )
        return self._clients[endpoint, service]

    def aws(self, service: str) -> Any:
        """Return a client past the faults."""
        return self.client(self.endpoint, service)

    def connect(self, _: Credentials, __: Mapping[str, str]) -> Connection:
        """Connect through the faults."""
        clients = partial(self.client, self.aws_faults.url)
        return Connection(clients("lambda"), clients, metric_delay=0.0)

    @property
    def project(self) -> Project:
        """Return the project, with the memory that is wanted."""
        text = SETTINGS.replace("MEMORY", str(self.memory))
        text = text.replace("environments.CI", f"environments.{self.permanent}")
        (self.folder / "pyproject.toml").write_text(text, encoding="utf-8")
        return Project.load(self.folder)

    @property
    def machine(self) -> Machine:
        """Return the machine, with a key for AWS."""
        keys = {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": "any"}
        return machine(self.folder, keys)

    @property
    def means(self) -> Means:
        """Return the means: no linter, deploys in this process, and waits that are short."""

        def directly(_: Project, package: Package, wish: Any, *__: Any) -> None:
            self.deploy(wish.environment, package)

        return Means(lambda *_: None, directly, self.connect, _briefly)

    def deploy(self, environment: str, package: Package) -> None:
        """Deploy as the worker does, in this process."""
        with tempfile.TemporaryDirectory() as scratch:
            package.unpack_like_octopus(Path(scratch) / "package")
            variables = {
                "Octopus.Environment.Name": environment,
                "Octopus.Release.Number": package.version,
                "AWS.Deployment.Region": "eu-west-1",
            }
            context = WorkerContext.from_globals({"octopusvariables": variables}, {})
            wait = Wait(sleep=_briefly)
            reporter = self.seen.reporter
            deploy(Path(scratch) / "package", context, reporter, connect=self.connect, wait=wait)

    def half(self, name: str) -> OctopusHalf | None:
        """Return the half in Octopus."""
        if not self.through_octopus:
            return None
        patience = Patience(clock=self.clock, sleep=self.clock.sleep)
        access = Access(self.octopus_faults.url, KEY)
        options = OctopusOptions(access, patience=patience)
        push = PushOptions(octopus=access, skip_duplicate=True)
        return OctopusHalf(self.project, name, options, push, self.machine, self.seen.reporter)

    def create(self, name: str, means: Means | None = None, **options: Any) -> dict[str, str]:
        """Run env.create."""
        wish = StackOptions(name, **{"like": "CI", "package": str(self.package()), **options})
        return create_stack(self.asked(wish, means), self.half(name))

    def delete(self, name: str, **options: Any) -> list[str]:
        """Run env.delete."""
        half = self.half(name)
        wish = StackOptions(name, **options)

        def remove() -> None:
            if half and wish.dry_run:
                for line in half.what_would_go():
                    self.seen.reporter.line(line)
            elif half:
                half.remove(wish.confirm)

        return delete_stack(self.asked(wish), remove)

    def asked(self, wish: StackOptions, means: Means | None = None) -> Asked:
        """Return what a verb is asked for."""
        how = means or self.means
        return Asked(self.project, wish, self.machine, self.seen.reporter, how)

    def package(self, version: str = "2.0.7", code: str = CODE) -> Path:
        """Return a package, made once."""
        path = self.folder / f"Acme.Orders.{version}.nupkg"
        if not path.exists():
            text = code.replace("VERSION", version)
            zip_ = zipped({"app.py": text})
            facts = FunctionFacts(
                "Orders", f"python{MINOR}", "arm64", "app.handle", "", {"GREETING": "hello"}, {},
                bucket="deployments/#{Octopus.Environment.Name}",
            )  # fmt: skip
            source = Source("a" * 40, "main", dirty=False)
            digests = ZipFacts.of(zip_, len(text), 1)
            manifest = Manifest("Acme.Orders", version, source, facts, digests, (), (), {})
            names = f"<id>Acme.Orders</id><version>{version}</version>"
            with zipfile.ZipFile(path, "w") as archive:
                nuspec = f"<package><metadata>{names}</metadata></package>"
                archive.writestr("Acme.Orders.nuspec", nuspec)
                archive.writestr("build.json", manifest.to_json())
                archive.writestr("function.zip", zip_)
        return path

    def served(self, name: str) -> tuple[str, int, str]:
        """Return what calls of `live` meet: release, megabytes, and a variable of the deploy's."""
        found = self.aws("lambda").get_function_configuration(
            FunctionName=f"{name}-Orders", Qualifier="live"
        )
        variables = found["Environment"]["Variables"]
        return found["Description"].split()[0], found["MemorySize"], variables["GREETING"]

    def leftovers(self, name: str) -> list[str]:
        """Return everything that has the environment's name, as both sides list it."""
        aws = self.aws
        stacks = aws("cloudformation").describe_stacks()["Stacks"]
        objects = aws("s3").list_object_versions(Bucket="deployments", Prefix=f"{name}/")
        found = [
            *(one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"),
            *(one["FunctionName"] for one in aws("lambda").list_functions()["Functions"]),
            *(one["Name"] for one in aws("s3").list_buckets()["Buckets"]),
            *(one["RoleName"] for one in aws("iam").list_roles()["Roles"]),
            *aws("sqs").list_queues().get("QueueUrls", ()),
            *(one["AlarmName"] for one in aws("cloudwatch").describe_alarms()["MetricAlarms"]),
            *(one["logGroupName"] for one in aws("logs").describe_log_groups()["logGroups"]),
            *(
                one["FunctionArn"]
                for one in aws("lambda").list_event_source_mappings()["EventSourceMappings"]
            ),
            *(one["Key"] for one in objects.get("Versions", ())),
            *(one["Name"] for one in self.octopus.space.environments.values()),
            *(one["Name"] for one in self.octopus.space.machines.values()),
        ]
        return [one for one in found if name in one]


_session = botocore.session.Session()


def _briefly(seconds: float) -> None:
    time.sleep(min(seconds, 0.02))


@contextmanager
def whole(folder: Path, runtimes: Mapping[str, LocalRuntime]) -> Iterator[Whole]:
    """Run both until the block ends, with the stack's file, and a file for its bucket."""
    clock = Clock()
    with (
        embedded_aws(folder / "aws", runtimes) as there,
        OctopusServer(State(clock)) as octopus,
        faults_before(there.endpoint) as aws_faults,
        faults_before(octopus.url) as octopus_faults,
    ):
        sample = folder / "tests" / "events" / "example-bucket" / "incoming" / "one.log"
        for path, text in ((folder / "environment" / "stack.yaml", RETAINED), (sample, "a line")):
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
        made = Whole(
            folder, there.endpoint, there.access_key, octopus, aws_faults, octopus_faults, clock
        )
        place = {"LocationConstraint": "eu-west-1"}
        made.aws("s3").create_bucket(Bucket="deployments", CreateBucketConfiguration=place)
        octopus.add_project("Orders", script_step("Acme.Orders"))

        def on_the_worker(_: str, environment: str, version: str) -> tuple[Moment, ...]:
            try:
                made.deploy(environment, Package.open(made.package(version)))
            except PipelineError:
                return FAILED
            return DEPLOYED

        octopus.state.script = on_the_worker
        yield made
        assert octopus.unknown == []
