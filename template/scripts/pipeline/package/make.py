"""`package`: from a project and a version to the files of a build."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from ..core.errors import PipelineError
from ..core.manifest import MANIFEST_NAME, Dependency, Manifest, Source
from ..core.names import FUNCTION_ZIP, SBOM_NAME
from ..core.text import few
from ..deploy.smoke import SMOKE_FILE, SMOKE_FOLDER, Smoke
from ..edge.files import write_whole
from ..edge.machine import Machine
from ..function.engine import Distribution, Own, Restored, engine_for
from ..function.function_zip import FunctionZip, make_function_zip
from ..function.python.hash_lock import locked, read_lock
from ..function.python.requirements import facts_of
from ..project.project import LOCAL_ENVIRONMENT, Project
from ..project.secrets import refuse_secrets
from ..project.sources import SOURCE, Sources, function_files
from ..project.tables import normal
from ..runtime.function_code import LocalRuntime
from ..zip.globs import select_all
from ..zip.reader import members_of
from ..zip.writer import Raw, compress, plain, store
from .aws_client import DISTRIBUTIONS, client_zip
from .build_hooks import Say
from .library import deploy_half, running_code
from .nupkg import pack
from .nuspec import Nuspec, parse, render_for_package
from .nuspec_rules import check_files, check_metadata, without_libraries
from .sbom import make_sbom
from .statement import STATEMENT_NAME, library_digest, make_statement

# Where the nuspec's $stage$ points. Nothing is written there: the staged files go straight
# from memory into the package.
_STAGE = "build-output/stage"
_STATEMENT = f"{_STAGE}/{STATEMENT_NAME}"
_NUSPEC = re.compile(rf"{SOURCE}/[^/]+\.nuspec")
# Their versions decide what the bytes look like, so they belong to a build's inputs.
TOOL_LOCK = "scripts/requirements-build.txt"
_TOOLS = (*DISTRIBUTIONS, "cyclonedx-python-lib", "deflate", "uv")


@dataclass(frozen=True)
class Order:
    """What to package: the version, the commit it is said to come from, and where it goes.

    `last` is the last build's function zip, to count what changed; it may be None.
    """

    version: str
    source: Source
    sources: Sources
    folder: Path
    last: Path | None = None


@dataclass(frozen=True)
class Built:
    """The files of a build; `sha256` is the package's, in hex; `notes` are worth a warning.

    `own` are the paths of the repository's files that are in it, or say what is.
    """

    package: Path
    sha256: str
    function_zip: FunctionZip
    manifest: Manifest
    own: tuple[str, ...]
    notes: tuple[str, ...] = ()


def tools(
    root: Path, client: Mapping[str, Distribution] = MappingProxyType({})
) -> tuple[Dependency, ...]:
    """Return the locked tools whose versions shape a package's bytes.

    Those in `client`, the distributions that travel in the package, come with their hashes.
    """
    lock = read_lock(root, TOOL_LOCK)
    return tuple(
        tool if normal(tool.name) in client else replace(tool, hashes=())
        for tool in locked(lock, _tags(client))
        if tool.name in _TOOLS
    )


def _tags(found: Mapping[str, Distribution]) -> dict[str, tuple[str, ...]]:
    return {name: distribution.tags for name, distribution in found.items()}


def restore_dependencies(
    project: Project, machine: Machine, warn: Say, here: LocalRuntime | None = None
) -> Restored:
    """Return the dependency zip of the project's lock; `warn` is told what had no effect.

    It is for Lambda, or for what stands for Lambda `here`.
    """
    used = [tool for tool in tools(project.root) if tool.name in ("deflate", "uv")]
    stamp = repr([(tool.name, tool.version) for tool in used]).encode()
    engine = engine_for(project.function.runtime)
    return engine.restore(
        project, machine, _kept(machine.cache) / "dependencies", stamp, warn, here
    )


def make_package(project: Project, order: Order, restored: Restored, machine: Machine) -> Built:
    """Write function.zip, build.json, the SBOM and the package into the order's folder.

    The same project, order, dependencies and tools give the same bytes on any machine.
    """
    function, own = function_sources(project, order.sources, restored, machine)
    zipped = make_function_zip(own.files, restored, order.folder / FUNCTION_ZIP, order.last)
    archive = client_zip(tools(project.root), _kept(machine.cache))
    client = {name: facts_of(metadata.distribution(name)) for name in DISTRIBUTIONS}
    manifest = _manifest(project, order, zipped, restored, own.dependencies, client)
    installed = restored.installed.distributions
    ecosystem = engine_for(project.function.runtime).ecosystem
    sbom = make_sbom(manifest, installed, client, _kept(machine.cache), ecosystem=ecosystem)
    described = {MANIFEST_NAME: manifest.to_json(), SBOM_NAME: sbom}
    for name, data in described.items():
        write_whole(order.folder / name, data)

    scripts, smoke = dict(deploy_half(project.root / "scripts")), _smoke_tests(order.sources)
    tried = {f"{SMOKE_FOLDER}/{PurePosixPath(name).name}": data for name, data in smoke.items()}
    staged = {
        # Stored: it is a zip already, and what deploys it must find exactly these bytes.
        FUNCTION_ZIP: store(zipped.path.read_bytes(), zipped.facts.sha256),
        **{name: compress(data) for name, data in {**described, **scripts, **tried}.items()},
        **{member.name: member.payload for member in members_of(archive)},
    }
    nuspec, left = _read_nuspec(project, order.sources, manifest.version)
    chosen, extras = _chosen(nuspec, order.sources, staged)
    ours = {**function, **{f"scripts/{name}": data for name, data in scripts.items()}, **smoke}
    ours |= {**extras, **order.sources.contents([nuspec.where])}
    secret = refuse_secrets(ours, _packed_settings(manifest), project.secrets_allowed)

    payloads = {f"{_STAGE}/{name}": payload for name, payload in staged.items()}
    payloads |= {path: compress(data) for path, data in extras.items()}
    content = {to: payloads[path] for path, to in chosen if path != _STATEMENT}
    check_files(nuspec, {name: payload.size for name, payload in content.items()})
    # Last, for it names the bytes of all others; a nuspec may rename it, or leave it out.
    statement = make_statement(
        manifest,
        _digests(content, nuspec, order.source),
        library=library_digest(project.root),
        wheels=_tags(installed),
        ecosystem=ecosystem,
    )
    content |= {to: compress(statement) for path, to in chosen if path == _STATEMENT}
    package = order.folder / f"{project.package_id}.{manifest.version}.nupkg"
    digest = pack(nuspec, content, package, source=order.source)
    return Built(package, digest, zipped, manifest, tuple(sorted(ours)), (*left, *secret))


def _digests(content: Mapping[str, Raw], nuspec: Nuspec, source: Source) -> dict[str, str]:
    """Return the SHA-256 in hex of each file of a package and of its nuspec, by name."""
    digests = {
        name: payload.sha256 or hashlib.sha256(plain(payload)).hexdigest()
        for name, payload in content.items()
    }
    rendered = render_for_package(nuspec, source)
    return {**digests, f"{nuspec.id}.nuspec": hashlib.sha256(rendered).hexdigest()}


def function_sources(
    project: Project, sources: Sources, restored: Restored, machine: Machine
) -> tuple[Mapping[str, bytes], Own]:
    """Return the repository's files that make the function, by path, and what they are in it."""
    engine, nuspec = engine_for(project.function.runtime), _nuspec_name(project)
    below = function_files(sources.files, nuspec)
    others = [file.path for file in sources.files if file.path in engine.beside]
    data = sources.contents([*(file.path for file in below), *others])
    files = [
        (file.path.removeprefix(f"{SOURCE}/"), file.executable, data[file.path]) for file in below
    ]
    beside = {path: data[path] for path in others}
    return data, engine.own_files(project.function, files, beside, restored, machine)


