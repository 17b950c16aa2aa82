"""The handler, imported in a clean process: it can be called, is refused, or was not imported.

Refused is what is wrong inside the package, for that is wrong on Lambda too. Whatever else a module
raises while it is imported may come from what only AWS has, and is told as a warning.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.masking import masked_text
from ...core.templates import names_in
from ...edge.files import read_json
from ...edge.locks import exclusive
from ...edge.machine import Machine, this_system
from ...project.project import LOCAL_ENVIRONMENT, Function, Project
from ...project.tables import normal
from ...runtime.api import RuntimeApi
from ...runtime.child import Child
from ...runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from ...runtime.surroundings import function_environment
from ...zip.mirror import mirror
from ...zip.reader import FUNCTION_LIMITS, open_archive
from ..handler import FunctionFiles, HandlerCheck, Known, has_layers, known_here
from .handler_source import ASYNC, GENERATOR

_CHILD = Path(__file__).with_name("handler_child.py")
# The child ends itself and says where it was; this is for one that cannot.
_GRACE_SECONDS = 5
_LONGEST = 400


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


@dataclass(frozen=True)
class Here:
    """Where a handler is imported, and what is known of the function's world.

    `system` is like `linux arm64`, `layers` tells that the stack has some.
    """

    runtime: LocalRuntime
    system: str
    known: Known
    layers: bool


def import_handler(
    project: Project, files: FunctionFiles, machine: Machine, runtime: LocalRuntime
) -> HandlerCheck:
    """Import the handler with the variables that are known here."""
    known = known_here(project, machine.environ)
    here = Here(runtime, this_system(), known, has_layers(project.root))
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
    with exclusive(home.with_name(f"{home.name}.lock"), lambda: None):
        mirror(open_archive(files.path, FUNCTION_LIMITS), home / "task")
        code = FunctionCode(home / "task", function.handler, here.runtime)
        facts = _import(code, config, home / "bytecode")
    return outcome(facts, function, files, here)


def outcome(facts: Facts, function: Function, files: FunctionFiles, here: Here) -> HandlerCheck:
    """Judge an import: the handler can be called, is refused, or was not imported."""
    if facts.kind == "callable":
        return HandlerCheck(f"handler imported in {facts.seconds:.1f} s")
    if facts.kind:
        wrong = {
            "async": ASYNC,
            "generator": GENERATOR,
            "missing": "is missing: its module has no such name",
        }.get(facts.kind, f"is no function but of type {facts.message}")
        return HandlerCheck(reason=f"the handler {function.handler} {wrong}")
    if here.runtime.version != function.runtime.version:
        return _quiet(f"here is Python {here.runtime.version}")
    # What is there for another machine fails in many ways; these two are the same on any.
    certain = facts.syntax or (facts.is_module and not files.has(facts.absent))
    wanted = f"linux {function.architecture}"
    foreign = here.system != wanted and any(
        binary.machine == function.architecture for binary in files.binaries.values()
    )
    if foreign and (not certain or facts.standard):
        # Nothing that anybody could put right here, so no warning with each build.
        return _quiet(f"its files are for {wanted}, here is {here.system}")
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
    advice = _advice(facts, here)
    return HandlerCheck(
        "handler found, not imported",
        note=f"the handler was looked for, not imported: {what}{advice}",
    )


def _quiet(why: str) -> HandlerCheck:
    return HandlerCheck(f"handler found, not imported: {why}")


def _import(code: FunctionCode, config: FunctionConfig, bytecode: Path) -> Facts:
    """Import the handler in a process of its own, without credentials; AWS is nowhere."""
    limit = config.init_timeout
    late = f"importing it took more than {limit:g} s, which is Lambda's limit"
    last = [*code.runtime.extra_paths, code.runtime.ric]
    with tempfile.TemporaryDirectory(prefix="import-", ignore_cleanup_errors=True) as folder:
        api, scratch = RuntimeApi(), Path(folder)
        report = scratch / "report.json"
        options = ["-I", "-S", "-u", "-X", "utf8", "-X", f"pycache_prefix={bytecode}"]
        words = [code.runtime.program, *options, _CHILD, code.folder, code.handler, report, limit]
        env = function_environment(
            code, config, api=api.address, scratch=scratch, log_stream="check"
        )
        try:
            child = Child(api, [str(word) for word in (*words, *last)], env, code.folder)
        except OSError as error:
            api.close()
            said = f"{code.runtime.program} cannot be started: {error.strerror}"
            return Facts(error="exit", message=said)
        try:
            ending = api.first(("exit",), limit + _GRACE_SECONDS)
            log = child.take_log().decode("utf-8", "replace")
        finally:
            child.end()
        document = read_json(report)
    if ending.kind == "timeout":
        return Facts(error="timeout", message=late)
    if document:
        return Facts(**{"message": late, **document})
    how = f"exit code {ending.code}" if ending.code >= 0 else f"signal {-ending.code}"
    lines = [line.strip() for line in log.splitlines() if line.strip()][-3:]
    said = f": {' / '.join(lines)}" if lines else ""
    return Facts(error="exit", message=f"its process ended with {how}{said}")


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
    said = " ".join(facts.message.split())
    if len(said) > _LONGEST:
        said = f"{said[:_LONGEST]}..."
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
