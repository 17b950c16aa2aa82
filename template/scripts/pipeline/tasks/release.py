"""The verbs that hand a package on: push, release."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from invoke import Context, task

from ..errors import UsageError
from .secrets import OCTOPUS_FLAGS, octopus_access, secret
from .session import COMMON, root_of, session

if TYPE_CHECKING:
    from ..octopus.client import Access
    from ..verbs.release import OctopusOptions

__all__ = ["RELEASE_FLAGS", "octopus_options", "push", "release"]

# What the flags mean, for the help of the verbs that have them.
RELEASE_FLAGS = {
    "environments": "Where to deploy, in this order, separated by commas; none: the release alone",
    "projects": "The Octopus projects, separated by commas; pyproject.toml's by default",
    "octopus-project-prefix": "All projects whose names begin with this, where none is named",
    **OCTOPUS_FLAGS,
}
_WAITING = {
    "wait": "How many seconds a deployment may take; 600 by default",
    "cancel-on-timeout": "Cancel a deployment that takes longer",
    "allow-dirty": "Take a dirty or unverified build to a permanent environment all the same",
}


@task(
    help={
        "package": "The package; the last build's by default",
        "feed": "A folder, a NuGet feed's URL, or `octopus`; pyproject.toml's feed by default",
        "skip-duplicate": "Accept a version that is there and cannot be compared",
        "nuget-api-key": "`-` reads it from standard input; NUGET_API_KEY is the better place",
        **OCTOPUS_FLAGS,
        **COMMON,
    }
)
def push(
    c: Context, package: str | None = None, feed: str | None = None, skip_duplicate: bool = False,
    nuget_api_key: str | None = None, octopus_server_url: str | None = None,
    octopus_api_key: str | None = None, octopus_space: str | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Publish a package to a folder, a NuGet feed, or Octopus's built-in feed."""
    from ..verbs import push as verb
    from ..verbs.packages import chosen_package

    with session(root_of(c), json=json, verbose=verbose) as run:
        options = verb.PushOptions(
            feed or "",
            skip_duplicate,
            secret(run, "--nuget-api-key", nuget_api_key, "NUGET_API_KEY"),
            run.machine.environ.get("NUGET_USER", ""),
            octopus_access(run, octopus_server_url, octopus_api_key, octopus_space),
        )
        path = chosen_package(package, run.machine)
        run.answer = asdict(verb.push(run.project, path, options, run.machine, run.reporter))


@task(
    help={
        "package": "The package; the last build's by default",
        **RELEASE_FLAGS,
        **_WAITING,
        **COMMON,
    }
)
def release(
    c: Context, package: str | None = None, environments: str | None = None,
    projects: str | None = None, octopus_project_prefix: str | None = None,
    octopus_server_url: str | None = None, octopus_api_key: str | None = None,
    octopus_space: str | None = None, wait: str | None = None,
    cancel_on_timeout: bool = False, allow_dirty: bool = False,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Make the package's releases in Octopus, and deploy them to one environment after another."""
    from ..verbs.build import last_build
    from ..verbs.packages import chosen_package
    from ..verbs.release import deploy_build, release_package

    with session(root_of(c), json=json, verbose=verbose) as run:
        access = octopus_access(run, octopus_server_url, octopus_api_key, octopus_space)
        options = octopus_options(access, environments, projects, octopus_project_prefix)
        patience = replace(
            options.patience, seconds=_seconds(wait), cancel_on_timeout=cancel_on_timeout
        )
        options = replace(options, patience=patience, allow_dirty=allow_dirty)
        latest = None if package else last_build(run.machine)
        if latest:
            done = deploy_build(run.project, latest, options, run.machine, run.reporter)
        else:
            chosen = chosen_package(package, run.machine)
            done = release_package(run.project, chosen, options, run.machine, run.reporter)
        run.answer = asdict(done)


def octopus_options(
    access: Access, environments: str | None, projects: str | None, prefix: str | None
) -> OctopusOptions:
    """Return the options that these flags make; lists are separated by commas."""
    from ..verbs.release import OctopusOptions

    return OctopusOptions(access, _names(projects), prefix or "", _names(environments))


def _names(flag: str | None) -> tuple[str, ...]:
    """Return the names in a list that is separated by commas; names may have spaces."""
    return tuple(name.strip() for name in (flag or "").split(",") if name.strip())


def _seconds(flag: str | None) -> float:
    try:
        seconds = float(flag) if flag is not None else 600.0
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError("--wait", f"{flag!r} is no number of seconds", "Pass one, like 1800.")
    return seconds
