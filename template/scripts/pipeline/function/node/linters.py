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

# Programs of packages: the stage's name, what checks, and what corrects.
_KNOWN = (
    ("eslint", "eslint", (".",), (".", "--fix")),
    ("prettier", "prettier", ("--check", "src", "tests"), ("--write", "src", "tests")),
    ("biome", "@biomejs/biome", ("check",), ("check", "--write")),
)


@contextmanager
def linters(
    project: Project, machine: Machine, reporter: Reporter, *, fix: bool
) -> Iterator[tuple[Linter, ...]]:
    """Give those of eslint, prettier, biome and tsc that are locked."""
    packages = Packages.read(project.root)
    locked = [
        (name, program, corrects if fix else checks, f"{name} found nothing")
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
