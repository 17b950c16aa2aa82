"""The verbs that make a package: version, lock, test, build, package, verify, cache.clear."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Context, Exit, task

from ..core.errors import UsageError
from .octopus import RELEASE_FLAGS, octopus_options
from .session import COMMON, Session, octopus_access, root_of, session

if TYPE_CHECKING:
    from ..project.last_build import Latest
    from ..verbs.build import Outcome
    from ..verbs.release import OctopusOptions
    from ..verbs.version import VersionOptions

_VERSION = {
    "build-number": "The build number; a build server's own is read from its variables",
    "prerelease": "Make a prerelease; the time is its tag, or `prerelease` with a build number",
    "prerelease-tag": (
        "Make a prerelease with this tag: a letter, then letters, digits and hyphens, 20 at most"
    ),
    "version-strategy": "Use this strategy instead of the one in pyproject.toml",
    **COMMON,
}

# The environment has them for the other verbs.
_OCTOPUS = {
    "octopus-server-url": "The Octopus server; OCTOPUS_URL by default",
    "octopus-api-key": "`-` reads the key from standard input; OCTOPUS_API_KEY is the better place",
    "octopus-space": "The space; OCTOPUS_SPACE, then pyproject.toml, by default",
}


@task(help=_VERSION)
def version(
    c: Context, build_number: str | None = None, prerelease: bool = False,
    prerelease_tag: str | None = None, version_strategy: str | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Show the version that a build would have now."""
    from ..project.buildserver import BuildServer
    from ..project.worktree import WorkTree
    from ..verbs.version import choose_version

    with session(root_of(c), json=json, verbose=verbose) as run:
        options = _version_options(build_number, prerelease, prerelease_tag, version_strategy)
        server = BuildServer.from_environ(run.machine.environ)
        tree = WorkTree.read(run.machine.git, server)
        chosen = choose_version(run.project, options, tree, server, run.machine)
        run.result(chosen.text, {"version": chosen.text, "prerelease": chosen.is_prerelease})


@task(optional=["upgrade"], help={"upgrade": "Upgrade this package, or all of them", **COMMON})
def lock(
    c: Context, upgrade: str | bool | None = None, json: bool = False, verbose: bool = False
) -> None:
    """Write the hash locks in requirements/ from pyproject.toml."""
    from ..verbs import lock as verb

    with session(root_of(c), json=json, verbose=verbose) as run:
        changes = verb.lock(run.project, _to_upgrade(upgrade), run.machine, run.reporter)
        run.answer = {"locks": [asdict(change) for change in changes]}


@task
def test(c: Context) -> None:
    """Run the function's tests on its runtime; everything after `test` goes to pytest."""
    from ..verbs.test import test_attached

    with session(root_of(c), json=False, verbose=False) as run:
        code = test_attached(run.project, c.config.pipeline.passed_on, run.machine, run.reporter)
        if code:
            raise Exit(code=1)


