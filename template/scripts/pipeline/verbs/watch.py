"""`run --watch`: the function as it lies in the work tree, run again at each save."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ..core.errors import PipelineError
from ..core.events import Failed, Reporter
from ..core.names import FUNCTION_ZIP
from ..core.text import counted, few, stage_line
from ..edge.files import remove_folder
from ..edge.machine import Machine
from ..function.engine import Restored, engine_for
from ..function.function_zip import make_function_zip
from ..local.background import running
from ..package.build_hooks import HOOKS, before_build
from ..package.make import function_sources, restore_dependencies
from ..package.native import native_dependencies
from ..project.project import Project
from ..project.sources import SOURCE, STACK, Sources, own_files, with_made
from ..runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime, unpack_function
from .local import Started, aws_at_hand, background, lay_out
from .run import calls_aws, read_event, run_events, run_settings

_BELOW = f"{SOURCE}/"
_PYPROJECT = "pyproject.toml"
# A look at a few dozen files takes well under a millisecond, on every system and file system.
_BETWEEN_LOOKS = 0.05
# An editor may empty a file before it writes it: a save is over when two looks agree.
_SETTLING, _MOST_LOOKS = 0.02, 10

_Looks = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Watched:
    """The events to run at each save: files that are watched too, or else those `given`.

    A debugger talks to the device `terminal`.
    """

    files: tuple[Path, ...]
    given: tuple[bytes, ...] = ()
    terminal: str = ""


@dataclass(frozen=True)
class _Setup:
    """What pyproject.toml, locks and stack decide; made again only when one of them was saved."""

    project: Project
    runtime: LocalRuntime
    restored: Restored
    settings: FunctionConfig
    started: Started | None


def watch(
    watched: Watched, machine: Machine, reporter: Reporter, wait: Callable[[float], None]
) -> NoReturn:
    """Run the events, and again at each save of what they depend on, until interrupted.

    What runs is a function zip like a build's, without tests and package, and nothing is left of
    it. The stage before a build runs at first, and when it or a setting was saved. Errors are
    shown, and the next save tries again.
    """
    reporter.line(stage_line("watch", f"{SOURCE}, {_PYPROJECT} and the events", "Ctrl-C ends"))
    with ExitStack() as held:
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="watch-")))
        watcher = _Watcher(watched, machine, reporter, scratch, held)
        held.callback(remove_folder, watcher.task)
        while True:
            watcher.look(wait)
            wait(_BETWEEN_LOOKS)


@dataclass
class _Watcher:
    """What there was at the last look, and what ran then; `held` is closed at the end."""

    watched: Watched
    machine: Machine
    reporter: Reporter
    scratch: Path
    held: ExitStack
    stack: Callable[[Project], Started] | None = None
    seen: _Looks = field(default_factory=dict)
    inputs: dict[str, object] = field(default_factory=dict)
    setup: _Setup | None = None
    made: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.task = self.scratch / "task"
        index = [self.machine.git.index()] if self.machine.git else []
        self.beside = (*self.watched.files, *index)
        self.locks = _locks(self.machine.root)

    def look(self, wait: Callable[[float], None]) -> None:
        """Run the events if anything that they depend on was saved since the last look."""
        now, before = self._now(), self.seen
        if now == before:
            return
        self.seen = _settled(self._now, now, wait)
        try:
            self._react(self.seen.keys() - before.keys())
        except PipelineError as error:
            self.reporter.emit(Failed("", error))

    def _now(self) -> _Looks:
        return _look(self.machine.root, self.locks, self.beside)

    def _react(self, appeared: set[str]) -> None:
        began = self.machine.seconds()
        before, self.inputs = self.inputs, {}
        settings = (_PYPROJECT, STACK, HOOKS, *self.locks)
        if any(self.seen.get(name) != before.get(name) for name in settings):
            self._run_hook()
        root, git = self.machine.root, self.machine.git
        every = with_made(root, own_files(root, git), self.made)
        files = [file for file in every if file.path.startswith(_BELOW) or file.path in self.locks]
        self._name_untracked(appeared - {file.path for file in files})
        # Neither git's index, which it rewrites for many reasons, nor what it does not track.
        others = (*settings, *map(str, self.watched.files))
        self.inputs = {name: self.seen.get(name) for name in others}
        self.inputs |= {file.path: (self.seen.get(file.path), file) for file in files}
        saved = {name for name, _ in self.inputs.items() ^ before.items()}
        if not saved:
            return
        if before:
            self.reporter.line(stage_line("watch", few(saved), "saved"))
        if saved.intersection(settings):
            self.setup = None
        failed, count = self._run(Sources(self.machine.root, tuple(files)))
        text = f"{failed} of {count} events failed" if failed else f"{count} answered"
        self.reporter.line(stage_line("watch", text, f"{self.machine.seconds() - began:.2f} s"))

    def _run_hook(self) -> None:
        """Let the stage before a build write its files, which is no save."""
        project = Project.load(self.machine.root)
        self.made = before_build(project, self.machine.git, self.reporter.line).made
        self.seen = self._now()

    def _name_untracked(self, names: set[str]) -> None:
        git = self.machine.git
        names = {name for name in names if name.startswith(_BELOW)}
        # Only when there is something to ask for: git takes longer than all the looking.
        untracked = {*git.status().untracked} & names if git and names else set()
        if untracked:
            verb = "is" if len(untracked) == 1 else "are"
            self.reporter.warn(f"{few(untracked)} {verb} not in the function before `git add`")

    def _run(self, sources: Sources) -> tuple[int, int]:
        """Return how many of the events failed, and how many there were."""
        setup = self.setup = self.setup or self._set_up()
        zipped = self.scratch / FUNCTION_ZIP
        _, own = function_sources(setup.project, sources, setup.restored, self.machine)
        make_function_zip(own.files, setup.restored, zipped)
        unpack_function(zipped, self.task)
        events = [*map(read_event, self.watched.files), *self.watched.given]
        if setup.started:
            lay_out(events, setup.project.root, setup.started.aws, self.reporter)
        done = run_events(
            FunctionCode(self.task, setup.project.function.handler, setup.runtime),
            setup.settings,
            events,
            self.reporter,
            bytecode=self.scratch / "bytecode",
            terminal=self.watched.terminal,
        )
        return sum(bool(invocation.error) for invocation in done), len(done)

    def _set_up(self) -> _Setup:
        project = Project.load(self.machine.root)
        engine = engine_for(project.function.runtime)
        self.locks = (*engine.locks, *engine.beside)
        runtime = engine.runtime(project.function, self.machine, self.reporter)
        with self.reporter.stage("restore") as stage:
            restored = restore_dependencies(project, self.machine, self.reporter.warn)
            stage.text = f"{counted(restored.installed.locked, 'package')}, locked"
        facts, binaries = project.function.facts(), restored.installed.binaries
        native = native_dependencies(project, facts, binaries, runtime, self.machine, self.reporter)
        wanted = background(project, runtime, self.machine)
        needed = running(wanted.state) or calls_aws(facts.boto3, restored.installed.dependencies)
        if needed and not self.stack:
            self.stack = self.held.enter_context(aws_at_hand(wanted, self.reporter))
        started = self.stack(project) if self.stack else None
        settings = run_settings(project, facts, self.machine.environ, self.reporter, started)
        return _Setup(project, runtime, native or restored, settings, started)


def _look(root: Path, locks: Sequence[str], files: Sequence[Path]) -> _Looks:
    named = {name: root / name for name in (_PYPROJECT, STACK, HOOKS, *locks)}
    named |= {str(path): path for path in files}
    named |= {path.relative_to(root).as_posix(): path for path in _walk(root / SOURCE)}
    found = {}
    for name, path in named.items():
        try:
            facts = path.stat()
        except OSError:
            continue
        found[name] = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(base, name) for name in files)


def _locks(root: Path) -> tuple[str, ...]:
    try:
        engine = engine_for(Project.load(root).function.runtime)
    except PipelineError:  # which the first run says
        return ()
    return (*engine.locks, *engine.beside)


def _settled(look: Callable[[], _Looks], found: _Looks, wait: Callable[[float], None]) -> _Looks:
    for _ in range(_MOST_LOOKS):
        wait(_SETTLING)
        before, found = found, look()
        if found == before:
            break
    return found
