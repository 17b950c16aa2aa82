"""The handler, imported by the function's Python: a child writes down facts, judged here."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.masking import masked_text
from ...core.templates import names_in
from ...edge.files import read_json
from ...edge.machine import Machine
from ...project.project import LOCAL_ENVIRONMENT, Function, Project
from ...project.tables import normal
from ...runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from ..handler import FunctionFiles, HandlerCheck
from ..handler_import import (
    Here,
    exit_of,
    first_event,
    imported,
    not_imported,
    proves_nothing,
    shortened,
    unpacked,
)
from .handler_source import ASYNC, GENERATOR

_CHILD = Path(__file__).with_name("handler_child.py")
# The child ends itself and says where it was; this is for one that cannot.
_GRACE_SECONDS = 5
# What is no function that Lambda could call, or would wait for.
_UNCALLABLE = {
    "async": ASYNC,
    "generator": GENERATOR,
    "missing": "is missing: its module has no such name",
}


@dataclass(frozen=True)
class Facts:
    """What became of an import.

    `kind` is what the handler is, empty when it could not be imported. Then `error` is the type
    of what was raised and `places` the lines of the package on the way there. `absent` is a
    module, or a name in the module of the file `origin`, that an import did not find; `standard`
    tells that it belongs to Python, `syntax` that a file of the package is no Python.
    """

    kind: str = ""
    seconds: float = 0
    error: str = ""
    message: str = ""
    places: Sequence[str] = ()
    syntax: bool = False
    absent: str = ""
    is_module: bool = False
    origin: str = ""
    standard: bool = False


def import_handler(
    project: Project, files: FunctionFiles, machine: Machine, runtime: LocalRuntime
) -> HandlerCheck:
    """Import the handler with the variables that are known here."""
    here = Here.of(project, machine.environ, runtime)
    return check_import(project.function, files, here, machine.cache / "import")


def check_import(
    function: Function, files: FunctionFiles, here: Here, home: Path, seconds: float = 10
) -> HandlerCheck:
    """Import the handler, for as long as Lambda would; `home` may be kept for the next time."""
    config = FunctionConfig(
        function.name,
        runtime=function.runtime.name,
        environment=here.known.values,
        init_timeout=seconds,
    )
    with unpacked(files, home) as folder:
        code = FunctionCode(folder, function.handler, here.runtime)
        facts = _import(code, config, home / "bytecode")
    return outcome(facts, function, files, here)


def outcome(facts: Facts, function: Function, files: FunctionFiles, here: Here) -> HandlerCheck:
    """Judge an import: the handler can be called, is refused, or was not imported."""
    if facts.kind == "callable":
        return imported(facts.seconds)
    if facts.kind:
        wrong = _UNCALLABLE.get(facts.kind, f"is no function but of type {facts.message}")
        return HandlerCheck(reason=f"the handler {function.handler} {wrong}")
    if here.runtime.version != function.runtime.version:
        return proves_nothing(f"here is Python {here.runtime.version}")
    # What is there for another machine fails in many ways; these two are the same on any.
    certain = facts.syntax or (facts.is_module and not files.has(facts.absent))
    foreign = here.cannot_load(function, files)
    if foreign and (not certain or facts.standard):
        return proves_nothing(foreign)
    private = here.known.private
    if _is_wrong_inside(facts, files, here):
        what = masked_text(_told(facts, files, facts.places[-1:]), private)
        hint = _hint(facts, files)
        return HandlerCheck(
            reason=f"the handler {function.handler} cannot be imported: {what}{hint}"
        )
    # Where the team's own code asks for what is not here: that line can be moved into a function.
    own = [place for place in facts.places if place.partition(":")[0] in files.own]
    what = masked_text(_told(facts, files, own[-1:] or facts.places[-1:]), private)
    return not_imported(f"{what}{_advice(facts, here)}")


def _import(code: FunctionCode, config: FunctionConfig, bytecode: Path) -> Facts:
    limit = config.init_timeout
    late = f"importing it took more than {limit:g} s, which is Lambda's limit"
    options = ["-I", "-S", "-u", "-X", "utf8", "-X", f"pycache_prefix={bytecode}"]
    last = [*code.runtime.extra_paths, code.runtime.ric]
    with tempfile.TemporaryDirectory(prefix="import-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        report = scratch / "report.json"
        given = (code.folder, code.handler, report, f"{limit}")
        words = (code.runtime.program, *options, _CHILD, *given, *last)
        event, log = first_event(code, config, words, ("exit",), limit + _GRACE_SECONDS, scratch)
        document = read_json(report)
    if event.kind == "timeout":
        return Facts(error="timeout", message=late)
    if document:
        return Facts(**{"message": late, **document})
    return Facts(error="exit", message=exit_of(event, log))


def _is_wrong_inside(facts: Facts, files: FunctionFiles, here: Here) -> bool:
    if facts.syntax or not facts.absent:
        return facts.syntax
    if files.has(facts.absent):  # and cannot be loaded here, or its own import says so
        return False
    if facts.is_module:
        return not facts.standard and not here.layers
    # AWS's own versions of what the runtime brings are others, and so is Python's elsewhere.
    ours = (*here.runtime.extra_paths, here.runtime.ric)
    brought = any(Path(facts.origin).is_relative_to(path) for path in ours)
    return not brought and not (facts.standard and not here.system.startswith("linux"))


def _told(facts: Facts, files: FunctionFiles, places: Sequence[str]) -> str:
    place = "".join(f"{files.shown(place)}: " for place in places)
    said = shortened(facts.message)
    plain = facts.error in ("timeout", "exit", "ModuleNotFoundError")
    return f"{place}{said}" if plain else f"{place}{facts.error}: {said}"


def _hint(facts: Facts, files: FunctionFiles) -> str:
    """Say what to do about something that is not in the package."""
    missing = facts.absent
    if (unknown := files.advice(missing)) or not facts.is_module:
        return unknown
    top = missing.partition(".")[0]
    if files.has(top):
        return f"; function.zip has {top}, but no {missing}"
    if normal(top) in files.locked:
        return f"; {top} is locked already, but what it brings is imported by another name"
    return f"; add {top} to dependencies in pyproject.toml, then `python3 tasks.py lock`"


def _advice(facts: Facts, here: Here) -> str:
    """Say what this machine lacks, where that is known."""
    for name, template in here.known.others.items():
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", facts.message):
            needs = ", ".join(names_in({name: template}))
            table = f"[tool.pipeline.environments.{LOCAL_ENVIRONMENT}.variables]"
            return f"; {name} has no value here, put {needs} into {table}"
    if facts.is_module and here.layers:
        return "; the stack has layers, which are not here"
    return ""
