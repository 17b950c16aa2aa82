"""The verbs around a package: version, lock, test, check, build, package, verify, clean ..."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Context, Exit, task

from ..core.errors import UsageError
from ..core.text import counted, quoted, readable_size
from .octopus import RELEASE_FLAGS, octopus_access, octopus_options, push_options
from .session import Session, root_of, session, verb

if TYPE_CHECKING:
    from ..verbs.build import Outcome
    from ..verbs.version import VersionOptions

_VERSION = {
    "build-number": "The build number; a build server's own is read from its variables",
    "prerelease": "Make a prerelease; the time is its tag, or `prerelease` with a build number",
    "prerelease-tag": (
        "Make a prerelease with this tag: a letter, then letters, digits and hyphens, 20 at most"
    ),
    "version-strategy": "Use this strategy instead of the one in pyproject.toml",
}

# Other verbs take these from the environment alone.
_OCTOPUS = {
    "octopus-server-url": "The Octopus server; OCTOPUS_URL by default",
    "octopus-api-key": "`-` reads the key from standard input; OCTOPUS_API_KEY is the better place",
    "octopus-space": "The space; OCTOPUS_SPACE, then pyproject.toml, by default",
}


@verb(_VERSION)
def version(
    run: Session, build_number: str | None = None, prerelease: bool = False,
    prerelease_tag: str | None = None, version_strategy: str | None = None,
) -> None:  # fmt: skip
    """Show the version that a build would have now."""
    from ..verbs.version import next_version

    options = _version_options(build_number, prerelease, prerelease_tag, version_strategy)
    chosen = next_version(run.project, options, run.machine.environ, run.machine.now())
    run.result(chosen.text, {"version": chosen.text, "prerelease": chosen.is_prerelease})


@verb({"upgrade": "Upgrade this package, or all of them"}, optional=["upgrade"])
def lock(run: Session, upgrade: str | bool | None = None) -> None:
    """Write the hash locks in requirements/ from pyproject.toml."""
    from ..function.engine import engine_for

    # invoke gives True for a flag without a value.
    names = [upgrade] if isinstance(upgrade, str) else [] if upgrade else None
    engine = engine_for(run.project.function.runtime)
    changes = engine.lock(run.project, names, run.machine, run.reporter)
    run.answer = {"locks": [asdict(change) for change in changes]}


@task
def test(c: Context) -> None:
    """Run the function's tests on its runtime; everything after `test` goes to the runner."""
    from ..verbs.test import test_attached

    with session(root_of(c), json=False, verbose=False) as run:
        code = test_attached(run.project, c.config.pipeline.passed_on, run.machine, run.reporter)
        if code:
            raise Exit(code=1)


@verb(
    {
        **_VERSION,
        "force": "Build even when nothing has changed",
        "deploy": "Then push, make the releases, and deploy them",
        "component": "Taken for the sake of old build configurations; it changes nothing",
        **RELEASE_FLAGS,
        **_OCTOPUS,
    }
)
def build(
    run: Session, build_number: str | None = None, prerelease: bool = False,
    prerelease_tag: str | None = None, version_strategy: str | None = None,
    force: bool = False, deploy: bool = False, environments: str | None = None,
    projects: str | None = None, octopus_project_prefix: str | None = None,
    octopus_server_url: str | None = None, octopus_api_key: str | None = None,
    octopus_space: str | None = None, component: str | None = None,  # noqa: ARG001 - see its help
    channel: str | None = None, git_ref: str | None = None,
) -> None:  # fmt: skip
    """Restore, test, package and verify: the versioned package in build-output/."""
    from ..verbs.build import BuildOptions, build
    from ..verbs.release import build_and_deploy

    options = BuildOptions(
        _version_options(build_number, prerelease, prerelease_tag, version_strategy), force
    )
    where = (environments, projects, octopus_project_prefix, channel, git_ref)
    flags = [f"--{name}" for name, value in zip(RELEASE_FLAGS, where, strict=True) if value]
    if flags and not deploy:
        needs = "goes" if len(flags) == 1 else "go"
        raise UsageError("build", f"{' and '.join(flags)} {needs} with --deploy", "Add it.")
    access = octopus_access(run, octopus_server_url, octopus_api_key, octopus_space)
    if not deploy:
        run.answer = _document(build(run.project, options, run.machine, run.reporter), run.root)
        return
    outcome, pushed, released = build_and_deploy(
        run.project, options, replace(push_options(run), octopus=access),
        octopus_options(access, *where), run.machine, run.reporter,
    )  # fmt: skip
    published = {"pushed": asdict(pushed), "released": asdict(released)}
    run.answer = _document(outcome, run.root) | published


