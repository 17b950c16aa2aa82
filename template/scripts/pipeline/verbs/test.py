"""`test`: the function's tests on the function's runtime, with the locked dependencies only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from ..edge.files import alone, new_folder
from ..edge.machine import Machine
from ..edge.pythons import base_python
from ..edge.shell import attach, run, scrubbed
from ..engines.lock import check_lock
from ..engines.python import FUNCTION_LOCK
from ..errors import PipelineError
from ..report.events import Reporter, TestResults
from ..values.project import Project

__all__ = ["TESTS_XML", "TEST_LOCK", "TestOutcome", "run_tests", "test_attached"]

TEST_LOCK = "requirements/test.txt"
TESTS_XML = "tests.xml"
_NO_TESTS = 5  # pytest's exit code when it collected none
_SHOWN_LINES = 40


@dataclass(frozen=True)
class TestOutcome:
    """How many tests passed and were skipped, and what to know about the Python they ran on."""

    passed: int
    skipped: int
    note: str

    def __str__(self) -> str:
        parts = [f"{self.passed} passed"] if self.passed else ["no tests found"]
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        return ", ".join(parts) + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class _Environment:
    python: Path
    note: str


def run_tests(project: Project, results: Path, machine: Machine, reporter: Reporter) -> TestOutcome:
    """Run the tests with captured output; `results` gets the JUnit file.

    Raises PipelineError with the end of pytest's output when a test fails.
    """
    place = _environment(project, machine, reporter)
    options = ["-p", "no:cacheprovider", f"--junitxml={results}", "-o", "junit_family=xunit2"]
    done = run(
        [place.python, "-m", "pytest", *options],
        cwd=project.root,
        env=_child_environ(machine),
        accept=(0, 1, 2, 3, 4, _NO_TESTS),
        where="test",
    )
    if results.is_file():
        reporter.emit(TestResults(str(results)))
    if done.code not in (0, _NO_TESTS):
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_SHOWN_LINES:])
        raise PipelineError(
            "test",
            f"the tests failed\n{tail}",
            "Nothing was packaged. Run `invoke test` to see them alone.",
        )
    passed, skipped = _counts(results)
    return TestOutcome(passed, skipped, place.note)


def test_attached(
    project: Project, arguments: Sequence[str], machine: Machine, reporter: Reporter
) -> int:
    """Run pytest with the user's arguments on the user's terminal; return its exit code."""
    place = _environment(project, machine, reporter)
    if place.note:
        reporter.warn(place.note)
    results = machine.output / TESTS_XML
    results.parent.mkdir(parents=True, exist_ok=True)
    code = attach(
        [place.python, "-m", "pytest", f"--junitxml={results}", *arguments],
        cwd=project.root,
        env=_child_environ(machine),
    )
    if results.is_file():
        reporter.emit(TestResults(str(results)))
    return code


def _child_environ(machine: Machine) -> dict[str, str]:
    return scrubbed(machine.environ, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"})


def _environment(project: Project, machine: Machine, reporter: Reporter) -> _Environment:
    """Return a Python with exactly what the two locks name, made once for their contents."""
    wanted = project.function.runtime.python
    python = machine.python(wanted)
    note = (
        "" if python else f"on this machine's Python: no {project.function.runtime.name} was found"
    )
    python = python or base_python()
    locks = [project.root / FUNCTION_LOCK, project.root / TEST_LOCK]
    digest = hashlib.sha256(str(python).encode())
    for lock, requirements in zip(
        locks, (project.dependencies, project.test_dependencies), strict=True
    ):
        if not lock.is_file():
            raise PipelineError(
                lock.relative_to(project.root).as_posix(), "is not there", "Run `invoke lock`."
            )
        text = lock.read_text(encoding="utf-8")
        check_lock(lock.relative_to(project.root).as_posix(), text, requirements)
        digest.update(text.encode())
    folder = machine.cache / f"tests-{digest.hexdigest()[:16]}"
    with alone(
        machine.cache / "tests.lock",
        lambda: reporter.line("another test run is preparing; waiting for it"),
    ):
        if not _python_in(folder).exists():
            _make(folder, python, locks, machine)
    return _Environment(_python_in(folder), note)


def _make(folder: Path, python: Path, locks: Sequence[Path], machine: Machine) -> None:
    with new_folder(folder) as part:
        machine.uv.make_venv(part, python)
        names = [argument for lock in locks for argument in ("-r", lock)]
        machine.uv.install(
            ["--python", _python_in(part), *names],
            cwd=machine.root,
            where="install what the tests need",
        )


def _python_in(venv: Path) -> Path:
    windows = venv / "Scripts" / "python.exe"
    return windows if windows.exists() else venv / "bin" / "python"


def _counts(results: Path) -> tuple[int, int]:
    if not results.is_file():
        return 0, 0
    suites = ET.parse(results).getroot().iter("testsuite")  # noqa: S314 - pytest wrote it just now
    total = skipped = 0
    for suite in suites:
        total += int(suite.get("tests", "0"))
        skipped += int(suite.get("skipped", "0"))
    return total - skipped, skipped
