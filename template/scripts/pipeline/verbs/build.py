"""`build`: restore, version, test, package and verify, in one folder, once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..edge.files import alone, new_folder, read_json, sweep, write_json
from ..edge.machine import Machine
from ..engines.attestation import Signer
from ..engines.sources import own_files
from ..report.events import Artifact, BuildNumber, Reporter
from ..values.buildserver import BuildServer
from ..values.latest import LATEST_NAME, Latest
from ..values.manifest import MANIFEST_NAME, Manifest
from ..values.project import Project
from ..values.version import Version
from ..values.worktree import WorkTree
from .check import Made, check_build
from .hooks import load_hooks
from .package import (
    BUILD_HOOKS,
    FUNCTION_ZIP,
    Built,
    Order,
    make_package,
    restore_dependencies,
    tools,
)
from .sign import attest, bundle_of, signer_of
from .sizes import megabytes
from .test import run_tests
from .verify import unverifiable, verify_build
from .version import VersionOptions, choose_version

__all__ = ["BuildOptions", "Outcome", "build", "is_stale", "last_build"]


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
    signer: Signer | None


def build(project: Project, options: BuildOptions, machine: Machine, reporter: Reporter) -> Outcome:
    """Build the project and return what `build-output/latest.json` then says.

    Without a build number an unchanged project gives back the last build. Two builds in one
    folder run one after the other. Nothing is left half-written on any error.
    """
    server = BuildServer.from_environ(machine.environ)

    def waiting() -> None:
        reporter.line("another build is running in this folder; waiting for it")

    with alone(machine.root / ".pipeline" / "build.lock", waiting):
        sweep(machine.output)
        tree = WorkTree.read(machine.git, server)
        inputs, last = inputs_digest(tree, machine), last_build(machine)
        # A key that cannot be used ends the build before it has begun.
        job = _Job(project, options, tree, inputs, last, signer_of(machine))
        if job.last and _is_reusable(job, server, machine):
            return _reuse(job, job.last, machine, reporter)
        return _build(job, server, machine, reporter)


def last_build(machine: Machine) -> Latest | None:
    """Return the last build, or None when there is none whose package is there."""
    latest = Latest.from_document(read_json(machine.output / LATEST_NAME))
    return latest if latest and (machine.root / latest.package).is_file() else None


def is_stale(latest: Latest, machine: Machine) -> bool:
    """Tell whether anything a build depends on has changed since the last one."""
    tree = WorkTree.read(machine.git, BuildServer.from_environ(machine.environ))
    return inputs_digest(tree, machine) != latest.inputs


def inputs_digest(tree: WorkTree, machine: Machine) -> str:
    """Return a digest of everything a build depends on but its number and the time.

    Unchanged files count by git's own hash, so that only changed ones are read.
    """
    digest = hashlib.sha256(repr((tree.source, tree.untracked, tools(machine.root))).encode())
    git = machine.git
    if git is None:
        read = [file.path for file in own_files(machine.root, None)]
    else:
        read = [path for path in tree.changed if (machine.root / path).is_file()]
        digest.update(repr(git.tracked()).encode())
    for path in read:
        digest.update(
            f"{path}\0".encode() + hashlib.sha256((machine.root / path).read_bytes()).digest()
        )
    return digest.hexdigest()


def _is_reusable(job: _Job, server: BuildServer, machine: Machine) -> bool:
    asked = job.options.force or job.options.version.any or server.build_number is not None
    if asked or job.last is None or job.last.inputs != job.inputs:
        return False
    if not (job.last.tested or job.options.only_package):
        return False
    package = job.last.package_path(machine.root)
    beside = all((package.parent / name).is_file() for name in (MANIFEST_NAME, FUNCTION_ZIP))
    return beside and hashlib.sha256(package.read_bytes()).hexdigest() == job.last.package_sha256


def _reuse(job: _Job, last: Latest, machine: Machine, reporter: Reporter) -> Outcome:
    manifest_file = last.package_path(machine.root).parent / MANIFEST_NAME
    manifest = Manifest.from_json(manifest_file.read_bytes(), where=str(manifest_file))
    _introduce(job, last.version, reporter)
    reporter.line("  unchanged since the last build: same version, same package")
    _sign(job, last.package_path(machine.root), reporter)
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
    load_hooks(project.root / BUILD_HOOKS)("before_build", project)
    with new_folder(machine.output / version.text) as folder:
        built = _make(job, version, folder, machine, reporter)
        verified, why_not = _verify(job, built, machine, reporter)
        _sign(job, built.package, reporter)
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
    write_json(machine.output / LATEST_NAME, latest.to_document())
    return _conclude(latest, built.manifest, machine, reporter, reused=False)


def _make(job: _Job, version: Version, folder: Path, machine: Machine, reporter: Reporter) -> Built:
    with reporter.stage("restore") as stage:
        stage.progress("fetching what is not in the cache")
        restored = restore_dependencies(job.project, machine)
        stage.text = f"{restored.packages} packages, locked" + (
            ", from cache" if restored.from_cache else ", fetched"
        )
    if not job.options.only_package:
        with reporter.stage("test") as stage:
            stage.text = str(run_tests(job.project, folder, machine, reporter))
    last = job.last.package_path(machine.root).parent / FUNCTION_ZIP if job.last else None
    with reporter.stage("package") as stage:
        order = Order(version.text, job.tree.source, folder, last)
        built = make_package(job.project, order, restored, machine)
        facts, changed = built.function_zip.facts, built.function_zip.changed
        stage.text = f"{FUNCTION_ZIP} {megabytes(facts.size)}, {facts.files} files" + (
            f", {changed} changed" if changed is not None else ""
        )
    made = Made(built, restored, imports=not job.options.only_package)
    check_build(job.project, made, machine, reporter)
    return built


def _verify(job: _Job, built: Built, machine: Machine, reporter: Reporter) -> tuple[bool, str]:
    reason = "not asked for" if job.options.only_package else unverifiable(built.manifest, machine)
    if not reason:
        with reporter.stage("verify") as stage:
            verify_build(built, replace(machine), reporter)
            stage.text = f"rebuilt from {str(built.manifest.source.commit)[:7]}: the same bytes"
        return True, ""
    if not job.options.only_package:
        reporter.warn(f"verify skipped: {reason}")
    return False, reason


def _sign(job: _Job, package: Path, reporter: Reporter) -> None:
    if job.signer:
        with reporter.stage("sign") as stage:
            attest(package, job.signer)
            stage.text = f"attestation beside the package, key {job.signer.key_id[:16]}"


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
    if bundle_of(package).is_file():
        reporter.emit(Artifact(str(bundle_of(package))))
    reporter.line(f"{latest.package}   {megabytes(package.stat().st_size)}")
    reporter.line(f"CodeSha256 {manifest.function_zip.code_sha256}")
    return Outcome(latest, manifest.function_zip.code_sha256, reused)