@verb({**_VERSION, "force": "Package even when nothing has changed"})
def package(
    run: Session, build_number: str | None = None, prerelease: bool = False,
    prerelease_tag: str | None = None, version_strategy: str | None = None, force: bool = False,
) -> None:  # fmt: skip
    """Make the package alone: no tests, no verification."""
    from ..verbs.build import BuildOptions, build

    version = _version_options(build_number, prerelease, prerelease_tag, version_strategy)
    options = BuildOptions(version, force, only_package=True)
    run.answer = _document(build(run.project, options, run.machine, run.reporter), run.root)


@verb(
    {
        "package": "The package to verify; the last build's by default",
        "cold": "Use nothing that an earlier build has kept",
    }
)
def verify(run: Session, package: str | None = None, cold: bool = False) -> None:
    """Rebuild a package from its commit and compare every byte."""
    from ..verbs.verify import verify

    path, manifest = verify(package, run.machine, run.reporter, cold=cold)
    run.answer = {
        "package": str(path), "version": manifest.version, "commit": manifest.source.commit,
        "same": True,
    }  # fmt: skip


@verb({"fix": "Correct what can be corrected"})
def check(run: Session, fix: bool = False) -> None:
    """Look for faults without running anything: ruff, the stack, and types where asked."""
    from ..verbs.check import check

    passed = check(run.project, run.machine, run.reporter, fix=fix)
    run.answer = {"passed": list(passed)}


@verb(
    {
        "keep": "How many of the newest builds stay",
        "all": "Remove every build, and everything that is kept between builds",
    }
)
def clean(run: Session, keep: str = "3", all: bool = False) -> None:  # noqa: A002 - the flag's name
    """Remove old builds, and what only they used of the cache."""
    from ..verbs.clean import clean

    number = None if all else _whole_number("--keep", keep)
    removed = clean(run.root, run.cache, number, run.reporter)
    _removed(run, "build-output and .pipeline/cache", removed)


@verb()
def clear(run: Session) -> None:
    """Remove everything in .pipeline/cache; the next build makes it again."""
    from ..verbs.clean import clear_cache

    _removed(run, ".pipeline/cache", clear_cache(run.root, run.cache, run.reporter))


def _removed(run: Session, where: str, removed: tuple[int, int]) -> None:
    files, size = removed
    run.reporter.line(f"{where}: {readable_size(size)} in {counted(files, 'file')} removed")
    run.answer = {"files": files, "size": size}


def rebuild(root: Path, manifest: str, folder: str) -> None:
    """Package a clone for the `verify` of another version of this library, which started it."""
    from ..verbs.verify import rebuild

    with session(root, json=False, verbose=False) as run:
        made = rebuild(Path(manifest), Path(folder), run.machine, run.reporter.line)
        run.result(str(made), {})


def _version_options(
    number: str | None, prerelease: bool, tag: str | None, strategy: str | None
) -> VersionOptions:
    from ..verbs.version import VersionOptions

    parsed = None if number is None else _whole_number("--build-number", number)
    return VersionOptions(parsed, prerelease, tag, strategy)


def _whole_number(flag: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        what = f"{quoted(text)} is not a whole number"
        raise UsageError(flag, what, "Pass one, like 7.") from None


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
