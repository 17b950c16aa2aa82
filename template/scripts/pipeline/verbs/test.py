"""`test`: the function's tests on the function's runtime, with the locked dependencies only.

Post-deployment tests are what a team checks of an environment before the next one gets the
release. They are the project's own, in `tests/post_deployment`. They find the environment's name
in the variable ENVIRONMENT, and AWS's variables are passed on to them: they talk to the real thing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree as ET

from ..core.errors import PipelineError
from ..core.events import Reporter, TestResults
from ..edge.machine import Machine
from ..edge.shell import attach, run, scrubbed, stream
from ..function.engine import NO_TESTS, TestRequest, engine_for
from ..project.buildserver import BuildServer
from ..project.project import Project

_TESTS_XML = "tests.xml"
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


def run_tests(project: Project, folder: Path, machine: Machine, reporter: Reporter) -> TestOutcome:
    """Run the tests with captured output; `folder` gets a copy of the JUnit file.

    Raises PipelineError with the end of the output when a test fails.
    """
    results = machine.output / _TESTS_XML
    outcome, failed = _captured(project, TestRequest(results), machine, reporter)
    if results.is_file():
        shutil.copy2(results, folder / _TESTS_XML)
    if failed:
        raise PipelineError(
            "test",
            f"the tests failed\n{failed}",
            "Nothing was packaged. Run `python3 tasks.py test` to see them alone.",
        )
    return outcome


def run_post_deployment_tests(
    project: Project, environment: str, machine: Machine, reporter: Reporter
) -> TestOutcome:
    """Run the tests against an environment. Raises PipelineError when one fails, or none is there.

    Their JUnit file is `build-output/post-deployment-ENVIRONMENT.xml`.
    """
    variables = {key: value for key, value in machine.environ.items() if key.startswith("AWS_")}
    request = TestRequest(
        machine.output / f"post-deployment-{environment}.xml", after_deployment=True
    )
    outcome, failed = _captured(
        project, request, machine, reporter, {**variables, "ENVIRONMENT": environment}
    )
    if failed or not outcome.passed + outcome.skipped:
        raise PipelineError(
            f"test {environment}",
            f"the post-deployment tests failed\n{failed or 'there are none'}",
            f"The release stays in {environment}; later environments were not touched.",
        )
    return outcome


def test_attached(
    project: Project, arguments: Sequence[str], machine: Machine, reporter: Reporter
) -> int:
    """Run the tests with the user's arguments on the user's terminal; return the exit code.

    On a build server their lines are passed on as events.
    """
    request = TestRequest(machine.output / _TESTS_XML, tuple(arguments))
    environ = _child_environ(machine.environ)
    with engine_for(project.function.runtime).tests(project, request, machine, reporter) as tests:
        if tests.note:
            reporter.warn(f"the tests run {tests.note}")
        _make_way(request.results)
        if BuildServer.from_environ(machine.environ).name:
            # A server reads commands from its log: what tests print must not be some.
            code = stream(
                tests.words, lambda line, _: reporter.line(line), cwd=project.root, env=environ
            )
        else:
            code = attach(tests.words, cwd=project.root, env=environ)
    if request.results.is_file():
        reporter.emit(TestResults(str(request.results)))
    return code


def _captured(
    project: Project,
    request: TestRequest,
    machine: Machine,
    reporter: Reporter,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> tuple[TestOutcome, str]:
    """Run tests with captured output; return what came of it, and the last lines of a failure."""
    _make_way(request.results)
    with tempfile.TemporaryDirectory() as scratch:
        request = replace(request, scratch=Path(scratch))
        engine = engine_for(project.function.runtime)
        with engine.tests(project, request, machine, reporter) as tests:
            done = run(
                tests.words,
                cwd=project.root,
                env={**_child_environ(machine.environ), **variables},
                accept=(0, 1, 2, 3, 4, NO_TESTS),
                where="test",
            )
    if request.results.is_file():
        reporter.emit(TestResults(str(request.results)))
    outcome = TestOutcome(*_counts(request.results), tests.note)
    if done.code in (0, NO_TESTS):
        return outcome, ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return outcome, "\n".join(lines[-_SHOWN_LINES:]) or f"exit code {done.code}"


def _make_way(results: Path) -> None:
    """Prepare for a JUnit file where no earlier run's is left.

    A build server reads the file some time later, so it is not one that a failed build removes.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)


def _child_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return scrubbed(environ, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"})


def _counts(results: Path) -> tuple[int, int]:
    if not results.is_file():
        return 0, 0
    suites = ET.parse(results).getroot().iter("testsuite")  # noqa: S314 - pytest wrote it just now
    total = skipped = 0
    for suite in suites:
        total += int(suite.get("tests", "0"))
        skipped += int(suite.get("skipped", "0"))
    return total - skipped, skipped
