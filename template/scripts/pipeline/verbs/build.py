"""`build`: restore, test, package, check and verify, in one folder, once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..checks.ours import refuse_changed_files
from ..core.events import Artifact, BuildNumber, Reporter
from ..core.manifest import MANIFEST_NAME, Manifest
from ..core.names import FUNCTION_ZIP, SBOM_NAME
from ..core.text import counted, few, readable_size
from ..edge.files import new_folder, sweep
from ..edge.locks import exclusive
from ..edge.machine import Machine
from ..package.contents import list_package
from ..package.inputs import Inputs, file_digest
from ..project.buildserver import BuildServer
from ..project.project import Project
from ..project.sources import Sources
from ..project.versions import TAG_STRATEGY
from ..project.worktree import WorkTree
from ..zip.reader import OUR_LIMITS, read_member
from .last_build import (
    OUTPUT,
    Latest,
    chosen_package,
    is_stale,
    last_build,
    write_last_build,
)
from .version import VersionOptions, choose_version

# An unchanged build needs none of what makes a package: it is imported where that begins.
if TYPE_CHECKING:
    from ..function.engine import Restored
    from ..package.make import Built, Order


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


def build(project: Project, options: BuildOptions, machine: Machine, reporter: Reporter) -> Outcome:
    """Build the project and return what `build-output/latest.json` then says.

    Without a build number an unchanged project gives back the last build. Two builds in one
    folder run one after the other. Nothing is left half-written on any error.
    """
    root, full = project.root, not options.only_package
    server = BuildServer.from_environ(machine.environ)
    waiting = partial(reporter.line, "another build is running in this folder; waiting for it")
    with exclusive(root / ".pipeline" / "build.lock", waiting):
        sweep(root / OUTPUT)
        refuse_changed_files(root, server, machine.now(), reporter.warn)
        if "PIPELINE_SIGNING_KEY" in machine.environ:
            reporter.warn(
                "PIPELINE_SIGNING_KEY is not used any more: the build server signs what it built, "
                "scripts/docs/provenance.md says how"
            )
        git = machine.git
        tree = WorkTree.read(git, server)
        began, last = Inputs.read(root, git, tree), last_build(root)
        choose = partial(choose_version, project, options.version, tree, server, machine.now())
        if (
            last
            and last.inputs == began.digest
            and _is_reusable(last, options, server, root)
            # A tag is no input, but it may have been set since.
            and (project.version_strategy != TAG_STRATEGY or choose().text == last.version)
        ):
            reporter.line(_headline(project, last.version, tree))
            return _reuse(last, root, reporter, full=full)
        from ..function.engine import engine_for
        from ..package.build_hooks import before_build, run_build_hook
        from ..package.make import Order
        from .test import run_tests

        version = choose().text
        reporter.line(_headline(project, version, tree))
        reporter.emit(BuildNumber(version))
        sources = before_build(project, git, reporter.line)
        _warn_of_left_out(tree, sources, reporter)

        def read_inputs() -> Inputs:
            return Inputs.read(root, git, WorkTree.read(git, server), sources.made)

        inputs = read_inputs() if sources.made else began
        with new_folder(root / OUTPUT / version) as folder:
            previous = (root / last.package).parent / FUNCTION_ZIP if last else None
            order = Order(version, tree.source, sources, folder, previous)
            restored = _restore(project, machine, reporter)
            if full:
                with reporter.stage("test") as stage:
                    stage.text = str(run_tests(project, folder, machine, reporter))
            built = _package(project, order, restored, machine, reporter)
            now, locks = read_inputs(), engine_for(project.function.runtime).locks
            began.refuse_changes(now, ("pyproject.toml", *locks))
            inputs.refuse_changes(now, built.own)
            run_build_hook("after_package", built, root, reporter.line)
            _check(project, built, restored, machine, reporter, imports=full)
            why_not = _verify(built, machine, reporter) if full else "not asked for"
        latest = Latest(
            version=version,
            package=(Path(OUTPUT) / version / built.package.name).as_posix(),
            package_sha256=built.sha256,
            inputs=inputs.digest,
            dirty=tree.source.dirty,
            tested=full,
            verified=not why_not,
            why_not=why_not,
        )
        write_last_build(root, latest)
        return _conclude(latest, built.manifest, root, reporter, reused=False)


def fresh_package(
    project: Project, named: str | None, machine: Machine, reporter: Reporter
) -> Path:
    """Return the named package, or the last build's; that is made first when missing or stale."""
    latest = None if named else last_build(project.root)
    if not named and (latest is None or is_stale(latest, project.root, machine.environ)):
        build(project, BuildOptions(), machine, reporter)
    return chosen_package(named, project.root)


