"""The team's steps in a build, and what they print."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path

from ..deploy.hooks import load_hooks
from ..edge.files import read_json, write_json
from ..edge.git import Git
from ..project.project import Project
from ..project.sources import Sources, walk

Say = Callable[[str], None]
_Looks = dict[str, tuple[int, int, int]]
HOOKS = "scripts/hooks_build.py"
# A hook may leave alone what it has made before.
_MEMORY = Path(".pipeline") / "hook-files.json"
_STDOUT = 1


def run_build_hook(stage: str, value: object, root: Path, say: Say) -> None:
    """Run a stage's function of the repository's build hooks, if it has one, in the folder `root`.

    What it prints goes to `say`, line by line, when it has ended. Raises PipelineError as
    `load_hooks` does.
    """
    with _printed(say), chdir(root):
        load_hooks(root / HOOKS, HOOKS)(stage, value)


def before_build(project: Project, git: Git | None, say: Say) -> Sources:
    """Run the stage of that name; return the repository's files, those that it wrote included.

    What it writes, or has written before and left there, is packaged whether git knows it or not:
    `verify` runs the stage as well.
    """
    # Before it too: what is wrong with them is not to become the hook's problem.
    sources, before = Sources.read(project.root, git), _look(project.root)
    run_build_hook("before_build", project, project.root, say)
    after, memory = _look(project.root), project.root / _MEMORY
    made = {path for path, _ in after.items() - before.items()}
    kept = {str(path) for path in read_json(memory) or ()} & after.keys()
    found = made | kept.difference(file.path for file in sources.files)
    if found != kept:
        write_json(memory, sorted(found))
    return Sources.read(project.root, git, sorted(found)) if found else sources


def _look(root: Path) -> _Looks:
    found = {}
    for path in walk(root):
        with suppress(FileNotFoundError):  # an editor's, gone again
            facts = (root / path).lstat()
            found[path] = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
    return found


@contextmanager
def _printed(say: Say) -> Iterator[None]:
    # The system's standard output, not Python's: a hook may well run programs. Line by line, so
    # that what both print keeps its order.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    kept = os.dup(_STDOUT)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), _STDOUT)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, _STDOUT)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines():
                say(line)
