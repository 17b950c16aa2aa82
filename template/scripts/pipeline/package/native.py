"""A function on this machine, where its compiled dependencies are for another one.

What is packaged fits Lambda. Here the same lock gives packages for this machine, and for what runs
the function.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import FunctionFacts
from ..edge.machine import Machine, this_system
from ..function.compiled import compiled_files
from ..function.elf import Binary
from ..function.engine import Restored
from ..project.project import Project
from ..project.runtimes import runtime_named
from ..runtime.function_code import LocalRuntime
from ..zip.reader import FUNCTION_LIMITS, members_of, open_archive
from ..zip.writer import write_zip
from .contents import Package
from .make import restore_dependencies


def native_dependencies(
    project: Project, facts: FunctionFacts, binaries: Mapping[str, Binary],
    runtime: LocalRuntime, machine: Machine, reporter: Reporter,
) -> Restored | None:  # fmt: skip
    """Return the project's locked dependencies for this machine, and say so in a line.

    None where those with the compiled files `binaries` fit as they are, or where there are none
    for this machine, which is warned of.
    """
    wanted = runtime_named(facts.runtime, where="manifest").version
    target, here = f"linux {facts.architecture}", this_system()
    if runtime.version and runtime.version != wanted:
        name = runtime.language.title()
        target, here = f"{target} {name} {wanted}", f"{here} {name} {runtime.version}"
    if not binaries or target == here:
        return None
    try:
        found = restore_dependencies(project, machine, lambda _: None, here=runtime)
    except PipelineError as error:
        reporter.warn(
            f"the package has files for {target} ({min(binaries)}), this machine is {here}, and "
            f"has no packages for it: {error.what}"
        )
        return None
    reporter.line(
        f"  native    this machine's packages ({here}) of the same lock; "
        f"packaged are those for {target}"
    )
    return found


def native_zip(
    project: Project, package: Package, runtime: LocalRuntime, machine: Machine,
    reporter: Reporter, target: Path,
) -> Path | None:  # fmt: skip
    """Write the package's function zip with this machine's dependencies to `target`.

    Returns None where the one in the package is as good as it gets.
    """
    manifest = package.own_manifest()
    zipped = open_archive(package.function_zip(), FUNCTION_LIMITS, where=str(package.path))
    members = {member.name: member for member in members_of(zipped)}
    binaries = compiled_files(members.values())
    found = native_dependencies(project, manifest.function, binaries, runtime, machine, reporter)
    if found is None:
        return None
    packed = {one.name: one.version for one in manifest.dependencies}
    locked = {one.name: one.version for one in found.installed.dependencies}
    if other := sorted(name for name in packed if locked.get(name, packed[name]) != packed[name]):
        reporter.warn(f"the package has another {other[0]} than this repository's lock")
        return None
    kept = members.keys() - binaries.keys() - found.files.keys()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_zip(target, [members[name] for name in kept], found.block)
    return target
