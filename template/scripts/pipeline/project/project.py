"""The project: everything `pyproject.toml` says of a repository, read once and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import doctor

from ..core.errors import Conflict, PipelineError, UsageError
from ..core.manifest import KEEP_VERSIONS, FunctionFacts
from ..core.text import seconds_of
from ..deploy.traffic import Rollout
from ..edge.files import decoded, refuse_mark
from ..edge.git import Git
from .runtimes import ARCHITECTURES, Runtime, language_of, runtime_named
from .tables import Table, normal
from .versions import strategy_named

_FILE = "pyproject.toml"
# A path, an address or an option where a name should be.
_PLACE = re.compile(r"^\s*[.~-]|[/\\]")
# What to do with a package that no index has, or not as a wheel that fits.
OTHER_WAYS = (
    "Build a wheel of it and name its folder in UV_FIND_LINKS, or an index that has it in "
    "UV_INDEX; or put its code into src."
)
_BASE_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\Z")
# A folder or a name, and nothing that git's patterns or its names of branches give a meaning.
_TAG_PREFIX = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._/-]*)?\Z")
_HANDLER = re.compile(r"[A-Za-z0-9_./-]+\.[A-Za-z_][A-Za-z0-9_]*\Z")
# Where the function's boto3 comes from: the function zip, or Lambda's runtime.
BUNDLED, FROM_RUNTIME = "bundled", "runtime"
# The tests inside dependencies, as globs of `exclude`; a folder at the top is a package.
TEST_FOLDERS = ("*/**/tests/**", "*/**/test/**")
# A setting of old that is still read.
_OLD_TESTS = "leave-out-tests"
# The feed's name that means Octopus's built-in one.
BUILT_IN_FEED = "octopus"
# The environment of the embedded AWS; it is always there and needs no declaration.
LOCAL_ENVIRONMENT = "local"
# The figures of a call of the embedded AWS are there when it ends.
_AT_ONCE = {"metric-delay": "0s"}
# What steps run on where no deployment target is named.
CLOUD_REGION = "cloud-region"
_MACHINE = "machine:"
_MOST_ALARMS = 50  # in one answer of DescribeAlarms


@dataclass(frozen=True)
class Bundling:
    """How a function's files and what they import become one; `external` packages stay outside."""

    minify: bool = False
    source_map: bool = True
    external: tuple[str, ...] = ()


@dataclass(frozen=True)
class Function:
    """The Lambda function as the deploy sets it.

    `environment` values and `bucket` may hold `#{Variable}`. `boto3` is BUNDLED or FROM_RUNTIME, of
    Node's AWS SDK too; `exclude` has globs of the dependencies' files that are not packaged.
    `bundling` says how a function in Node is made one file; None where it stays as it is.
    """

    name: str
    runtime: Runtime
    architecture: str
    handler: str
    description: str
    environment: Mapping[str, str]
    tags: Mapping[str, str]
    boto3: str = BUNDLED
    exclude: tuple[str, ...] = ()
    bucket: str = ""
    bundling: Bundling | None = None

    def facts(self) -> FunctionFacts:
        """Return what a manifest says of it, but for the handler's file, which a build finds."""
        names = {item.name for item in fields(FunctionFacts)} - {"runtime", "handler_file"}
        facts = {name: getattr(self, name) for name in names}
        return FunctionFacts(runtime=self.runtime.name, **facts)


