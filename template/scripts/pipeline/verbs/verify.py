"""`verify`: rebuild a package from its commit, and compare every byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..core.errors import NotTheSame, PipelineError
from ..core.events import Reporter
from ..core.manifest import MANIFEST_NAME, Manifest
from ..core.names import FULL_COMMIT, FUNCTION_ZIP
from ..edge.files import read_text
from ..edge.git import Git
from ..edge.machine import Machine
from ..edge.npm import PASSED_TO_NPM
from ..edge.pythons import base_python
from ..edge.shell import run, scrubbed
from ..package.build_hooks import Say, before_build, run_build_hook
from ..package.contents import Package
from ..package.library import code_digest, running_code
from ..package.make import TOOL_LOCK, Built, Order, make_package, restore_dependencies
from ..project.buildserver import BuildServer
from ..project.project import Project
from ..zip.difference import difference
from .last_build import chosen_package, mark_verified


def verify(
    named: str | None, machine: Machine, reporter: Reporter, *, cold: bool = False
) -> tuple[Path, Manifest]:
    """Rebuild the named package, or the last build's, from the commit its manifest names.

    Returns it and its manifest. Raises NotTheSame with the first difference. `cold` uses no cache:
    packages are fetched again, compared with the lock's hashes, and deflated again.
    """
    package = chosen_package(named, machine.root)
    with reporter.stage("verify") as stage:
        manifest = _manifest(package)
        if reason := unverifiable(manifest, machine.git):
            then = "Commit, and build again." if machine.git else "Verify it in a clone."
            raise PipelineError(f"verify {package.name}", f"it cannot be verified: {reason}", then)
        then = (
            "It was changed since it was built, or something outside the commit went into it. "
            "Build the commit anew."
        )
        with _rebuilt(manifest, machine, reporter, cold=cold) as rebuilt:
            _compare(package, rebuilt, manifest, then)
        mark_verified(machine.root, package)
        commit = str(manifest.source.commit)[:7]
        stage.text = f"{package.name}: rebuilt from {commit}, the same bytes"
    return package, manifest


def unverifiable(manifest: Manifest, git: Git | None) -> str:
    """Return why a build cannot be verified here, or an empty text."""
    if git is None:
        return "there is no .git here to rebuild from"
    if manifest.source.commit is None:
        return "nothing is committed yet"
    if not FULL_COMMIT.fullmatch(manifest.source.commit):
        return f"{manifest.source.commit!r} is not the full name of a commit"
    if manifest.source.dirty is None:
        return "it was built without .git, so what it was built from is not known"
    return "it was built from files that differ from its commit" if manifest.source.dirty else ""


def verify_build(built: Built, machine: Machine, reporter: Reporter) -> None:
    """Rebuild a build from its commit and compare; raises NotTheSame with the first difference.

    On a build server, whose caches are old and whose builds are published, no cache is used.
    """
    cold = bool(BuildServer.from_environ(machine.environ).name)
    manifest = built.manifest
    then = "Something outside the commit went into it: look at scripts/hooks_build.py."
    with _rebuilt(manifest, machine, reporter, cold=cold) as rebuilt:
        built_zip = built.function_zip.path
        _compare(built_zip, rebuilt.with_name(FUNCTION_ZIP), manifest, then)
        _compare(built.package, rebuilt, manifest, then)


def rebuild(manifest_file: Path, folder: Path, machine: Machine, say: Say) -> Path:
    """Package this checkout with the version and source facts of a manifest; return the package.

    `say` takes what the build hooks print.
    """
    manifest = Manifest.from_json(manifest_file.read_bytes(), where=str(manifest_file))
    project = Project.load(machine.root)
    sources = before_build(project, machine.git, say)
    order = Order(manifest.version, manifest.source, sources, folder)
    restored = restore_dependencies(project, machine, say)
    built = make_package(project, order, restored, machine)
    run_build_hook("after_package", built, project.root, say)
    return built.package


@contextmanager
def _rebuilt(
    manifest: Manifest, machine: Machine, reporter: Reporter, *, cold: bool
) -> Iterator[Path]:
    """Yield the package that the manifest's commit makes; it is removed at the block's end."""
    git, commit = machine.git, str(manifest.source.commit)
    if git is None:
        raise PipelineError(
            "verify", "there is no .git here", "Verify in a clone of the repository."
        )
    if not git.has(commit):
        raise _unknown(manifest, git, machine.root)
    with tempfile.TemporaryDirectory() as name:
        scratch, folder = Path(name), Path(name, "rebuilt")
        folder.mkdir()
        clone = git.clone_to(scratch / "clone", commit)
        facts = scratch / MANIFEST_NAME
        facts.write_bytes(manifest.to_json())
        if cold:
            machine = _without_caches(machine, scratch)
        if _is_of_this_library(clone, machine.root):
            used = replace(machine, root=clone)
            yield rebuild(facts, folder, used, lambda text: reporter.line(text, verbose=True))
        else:
            reporter.line(
                "  the commit has another library: rebuilding with that one", verbose=True
            )
            yield _rebuild_in_child(clone, facts, folder, machine.environ)


def _without_caches(machine: Machine, scratch: Path) -> Machine:
    """Return the machine with empty caches.

    uv compares with the lock only what it fetches, and not what is in its cache already.
    """
    caches = {"UV_CACHE_DIR": str(scratch / "uv"), "NPM_CONFIG_CACHE": str(scratch / "npm")}
    kept = {name: value for name, value in machine.environ.items() if name.upper() not in caches}
    environ = {**kept, **caches}
    made = scratch / "cache"
    tools = machine.cache_folder
    return replace(machine, cache_folder=lambda: made, tools_folder=tools, environ=environ)


def _unknown(manifest: Manifest, git: Git, root: Path) -> PipelineError:
    own = Project.load(root).package_id
    if manifest.package_id != own:
        return PipelineError(
            "verify",
            f"it is a package of {manifest.package_id}, this repository builds {own}",
            "Verify it in a clone of its own repository.",
        )
    return PipelineError(
        "verify",
        f"the commit {manifest.source.commit} is not in this repository",
        f"Fetch it: git fetch {'--unshallow' if git.is_shallow() else '--all --tags'}",
    )


def _is_of_this_library(clone: Path, here: Path) -> bool:
    """Tell whether this process would make what the clone's own library and tools make."""
    locks = [root / TOOL_LOCK for root in (here, clone)]
    ours, others = (read_text(one, one.name) if one.is_file() else "" for one in locks)
    return ours == others and code_digest(clone / "scripts" / "pipeline") == running_code()