@task(
    help={
        **_VERSION,
        "force": "Build even when nothing has changed",
        "deploy": "Then push, make the releases, and deploy them",
        "component": "Taken for the sake of old build configurations; it changes nothing",
        **RELEASE_FLAGS,
        **_OCTOPUS,
    }
)
def build(
    c: Context, build_number: str | None = None, prerelease: bool = False,
    prerelease_tag: str | None = None, version_strategy: str | None = None,
    force: bool = False, deploy: bool = False, environments: str | None = None,
    projects: str | None = None, octopus_project_prefix: str | None = None,
    octopus_server_url: str | None = None, octopus_api_key: str | None = None,
    octopus_space: str | None = None, component: str | None = None,  # noqa: ARG001 - see its help
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Restore, test, package and verify: the versioned package in build-output/."""
    from ..verbs import build as verb

    with session(root_of(c), json=json, verbose=verbose) as run:
        options = verb.BuildOptions(
            _version_options(build_number, prerelease, prerelease_tag, version_strategy), force
        )
        where = (environments, projects, octopus_project_prefix)
        if not deploy and any(where):
            raise UsageError("build", "--environments and --projects go with --deploy", "Add it.")
        access = octopus_access(run, octopus_server_url, octopus_api_key, octopus_space)
        if deploy and access.missing:
            # Said before anything is built.
            what = f"{access.missing} not set"
            raise UsageError("build --deploy", what, "Set it in the environment.")
        wanted = octopus_options(access, *where) if deploy else None
        outcome = verb.build(run.project, options, run.machine, run.reporter)
        run.answer = _document(outcome, run.root)
        if wanted:
            run.answer |= _published(run, outcome.latest, wanted)


def _published(run: Session, latest: Latest, options: OctopusOptions) -> dict[str, Any]:
    from ..verbs.push import PushOptions, push
    from ..verbs.release import deploy_build

    package = latest.package_path(run.root)
    feed = PushOptions(
        nuget_key=run.machine.environ.get("NUGET_API_KEY", ""),
        nuget_user=run.machine.environ.get("NUGET_USER", ""),
        octopus=options.access,
    )
    pushed = push(run.project, package, feed, run.machine.environ, run.reporter)
    released = deploy_build(run.project, latest, options, run.machine, run.reporter)
    return {"pushed": asdict(pushed), "released": asdict(released)}


@task(
    help={
        **_VERSION,
        "force": "Package even when nothing has changed",
        "rebuild": "Package as this manifest says",
        "into": "With --rebuild: the folder to write to",
    }
)
def package(
    c: Context, build_number: str | None = None, prerelease: bool = False,
    prerelease_tag: str | None = None, version_strategy: str | None = None,
    force: bool = False, rebuild: str | None = None, into: str | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Make the package alone: no tests, no verification."""
    from ..verbs import build as verb
    from ..verbs.verify import rebuild as rebuild_verb

    with session(root_of(c), json=json, verbose=verbose) as run:
        if rebuild and into:
            made = rebuild_verb(Path(rebuild), Path(into), run.machine, run.reporter.line)
            run.result(str(made), {"package": str(made)})
            return
        version = _version_options(build_number, prerelease, prerelease_tag, version_strategy)
        options = verb.BuildOptions(version, force, only_package=True)
        outcome = verb.build(run.project, options, run.machine, run.reporter)
        run.answer = _document(outcome, run.root)


@task(
    help={
        "package": "The package to verify; the last build's by default",
        "cold": "Use nothing that an earlier build has kept",
        **COMMON,
    }
)
def verify(
    c: Context,
    package: str | None = None,
    cold: bool = False,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Rebuild a package from its commit and compare every byte."""
    from ..verbs.build import mark_verified
    from ..verbs.verify import verify_package
    from ..verbs.which_package import chosen_package

    with session(root_of(c), json=json, verbose=verbose) as run:
        path = chosen_package(package, run.machine)
        with run.reporter.stage("verify") as stage:
            verified = verify_package(path, run.machine, run.reporter, cold=cold)
            mark_verified(path, run.machine)
            stage.text = (
                f"{path.name}: rebuilt from {str(verified.source.commit)[:7]}, the same bytes"
            )
        run.answer = {
            "package": str(path),
            "version": verified.version,
            "commit": verified.source.commit,
            "same": True,
        }


@task(help=COMMON)
def clear(c: Context, json: bool = False, verbose: bool = False) -> None:
    """Remove everything in .pipeline/cache; the next build makes it again."""
    from ..core.text import size
    from ..verbs.cache import clear_cache

    with session(root_of(c), json=json, verbose=verbose) as run:
        files, removed = clear_cache(run.root, run.cache, run.reporter)
        run.reporter.line(f".pipeline/cache: {size(removed)} in {files} files removed")
        run.answer = {"files": files, "size": removed}


def _to_upgrade(flag: str | bool | None) -> list[str] | None:
    """Return what `lock` takes: invoke gives True for a bare flag."""
    if isinstance(flag, str):
        return [flag]
    return [] if flag else None


def _version_options(
    number: str | None, prerelease: bool, tag: str | None, strategy: str | None
) -> VersionOptions:
    from ..verbs.version import VersionOptions

    try:
        parsed = int(number) if number is not None else None
    except ValueError:
        raise UsageError(
            "--build-number", f"{number!r} is not a whole number", "Pass one, like 7."
        ) from None
    return VersionOptions(parsed, prerelease, tag, strategy)


def _document(outcome: Outcome, root: Path) -> dict[str, Any]:
    latest = outcome.latest
    return {
        "version": latest.version,
        "package": str(root / latest.package),
        "code_sha256": outcome.code_sha256,
        "reused": outcome.reused,
        "dirty": latest.dirty,
        "verified": latest.verified,
        "why_not_verified": latest.why_not,
    }
