"""Restoring: the lock's wheels for Lambda's platform become a dependency zip."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...core.errors import PipelineError
from ...edge.cache import Sealed, keep, seal, sealed
from ...edge.files import writing
from ...edge.locks import exclusive
from ...edge.machine import Machine
from ...project.project import FROM_RUNTIME, Function, Project
from ...project.tables import normal
from ...runtime.function_code import LocalRuntime
from ...zip.globs import path_matcher
from ...zip.reader import OUR_LIMITS, members_of, open_archive
from ...zip.writer import Member, compress, write_zip
from ..compiled import compiled_files
from ..elf import binaries_of
from ..engine import Distribution, Installed, Restored
from .distributions import distributions
from .hash_lock import FUNCTION_LOCK, check_lock, locked, read_lock
from .install import Place, install, is_launcher, own_folder, records
from .requirements import Markers, markers_here, markers_of, refuse_misfits, sdk_files

_EXECUTABLE, _PLAIN = 0o755, 0o644
_RECORD = ".dist-info/RECORD"
# What differs between two installations of the same wheels.
_LEFT_OUT = re.compile(
    r"(^\.lock$|(^|/)__pycache__/|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$)"
)


def restore(
    project: Project,
    machine: Machine,
    cache: Path,
    tools: bytes,
    warn: Callable[[str], None] = lambda _: None,
    here: LocalRuntime | None = None,
) -> Restored:
    """Return the dependency zip of the project's lock, making it unless `cache` holds it whole.

    Binary wheels only, for the function's Python and platform, or for what runs it `here`; `tools`
    stands for the versions of what makes the zip. uv is asked for where something has to be
    installed, and `warn` is told then of settings that had no effect. Raises PipelineError
    naming a package that has no fitting wheel, or one that is not what it should be.
    """
    text = read_lock(project.root, FUNCTION_LOCK)
    check_lock(FUNCTION_LOCK, text, project.dependencies)
    wanted = _platform(project.function, here)
    target = cache / f"{_key(project, wanted.options, text, tools)}.zip"
    if whole := sealed(target):
        return _restored(whole, text, cache, from_cache=True)
    with exclusive(cache / "dependencies.lock", lambda: None):
        from_cache, whole = True, sealed(target)
        if whole is None:
            from_cache, whole = _make(project, wanted, machine, target, warn)
        return _restored(whole, text, cache, from_cache=from_cache)


@dataclass(frozen=True)
class _Platform:
    """What wheels are for: its name, uv's options that choose them, and its values of markers."""

    name: str
    options: tuple[str, ...]
    markers: Markers


def _platform(function: Function, here: LocalRuntime | None) -> _Platform:
    runtime, architecture = function.runtime, function.architecture
    if here:
        chosen = ("--python", str(here.program))
        return _Platform(f"this machine's {here.program}", chosen, markers_here(here.version))
    platform = runtime.platform(architecture)
    options = ("--python-platform", platform, "--python-version", runtime.version)
    name = f"{runtime.name} on {architecture}"
    return _Platform(name, options, markers_of(runtime, architecture))


def _make(
    project: Project, wanted: _Platform, machine: Machine, target: Path, warn: Callable[[str], None]
) -> tuple[bool, Sealed]:
    """Install the lock's wheels, and make a zip of them; tell whether uv's cache was enough."""
    cache, from_cache = target.parent, True
    lock = project.root / FUNCTION_LOCK
    with writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".site.") as scratch:
            folder = Path(scratch) / "site"
            if locked(read_lock(project.root, FUNCTION_LOCK)):
                installation = install(
                    machine.uv,
                    [*wanted.options, "--only-binary", ":all:", "--no-deps", "-r", lock],
                    Place(lambda: own_folder(folder), copies=False),
                    where=f"restore {FUNCTION_LOCK} for {wanted.name}",
                )
                from_cache = installation.from_cache
                for warning in installation.warnings:
                    warn(warning)
            if wanted.markers["python_version"] == project.function.runtime.version:
                # Another Python may rightly lack what only the function's own needs.
                refuse_misfits(folder, project.dependencies, wanted.markers, FUNCTION_LOCK)
            digest = write_zip(target, _members(folder, project, wanted.markers, warn))
            seal(target, digest)
            return from_cache, Sealed(target.read_bytes(), digest)