def _rebuild_in_child(clone: Path, facts: Path, folder: Path, environ: Mapping[str, str]) -> Path:
    # The clone makes its own .venv, so its tasks.py is started outside ours.
    script: list[str | Path] = [base_python(), clone / "tasks.py"]
    command = [*script, "package", "--rebuild", facts, "--into", folder]
    settings = {
        name: value
        for name, value in environ.items()
        if name.startswith("UV_") or PASSED_TO_NPM.match(name)
    }
    run(command, cwd=clone, env=scrubbed(environ, settings), where="verify")
    made = list(folder.glob("*.nupkg"))
    if len(made) != 1:
        raise PipelineError(
            "verify",
            f"the commit's own library made {len(made)} packages",
            "Build the commit in a clean clone, and look at scripts/hooks_build.py there.",
        )
    return made[0]


def _compare(ours: Path, rebuilt: Path, manifest: Manifest, then: str) -> None:
    old, new = ours.read_bytes(), rebuilt.read_bytes()
    if old != new:
        commit = str(manifest.source.commit)[:12]
        what = f"rebuilt from {commit} it is not the same: {difference(old, new)}"
        raise NotTheSame(f"verify {ours.name}", what, then)


def _manifest(package: Path) -> Manifest:
    try:
        opened = Package.open(package)
    except PipelineError as error:
        # No commit makes such a file, so there is nothing to compare it with.
        raise NotTheSame(f"verify {package.name}", error.what, error.then) from error
    return opened.own_manifest()
