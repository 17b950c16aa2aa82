"""A handler loaded in a process of its own, as Lambda does: without credentials, AWS is nowhere.

It can be called, is refused, or was not imported. Refused is what is wrong inside the package, for
that is wrong on Lambda too. Whatever else a module raises while it is loaded may come from what
only AWS has, and is told as a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..edge.files import read_text
from ..edge.locks import exclusive
from ..edge.machine import this_system
from ..project.project import Function, Project
from ..project.sources import STACK
from ..runtime.api import Kind, ProcessEvent, RuntimeApi
from ..runtime.child import Child
from ..runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from ..runtime.surroundings import function_environment
from ..zip.mirror import mirror
from ..zip.reader import FUNCTION_LIMITS, open_archive
from .handler import FunctionFiles, HandlerCheck, Known, known_here

_LONGEST = 400


@dataclass(frozen=True)
class Here:
    """Where a handler is imported, and what is known of the function's world.

    `system` is like `linux arm64`, `layers` tells that the stack has some.
    """

    runtime: LocalRuntime
    system: str
    known: Known
    layers: bool

    @classmethod
    def of(cls, project: Project, environ: Mapping[str, str], runtime: LocalRuntime) -> Here:
        """Return this machine, with the variables that are known on it."""
        known = known_here(project, environ)
        return cls(runtime, this_system(), known, _has_layers(project.root))

    def cannot_load(self, function: Function, files: FunctionFiles) -> str:
        """Return why the function's compiled files prove nothing here; empty if they do."""
        wanted = f"linux {function.architecture}"
        made_for = {binary.machine for binary in files.binaries.values()}
        if self.system == wanted or function.architecture not in made_for:
            return ""
        return f"its files are for {wanted}, here is {self.system}"


def imported(seconds: float) -> HandlerCheck:
    """Return that the handler can be called."""
    return HandlerCheck(f"handler imported in {seconds:.1f} s")


def not_imported(what: str) -> HandlerCheck:
    """Return the warning of what was raised."""
    note = f"the handler was looked for, not imported: {what}"
    return HandlerCheck("handler found, not imported", note=note)


def proves_nothing(why: str) -> HandlerCheck:
    """Return a word and no warning: nothing that anybody could put right here."""
    return HandlerCheck(f"handler found, not imported: {why}")


@contextmanager
def unpacked(files: FunctionFiles, home: Path) -> Iterator[Path]:
    """Give a folder with what is in the function zip, below `home`, which may be kept."""
    with exclusive(home.with_name(f"{home.name}.lock"), lambda: None):
        mirror(open_archive(files.path, FUNCTION_LIMITS), home / "task")
        yield home / "task"


def first_event(
    code: FunctionCode, config: FunctionConfig, words: Sequence[object],
    kinds: tuple[Kind, ...], seconds: float, scratch: Path,
) -> tuple[ProcessEvent, str]:  # fmt: skip
    """Start the function's process, and return its first event of these kinds, and its log."""
    api = RuntimeApi()
    env = function_environment(code, config, api=api.address, scratch=scratch, log_stream="check")
    try:
        child = Child(api, [str(word) for word in words], env, code.folder)
    except OSError as error:
        api.close()
        said = f"{words[0]} cannot be started: {error.strerror}"
        return ProcessEvent("exit", code=error.errno or 1), said
    try:
        event = api.first(kinds, seconds)
        return event, child.take_log().decode("utf-8", "replace")
    finally:
        child.end()


def exit_of(event: ProcessEvent, log: str) -> str:
    """Return how a process ended, with its last lines."""
    how = f"exit code {event.code}" if event.code >= 0 else f"signal {-event.code}"
    lines = [line.strip() for line in log.splitlines() if line.strip()][-3:]
    return f"its process ended with {how}{': ' if lines else ''}{' / '.join(lines)}"


def shortened(text: str) -> str:
    """Return what was said as one line that a person reads."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _has_layers(root: Path) -> bool:
    try:
        stack = read_text(root / STACK, STACK)
    except OSError:
        return False
    return re.search(r"^\s*Layers:", stack, re.MULTILINE) is not None
