"""A function in the embedded AWS, with its strict layer, and a place before it for faults."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from pipeline.deploy.aws_session import Connection, Credentials
from pipeline.deploy.main import deploy
from pipeline.deploy.plan import Applied
from pipeline.deploy.worker import WorkerContext
from pipeline.local.embedded import embedded_aws
from pipeline.local.strict import Settling

from tests.deploy.deploy_support import (
    COMMIT,
    NAME,
    OLD,
    Clock,
    Recorder,
    function_zip,
    manifest,
    octopus_variables,
    write_package,
)
from tests.standins.faults import Faults, faults_before

REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/greeter"
# Seconds until a change has settled, by the clock of the deploy: it has to ask twice.
SETTLES = 0.5


def code_of(release: str) -> bytes:
    """Return the code of a release."""
    return function_zip(f"VERSION = {release!r}\n")


@dataclass
class StrictAws:
    """The embedded AWS at `endpoint`, with the key that opens it, and deploys to it.

    What goes through `faults` may fail by script; `lambdas` goes past it. Clients try once.
    """

    endpoint: str
    faults: Faults
    key: str
    folder: Path
    clock: Clock
    lambdas: Any = None
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def client(self, endpoint: str, service: str = "lambda") -> Any:
        """Return a client that is made once, which takes a while."""
        if (endpoint, service) not in self._clients:
            self._clients[endpoint, service] = self.new_client(endpoint, service)
        return self._clients[endpoint, service]

    def new_client(self, endpoint: str, service: str) -> Any:
        """Return one more client of a service, that tries each call once."""
        return _session.create_client(
            service,
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key="any",  # noqa: S106 - the key alone is looked at
            config=Config(retries={"total_max_attempts": 1}),
        )

    def package(self, release: str) -> Path:
        """Return the data files of a release's package."""
        folder = self.folder / release
        if not folder.exists():
            facts = replace(manifest(code_of(release)), version=release)
            write_package(folder, facts, code_of(release))
        return folder

    def fresh(self) -> str:
        """Make a function as its stack does, let it serve release 2.0.7, and return its name."""
        name = f"{NAME}-{next(self._numbers)}"
        self.lambdas.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=ROLE,
            Handler="placeholder.handle",
            Code={"ZipFile": OLD},
            Architectures=["arm64"],
            Environment={"Variables": {"OWNED_BY_STACK": "42"}},
        )
        self.lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
        self.clock.seconds += SETTLES
        self.deploy("2.0.7", name)
        return name

    def deploy(
        self, release: str, name: str, through: Faults | None = None, **variables: str
    ) -> tuple[Applied, Recorder]:
        """Deploy a release; return what came of it and what was said, or raise as the deploy."""
        functions = self.client(through.url) if through else self.lambdas
        return self.deploy_by(functions, release, name, **variables)

    def deploy_by(
        self, functions: Any, release: str, name: str, **variables: str
    ) -> tuple[Applied, Recorder]:
        """Deploy a release with this Lambda client."""

        def connect(_: Credentials, __: Mapping[str, str]) -> Connection:
            return Connection(
                functions,
                partial(self.client, self.endpoint),
                now=lambda: datetime.now(UTC) + timedelta(seconds=self.clock.seconds),
                metric_delay=0.0,
            )

        given = {"AWS_Lambda_Function_Name": name, "Octopus_Release_Number": release, **variables}
        script = {"octopusvariables": octopus_variables(**given)}
        context = WorkerContext.from_globals(script, {})
        said = Recorder()
        package, wait = self.package(release), self.clock.wait()
        return deploy(package, context, said.reporter, connect=connect, wait=wait), said

    def edit(self, name: str, **variables: str) -> None:
        """Set variables in the console: it keeps the others, and waits until it may."""
        self.clock.seconds += SETTLES
        there = self.lambdas.get_function_configuration(FunctionName=name)["Environment"]
        environment = {"Variables": {**there["Variables"], **variables}}
        self.lambdas.update_function_configuration(FunctionName=name, Environment=environment)

    def served(self, name: str) -> dict[str, Any]:
        """Return the configuration of the version that all calls of the alias meet."""
        alias = self.lambdas.get_alias(FunctionName=name, Name="live")
        assert not (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"), alias
        found = self.lambdas.get_function_configuration(FunctionName=name, Qualifier="live")
        return dict(found)

    def release_served(self, name: str) -> str:
        """Return the release that the alias serves, which must be whole: code and settings."""
        found = self.served(name)
        release = str(found["Description"]).split()[0] if found["Description"] else ""
        if found["Version"] == "$LATEST":
            return ""  # none was deployed yet
        expected = manifest(code_of(release))
        assert found["CodeSha256"] == expected.function_zip.code_sha256, found
        assert found["Handler"] == expected.function.handler
        assert found["Runtime"] == expected.function.runtime
        assert COMMIT[:12] in found["Description"]
        assert found["Environment"]["Variables"].items() >= {"GREETING": "hello"}.items()
        return release


_session = botocore.session.Session()


@contextmanager
def strict_aws(folder: Path, settles: float = SETTLES) -> Iterator[StrictAws]:
    """Run one until the block ends, with the role that functions need."""
    clock = Clock()
    settling = Settling(settles, lambda: clock.seconds)
    with (
        embedded_aws(folder / "aws", {}, settling=settling) as there,
        faults_before(there.endpoint) as faults,
    ):
        aws = StrictAws(there.endpoint, faults, there.access_key, folder, clock)
        aws.lambdas = aws.client(there.endpoint)
        trust = json.dumps({"Statement": []})
        iam = aws.client(there.endpoint, "iam")
        iam.create_role(RoleName="greeter", AssumeRolePolicyDocument=trust)
        yield aws
