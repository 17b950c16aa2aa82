"""Pre-flight: everything that Lambda or Octopus would refuse of a package, said before it is one.

Each check is a function of values that returns reasons; this module gathers the values and asks
all of them. Nothing here needs a network, credentials or an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.lambda_limits import MEBIBYTE, UNZIPPED_LIMIT
from ..edge.files import read_text
from ..edge.machine import Machine
from ..function.compiled import compiled_files, compiled_reasons
from ..function.engine import Restored, engine_for
from ..function.handler import FunctionFiles, known_values, template_reasons
from ..package.contents import list_package
from ..package.make import Built
from ..project.project import LOCAL_ENVIRONMENT, Project
from ..project.sources import SOURCE, STACK
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
from .root_scripts import is_stage, script_reasons
from .stack_template import stack_reasons

# A package too large has its own words; how well its files pack is looked at as everywhere.
_ANY_SIZE = replace(DEFAULT_LIMITS, total=OUR_LIMITS.total)


def preflight(
    project: Project, built: Built, restored: Restored, machine: Machine, reporter: Reporter,
    *, imports: bool,
) -> tuple[str, list[str]]:  # fmt: skip
    """Check a package that is made, but not handed over yet; with `imports` import its handler too.

    Returns what was found, and what to know besides. Raises one PipelineError that lists every
    reason against it.
    """
    function, zipped, installed = project.function, built.function_zip, restored.installed
    own = {member.name: member for member in zipped.own}
    names = own.keys() | restored.files.keys()
    source = project.root / SOURCE
    modules = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    files = FunctionFiles(
        zipped.path,
        names,
        own.keys(),
        {**installed.binaries, **compiled_files(zipped.own)},
        installed.distributions.keys(),
        sorted(modules - own.keys()),
    )
    environments = [environment.name for environment in project.environments]
    stack = project.root / STACK
    reasons = [
        *size_reasons(
            zipped.facts, function, lambda: open_archive(zipped.path, OUR_LIMITS).entries, own
        ),
        *compiled_reasons(files.binaries, function.runtime, function.architecture, own),
        *length_reasons("handler", function.handler),
        *function_name_reasons(project.function.name, environments or [LOCAL_ENVIRONMENT]),
        *length_reasons("description", function.description),
        *tag_reasons(function.tags),
        *_environment(project, machine.environ),
        *_root(built.package),
        *(stack_reasons(read_text(stack, STACK)) if stack.is_file() else ()),
    ]
    handler = engine_for(function.runtime).check_handler(
        project,
        files,
        lambda name: plain(own[name].payload),
        machine,
        reporter,
        imports=imports and zipped.facts.unzipped_size <= UNZIPPED_LIMIT,
    )
    reasons += [handler.reason] if handler.reason else []
    if reasons:
        listed = "".join(f"\n  {number}. {text}" for number, text in enumerate(reasons, 1))
        raise PipelineError(
            "check",
            f"this package would be refused or fail, reasons found: {len(reasons)}{listed}",
            "Nothing was written to build-output. Correct them and build again.",
        )
    size = f"{max(0.1, zipped.facts.unzipped_size / MEBIBYTE):.1f} of 250 MB unzipped"
    notes = (function.runtime.notice(machine.now().date()), handler.note)
    return f"{size}, {handler.found}", [note for note in notes if note]


def _root(package: Path) -> list[str]:
    listing = list_package(package, _ANY_SIZE)
    found = {name: entry for name, entry in listing.files.items() if is_stage(name)}
    return script_reasons(
        {name: read_member(listing.archive, entry) for name, entry in found.items()}
    )


def _environment(project: Project, environ: Mapping[str, str]) -> list[str]:
    templates = project.function.environment
    reasons = name_reasons(templates) + template_reasons(templates)
    for environment in project.environments or (project.environment(LOCAL_ENVIRONMENT),):
        known = known_values(templates, environment, environ)
        reasons += environment_reasons({**known.others, **known.values}, environment.name)
    return reasons