@dataclass(frozen=True)
class Environment:
    """A declared environment: where it is in AWS, and what its variables are off the worker.

    A deploy removes all versions but the `keep_versions` newest and those in use; 0 means none.
    `traffic` is how calls move to a new version there, as the texts of deploy/traffic.py's Rollout
    and of its connection. `parameters` are those of its stack that are not the template's defaults.
    """

    name: str
    permanent: bool = False
    account: str = ""
    region: str = ""
    profile: str = ""
    role: str = ""
    external_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    keep_versions: int = 0
    traffic: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Tell whether this is the embedded AWS."""
        return self.name == LOCAL_ENVIRONMENT

    @property
    def way(self) -> tuple[str, ...]:
        """The account and region, and how to come in."""
        return self.account, self.region, self.profile, self.role, self.external_id

    def declared(self) -> dict[str, str]:
        """Return the Octopus variables that are known without Octopus."""
        return {"Octopus.Environment.Name": self.name, **self.variables}

    def place(self) -> dict[str, str]:
        """Return what a worker needs to know of the environment: where it is, and of traffic."""
        names = ("account", "region", "role", "external_id")
        place = {**{name: getattr(self, name) for name in names}, **self.traffic}
        place[KEEP_VERSIONS] = str(self.keep_versions or "")
        return {key: value for key, value in place.items() if value}


@dataclass(frozen=True)
class OctopusSettings:
    """The table `[tool.pipeline.octopus]`.

    `machine` names the deployment target to add environments to; it is empty where each
    environment gets a cloud region of its own. `pool` names the worker pool of these; empty
    means the space's default one.
    """

    space: str = ""
    project: str = ""
    machine: str = ""
    pool: str = ""

    @property
    def is_cloud_region(self) -> bool:
        """Tell whether steps run on a worker, on behalf of a cloud region."""
        return not self.machine

    @classmethod
    def read(cls, table: Table) -> OctopusSettings:
        """Read the table; every key may be absent."""
        worker = table.text("worker", CLOUD_REGION)
        machine = worker.removeprefix(_MACHINE).strip() if worker.startswith(_MACHINE) else ""
        if not machine and worker != CLOUD_REGION:
            then = f'Write "{CLOUD_REGION}", or "{_MACHINE}NAME" for a deployment target.'
            raise table.error("worker", f"{worker!r} is not known", then)
        settings = cls(
            table.text("space", ""),
            table.text("project", ""),
            machine,
            table.text("worker-pool", ""),
        )
        table.refuse_unknown()
        return settings


@dataclass(frozen=True)
class Project:
    """A repository's settings. `root` is absolute; every other path is relative to it.

    What only AWS would refuse, such as a long name, is checked at the end of a build.
    `feed` is where `push` publishes: BUILT_IN_FEED, a URL, or a folder; `trust_hosts` may have its
    key besides its own host. `secrets_allowed` are the reasons, by path, why a file may be packed
    that looks as if it held a secret. `advice` says what to write instead of settings that are
    still read. `mypy` are its arguments, and None where no `[tool.mypy]` asks for it. The version
    tags of the strategy `GitTag` begin with `tag_prefix`.
    """

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
    octopus: OctopusSettings = field(default_factory=OctopusSettings)
    feed: str = BUILT_IN_FEED
    advice: tuple[str, ...] = ()
    secrets_allowed: Mapping[str, str] = field(default_factory=dict)
    trust_hosts: tuple[str, ...] = ()
    mypy: tuple[str, ...] | None = None
    tag_prefix: str = ""

    @property
    def git(self) -> Git | None:
        """The work tree, which knows the project's version tags; None without git."""
        git = Git.at(self.root)
        return git and replace(git, tag_prefix=self.tag_prefix)

    @classmethod
    def load(cls, root: Path) -> Project:
        """Read `pyproject.toml` below `root`. Errors name the file and the key."""
        try:
            data = (root / _FILE).read_bytes()
            refuse_mark(data, _FILE, "pytest")
            document = tomllib.loads(decoded(data, _FILE))
        except FileNotFoundError as error:
            what = f"not found in {root}"
            raise PipelineError(_FILE, what, "Run this in the repository.") from error
        except tomllib.TOMLDecodeError as error:
            if doctor.has_markers(data):
                what = "a merge has left conflict markers in it"
                then = f"Keep what is right between them, and say so: git add {_FILE}"
                raise Conflict(_FILE, what, then) from error
            raise PipelineError(_FILE, f"cannot be read: {error}", "Correct that line.") from error
        project = _section(document, "project")
        pipeline = _section(document, "tool", "pipeline")
        groups = _section(document, "dependency-groups")
        push = pipeline.table("push", {})
        loaded = cls(
            root=root.resolve(),
            name=project.text("name"),
            package_id=pipeline.text("package-id"),
            base_version=_base_version(pipeline),
            version_strategy=_strategy(pipeline),
            tag_prefix=_tag_prefix(pipeline),
            release_branches=pipeline.texts("release-branches", ("main", "master")),
            function=_function(pipeline.table("function"), _began_with(root)),
            advice=_advice(pipeline.table("function")),
            environments=_environments(pipeline),
            dependencies=tuple(
                _requirement(project, "dependencies", line)
                for line in project.texts("dependencies", ())
            ),
            test_dependencies=tuple(dict.fromkeys(_group(groups, "test"))),
            octopus=OctopusSettings.read(pipeline.table("octopus", {})),
            feed=push.text("feed", BUILT_IN_FEED),
            trust_hosts=push.texts("trust-hosts", ()),
            secrets_allowed=_secrets_allowed(pipeline),
            mypy=_mypy(_section(document, "tool")),
        )
        push.refuse_unknown()
        pipeline.refuse_unknown()
        _check_python(project, loaded.function.runtime)
        return loaded

    def environment(self, name: str) -> Environment:
        """Return the environment of that name in any case; `local` needs no declaration.

        Raises PipelineError naming the declared ones, UsageError without a name.
        """
        known = {environment.name.lower(): environment for environment in self.environments}
        known.setdefault(LOCAL_ENVIRONMENT, Environment(LOCAL_ENVIRONMENT, traffic=_AT_ONCE))
        if name.lower() in known:
            return known[name.lower()]
        names = ", ".join(environment.name for environment in known.values())
        if not name:
            then = f"Declared are {names}: name one after the verb."
            raise UsageError("environment", "no environment is named", then)
        then = f"Declared are {names}. Add [tool.pipeline.environments.{name}] to {_FILE} for it."
        raise PipelineError("environment", f"there is no environment {name!r}", then)