def _kept(cache: Path) -> Path:
    # What an update of the library would make in another way must not come out of the cache.
    return cache / f"made-{running_code()[:16]}"


def _nuspec_name(project: Project) -> str:
    return f"{SOURCE}/{project.package_id}.nuspec"


def _manifest(
    project: Project,
    order: Order,
    zipped: FunctionZip,
    restored: Restored,
    dependencies: tuple[Dependency, ...],
    client: Mapping[str, Distribution],
) -> Manifest:
    engine, function = engine_for(project.function.runtime), project.function.facts()
    names = {*restored.files, *(member.name for member in zipped.own)}
    return Manifest(
        package_id=project.package_id,
        version=order.version,
        source=order.source,
        function=replace(function, handler_file=engine.handler_file(names, function.handler)),
        function_zip=zipped.facts,
        dependencies=dependencies,
        tools=tools(project.root, client),
        environments={
            environment.name: environment.place()
            for environment in (*project.environments, project.environment(LOCAL_ENVIRONMENT))
        },
    )


def _smoke_tests(sources: Sources) -> dict[str, bytes]:
    """Return the events that a deploy tries a new version with, by path. Raises PipelineError."""
    found = sources.contents([one.path for one in sources.files if SMOKE_FILE.fullmatch(one.path)])
    for path, data in found.items():
        Smoke.read(data, path)
    return found


