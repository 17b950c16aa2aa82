"""The shared library as syntax trees, and the files of this repository."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.package.library import DEPLOY_HALF

from tests.repositories import ROOT, git

LIBRARY = ROOT / "template" / "scripts" / "pipeline"


@dataclass(frozen=True)
class Module:
    """A module of the library: its name below `pipeline` with dots, its source, its tree."""

    name: str
    path: Path
    source: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """The folder it is in, or its own name at the top."""
        return self.name.split(".")[0]


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the library; a package counts by its folder's name."""
    found = []
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        source = path.read_text(encoding="utf-8")
        found.append(Module(name, path, source, ast.parse(source)))
    return tuple(found)


def deploy_half() -> list[Module]:
    """Return the modules that land in the package."""
    return [module for module in modules() if module.part in DEPLOY_HALF]


@cache
def repository_files() -> tuple[Path, ...]:
    """Return the repository's files but for pictures, those not yet committed included."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted({path for path in paths if path.is_file() and path.suffix != ".png"}))