def _key(project: Project, options: Sequence[str], lock: str, tools: bytes) -> str:
    """Return what names a dependency zip: a digest of everything that decides its bytes."""
    function = project.function
    facts = (options, lock, function.boto3, project.dependencies, function.exclude, tools)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _members(
    folder: Path, project: Project, markers: Markers, warn: Callable[[str], None]
) -> list[Member]:
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() or path.is_symlink()
    }
    function = project.function
    left_out: Container[str] = ()
    if function.boto3 == FROM_RUNTIME:
        left_out = sdk_files(folder, project.dependencies, markers)
    names = [name for name in files if name not in left_out and not _LEFT_OUT.search(name)]
    excluded = _excluded(names, function.exclude, warn)
    members = []
    for name in (name for name in names if name not in excluded):
        path = files[name]
        if path.is_symlink():
            raise PipelineError(
                FUNCTION_LOCK, f"a dependency brings the link {name}", "Lambda takes no links."
            )
        data = path.read_bytes()
        if not is_launcher(name, data):
            mode = _EXECUTABLE if path.stat().st_mode & 0o111 else _PLAIN
            members.append(Member(name, mode, compress(data)))
    return [*members, *_records(folder, {member.name for member in members})]


def _records(folder: Path, packed: AbstractSet[str]) -> Iterator[Member]:
    """Yield for each distribution the list of its files that are packed.

    From it `importlib.metadata` knows at run time which package brings which module. The hashes
    stay out, which the standard allows: they would be a tenth of a small zip.
    """
    owned: dict[str, list[str]] = {}
    for name, wheels in records(folder).items():
        for wheel in wheels if name in packed else ():
            owned.setdefault(wheel + _RECORD, []).append(name)
    for record, names in owned.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            (name, "", "") for name in sorted([*names, record])
        )
        yield Member(record, _PLAIN, compress(text.getvalue().encode()))


def _excluded(
    names: Iterable[str], globs: Iterable[str], warn: Callable[[str], None]
) -> frozenset[str]:
    """Return the names that a glob means, but nothing of a `.dist-info` folder.

    What is installed is told by those: to the bill of materials, and to the function itself.
    """
    code = [name for name in names if not name.partition("/")[0].endswith(".dist-info")]
    found: set[str] = set()
    for glob in globs:
        taken = set(filter(path_matcher(glob), code))
        if not taken:
            warn(f"[tool.pipeline.function] exclude: {glob!r} matches no file of a dependency")
        found |= taken
    return frozenset(found)


def _restored(whole: Sealed, lock: str, cache: Path, *, from_cache: bool) -> Restored:
    installed = _installed(whole, cache)
    tags = {name: found.tags for name, found in installed.distributions.items()}
    versions = {name: found.version for name, found in installed.distributions.items()}
    entries = locked(lock, tags)
    # A universal lock also names what other platforms and Pythons need.
    used = (entry for entry in entries if versions.get(normal(entry.name)) == entry.version)
    return Restored(whole.data, installed, tuple(used), len(entries), from_cache)


def _installed(dependencies: Sealed, folder: Path) -> Installed:
    """Return what a dependency zip holds; `folder` is where that is remembered by its digest."""
    memory = folder / f"installed-{dependencies.sha256[:32]}.json"
    if kept := sealed(memory):
        return _from_document(json.loads(kept.data))
    archive = open_archive(dependencies.data, OUR_LIMITS, where="dependency zip")
    found = Installed(distributions(archive), compiled_files(members_of(archive)))
    keep(memory, json.dumps(asdict(found)).encode())
    return found


def _from_document(document: dict[str, Any]) -> Installed:
    return Installed(
        {
            name: Distribution(**{**facts, "tags": tuple(facts["tags"])})
            for name, facts in document["distributions"].items()
        },
        binaries_of(document["binaries"]),
    )