def _section(document: Mapping[str, Any], *names: str) -> Table:
    """Return a table of the file; a missing one is empty, and its required keys are then missed."""
    found: Any = document
    for depth, name in enumerate(names, 1):
        found = found.get(name, {})
        if not isinstance(found, Mapping):
            header = f"[{'.'.join(names[:depth])}]"
            what = f"{found!r} is not a table"
            raise PipelineError(f"{_FILE} {header}", what, f"Write {header}.")
    return Table(found, _FILE, ".".join(names))


def _check_python(project: Table, runtime: Runtime) -> None:
    """Refuse a runtime that `requires-python` leaves out: editors and linters go by that one."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - takes a while

    text = project.text("requires-python", "")
    try:
        wanted = SpecifierSet(text)
    except InvalidSpecifier as error:
        raise project.error("requires-python", str(error), 'Write it like ">=3.13".') from error
    # Lambda's patch release is not known, and changes.
    if not any(wanted.contains(f"{runtime.version}.{patch}") for patch in (0, 99)):
        what = f"{text!r} leaves out the function's runtime, {runtime.name}"
        then = f'Write ">={runtime.version}", or choose another runtime, and lock again.'
        raise project.error("requires-python", what, then)


def _requirement(table: Table, key: str, line: str) -> str:
    """Return a requirement that a lock can hold: a name and versions, as indexes have them."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - the same

    try:
        is_named = Requirement(line).url is None
    except InvalidRequirement as error:
        is_named = not _PLACE.search(line)
        if is_named:
            what = f"{line!r} is not a requirement: {str(error).partition(chr(10))[0]}"
            raise table.error(key, what, 'Write it like "requests>=2.32".') from error
    if not is_named:
        what = f"{line!r} names a place; what is locked are wheels of an index, by name and hash"
        raise table.error(key, what, OTHER_WAYS)
    return line


def _group(groups: Table, name: str) -> Iterator[str]:
    """Yield a dependency group's requirements, those of the groups that it includes among them."""
    spelt = [*map(normal, groups.values)]
    if name not in spelt:
        return
    from packaging.dependency_groups import resolve_dependency_groups  # noqa: PLC0415 - the same

    own = groups.values.get(name)
    for item in own if isinstance(own, list) else ():
        if isinstance(item, str):
            _requirement(groups, name, item)
    # What the tests do not need is nobody's business here, even where it is there twice.
    known = {
        key: value
        for key, value in groups.values.items()
        if normal(key) == name or spelt.count(normal(key)) == 1
    }
    try:
        found = resolve_dependency_groups(known, name)
    except ExceptionGroup as error:
        # A second line has what is no requirement, and a third points into it.
        texts = [str(one).splitlines()[:2] for one in error.exceptions]
        what = "; ".join(": ".join(map(str.strip, lines)) for lines in texts)
        then = f'A group is like {name} = ["...", {{include-group = "..."}}].'
        raise groups.error(name, what, then) from error
    for line in found:
        yield _requirement(groups, name, line)


def _strategy(pipeline: Table) -> str:
    try:
        return strategy_named(pipeline.text("version-strategy"))
    except UsageError as error:
        raise pipeline.error("version-strategy", error.what, error.then) from error


def _base_version(pipeline: Table) -> tuple[int, int]:
    text = pipeline.text("base-version")
    match = _BASE_VERSION.match(text)
    if not match:
        what = f"{text!r} is not a base version"
        raise pipeline.error("base-version", what, 'It is "major.minor", like "2.0".')
    return int(match[1]), int(match[2])


def _tag_prefix(pipeline: Table) -> str:
    prefix = pipeline.text("tag-prefix", "")
    if not _TAG_PREFIX.match(prefix):
        what = f"{prefix!r} does not fit before a version tag"
        then = "It has letters, digits and . _ - / and begins with a letter, digit or _."
        raise pipeline.error("tag-prefix", what, then)
    return prefix


def _began_with(root: Path) -> str:
    """Return the runtime that a repository was generated for; nothing where nobody knows."""
    return str(doctor.answers(root).get("runtime", ""))


