"""`build`: restore, version, test, package and verify, in one folder, once."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..checks.preflight import Place, preflight
from ..core.events import Artifact, BuildNumber, Reporter
from ..core.manifest import MANIFEST_NAME, Manifest
from ..core.names import FUNCTION_ZIP
from ..core.text import size
from ..edge.files import new_folder, read_json, sweep, write_json
from ..edge.locks import exclusive
from ..edge.machine import Machine
from ..function.function_zip import Restored
from ..function.python.interpreter import local_runtime
from ..package.build_hooks import run_build_hook
from ..package.make import (
    Built,
    Order,
    make_package,
    restore_dependencies,
    tools,
)
from ..package.reader import list_package
from ..package.sbom import SBOM_NAME
from ..project.buildserver import BuildServer
from ..project.last_build import LATEST_NAME, Latest
from ..project.project import Project
from ..project.sources import own_files
from ..project.versions import Version
from ..project.worktree import WorkTree
from ..zip.reader import OUR_LIMITS, read_member
from .test import run_tests
from .verify import unverifiable, verify_build
from .version import VersionOptions, choose_version

if TYPE_CHECKING:
    from ..runtime.pool import LocalRuntime


@dataclass(frozen=True)
class BuildOptions:
    """What the command line says of a build; `only_package` leaves out tests and verification."""

    version: VersionOptions = field(default_factory=VersionOptions)
    force: bool = False
    only_package: bool = False


@dataclass(frozen=True)
class Outcome:
    """A build's result; `reused` says that nothing had changed since it was made."""

    latest: Latest
    code_sha256: str
    reused: bool


@dataclass(frozen=True)
class _Job:
    project: Project
    options: BuildOptions
    tree: WorkTree
    inputs: str
    last: Latest | None


def build(project: Project, options: BuildOptions, machine: Machine, reporter: Reporter) -> Outcome:
    """Build the project and return what `build-output/latest.json` then says.

    Without a build number an unchanged project gives back the last build. Two builds in one
    folder run one after the other. Nothing is left half-written on any error.
    """
    server = BuildServer.from_environ(machine.environ)

    def waiting() -> None:
        reporter.line("another build is running in this folder; waiting for it")

    with exclusive(machine.root / ".pipeline" / "build.lock", waiting):
        sweep(machine.output)
        tree = WorkTree.read(machine.git, server)
        inputs, last = inputs_digest(tree, machine), last_build(machine)
        job = _Job(project, options, tree, inputs, last)
        if "PIPELINE_SIGNING_KEY" in machine.environ:
            reporter.warn(
                "PIPELINE_SIGNING_KEY is not used any more: the build server signs what it built, "
                "docs/provenance.md says how"
            )
        if job.last and _is_reusable(job, server, machine):
            return _reuse(job, job.last, machine, reporter)
        return _build(job, server, machine, reporter)


def last_build(machine: Machine) -> Latest | None:
    """Return the last build, or None when there is none whose package is there."""
    latest = Latest.from_document(read_json(machine.output / LATEST_NAME))
    return latest if latest and (machine.root / latest.package).is_file() else None


def mark_verified(package: Path, machine: Machine) -> None:
    """Write down that a package came out the same, if it is the last build's."""
    latest = last_build(machine)
    if latest and package.samefile(machine.root / latest.package):
        proven = replace(latest, verified=True, why_not="")
        write_json(machine.output / LATEST_NAME, asdict(proven))


def is_stale(latest: Latest, machine: Machine) -> bool:
    """Tell whether anything a build depends on has changed since the last one."""
    tree = WorkTree.read(machine.git, BuildServer.from_environ(machine.environ))
    return inputs_digest(tree, machine) != latest.inputs


def inputs_digest(tree: WorkTree, machine: Machine) -> str:
    """Return a digest of everything a build depends on but its number and the time.

    Unchanged files count by git's own hash, so that only changed ones are read.
    """
    digest = hashlib.sha256(repr((tree.source, tools(machine.root))).encode())
    git = machine.git
    if git is None:
        read = [file.path for file in own_files(machine.root, None)]
    else:
        # The untracked count: tests that git does not know run as well.
        read = [*tree.changed, *tree.untracked]
        digest.update(repr(git.tracked()).encode())
    for path in read:
        digest.update(f"{path}\0".encode() + _content(machine.root / path))
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    """Return a file's digest; nothing for one that is gone, a folder, or not ours to read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


def _is_reusable(job: _Job, server: BuildServer, machine: Machine) -> bool:
    asked = (
        job.options.force
        or job.options.version != VersionOptions()
        or server.build_number is not None
    )
    if asked or job.last is None or job.last.inputs != job.inputs:
        return False
    if not (job.last.tested or job.options.only_package):
        return False
    return _is_whole(job.last.package_path(machine.root), job.last.package_sha256)


def _is_whole(package: Path, sha256: str) -> bool:
    """Tell whether a build's package is as it was made, and the files beside it are those in it."""
    if _content(package).hex() != sha256:
        return False
    # Its bytes are those that were checked when they were made: that takes no second look.
    listing = list_package(package, OUR_LIMITS)
    return all(
        _content(package.parent / name)
        == hashlib.sha256(read_member(listing.archive, entry)).digest()
        for name, entry in listing.files.items()
        if name in (MANIFEST_NAME, FUNCTION_ZIP, SBOM_NAME)
    )