def _packed_settings(manifest: Manifest) -> dict[str, str]:
    """Return the settings that travel in the manifest, as lines, by table and key."""
    tables: dict[str, Mapping[str, str]] = {
        f"environments.{name}": place for name, place in manifest.environments.items()
    }
    for key, value in asdict(manifest.function).items():
        nested = isinstance(value, Mapping)
        table, pairs = (f"function.{key}", value) if nested else ("function", {key: value})
        tables[table] = {**tables.get(table, {}), **pairs}
    return {
        f"[tool.pipeline.{table}] {key}": f"{key} = {value}"
        for table, pairs in tables.items()
        for key, value in pairs.items()
    }


def _chosen(
    nuspec: Nuspec, sources: Sources, staged: Collection[str]
) -> tuple[list[tuple[str, str]], Mapping[str, bytes]]:
    """Return the (path, name in the package) that a nuspec takes, and the bytes of its extras.

    It has to take all that is `staged`, but for the bill of materials.
    """
    stage = {f"{_STAGE}/{name}": name for name in staged}
    paths = [*(file.path for file in sources.files), *stage, _STATEMENT]
    chosen = select_all(paths, nuspec.files)
    missing = sorted({*staged} - {SBOM_NAME} - {to for path, to in chosen if stage.get(path) == to})
    if missing:
        raise PipelineError(
            nuspec.where,
            f"it leaves out {few(missing, 1)}, without which the package cannot deploy itself",
            'Let its files have <file src="$stage$/**" target="" />.',
        )
    extras = [path for path, _ in chosen if path not in stage and path != _STATEMENT]
    return chosen, sources.contents(extras)


def _read_nuspec(project: Project, sources: Sources, version: str) -> tuple[Nuspec, list[str]]:
    """Return the nuspec that the package gets, and notes on what of it is left out."""
    name = _nuspec_name(project)
    found = {file.path for file in sources.files if _NUSPEC.fullmatch(file.path)}
    others = few(found - {name})
    if name not in found and (project.root / name).is_file():
        raise PipelineError(name, "git does not track it", f"git add {name}")
    if name not in found:
        what = f"it is not there, but {others} is" if others else "it is not there"
        then = "The nuspec is named after package-id in pyproject.toml: make them the same."
        raise PipelineError(name, what, then)
    if others:
        what = f"a package has one nuspec, and there is {others} as well"
        raise PipelineError(name, what, "Remove the one that does not count any more.")
    tokens = {"id": project.package_id, "version": version, "stage": _STAGE}
    nuspec, left = without_libraries(parse(sources.contents([name])[name], name, tokens))
    check_metadata(nuspec)
    if nuspec.id != project.package_id:
        raise PipelineError(
            name,
            f"its id is {nuspec.id!r}, pyproject.toml says {project.package_id!r}",
            "Make them the same.",
        )
    if nuspec.version != version:
        raise PipelineError(
            name,
            f"its version is {nuspec.version!r}, this build's is {version!r}",
            "Write <version>$version$</version>.",
        )
    return nuspec, left
