"""`verify`: a package is rebuilt from its commit, and must come out the same to the byte."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from ..archive.zipreader import Archive, open_archive, read_member
from ..edge.machine import Machine
from ..edge.pythons import base_python
from ..edge.shell import run, scrubbed
from ..errors import NotTheSame, PipelineError
from ..report.events import Reporter
from ..values.manifest import MANIFEST_NAME, Manifest
from ..values.project import Project
from .hooks import load_hooks
from .package import BUILD_HOOKS, FUNCTION_ZIP, Built, Order, make_package, restore_dependencies

__all__ = ["Verified", "rebuild", "unverifiable", "verify_build", "verify_package"]

_FULL_SHA = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
# The files that decide how a package is made: with the same ones in the commit this process
# can rebuild it, with others the commit's own library has to.
_LIBRARY = ("scripts/MANIFEST", "scripts/requirements-build.txt")


@dataclass(frozen=True)
class Verified:
    """A package that was rebuilt with the same bytes."""

    package: str
    version: str
    commit: str


def unverifiable(manifest: Manifest, machine: Machine) -> str:
    """Return why a build cannot be verified here, or an empty text."""
    if machine.git is None:
        return "there is no .git here to rebuild from"
    if manifest.source.commit is None:
        return "nothing is committed yet"
    if not _FULL_SHA.fullmatch(manifest.source.commit):
        return f"{manifest.source.commit!r} is not the full name of a commit"
    if manifest.source.dirty is None:
        return "it was built without .git, so what it was built from is not known"
    return "the work tree differs from its commit" if manifest.source.dirty else ""


def verify_build(built: Built, machine: Machine, reporter: Reporter) -> None:
    """Rebuild a build from its commit and compare; raises NotTheSame with the first difference."""
    _verify(built.package, built.function_zip.path, built.manifest, machine, reporter)


def verify_package(
    package: Path, machine: Machine, reporter: Reporter, *, cold: bool = False
) -> Verified:
    """Rebuild any package of this repository from the commit its manifest names, and compare.

    `cold` uses nothing that an earlier build has kept: dependencies are deflated once more.
    """
    archive = open_archive(package)
    manifest = Manifest.from_json(
        _member(archive, MANIFEST_NAME), where=f"{package.name} {MANIFEST_NAME}"
    )
    reason = unverifiable(manifest, machine)
    if reason:
        raise PipelineError(
            f"verify {package.name}", f"it cannot be verified: {reason}", "Commit, and build again."
        )
    with tempfile.TemporaryDirectory() as scratch:
        inner = Path(scratch) / FUNCTION_ZIP
        inner.write_bytes(_member(archive, FUNCTION_ZIP))
        used = replace(machine, cache=Path(scratch) / "cache") if cold else machine
        _verify(package, inner, manifest, used, reporter)
    return Verified(str(package), manifest.version, str(manifest.source.commit))


def rebuild(manifest_file: Path, folder: Path, machine: Machine) -> Path:
    """Package this checkout with the version and source facts of a manifest; return the package."""
    manifest = Manifest.from_json(manifest_file.read_bytes(), where=str(manifest_file))
    project = Project.load(machine.root)
    load_hooks(project.root / BUILD_HOOKS)("before_build", project)
    order = Order(manifest.version, manifest.source, folder)
    return make_package(project, order, restore_dependencies(project, machine), machine).package


def _verify(
    package: Path, function_zip: Path, manifest: Manifest, machine: Machine, reporter: Reporter
) -> None:
    git, commit = machine.git, str(manifest.source.commit)
    if git is None:
        raise PipelineError(
            "verify", "there is no .git here", "Verify in a clone of the repository."
        )
    with tempfile.TemporaryDirectory() as scratch:
        clone, folder = Path(scratch) / "clone", Path(scratch) / "rebuilt"
        folder.mkdir()
        try:
            git.clone_to(clone, commit)
        except PipelineError as error:
            raise PipelineError(
                "verify",
                f"the commit {commit} is not in this repository",
                "Fetch it: git fetch --all --tags",
            ) from error
        facts = Path(scratch) / MANIFEST_NAME
        facts.write_bytes(manifest.to_json())
        if all(_same_file(machine.root / name, clone / name) for name in _LIBRARY):
            rebuilt = rebuild(facts, folder, replace(machine, root=clone))
        else:
            reporter.line(
                "  the commit has another library: rebuilding with that one", verbose=True
            )
            rebuilt = _rebuild_in_child(clone, facts, folder, machine)
        _compare(function_zip, folder / FUNCTION_ZIP, commit)
        _compare(package, rebuilt, commit)


def _rebuild_in_child(clone: Path, facts: Path, folder: Path, machine: Machine) -> Path:
    # The clone makes its own .venv, so its tasks.py is started outside ours.
    script: list[str | Path] = [base_python(), clone / "tasks.py"]
    command = [*script, "package", "--rebuild", facts, "--into", folder, "--json"]
    settings = {name: value for name, value in machine.environ.items() if name.startswith("UV_")}
    done = run(command, cwd=clone, env=scrubbed(machine.environ, settings), where="verify")
    return Path(json.loads(done.stdout)["package"])


def _same_file(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def _compare(ours: Path, rebuilt: Path, commit: str) -> None:
    left, right = ours.read_bytes(), rebuilt.read_bytes()
    if left != right:
        raise NotTheSame(
            f"verify {ours.name}",
            f"rebuilt from {commit[:12]} it is not the same: "
            + _first_difference(ours, rebuilt, left, right),
            "Something outside the commit went into the package. Build it in a clean clone.",
        )


def _first_difference(ours: Path, rebuilt: Path, left: bytes, right: bytes) -> str:
    here, there = open_archive(ours), open_archive(rebuilt)
    before = {
        entry.name: (entry.crc, entry.size, entry.mode, entry.method) for entry in here.entries
    }
    after = {
        entry.name: (entry.crc, entry.size, entry.mode, entry.method) for entry in there.entries
    }
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            return f"{name} is not in the rebuilt one"
        if name not in before:
            return f"{name} is only in the rebuilt one"
        if before[name] != after[name]:
            at = _first_byte(_member(here, name), _member(there, name))
            return f"{name} differs" + (
                f" from byte {at} on" if at is not None else " in its mode or compression"
            )
    return f"the bytes from {_first_byte(left, right)} on differ, the members do not"


def _first_byte(one: bytes, other: bytes) -> int | None:
    if one == other:
        return None
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _member(archive: Archive, name: str) -> bytes:
    for entry in archive.entries:
        if entry.name == name:
            return read_member(archive, entry)
    raise PipelineError(
        archive.where, f"there is no {name} in it", "Is it a package that this pipeline built?"
    )
