"""The maintainers' verbs as an invoke namespace: names and flags, nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from invoke import Collection, Context, Exit, task
from pipeline.cli.session import Session, root_of, session, verb
from pipeline.core.errors import UsageError
from pipeline.edge.shell import attach

from .fleet import verbs as fleet

_PYTHON_FILES = (
    "tasks.py",
    "noxfile.py",
    "maintain",
    "tests",
    "benchmarks",
    "template/tasks.py",
    "template/scripts",
)
# A worker of xdist's has no terminal, and nobody sees what its tests print.
_ONE_PROCESS = frozenset({"--pdb", "--trace", "-s", "--capture=no"})


def namespace(root: Path) -> Collection:
    """Return the verbs of the template repository at `root`."""
    collection = Collection(
        demo, test, check, bench, lock, manifest, picture, release,
        Collection("fleet", fleet.status, fleet.update, fleet.merge, fleet.plan),
    )  # fmt: skip
    collection.configure({"pipeline": {"root": str(root)}})
    return collection


@verb({"language": "The function's: python or node"})
def demo(run: Session, language: str = "python") -> None:
    """Generate a repository, build it, deploy it to an embedded AWS, and watch it work."""
    from .demo import LANGUAGES, run_demo

    if language not in LANGUAGES:
        raise UsageError("demo", f"--language {language}", f"Choose one of {', '.join(LANGUAGES)}.")
    run.answer = run_demo(run.root, run.reporter, LANGUAGES[language])


@task
def test(c: Context) -> None:
    """Run the tests; everything after `test` goes to pytest."""
    _attach(c, "-m", *pytest_command(c.config.pipeline.passed_on))


@task(help={"fix": "Correct what can be corrected"}, auto_shortflags=False)
def check(c: Context, fix: bool = False) -> None:
    """Lint, check formatting and types of everything, and that the MANIFEST fits the files."""
    from .manifest import check_manifest, write_manifest

    _lint(c, fix=fix)
    with session(root_of(c), json=False, verbose=False) as run:
        if fix:
            write_manifest(run.root)
        check_manifest(run.root)


@task
def bench(c: Context) -> None:
    """Measure build times beside other tools; needs Info-ZIP, and a network the first time."""
    _attach(c, "benchmarks/build_times.py")


@task(help={"upgrade": "Take the newest versions"})
def lock(c: Context, upgrade: bool = False) -> None:
    """Write the tooling locks from requirements/*.in, and the generated functions' ones."""
    from .locks import write_locks, write_package_lock

    with session(root_of(c), json=False, verbose=False) as run:
        write_locks(run.machine, run.reporter, upgrade=upgrade)
        write_package_lock(run.machine, run.reporter, upgrade=upgrade)


@task
def manifest(c: Context) -> None:
    """Write template/scripts/MANIFEST: path and sha256 of every file of ours."""
    from .manifest import write_manifest

    with session(root_of(c), json=False, verbose=False) as run:
        run.reporter.line(f"{write_manifest(run.root)} files")


@task
def picture(c: Context) -> None:
    """Draw docs/terminal.svg, which README.md shows, from a real build and a planned deploy."""
    from .picture import draw

    with session(root_of(c), json=False, verbose=False) as run:
        run.reporter.line(str(draw(run.root, run.reporter).relative_to(run.root)))


@task(help={"version": "Its name, like v1.2.3"}, auto_shortflags=False)
def release(c: Context, version: str) -> None:
    """Commit a release `vX.Y.Z` above the last: changelog, MANIFEST, tree and suite are right."""
    from .release import make_release

    def suite() -> None:
        _lint(c)
        _attach(c, "-m", *pytest_command(["-m", "slow or not slow"]))

    with session(root_of(c), json=False, verbose=False) as run:
        make_release(run.root, version, run.reporter, suite)


def pytest_command(passed_on: Sequence[str]) -> list[str]:
    """Return pytest's words: two workers, but where somebody wants to talk to a test or hear it."""
    # Neighbours share fixtures and stay together; who is done first takes from the other's end.
    shared = () if _ONE_PROCESS.intersection(passed_on) else ("-n", "2", "--dist", "worksteal")
    return ["pytest", "-p", "tests.progress", "-q", *shared, *passed_on]


def _lint(c: Context, *, fix: bool = False) -> None:
    _attach(c, "-m", "ruff", "check", *(["--fix"] if fix else []), ".")
    _attach(c, "-m", "ruff", "format", *([] if fix else ["--check"]), ".")
    _attach(c, "-m", "mypy")


def _attach(c: Context, *words: str) -> None:
    import os

    # Without its files of bytecode each worker, and each process of a test, would compile it all.
    env = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
    code = attach([sys.executable, *words], cwd=root_of(c), env=env)
    if code:
        raise Exit(code=code)
