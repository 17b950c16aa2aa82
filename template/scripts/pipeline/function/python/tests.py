"""The environment of a function's tests: its Python, with what the two locks name and no more."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ...core.events import Reporter
from ...edge.cache import is_whole_folder, seal_folder
from ...edge.files import new_folder
from ...edge.locks import exclusive
from ...edge.machine import Machine
from ...edge.pythons import base_python, is_program
from ...project.project import FROM_RUNTIME, Project
from ..engine import POST_DEPLOYMENT, TestCommand, TestRequest
from .hash_lock import FUNCTION_LOCK, TEST_LOCK, check_lock, read_lock
from .install import Place, install
from .interpreter import runtime_sdk
from .requirements import markers_here, refuse_misfits

_NO_TESTS = 5  # pytest's exit code when it collected none


def test_command(
    project: Project, request: TestRequest, machine: Machine, reporter: Reporter
) -> TestCommand:
    """Return the pytest command, in a Python with exactly what the two locks name."""
    python, note = _environment(project, machine, reporter)
    words: list[str | Path] = [python, "-m", "pytest", f"--junitxml={request.results}"]
    if request.scratch:
        # pytest keeps the folders of its last runs; a build is to leave nothing but its output.
        words += ["-p", "no:cacheprovider", f"--basetemp={request.scratch}/tests"]
        words += ["-o", "junit_family=xunit2"]
    if request.after_deployment:
        words.append(POST_DEPLOYMENT)
    elif not any(POST_DEPLOYMENT in argument for argument in request.arguments):
        words.append(f"--ignore={POST_DEPLOYMENT}")
    return TestCommand((*words, *request.arguments), note, _NO_TESTS)


def _environment(project: Project, machine: Machine, reporter: Reporter) -> tuple[Path, str]:
    """Return the Python, made once for the locks' contents, and what to know of it."""
    wanted = project.function.runtime.version
    python = machine.python(wanted)
    note = (
        "" if python else f"on this machine's Python: no {project.function.runtime.name} was found"
    )
    python = python or base_python()
    locks = {FUNCTION_LOCK: project.dependencies, TEST_LOCK: project.test_dependencies}
    digest = hashlib.sha256(repr((str(python), *locks.values())).encode())
    for lock, requirements in locks.items():
        text = read_lock(project.root, lock)
        check_lock(lock, text, requirements)
        digest.update(text.encode())
    sdk, told = None, ""
    if project.function.boto3 == FROM_RUNTIME:
        sdk, told = runtime_sdk(python, machine)
        digest.update(str(sdk).encode())
    folder = machine.cache / f"tests-{digest.hexdigest()[:16]}"
    with exclusive(
        machine.cache / "tests.lock",
        lambda: reporter.line("another test run is preparing; waiting for it"),
    ):
        if not (is_whole_folder(folder) and is_program(_python_in(folder))):
            _make(folder, python, sdk, project, machine)
    if told:
        reporter.line(told)
    return _python_in(folder), note


def _make(folder: Path, python: Path, sdk: Path | None, project: Project, machine: Machine) -> None:
    locks = (FUNCTION_LOCK, TEST_LOCK)
    with new_folder(folder) as part:
        uv = machine.uv

        def make() -> tuple[Sequence[str | Path], Path]:
            uv.make_venv(part, python)
            return ["--python", _python_in(part)], _site_of(part)

        install(
            uv,
            [argument for lock in locks for argument in ("-r", project.root / lock)],
            Place(make, whole=False),
            where="install what the tests need",
        )
        version = project.function.runtime.version
        if machine.python(version):
            # Another Python may rightly lack what only it needs.
            asked = (*project.dependencies, *project.test_dependencies)
            refuse_misfits(_site_of(part), asked, markers_here(version), ", ".join(locks))
        if sdk:
            # After everything that is installed, as on Lambda.
            (_site_of(part) / "zz_runtime_sdk.pth").write_text(f"{sdk}\n", encoding="utf-8")
        seal_folder(part, folder)


def _site_of(venv: Path) -> Path:
    return next(venv.glob("[Ll]ib/**/site-packages"))


def _python_in(venv: Path) -> Path:
    windows = venv / "Scripts" / "python.exe"
    return windows if windows.exists() else venv / "bin" / "python"