def _warn_of_left_out(tree: WorkTree, sources: Sources, reporter: Reporter) -> None:
    untracked = frozenset(tree.untracked).difference(sources.made)
    removed = [path for path in tree.changed if not (sources.root / path).exists()]
    for what, paths in (("not tracked by git", untracked), ("removed since the commit", removed)):
        if paths:
            reporter.warn(f"{what}, so not packaged, and the build is dirty: {few(paths)}")


def _headline(project: Project, version: str, tree: WorkTree) -> str:
    function = project.function
    built_for = f"{function.runtime.name} {function.architecture}"
    return f"{project.package_id} {version}   {tree.describe()}   {built_for}"


def _restore(project: Project, machine: Machine, reporter: Reporter) -> Restored:
    from ..package.make import restore_dependencies

    with reporter.stage("restore") as stage:
        stage.progress("fetching what is not in the cache")
        restored = restore_dependencies(project, machine, reporter.warn)
        origin = "from cache" if restored.from_cache else "fetched"
        stage.text = f"{counted(restored.installed.locked, 'package')}, locked, {origin}"
    return restored


def _package(
    project: Project, order: Order, restored: Restored, machine: Machine, reporter: Reporter
) -> Built:
    from ..package.make import make_package

    with reporter.stage("package") as stage:
        built = make_package(project, order, restored, machine)
        facts, changed = built.function_zip.facts, built.function_zip.changed
        more = "" if changed is None else f", {changed} changed"
        files = f"{counted(facts.files, 'file')}{more}"
        stage.text = f"{FUNCTION_ZIP} {readable_size(facts.size)}, {files}"
    for note in built.notes:
        reporter.warn(note)
    return built


def _check(
    project: Project, built: Built, restored: Restored, machine: Machine, reporter: Reporter,
    *, imports: bool,
) -> None:  # fmt: skip
    """Refuse now what would be refused later: nobody has been given the package yet."""
    from ..checks.preflight import preflight

    with reporter.stage("check") as stage:
        stage.text, notes = preflight(project, built, restored, machine, reporter, imports=imports)
    # A manifest that no verb would read back, like one with control characters in its branch.
    Manifest.from_json(built.manifest.to_json(), where=MANIFEST_NAME)
    for note in notes:
        reporter.warn(note)


def _verify(built: Built, machine: Machine, reporter: Reporter) -> str:
    """Rebuild a build and compare; return why that is not possible here."""
    from .verify import unverifiable, verify_build

    reason = unverifiable(built.manifest, machine.git)
    if reason:
        reporter.warn(f"verify skipped: {reason}")
        return reason
    with reporter.stage("verify") as stage:
        verify_build(built, machine, reporter)
        stage.text = f"rebuilt from {str(built.manifest.source.commit)[:7]}: the same bytes"
    return ""


def _is_reusable(last: Latest, options: BuildOptions, server: BuildServer, root: Path) -> bool:
    """Tell whether the last build of the same inputs is what the options ask for."""
    given = (server.build_number, server.prerelease_tag) != (None, None)
    asked = options.force or options.version != VersionOptions() or given
    if asked or not (last.tested or options.only_package):
        return False
    return _is_whole(root / last.package, last.package_sha256)


def _is_whole(package: Path, sha256: str) -> bool:
    """Tell whether a build's package is as it was made, and the files beside it are those in it."""
    if file_digest(package).hex() != sha256:
        return False
    # These bytes were checked when they were made, so its headers are enough here.
    listing = list_package(package, OUR_LIMITS)
    return all(
        file_digest(package.parent / name)
        == hashlib.sha256(read_member(listing.archive, entry)).digest()
        for name, entry in listing.files.items()
        if name in (MANIFEST_NAME, FUNCTION_ZIP, SBOM_NAME)
    )


def _reuse(last: Latest, root: Path, reporter: Reporter, *, full: bool) -> Outcome:
    manifest_file = (root / last.package).parent / MANIFEST_NAME
    manifest = Manifest.from_json(manifest_file.read_bytes(), where=str(manifest_file))
    reporter.line("  unchanged since the last build: same version, same package")
    if last.why_not and full:
        reporter.warn(f"verify skipped: {last.why_not}")
    return _conclude(last, manifest, root, reporter, reused=True)


def _conclude(
    latest: Latest, manifest: Manifest, root: Path, reporter: Reporter, *, reused: bool
) -> Outcome:
    package = root / latest.package
    reporter.emit(Artifact(str(package)))
    reporter.line(f"{latest.package}   {readable_size(package.stat().st_size)}")
    reporter.line(f"CodeSha256 {manifest.function_zip.code_sha256}")
    return Outcome(latest, manifest.function_zip.code_sha256, reused)
