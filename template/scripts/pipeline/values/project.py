"""The project: everything `pyproject.toml` says of a repository, read once and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import PipelineError
from .names import LOCAL_ENVIRONMENT, declared_environment, resource_name
from .runtimes import ARCHITECTURES, Runtime, runtime_named
from .settings import Table

__all__ = ["Environment", "Function", "Project"]

_BASE_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\Z")
_HANDLER = re.compile(r"[A-Za-z0-9_./-]+\.[A-Za-z_][A-Za-z0-9_]*\Z")
_DESCRIPTION_LIMIT = 256


@dataclass(frozen=True)
class Function:
    """The Lambda function as the deploy sets it; `environment` values may hold `#{Variable}`."""

    name: str
    runtime: Runtime
    architecture: str
    handler: str
    description: str
    environment: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Environment:
    """A declared environment: where it is in AWS, and what its variables are off the worker."""

    name: str
    permanent: bool
    account: str
    region: str
    profile: str
    role: str
    variables: Mapping[str, str]

    @property
    def is_local(self) -> bool:
        """Tell whether this is the embedded AWS."""
        return self.name == LOCAL_ENVIRONMENT

    def place(self) -> dict[str, str]:
        """Return what a worker needs to know of the environment's place."""
        place = {"account": self.account, "region": self.region, "role": self.role}
        return {key: value for key, value in place.items() if value}


@dataclass(frozen=True)
class Project:
    """A repository's settings. `root` is absolute; every other path is relative to it."""

    root: Path
    name: str
    package_id: str
    base_version: tuple[int, int]
    version_strategy: str
    release_branches: tuple[str, ...]
    function: Function
    environments: tuple[Environment, ...]
    dependencies: tuple[str, ...]
    test_dependencies: tuple[str, ...]

    @classmethod
    def load(cls, root: Path) -> Project:
        """Read `pyproject.toml` below `root`. Errors name the file and the key."""
        path = root / "pyproject.toml"
        where = "pyproject.toml"
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise PipelineError(
                where, f"not found in {root}", "Run this in the repository."
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PipelineError(where, f"cannot be read: {error}", "Correct that line.") from error
        project = Table(document.get("project", {}), where, "project")
        pipeline = Table(document.get("tool", {}).get("pipeline", {}), where, "tool.pipeline")
        groups = Table(document.get("dependency-groups", {}), where, "dependency-groups")
        loaded = cls(
            root=root.resolve(),
            name=project.text("name"),
            package_id=pipeline.text("package-id"),
            base_version=_base_version(pipeline),
            version_strategy=pipeline.text("version-strategy"),
            release_branches=pipeline.texts("release-branches", ("main", "master")),
            function=_function(pipeline.table("function")),
            environments=_environments(pipeline),
            dependencies=project.texts("dependencies", ()),
            test_dependencies=groups.texts("test", ()),
        )
        pipeline.refuse_unknown("octopus")
        loaded._check_names()
        return loaded

    def environment(self, name: str) -> Environment:
        """Return the environment of that name in any case; `local` needs no declaration."""
        declared = tuple(environment.name for environment in self.environments)
        spelling = declared_environment(name, declared)
        for environment in self.environments:
            if environment.name == spelling:
                return environment
        return Environment(
            spelling, permanent=False, account="", region="", profile="", role="", variables={}
        )

    def _check_names(self) -> None:
        for environment in self.environments:
            resource_name(environment.name, self.function.name)


def _base_version(pipeline: Table) -> tuple[int, int]:
    text = pipeline.text("base-version")
    match = _BASE_VERSION.match(text)
    if not match:
        raise pipeline.error(
            "base-version", f"{text!r} is not a base version", 'It is "major.minor", like "2.0".'
        )
    return int(match[1]), int(match[2])


def _function(table: Table) -> Function:
    function = Function(
        name=table.text("name"),
        runtime=runtime_named(table.text("runtime"), where=f"{table.file} [{table.name}] runtime"),
        architecture=table.choice("architecture", ARCHITECTURES),
        handler=table.text("handler"),
        description=table.text("description", ""),
        environment=table.mapping("environment"),
        tags=table.mapping("tags"),
    )
    table.refuse_unknown()
    if not _HANDLER.match(function.handler):
        raise table.error(
            "handler",
            f"{function.handler!r} is not a handler",
            "It is module.function, like app.handler.handle.",
        )
    if len(function.description) > _DESCRIPTION_LIMIT:
        raise table.error(
            "description",
            f"{len(function.description)} characters are too many",
            f"Lambda takes {_DESCRIPTION_LIMIT}.",
        )
    return function


def _environments(pipeline: Table) -> tuple[Environment, ...]:
    found = []
    for name, raw in pipeline.tables("environments"):
        table = Table(raw, pipeline.file, f"{pipeline.name}.environments.{name}")
        found.append(_environment(name, table))
        table.refuse_unknown()
    return tuple(found)


def _environment(name: str, table: Table) -> Environment:
    return Environment(
        name=name,
        permanent=table.flag("permanent", default=False),
        account=table.text("account", ""),
        region=table.text("region", ""),
        profile=table.text("profile", ""),
        role=table.text("role", ""),
        variables=table.mapping("variables"),
    )
