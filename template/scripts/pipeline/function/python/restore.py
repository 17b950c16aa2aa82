"""Restoring: the lock's wheels for Lambda's platform become a dependency zip."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...edge.files import writing
from ...edge.machine import Machine
from ...project.project import FROM_RUNTIME, Function, Project
from ...project.tables import normal
from ...runtime.function_code import LocalRuntime
from ...zip.writer import Member, compress
from ..compiled import compiled_files
from ..dependency_zip import deflated, excluded, kept, pack
from ..engine import Installed, Restored
from .hash_lock import FUNCTION_LOCK, check_lock, locked, read_lock
from .install import distribution_of, install, is_launcher, own_folder, records
from .requirements import (
    Markers,
    facts_of,
    installed_in,
    left_to_runtime,
    markers_here,
    markers_of,
    refuse_misfits,
)

_RECORD = ".dist-info/RECORD"
# What differs between two installations of the same wheels.
_LEFT_OUT = re.compile(
    r"((^|/)__pycache__/|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$)"
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
    text, function = read_lock(project.root, FUNCTION_LOCK), project.function
    check_lock(FUNCTION_LOCK, text, project.dependencies)
    wanted = _platform(function, here)
    settings = (function.boto3, project.dependencies, function.exclude)
    make = partial(_make, project, wanted, text, machine, warn)
    return kept(cache, (wanted.options, text, settings, tools), make)


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
    project: Project, wanted: _Platform, lock: str, machine: Machine,
    warn: Callable[[str], None], target: Path,
) -> Restored:  # fmt: skip
    """Install the lock's wheels, and make a zip of them; it is from a cache where uv's had all."""
    cache, from_cache = target.parent, True
    with writing(cache), tempfile.TemporaryDirectory(dir=cache, prefix=".site.") as scratch:
        folder = Path(scratch) / "site"
        if locked(lock):
            options = ("--only-binary", ":all:", "--no-deps", "-r", project.root / FUNCTION_LOCK)
            installation = install(
                machine.uv,
                [*wanted.options, *options],
                partial(own_folder, folder),
                where=f"restore {FUNCTION_LOCK} for {wanted.name}",
                copies=False,
            )
            from_cache = installation.from_cache
            for warning in installation.warnings:
                warn(warning)
        site, needed = installed_in(folder), project.dependencies
        if wanted.markers["python_version"] == project.function.runtime.version:
            # Another Python may rightly lack what only the function's own needs.
            refuse_misfits(site, needed, wanted.markers, FUNCTION_LOCK)
        if project.function.boto3 == FROM_RUNTIME:
            left = left_to_runtime(site, needed, wanted.markers)
            site = {name: one for name, one in site.items() if name not in left}
        members = _members(folder, site.keys(), project.function, warn)
        found = {name: facts_of(one) for name, one in site.items()}
    entries = locked(lock, {name: one.tags for name, one in found.items()})
    # A universal lock also names what other platforms and Pythons need.
    used = [
        entry
        for entry in entries
        if (one := found.get(normal(entry.name))) and one.version == entry.version
    ]
    installed = Installed(found, compiled_files(members), tuple(used), len(entries))
    return pack(target, members, installed, from_cache=from_cache)


def _members(
    folder: Path, distributions: Container[str], function: Function, warn: Callable[[str], None]
) -> list[Member]:
    """Return what the wheels of these distributions brought, with new lists of it."""
    brought = {
        name: owners
        for name, wheels in records(folder).items()
        if not _LEFT_OUT.search(name) and not is_launcher(folder, name)
        if (owners := [one for one in wheels if distribution_of(one) in distributions])
    }
    # What is installed is told by `.dist-info`: to the bill of materials, and to the function.
    code = [name for name in brought if not name.partition("/")[0].endswith(".dist-info")]
    gone = excluded(code, function.exclude, warn)
    packed = {name: owners for name, owners in brought.items() if name not in gone}
    members = deflated({name: folder / name for name in packed}, FUNCTION_LOCK)
    return [*members, *_records(packed)]


def _records(packed: Mapping[str, Sequence[str]]) -> Iterator[Member]:
    """Yield for each wheel the list of its files, by the wheels that brought a file.

    From it `importlib.metadata` knows at run time which package brings which module. The hashes
    stay out, which the standard allows: they would be a tenth of a small zip.
    """
    owned: dict[str, list[str]] = {}
    for name, wheels in packed.items():
        for wheel in wheels:
            owned.setdefault(wheel + _RECORD, []).append(name)
    for record, names in owned.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            (name, "", "") for name in sorted([*names, record])
        )
        yield Member(record, 0o644, compress(text.getvalue().encode()))
