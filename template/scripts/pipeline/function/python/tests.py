"""The function's own Python: its runtime, with what the two locks name and no more.

Tests run in it, types are checked against it, and editors find it at its one path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ...core.errors import PipelineError
from ...core.events import Reporter
from ...edge.cache import is_whole_folder, seal_folder
from ...edge.files import new_folder, read_json, remove_folder, write_json
from ...edge.locks import shared_once_made
from ...edge.machine import Machine
from ...edge.pythons import base_python, how_to_install, is_program
from ...edge.uv import Uv
from ...project.project import FROM_RUNTIME, Project
from ..engine import POST_DEPLOYMENT, Linter, TestCommand, TestRequest
from .hash_lock import FUNCTION_LOCK, TEST_LOCK, check_lock, locked, read_lock
from .install import install
from .interpreter import runtime_sdk
from .requirements import installed_in, markers_here, refuse_misfits

_PYTHON = ".pipeline/python"
_STAMP = "made-from.json"


@contextmanager
def test_command(
    project: Project, request: TestRequest, machine: Machine, reporter: Reporter
) -> Iterator[TestCommand]:
    """Give the pytest command, in a Python with exactly what the two locks name.

    Other processes leave that Python as it is until the block ends.
    """
    with own_python(project, machine, reporter) as (python, note):
        words: list[str | Path] = [python, "-m", "pytest", f"--junitxml={request.results}"]
        if request.scratch:
            # pytest keeps the folders of its last runs; a build is to leave nothing but its output.
            words += ["-p", "no:cacheprovider", f"--basetemp={request.scratch}/tests"]
            words += ["-o", "junit_family=xunit2"]
        if request.after_deployment:
            words.append(POST_DEPLOYMENT)
        elif not any(POST_DEPLOYMENT in argument for argument in request.arguments):
            words.append(f"--ignore={POST_DEPLOYMENT}")
        yield TestCommand((*words, *request.arguments), note)


@contextmanager
def own_python(
    project: Project, machine: Machine, reporter: Reporter
) -> Iterator[tuple[Path, str]]:
    """Give the Python of the locks, and what to know of it; made anew when a lock has changed.

    It is always at the same path, which editors know. It waits for processes that use it as it was.
    """
    version = project.function.runtime.version
    found = machine.python(version)
    base, note = found or base_python(), ""
    if not found:
        note = f"on this machine's Python, there is no python{version}: {how_to_install(version)}"
    asked = {FUNCTION_LOCK: project.dependencies, TEST_LOCK: project.test_dependencies}
    texts = {lock: read_lock(project.root, lock) for lock in asked}
    for lock, text in texts.items():
        check_lock(lock, text, asked[lock])
    sdk = None
    if project.function.boto3 == FROM_RUNTIME:
        sdk, told = runtime_sdk(base, machine)
        reporter.line(told)
    wanted = hashlib.sha256(repr((base, asked, texts, sdk)).encode()).hexdigest()
    folder = project.root / _PYTHON
    waiting = partial(reporter.line, f"another process makes or uses {_PYTHON}; waiting for it")

    def is_made() -> bool:
        return bool(read_json(folder / _STAMP) == wanted)

    def make() -> None:
        if is_made() and is_whole_folder(folder) and is_program(_python_in(folder)):
            return
        reporter.line("  installing what the tests need ...")
        for left in folder.parent.glob(f".{folder.name}.*"):
            remove_folder(left)
        with new_folder(folder) as part:
            site = _fill(part, base, project.root, machine.uv)
            if found:
                # Another Python than the function's may rightly lack what only its own one needs.
                direct = [line for lines in asked.values() for line in lines]
                refuse_misfits(installed_in(site), direct, markers_here(version), ", ".join(asked))
            if sdk:
                # After everything that is installed, as on Lambda.
                (site / "zz_runtime_sdk.pth").write_text(f"{sdk}\n", encoding="utf-8")
            write_json(part / _STAMP, wanted)
            seal_folder(part, folder)

    lock_file = folder.with_name(f"{folder.name}.lock")
    with shared_once_made(lock_file, waiting, make, is_made):
        yield _python_in(folder), note


def _fill(part: Path, base: Path, root: Path, uv: Uv) -> Path:
    """Make an environment of what both locks name, and return where its modules are."""

    def make() -> tuple[Sequence[str | Path], Path]:
        uv.make_venv(part, base)
        return ["--python", _python_in(part)], _site_of(part)

    words = [word for lock in (FUNCTION_LOCK, TEST_LOCK) for word in ("-r", root / lock)]
    install(uv, words, make, where="install what the tests need", whole=False)
    return _site_of(part)


def _site_of(venv: Path) -> Path:
    return next(venv.glob("[Ll]ib/**/site-packages"))


def _python_in(venv: Path) -> Path:
    windows = venv / "Scripts" / "python.exe"
    return windows if windows.exists() else venv / "bin" / "python"


@contextmanager
def linters(
    project: Project, machine: Machine, reporter: Reporter, *, fix: bool
) -> Iterator[tuple[Linter, ...]]:
    """Give mypy where `[tool.mypy]` asks for types, from the tests' lock, beside the packages."""
    del fix
    if project.mypy is None:
        yield ()
        return
    if not any(entry.name == "mypy" for entry in locked(read_lock(project.root, TEST_LOCK))):
        what = "[tool.mypy] asks for types, and mypy is not locked"
        then = "Add it to `test` in [dependency-groups], then run `python3 tasks.py lock`."
        raise PipelineError("pyproject.toml", what, then)
    with own_python(project, machine, reporter) as (python, _):
        yield (Linter("types", (python, "-m", "mypy", *project.mypy), "mypy found nothing"),)
