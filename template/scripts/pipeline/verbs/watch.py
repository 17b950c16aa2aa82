"""`run --watch`: the function as it lies in the work tree, run again at each save."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..edge.machine import Machine
from ..engines.python import FUNCTION_LOCK, Restored, make_function_zip
from ..engines.sources import SOURCE, OwnFile, Sources, own_files
from ..errors import PipelineError
from ..local.function_code import CodeFolder
from ..local.pool import LocalRuntime
from ..report.events import Failed, Reporter
from ..report.words import row
from ..values.names import FUNCTION_ZIP
from ..values.project import Project
from .interpreter import local_runtime
from .package import function_sources, restore_dependencies
from .run import RunRequest, read_event, run_settings, run_unpacked

__all__ = ["Watched", "watch"]

_PYPROJECT = "pyproject.toml"
_INDEX = ".git/index"
# A look at a few dozen files takes well under a millisecond, on every system and file system.
_BETWEEN_LOOKS = 0.05
# An editor may empty a file before it writes it: a save is over when two looks agree.
_SETTLING, _MOST_LOOKS = 0.02, 10
_MOST_NAMES = 3

_Looks = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Watched:
    """The events to run at each save: files that are watched too, or else those `given`."""

    files: tuple[Path, ...]
    given: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class _Setup:
    """What pyproject.toml and the lock decide; made again only when one of them was saved."""

    project: Project
    runtime: LocalRuntime
    restored: Restored


def watch(
    watched: Watched, machine: Machine, reporter: Reporter, wait: Callable[[float], None]
) -> NoReturn:
    """Run the events, and again at each save of what they depend on, until interrupted.

    What runs is a function zip like a build's, without tests, hooks and package, and nothing is
    left of it. Errors are shown, and the next save tries again.
    """
    with tempfile.TemporaryDirectory(prefix="watch-") as scratch:
        watcher = _Watcher(watched, machine, reporter, Path(scratch))
        try:
            while True:
                watcher.look(wait)
                wait(_BETWEEN_LOOKS)
        finally:
            watcher.code.remove()


class _Watcher:
    """What is known between two looks."""

    def __init__(
        self, watched: Watched, machine: Machine, reporter: Reporter, scratch: Path
    ) -> None:
        self.code = CodeFolder(scratch / "task")
        self._watched = watched
        self._machine = machine
        self._reporter = reporter
        self._scratch = scratch
        self._seen: _Looks = {}
        self._setup: _Setup | None = None
        self._files: tuple[OwnFile, ...] = ()
        self._untracked: set[str] = set()

    def look(self, wait: Callable[[float], None]) -> None:
        """Run the events if anything was saved since the last look."""
        now = _look(self._machine.root, self._watched.files)
        if now == self._seen:
            return
        now = _settled(self._machine.root, self._watched.files, now, wait)
        saved = {name for name, _ in now.items() ^ self._seen.items()}
        is_first, self._seen = not self._seen, now
        try:
            self._react(saved, is_first=is_first)
        except PipelineError as error:
            self._reporter.emit(Failed("", error))

    def _react(self, saved: set[str], *, is_first: bool) -> None:
        began = self._machine.seconds()
        if saved & {_PYPROJECT, FUNCTION_LOCK}:
            self._setup = None
        saved = self._of_the_function(saved)
        self._name_untracked()
        if not saved:
            return
        what = f"{SOURCE}, {_PYPROJECT} and the events" if is_first else _names(saved)
        self._reporter.line(row("watch", what, "Ctrl-C ends" if is_first else "saved"))
        if self._setup is None:
            self._setup = self._set_up()
        failed, count = self._run(self._setup)
        text = f"{failed} of {count} events failed" if failed else f"{count} answered"
        self._reporter.line(row("watch", text, f"{self._machine.seconds() - began:.2f} s"))

    def _of_the_function(self, saved: set[str]) -> set[str]:
        """Return those of the saved names that matter, and what git began or ceased to track.

        Git rewrites its index for many reasons, and an untracked file is not in the function.
        """
        below = f"{SOURCE}/"
        before = self._files
        every = own_files(self._machine.root, self._machine.git)
        self._files = tuple(file for file in every if file.path.startswith(below))
        known = {file.path for file in (*before, *self._files)}
        moved = {file.path for file in {*before} ^ {*self._files}}
        others = {name for name in saved if not name.startswith(below)} - {_INDEX}
        return others | (saved & known) | moved

    def _set_up(self) -> _Setup:
        project = Project.load(self._machine.root)
        runtime = local_runtime(project.function, self._machine, self._reporter)
        with self._reporter.stage("restore") as stage:
            restored = restore_dependencies(project, self._machine)
            stage.text = f"{restored.packages} packages, locked"
        return _Setup(project, runtime, restored)

    def _run(self, setup: _Setup) -> tuple[int, int]:
        """Return how many of the events failed, and how many there were."""
        zipped = self._scratch / FUNCTION_ZIP
        own = function_sources(setup.project, Sources(self._machine.root, self._files))
        make_function_zip(own, setup.restored, zipped)
        self.code.update(zipped)
        events = [*map(read_event, self._watched.files), *self._watched.given]
        facts = setup.project.function.facts()
        settings = run_settings(setup.project, facts.environment, self._machine)
        done = run_unpacked(
            RunRequest(zipped, facts, events, setup.runtime, settings),
            self.code.path,
            self._reporter,
            bytecode=self._scratch / "bytecode",
        )
        return sum(bool(invocation.error) for invocation in done), len(done)

    def _name_untracked(self) -> None:
        git = self._machine.git
        tracked = {file.path for file in self._files}
        unknown = {name for name in self._seen if name.startswith(f"{SOURCE}/")} - tracked
        # Only when there is something to ask for: git takes longer than all the looking.
        untracked = {*git.status().untracked} & unknown if git and unknown else set()
        if new := untracked - self._untracked:
            verb = "is" if len(new) == 1 else "are"
            self._reporter.warn(f"{_names(new)} {verb} not in the function before `git add`")
        self._untracked = untracked


def _look(root: Path, files: Sequence[Path]) -> _Looks:
    named = {name: root / name for name in (_PYPROJECT, FUNCTION_LOCK, _INDEX)}
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


def _settled(
    root: Path, files: Sequence[Path], found: _Looks, wait: Callable[[float], None]
) -> _Looks:
    for _ in range(_MOST_LOOKS):
        wait(_SETTLING)
        before, found = found, _look(root, files)
        if found == before:
            break
    return found


def _names(names: set[str]) -> str:
    shown = sorted(names)[:_MOST_NAMES]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
