"""`test`: the function's tests on the function's runtime, with the locked dependencies only.

Post-deployment tests are what a team checks of an environment before the next one gets the
release. They are the project's own, in `tests/post_deployment`. They find the environment's name
in the variable ENVIRONMENT, and AWS's variables are passed on to them: they talk to the real thing.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from ..core.errors import PipelineError
from ..core.events import Reporter, TestResults
from ..edge.cache import is_whole_folder, seal_folder
from ..edge.files import new_folder
from ..edge.locks import exclusive
from ..edge.machine import Machine
from ..edge.pythons import base_python, is_program
from ..edge.shell import attach, run, scrubbed, stream
from ..function.function_zip import FUNCTION_LOCK
from ..function.python.install import Place, install
from ..function.python.interpreter import runtime_sdk
from ..function.python.lock import check_lock, read_lock
from ..project.buildserver import BuildServer
from ..project.project import FROM_RUNTIME, Project

TEST_LOCK = "requirements/test.txt"
_TESTS_XML = "tests.xml"
# Tests of what was deployed: a build leaves them out, each deployment through Octopus runs them.
POST_DEPLOYMENT = "tests/post_deployment"
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
    sdk: str


@dataclass(frozen=True)
class _Tests:
    """What pytest is to do: its arguments, its JUnit file, and variables that the tests get."""

    arguments: tuple[str, ...]
    results: Path
    variables: Mapping[str, str]


def run_tests(project: Project, folder: Path, machine: Machine, reporter: Reporter) -> TestOutcome:
    """Run the tests with captured output; `folder` gets a copy of the JUnit file.

    Raises PipelineError with the end of pytest's output when a test fails.
    """
    tests = _Tests((f"--ignore={POST_DEPLOYMENT}",), machine.output / _TESTS_XML, {})
    code, note, said = _captured(project, tests, machine, reporter)
    if tests.results.is_file():
        shutil.copy2(tests.results, folder / _TESTS_XML)
    if code not in (0, _NO_TESTS):
        raise PipelineError(
            "test",
            f"the tests failed\n{said}",
            "Nothing was packaged. Run `python3 tasks.py test` to see them alone.",
        )
    return TestOutcome(*_counts(tests.results), note)


def run_post_deployment_tests(
    project: Project, environment: str, machine: Machine, reporter: Reporter
) -> TestOutcome:
    """Run the tests against an environment. Raises PipelineError when one fails, or none is there.

    Their JUnit file is `build-output/post-deployment-ENVIRONMENT.xml`.
    """
    aws = {key: value for key, value in machine.environ.items() if key.startswith("AWS_")}
    results = machine.output / f"post-deployment-{environment}.xml"
    tests = _Tests((POST_DEPLOYMENT,), results, {**aws, "ENVIRONMENT": environment})
    code, note, said = _captured(project, tests, machine, reporter)
    if code:
        raise PipelineError(
            f"test {environment}",
            f"the post-deployment tests failed\n{said}",
            f"The release stays in {environment}; later environments were not touched.",
        )
    return TestOutcome(*_counts(tests.results), note)


def test_attached(
    project: Project, arguments: Sequence[str], machine: Machine, reporter: Reporter
) -> int:
    """Run pytest with the user's arguments on the user's terminal; return its exit code.

    On a build server its lines are passed on as events.
    """
    place = _environment(project, machine, reporter)
    if place.note:
        reporter.warn(place.note)
    if place.sdk:
        reporter.line(place.sdk)
    results = machine.output / _TESTS_XML
    _make_way(results)
    command: list[str | Path] = [place.python, "-m", "pytest", f"--junitxml={results}", *arguments]
    if not any(POST_DEPLOYMENT in argument for argument in arguments):
        command.append(f"--ignore={POST_DEPLOYMENT}")
    environ = _child_environ(machine)
    if BuildServer.from_environ(machine.environ).name:
        # A server reads commands from its log: what tests print must not be some.
        code = stream(command, lambda line, _: reporter.line(line), cwd=project.root, env=environ)
    else:
        code = attach(command, cwd=project.root, env=environ)
    if results.is_file():
        reporter.emit(TestResults(str(results)))
    return code


def _captured(
    project: Project, tests: _Tests, machine: Machine, reporter: Reporter
) -> tuple[int, str, str]:
    """Run pytest with captured output; return its exit code, the Python's note, its last lines."""
    place = _environment(project, machine, reporter)
    _make_way(tests.results)
    command: list[str | Path] = [place.python, "-m", "pytest", "-p", "no:cacheprovider"]
    # pytest keeps the folders of its last runs; a build is to leave nothing but its output.
    with tempfile.TemporaryDirectory() as scratch:
        report = [f"--junitxml={tests.results}", "-o", "junit_family=xunit2"]
        done = run(
            [*command, *report, f"--basetemp={scratch}/tests", *tests.arguments],
            cwd=project.root,
            env={**_child_environ(machine), **tests.variables},
            accept=(0, 1, 2, 3, 4, _NO_TESTS),
            where="test",
        )
    if tests.results.is_file():
        reporter.emit(TestResults(str(tests.results)))
    tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_SHOWN_LINES:])
    return done.code, place.note, tail


def _make_way(results: Path) -> None:
    """Prepare for a JUnit file where no earlier run's is left.

    A build server reads the file some time later, so it is not one that a failed build removes.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)


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
    locks = {FUNCTION_LOCK: project.dependencies, TEST_LOCK: project.test_dependencies}
    digest = hashlib.sha256(str(python).encode())
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
            _make(folder, python, ([project.root / lock for lock in locks], sdk), machine)
    return _Environment(_python_in(folder), note, told)


def _make(
    folder: Path, python: Path, content: tuple[Sequence[Path], Path | None], machine: Machine
) -> None:
    locks, sdk = content
    with new_folder(folder) as part:
        uv = machine.uv

        def make() -> tuple[Sequence[str | Path], Path]:
            uv.make_venv(part, python)
            return ["--python", _python_in(part)], _site_of(part)

        install(
            uv,
            [argument for lock in locks for argument in ("-r", lock)],
            Place(make, whole=False),
            cwd=machine.root,
            where="install what the tests need",
        )
        if sdk:
            # After everything that is installed, as on Lambda.
            (_site_of(part) / "zz_runtime_sdk.pth").write_text(f"{sdk}\n", encoding="utf-8")
        seal_folder(part, folder)


def _site_of(venv: Path) -> Path:
    return next(venv.glob("[Ll]ib/**/site-packages"))


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
