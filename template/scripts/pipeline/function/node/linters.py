"""What `check` runs besides: the linters that the function's own lock has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...core.events import Reporter
from ...edge.machine import Machine
from ...project.project import Project
from ..engine import Linter
from .install import node_of
from .packages import Packages
from .tests import CHECK, own_modules, type_checker

# The team's own: beside it lie the library, environments of Python and what is built.
_WHERE = ("src", "tests")
# Programs of packages: the stage's name, what checks, and what corrects. A folder may be empty.
_KNOWN = (
    ("eslint", "eslint", ("--no-error-on-unmatched-pattern",), ("--fix",)),
    ("prettier", "prettier", ("--no-error-on-unmatched-pattern", "--check"), ("--write",)),
    ("biome", "@biomejs/biome", ("check", "--no-errors-on-unmatched"), ("--write",)),
)


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
    if tsc := type_checker(project, packages):
        locked.append(("types", tsc, CHECK, "tsc found nothing"))
    if not locked:
        # Neither Node nor packages are fetched for nothing.
        yield ()
        return
    node = node_of(project.function.runtime.version, machine)
    with own_modules(project, packages, machine, reporter) as modules:
        yield tuple(
            Linter(name, (node, modules / program, *words), done)
            for name, program, words, done in locked
        )