def _function(table: Table, began: str) -> Function:
    runtime = runtime_named(table.text("runtime"), where=f"{table.file} [{table.name}] runtime")
    if began and language_of(began)[0] != runtime.language:
        what = (
            f"{runtime.name} is of another language than {began}, which all of src is written for"
        )
        then = f"{doctor.FOR_GOOD}: put {began} back, or generate a repository for {runtime.name}."
        raise table.error("runtime", what, then)
    old = table.flag(_OLD_TESTS, default=False)
    function = Function(
        name=table.text("name"),
        runtime=runtime,
        architecture=table.choice("architecture", ARCHITECTURES),
        handler=table.text("handler"),
        description=table.text("description", ""),
        environment=table.mapping("environment", any_text=True),
        tags=table.mapping("tags", any_text=True),
        boto3=table.choice(runtime.sdk, (BUNDLED, FROM_RUNTIME), BUNDLED),
        bundling=_bundling(table) if runtime.is_bundled else None,
        exclude=(*table.texts("exclude", ()), *(TEST_FOLDERS if old else ())),
        bucket=table.text("bucket", ""),
    )
    table.refuse_unknown()
    if not _HANDLER.match(function.handler):
        what = f"{function.handler!r} is not a handler"
        raise table.error("handler", what, "It is module.function, like app.handler.handle.")
    return function


def _bundling(table: Table) -> Bundling | None:
    bundling = Bundling(
        table.flag("minify", default=False),
        table.flag("source-map", default=True),
        table.texts("external", ()),
    )
    return bundling if table.flag("bundle", default=True) else None


def _advice(function: Table) -> tuple[str, ...]:
    if _OLD_TESTS not in function.values:
        return ()
    globs = ", ".join(f'"{glob}"' for glob in TEST_FOLDERS)
    then = f"write exclude = [{globs}]" if function.values[_OLD_TESTS] else "remove the line"
    return (f"{function.file} [{function.name}] {_OLD_TESTS} is not a setting any more: {then}",)


def _secrets_allowed(pipeline: Table) -> dict[str, str]:
    table = pipeline.table("secrets", {})
    allowed = table.mapping("allow")
    table.refuse_unknown()
    for path, reason in allowed.items():
        if not reason.strip():
            what = "there is no reason"
            raise table.error(f"allow.{path}", what, "Write why its content is not a secret.")
    return allowed


def _mypy(tool: Table) -> tuple[str, ...] | None:
    if "mypy" not in tool.values:
        return None
    return () if tool.table("mypy").values.get("files") else ("src",)


def _environments(pipeline: Table) -> tuple[Environment, ...]:
    found = []
    spellings = {LOCAL_ENVIRONMENT: LOCAL_ENVIRONMENT}
    declared = pipeline.table("environments", {})
    for name in declared.values:
        table = declared.table(name)
        other = spellings.setdefault(name.lower(), name)
        if other != name:
            what = f"{name!r} and {other!r} are the same environment: case does not matter"
            then = "Keep one of them."
            raise PipelineError(f"{pipeline.file} [{pipeline.name}.environments]", what, then)
        environment = Environment(
            name=name,
            permanent=table.flag("permanent", default=False),
            account=table.text("account", ""),
            region=table.text("region", ""),
            profile=table.text("profile", ""),
            role=table.text("role", ""),
            external_id=table.text("external-id", ""),
            variables=table.mapping("variables"),
            keep_versions=table.count(KEEP_VERSIONS, 0),
            traffic=_traffic(table),
            parameters=table.mapping("parameters"),
        )
        table.refuse_unknown()
        found.append(environment)
    return tuple(found)


def _traffic(table: Table) -> dict[str, str]:
    """Return the settings that a deploy reads again, as its Rollout and Connection take them."""
    found = dict(_AT_ONCE) if table.name.rpartition(".")[2] == LOCAL_ENVIRONMENT else {}
    found |= {key: text for key in ("strategy", "metric-delay") if (text := table.text(key, ""))}
    if alarms := table.texts("alarms", ()):
        if len(alarms) > _MOST_ALARMS or any(not name.strip() or "\n" in name for name in alarms):
            then = f'Write alarms = ["NAME", ...], with {_MOST_ALARMS} names at most.'
            raise table.error("alarms", "these are no names of alarms", then)
        found["alarms"] = "\n".join(alarms)
    found |= {f"thresholds.{name}": text for name, text in table.mapping("thresholds").items()}
    try:
        Rollout.read(found)
        seconds_of("metric-delay", found.get("metric-delay", "0s"))
    except PipelineError as error:
        raise table.error(error.where, error.what, error.then) from error
    return found
