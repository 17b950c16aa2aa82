"""Pre-flight: everything that Lambda or Octopus would refuse of a package, said before it is one.

Each check is a function of values that returns reasons; this module gathers the values and asks
all of them. Nothing here needs a network, credentials or an account.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import PipelineError
from ..core.handler import find_handler, handler_file
from ..core.lambda_limits import MEBIBYTE, UNZIPPED_LIMIT
from ..core.templates import names_in, resolve
from ..edge.files import read_text
from ..function.compiled import compiled_files, compiled_reasons
from ..function.function_zip import FunctionZip, Restored
from ..function.handler_facts import FunctionFiles, HandlerCheck, known_values
from ..package.reader import list_package
from ..project.project import LOCAL_ENVIRONMENT, Function, Project
from ..project.sources import SOURCE
from ..zip.reader import DEFAULT_LIMITS, OUR_LIMITS, open_archive, read_member
from ..zip.writer import plain
from .limits import (
    environment_reasons,
    function_name_reasons,
    length_reasons,
    name_reasons,
    size_reasons,
    tag_reasons,
)
from .root_scripts import is_stage, script_reasons, substitution_reasons

if TYPE_CHECKING:
    from ..runtime.pool import LocalRuntime

_STACK = "environment/stack.yaml"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# A package too large has its own words; how well its files pack is looked at as everywhere.
_ANY_SIZE = replace(DEFAULT_LIMITS, total=OUR_LIMITS.total)


@dataclass(frozen=True)
class Place:
    """Where the check runs: `cache` may be deleted, `runtime` gives what stands for Lambda's.

    Without `runtime` the handler is looked for in the source and not imported. `python` gives
    the runtime's Python, if there is one here.
    """

    cache: Path
    environ: Mapping[str, str]
    today: date
    python: Callable[[], Path | None]
    runtime: Callable[[], LocalRuntime] | None


def preflight(
    project: Project, package: Path, zipped: FunctionZip, restored: Restored, place: Place
) -> tuple[str, list[str]]:
    """Check a package that is made, but not handed over yet, with what it was made of.

    Returns what was found, and what to know besides. Raises one PipelineError that lists every
    reason against it.
    """
    function = project.function
    own = frozenset(member.name for member in zipped.own)
    binaries = {**restored.brought.binaries, **compiled_files(zipped.own)}
    names = own | restored.files.keys()
    locked = restored.brought.distributions.keys()
    unknown = _modules(project.root / SOURCE) - own
    files = FunctionFiles(zipped.path, names, own, binaries, locked, sorted(unknown))
    reasons = [
        *size_reasons(
            zipped.facts, function, lambda: open_archive(zipped.path, OUR_LIMITS).entries, own
        ),
        *compiled_reasons(files.binaries, function.runtime, function.architecture, own),
        *length_reasons("handler", function.handler),
        *_names(project),
        *length_reasons("description", function.description),
        *tag_reasons(function.tags),
        *_environment(project, place.environ),
        *_root(package),
    ]
    handler = _found(function, files, (zipped, restored), place)
    if place.runtime and not handler.reason and zipped.facts.unzipped_size <= UNZIPPED_LIMIT:
        handler = _imported(project, files, place, place.runtime())
    reasons += [handler.reason] if handler.reason else []
    if reasons:
        listed = "".join(f"\n  {number}. {text}" for number, text in enumerate(reasons, 1))
        raise PipelineError(
            "check",
            f"this package would be refused or fail, reasons found: {len(reasons)}{listed}",
            "Nothing was written to build-output. Correct them and build again.",
        )
    size = f"{max(0.1, zipped.facts.unzipped_size / MEBIBYTE):.1f} of 250 MB unzipped"
    notes = (function.runtime.notice(place.today), handler.note)
    return f"{size}, {handler.found}", [note for note in notes if note]


def _names(project: Project) -> list[str]:
    environments = [environment.name for environment in project.environments]
    return function_name_reasons(project.function.name, environments or [LOCAL_ENVIRONMENT])


def _root(package: Path) -> list[str]:
    listing = list_package(package, _ANY_SIZE)
    found = {name: entry for name, entry in listing.files.items() if is_stage(name)}
    scripts = {name: read_member(listing.archive, entry) for name, entry in found.items()}
    return [*script_reasons(listing.files), *substitution_reasons(scripts)]


def _environment(project: Project, environ: Mapping[str, str]) -> list[str]:
    templates = project.function.environment
    good, reasons = _fillable(templates)
    reasons = name_reasons(templates) + reasons
    for environment in project.environments or (project.environment(LOCAL_ENVIRONMENT),):
        known = known_values(good, environment, environ)
        reasons += environment_reasons({**known.others, **known.values}, environment.name)
    return reasons


def _fillable(templates: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the templates that can be filled once the values are known, and why others cannot."""
    good, reasons = {}, []
    for key, template in templates.items():
        every = dict.fromkeys(names_in({key: template}), "")
        try:
            resolve({key: template}, every, where="check")
        except PipelineError as error:
            reasons.append(f"{error.what}: {error.then[:1].lower()}{error.then[1:]}")
        else:
            good[key] = template
    return good, reasons


def _imported(
    project: Project, files: FunctionFiles, place: Place, runtime: LocalRuntime
) -> HandlerCheck:
    # It brings what runs functions along, and takes as long to import as all the rest.
    from ..function.python.handler_check import Here, handler_check, this_system  # noqa: PLC0415

    local = project.environment(LOCAL_ENVIRONMENT)
    templates, _ = _fillable(project.function.environment)
    # A name that Lambda refuses is a reason already, and some cannot be given to a process.
    given = {key: value for key, value in templates.items() if not {"=", "\0"} & {*key}}
    known = known_values(given, local, place.environ)
    try:
        stack = read_text(project.root / _STACK, _STACK)
    except OSError:
        stack = ""
    layers = re.search(r"^\s*Layers:", stack, re.MULTILINE) is not None
    here = Here(runtime, this_system(), known, layers)
    return handler_check(project.function, files, here, place.cache / "import")


def _modules(source: Path) -> frozenset[str]:
    return frozenset(path.relative_to(source).as_posix() for path in source.rglob("*.py"))


def _found(
    function: Function, files: FunctionFiles, made: tuple[FunctionZip, Restored], place: Place
) -> HandlerCheck:
    """Look at the handler's source, as the deploy script will."""
    zipped, restored = made
    own = {member.name: member.payload for member in zipped.own}
    handler, runtime = function.handler, function.runtime

    def read(name: str) -> bytes:
        if name in own:
            return plain(own[name])
        archive = restored.archive
        return read_member(archive, next(e for e in archive.entries if e.name == name))

    file = handler_file(files.names, handler)
    try:
        is_read = find_handler(files.names, read, handler, "check", runtime.name)
    except PipelineError as error:
        module = handler.rpartition(".")[0].replace("/", ".")
        return HandlerCheck(reason=error.what + ("" if file else files.advice(module)))
    if file and not place.runtime and runtime.python != _PYTHON:
        from ..function.python.handler_check import syntax_problem  # noqa: PLC0415 - as above

        if python := place.python():
            problem = syntax_problem(python, read(file))
            return HandlerCheck("handler found", f"{file}:{problem}" if problem else "")
        if not is_read:
            return HandlerCheck(f"{file} not read: here is Python {_PYTHON}")
    return HandlerCheck("handler found")
