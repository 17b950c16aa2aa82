"""`package`: from a project and a version to the files of a build."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..archive.globs import select_all
from ..archive.nupkg import PackageFile, pack
from ..archive.nuspec import Nuspec, Repository, fill_tokens, parse
from ..archive.zipreader import members_of, open_archive
from ..archive.zipwriter import Member, Raw, compress, store, write_zip
from ..edge.cache import seal, sealed
from ..edge.files import write_whole
from ..edge.machine import Machine
from ..engines.client import DISTRIBUTIONS, client_files
from ..engines.lock import locked, normal
from ..engines.provenance import (
    STATEMENT_NAME,
    Origin,
    encoded,
    library_digest,
    make_predicate,
    make_statement,
    plain_sha256,
)
from ..engines.python import FUNCTION_LOCK, FunctionZip, Restored, make_function_zip, restore
from ..engines.sbom import SBOM_NAME, Distribution, make_sbom
from ..engines.sources import SOURCE, OwnFile, function_files, own_files, refuse_secrets
from ..engines.stage import deploy_half
from ..errors import PipelineError
from ..values.manifest import MANIFEST_NAME, Dependency, Manifest, Source
from ..values.project import Project
from .hooks import load_hooks

__all__ = [
    "BUILD_HOOKS",
    "FUNCTION_ZIP",
    "Built",
    "Order",
    "make_package",
    "restore_dependencies",
    "tools",
]

BUILD_HOOKS = "scripts/hooks_build.py"
FUNCTION_ZIP = "function.zip"
# Where the nuspec's $stage$ points. Nothing is written there: the staged files go straight
# from memory into the package.
_STAGE = "build-output/stage"
# Their versions decide what the bytes look like, so they belong to a build's inputs.
_TOOL_LOCK = "scripts/requirements-build.txt"
_TOOLS = (*DISTRIBUTIONS, "cyclonedx-python-lib", "deflate", "uv")


@dataclass(frozen=True)
class Order:
    """What to package: the version, the commit it is said to come from, and where it goes.

    `last` is the last build's function zip, to count what changed; it may be None.
    """

    version: str
    source: Source
    folder: Path
    last: Path | None = None


@dataclass(frozen=True)
class Built:
    """The files of a build; `sha256` is the package's, in hex."""

    package: Path
    sha256: str
    function_zip: FunctionZip
    manifest: Manifest


def tools(root: Path) -> tuple[Dependency, ...]:
    """Return the locked tools whose versions shape a package's bytes."""
    lock = (root / _TOOL_LOCK).read_text(encoding="utf-8")
    return tuple(
        Dependency(tool.name, tool.version) for tool in locked(lock) if tool.name in _TOOLS
    )


def restore_dependencies(project: Project, machine: Machine) -> Restored:
    """Return the dependency zip of the project's lock."""
    stamp = repr(
        [
            (tool.name, tool.version)
            for tool in tools(project.root)
            if tool.name in ("deflate", "uv")
        ]
    ).encode()
    return restore(project, machine.uv, machine.cache / "dependencies", stamp)


def make_package(project: Project, order: Order, restored: Restored, machine: Machine) -> Built:
    """Write function.zip, build.json, the SBOM and the package into the order's folder.

    The same project, order, dependencies and tools give the same bytes on any machine.
    """
    nuspec_name = f"{SOURCE}/{project.package_id}.nuspec"
    files = own_files(project.root, machine.git)
    own = function_files(files, nuspec_name)
    refuse_secrets(project.root, own)
    zipped = make_function_zip(
        [
            (file.path.removeprefix(f"{SOURCE}/"), file.executable, project.root / file.path)
            for file in own
        ],
        restored,
        order.folder / FUNCTION_ZIP,
        order.last,
    )
    installed = restored.brought.distributions
    manifest = _manifest(project, order, zipped, installed)
    staged = _staged(project, manifest, installed, zipped, machine)
    wheels = {name: found.tags for name, found in installed.items()}
    origin = Origin(manifest, library_digest(project.root), wheels)
    package = order.folder / f"{project.package_id}.{manifest.version}.nupkg"
    digest = _pack(project, origin, package, (nuspec_name, files), staged)
    built = Built(package, digest, zipped, manifest)
    load_hooks(project.root / BUILD_HOOKS)("after_package", built)
    return built