def _reuse(job: _Job, last: Latest, machine: Machine, reporter: Reporter) -> Outcome:
    manifest_file = last.package_path(machine.root).parent / MANIFEST_NAME
    manifest = Manifest.from_json(manifest_file.read_bytes(), where=str(manifest_file))
    _introduce(job, last.version, reporter)
    reporter.line("  unchanged since the last build: same version, same package")
    if last.why_not and not job.options.only_package:
        reporter.warn(f"verify skipped: {last.why_not}")
    return _conclude(last, manifest, machine, reporter, reused=True)


def _build(job: _Job, server: BuildServer, machine: Machine, reporter: Reporter) -> Outcome:
    project, tree = job.project, job.tree
    version = choose_version(project, job.options.version, tree, server, machine)
    _introduce(job, version.text, reporter)
    reporter.emit(BuildNumber(version.text))
    for path in tree.untracked:
        reporter.warn(
            f"{path} is not tracked by git: it makes the build dirty, and is not packaged"
        )
    run_build_hook("before_build", project, project.root, reporter.line)
    with new_folder(machine.output / version.text) as folder:
        built = _make(job, version, folder, machine, reporter)
        verified, why_not = _verify(job, built, machine, reporter)
    package = machine.output / version.text / built.package.name
    latest = Latest(
        version=version.text,
        package=package.relative_to(machine.root).as_posix(),
        package_sha256=built.sha256,
        inputs=job.inputs,
        dirty=tree.source.dirty,
        tested=not job.options.only_package,
        verified=verified,
        why_not=why_not,
    )
    write_json(machine.output / LATEST_NAME, asdict(latest))
    return _conclude(latest, built.manifest, machine, reporter, reused=False)


def _make(job: _Job, version: Version, folder: Path, machine: Machine, reporter: Reporter) -> Built:
    with reporter.stage("restore") as stage:
        stage.progress("fetching what is not in the cache")
        restored = restore_dependencies(job.project, machine, reporter.warn)
        stage.text = f"{restored.packages} packages, locked" + (
            ", from cache" if restored.from_cache else ", fetched"
        )
    if not job.options.only_package:
        with reporter.stage("test") as stage:
            stage.text = str(run_tests(job.project, folder, machine, reporter))
    last = job.last.package_path(machine.root).parent / FUNCTION_ZIP if job.last else None
    with reporter.stage("package") as stage:
        order = Order(version.text, job.tree.source, folder, last)
        built = make_package(job.project, order, restored, machine, reporter.line)
        facts, changed = built.function_zip.facts, built.function_zip.changed
        stage.text = f"{FUNCTION_ZIP} {size(facts.size)}, {facts.files} files" + (
            f", {changed} changed" if changed is not None else ""
        )
    for note in built.notes:
        reporter.warn(note)
    _check(job, built, restored, machine, reporter)
    return built


def _check(
    job: _Job, built: Built, restored: Restored, machine: Machine, reporter: Reporter
) -> None:
    """Say now what would be refused later; nobody has been given the build yet."""

    def runtime() -> LocalRuntime:
        return local_runtime(job.project.function, machine, reporter)

    def python() -> Path | None:
        return machine.python(job.project.function.runtime.python)

    today, imports = machine.now().date(), not job.options.only_package
    place = Place(machine.cache, machine.environ, today, python, runtime if imports else None)
    with reporter.stage("check") as stage:
        stage.text, notes = preflight(
            job.project, built.package, built.function_zip, restored, place
        )
    # What no verb would read back, like a branch of control characters, is said here and now.
    Manifest.from_json(built.manifest.to_json(), where=MANIFEST_NAME)
    for note in notes:
        reporter.warn(note)


def _verify(job: _Job, built: Built, machine: Machine, reporter: Reporter) -> tuple[bool, str]:
    reason = "not asked for" if job.options.only_package else unverifiable(built.manifest, machine)
    if not reason:
        with reporter.stage("verify") as stage:
            verify_build(built, machine, reporter)
            stage.text = f"rebuilt from {str(built.manifest.source.commit)[:7]}: the same bytes"
        return True, ""
    if not job.options.only_package:
        reporter.warn(f"verify skipped: {reason}")
    return False, reason


def _introduce(job: _Job, version: str, reporter: Reporter) -> None:
    function = job.project.function
    what = f"{job.project.package_id} {version}"
    target = f"{function.runtime.name} {function.architecture}"
    reporter.line(f"{what}   {job.tree.describe()}   {target}")


def _conclude(
    latest: Latest, manifest: Manifest, machine: Machine, reporter: Reporter, *, reused: bool
) -> Outcome:
    package = latest.package_path(machine.root)
    reporter.emit(Artifact(str(package)))
    reporter.line(f"{latest.package}   {size(package.stat().st_size)}")
    reporter.line(f"CodeSha256 {manifest.function_zip.code_sha256}")
    return Outcome(latest, manifest.function_zip.code_sha256, reused)
