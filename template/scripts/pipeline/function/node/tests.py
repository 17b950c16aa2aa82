"""The function's tests, by Node's own runner or a locked vitest, and its types and linters."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ...core.errors import PipelineError
from ...core.events import Reporter
from ...edge.files import new_folder, read_json, write_json
from ...edge.locks import shared_once_made
from ...edge.machine import Machine
from ...edge.npm import LEAVE_NOTHING
from ...edge.shell import run, scrubbed
from ...project.project import Project
from ...project.sources import SOURCE, walk
from ..engine import NO_TESTS, POST_DEPLOYMENT, Linter, TestCommand, TestRequest
from .install import modules, node_of, this_platform
from .packages import MODULES, Packages

_CHECK = ("--project", ".", "--noEmit")
_JUNIT = Path(__file__).with_name("junit.mjs")
_COVERAGE = "coverage.lcov"
_STAMP = ".made-from.json"
_ENDINGS = tuple(f".test.{kind}js" for kind in ("", "m", "c"))
_TYPESCRIPT = tuple(f".test.{kind}ts" for kind in ("", "m", "c"))
# The last is about Node's own reporters, where there are three of them.
_WARNINGS = ("ExperimentalWarning", "MaxListenersExceededWarning")
_STRIPS_TYPES = 22  # the first major of Node that takes TypeScript
# The team's own: beside it lie the library, environments of Python and what is built.
_WHERE = ("src", "tests")
# Programs of packages: the stage's name, what checks, and what corrects. A folder may be empty.
_KNOWN = (
    ("eslint", "eslint", ("--no-error-on-unmatched-pattern",), ("--fix",)),
    ("prettier", "prettier", ("--no-error-on-unmatched-pattern", "--check"), ("--write",)),
    ("biome", "@biomejs/biome", ("check", "--no-errors-on-unmatched"), ("--write",)),
)


@contextmanager
def test_command(
    project: Project, request: TestRequest, machine: Machine, reporter: Reporter
) -> Iterator[TestCommand]:
    """Give the command, with exactly what is locked in `node_modules`.

    Raises PipelineError for wrong types, where TypeScript is locked and configured.
    """
    packages, version = Packages.read(project.root), project.function.runtime.version
    node = node_of(version, machine)
    with _own_modules(project, packages, machine, reporter) as folder:
        if not request.after_deployment:
            request.results.with_name(_COVERAGE).unlink(missing_ok=True)
            if tsc := _type_checker(project, packages):
                _check_types([node, folder / tsc, *_CHECK], project.root, machine.environ)
        if vitest := packages.program("vitest", "vitest"):
            words: tuple[str | Path, ...] = (node, folder / vitest, *_vitest(request, packages))
        else:
            words = (node, *_own_runner(project.root, request, int(version)))
        yield TestCommand(words, "")


def _type_checker(project: Project, packages: Packages) -> str:
    """Return TypeScript's compiler below `node_modules`; empty where no types are asked for."""
    if not (project.root / "tsconfig.json").is_file():
        return ""
    return packages.program("typescript", "tsc")


@contextmanager
def _own_modules(
    project: Project, packages: Packages, machine: Machine, reporter: Reporter
) -> Iterator[Path]:
    """Give the repository's `node_modules`, which editors know; made anew when the lock changed.

    It waits for processes that use it as it was.
    """
    folder, version = project.root / MODULES, project.function.runtime.version
    facts = (packages.package, packages.lock, this_platform(), version)
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()
    lock = project.root / ".pipeline" / f"{MODULES}.lock"
    waiting = partial(reporter.line, f"another process makes or uses {MODULES}; waiting for it")

    def is_made() -> bool:
        return bool(read_json(folder / _STAMP) == digest)

    def make() -> None:
        if is_made():
            return
        reporter.line("  installing what the tests need ...")
        installed = modules(packages, this_platform(), machine, version)
        with new_folder(folder) as part:
            shutil.copytree(installed / MODULES, part, symlinks=True, dirs_exist_ok=True)
            write_json(part / _STAMP, digest)

    with shared_once_made(lock, waiting, make, is_made):
        yield folder


def _vitest(request: TestRequest, packages: Packages) -> list[str]:
    words = ["run", "--passWithNoTests", "--reporter=default", "--reporter=junit"]
    words.append(f"--outputFile.junit={request.results}")
    if request.after_deployment:
        words.append(POST_DEPLOYMENT)
        return [*words, *request.arguments]
    if any(path.startswith(f"{MODULES}/@vitest/coverage-") for path in packages.entries):
        words += ["--coverage.enabled", "--coverage.reporter=text", "--coverage.reporter=lcovonly"]
        words.append(f"--coverage.reportsDirectory={request.results.with_name('coverage')}")
    if not any(POST_DEPLOYMENT in argument for argument in request.arguments):
        words.append(f"--exclude={POST_DEPLOYMENT}/**")
    return [*words, *request.arguments]


def _own_runner(root: Path, request: TestRequest, version: int) -> list[str]:
    """Return Node's options and the files that are meant: without any it would look everywhere.

    A word of `request.arguments` that is no file may be the value of the option before it.
    """
    given = [word for word in request.arguments if not word.startswith("-")]
    files = [word for word in given if "*" in word or (root / word).exists()] or [
        path
        for path in walk(root)
        if path.endswith((*_ENDINGS, *(_TYPESCRIPT if version >= _STRIPS_TYPES else ())))
        and path.startswith(("tests/", f"{SOURCE}/"))
        and path.startswith(f"{POST_DEPLOYMENT}/") == request.after_deployment
    ]
    if not files:
        return ["--eval", f"process.exit({NO_TESTS})"]
    reports = {"spec": "stdout", _JUNIT.as_uri(): str(request.results)}
    options = [f"--disable-warning={name}" for name in _WARNINGS]
    if version >= _STRIPS_TYPES:
        options.append("--experimental-strip-types")
    if not request.after_deployment:
        options.append("--experimental-test-coverage")
        reports["lcov"] = str(request.results.with_name(_COVERAGE))
    for reporter, target in reports.items():
        options += [f"--test-reporter={reporter}", f"--test-reporter-destination={target}"]
    rest = [word for word in request.arguments if word not in files]
    return ["--test", *options, *rest, *files]


def _check_types(words: list[str | Path], root: Path, environ: Mapping[str, str]) -> None:
    try:
        run(words, cwd=root, env=scrubbed(environ, LEAVE_NOTHING), where="test")
    except PipelineError as error:
        then = "Nothing was tested. Correct the types, or take typescript out of package.json."
        raise PipelineError("test", f"the types are wrong\n{error.then}", then) from error


@contextmanager
def linters(
    project: Project, machine: Machine, reporter: Reporter, *, fix: bool
) -> Iterator[tuple[Linter, ...]]:
    """Give those of eslint, prettier, biome and tsc that are locked."""
    packages = Packages.read(project.root)
    locked = [
        (name, program, (*checks, *(corrects if fix else ()), *_WHERE), f"{name} found nothing")
        for name, package, checks, corrects in _KNOWN
        if (program := packages.program(package, name))
    ]
    if tsc := _type_checker(project, packages):
        locked.append(("types", tsc, _CHECK, "tsc found nothing"))
    if not locked:
        # Neither Node nor packages are fetched for nothing.
        yield ()
        return
    node = node_of(project.function.runtime.version, machine)
    with _own_modules(project, packages, machine, reporter) as modules:
        yield tuple(
            Linter(name, (node, modules / program, *words), done)
            for name, program, words, done in locked
        )