def _manifest(
    project: Project, order: Order, zipped: FunctionZip, installed: Mapping[str, Distribution]
) -> Manifest:
    lock = (project.root / FUNCTION_LOCK).read_text(encoding="utf-8")
    versions = {name: found.version for name, found in installed.items()}
    return Manifest(
        package_id=project.package_id,
        version=order.version,
        source=order.source,
        function=project.function.facts(),
        function_zip=zipped.facts,
        # A universal lock also names what other platforms and Pythons need.
        dependencies=tuple(
            item for item in locked(lock) if versions.get(normal(item.name)) == item.version
        ),
        tools=tools(project.root),
        environments={
            environment.name: environment.place() for environment in project.environments
        },
    )


def _staged(
    project: Project,
    manifest: Manifest,
    installed: Mapping[str, Distribution],
    zipped: FunctionZip,
    machine: Machine,
) -> dict[str, Raw]:
    sbom = make_sbom(manifest, installed, machine.cache)
    write_whole(zipped.path.parent / MANIFEST_NAME, manifest.to_json())
    write_whole(zipped.path.parent / SBOM_NAME, sbom)
    staged = {
        # Stored: it is a zip already, and what deploys it must find exactly these bytes.
        FUNCTION_ZIP: store(zipped.path.read_bytes(), zipped.facts.sha256),
        MANIFEST_NAME: compress(manifest.to_json()),
        SBOM_NAME: compress(sbom),
    }
    for name, data in deploy_half(project.root / "scripts"):
        staged[name] = compress(data)
    staged.update(_client(manifest, machine))
    return staged


def _client(manifest: Manifest, machine: Machine) -> dict[str, Raw]:
    """Return the trimmed AWS client, deflated once for each set of versions."""
    versions = repr([(tool.name, tool.version) for tool in manifest.tools])
    cached = machine.cache / f"client-{hashlib.sha256(versions.encode()).hexdigest()[:16]}.zip"
    kept = sealed(cached)
    if kept is None:
        cached.parent.mkdir(parents=True, exist_ok=True)
        members = [Member(f"client/{name}", 0o644, compress(data)) for name, data in client_files()]
        seal(cached, write_zip(cached, members))
    archive = open_archive(kept.data if kept else cached, where=str(cached))
    return {member.name: member.payload for member in members_of(archive)}


def _pack(
    project: Project,
    origin: Origin,
    target: Path,
    sources: tuple[str, Iterable[OwnFile]],
    staged: dict[str, Raw],
) -> str:
    nuspec_name, files = sources
    manifest = origin.manifest
    nuspec = _read_nuspec(project, nuspec_name, manifest.version)
    repository = {f"{_STAGE}/{name}": raw for name, raw in staged.items()}
    statement = f"{_STAGE}/{STATEMENT_NAME}"
    paths = [*(file.path for file in files), *repository, statement]
    chosen = _chosen(nuspec_name, nuspec, paths)
    extras = [source for source, _ in chosen if source not in repository and source != statement]
    refuse_secrets(project.root, [OwnFile(source, executable=False) for source in extras])
    repository.update({name: compress((project.root / name).read_bytes()) for name in extras})
    content = [
        PackageFile(target, repository[source]) for source, target in chosen if source != statement
    ]
    # Last, for it names the bytes of all others; a nuspec may rename it, or leave it out.
    last = compress(encoded(_statement(origin, content)))
    content += [PackageFile(target, last) for source, target in chosen if source == statement]
    source = Repository("", manifest.source.commit or "", manifest.source.branch or "")
    return pack(nuspec, content, target, repository=source)


def _statement(origin: Origin, content: Iterable[PackageFile]) -> dict[str, Any]:
    digests = {file.name: plain_sha256(file.payload) for file in content}
    return make_statement(digests, make_predicate(origin))


def _chosen(name: str, nuspec: Nuspec, paths: list[str]) -> list[tuple[str, str]]:
    try:
        return select_all(paths, nuspec.files)
    except PipelineError as error:
        raise PipelineError(f"{name} {error.where}", error.what, error.then) from error


def _read_nuspec(project: Project, name: str, version: str) -> Nuspec:
    path = project.root / name
    try:
        nuspec = parse(path.read_bytes(), name)
    except OSError as error:
        raise PipelineError(
            name,
            f"cannot be read: {error.strerror}",
            "The nuspec is named after package-id in pyproject.toml.",
        ) from error
    nuspec = fill_tokens(nuspec, {"version": version, "stage": _STAGE})
    if nuspec.id != project.package_id:
        raise PipelineError(
            name,
            f"its id is {nuspec.id!r}, pyproject.toml says {project.package_id!r}",
            "Make them the same.",
        )
    return nuspec
