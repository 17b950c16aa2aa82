"""The verbs that hand a package on: push, release; and env.*, the environments it may go to."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invoke import Context, task

from ..core.errors import UsageError
from .session import (
    COMMON,
    Session,
    octopus_access,
    root_of,
    secret,
    session,
)

if TYPE_CHECKING:
    from ..octopus.client import Access
    from ..verbs.release import OctopusOptions

# What the flags mean, for the help of the verbs that have them.
RELEASE_FLAGS = {
    "environments": "Where to deploy, in this order, separated by commas; none: the release alone",
    "projects": "The Octopus projects, separated by commas; pyproject.toml's by default",
    "octopus-project-prefix": "All projects whose names begin with this, where none is named",
}
_PERIOD = re.compile(r"([1-9][0-9]{0,3})([hd])\Z")
_WAITING = {
    "wait": "How many seconds a deployment may take; 600 by default",
    "cancel-on-timeout": "Cancel a deployment that takes longer",
    "allow-dirty": "Take a dirty or unverified build to a permanent environment all the same",
}


@task(
    iterable=["trust_host"],
    help={
        "package": "The package; the last build's by default",
        "feed": "A folder, a NuGet feed's URL, or `octopus`; pyproject.toml's feed by default",
        "skip-duplicate": "Accept a version that is there and cannot be compared",
        "nuget-api-key": "`-` reads it from standard input; NUGET_API_KEY is the better place",
        "trust-host": "A host, or HOST:PORT, that may have the feed's key besides its own",
        **COMMON,
    },
)
def push(
    c: Context, package: str | None = None, feed: str | None = None, skip_duplicate: bool = False,
    nuget_api_key: str | None = None, trust_host: list[str] | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Publish a package to a folder, a NuGet feed, or Octopus's built-in feed."""
    from ..verbs import push as verb
    from ..verbs.which_package import chosen_package

    with session(root_of(c), json=json, verbose=verbose) as run:
        options = verb.PushOptions(
            run.address(feed or ""),
            skip_duplicate,
            secret(run, "--nuget-api-key", nuget_api_key, "NUGET_API_KEY"),
            run.machine.environ.get("NUGET_USER", ""),
            tuple(trust_host or ()),
            octopus_access(run),
        )
        path = chosen_package(package, run.machine)
        run.answer = asdict(
            verb.push(run.project, path, options, run.machine.environ, run.reporter)
        )


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
    wait: str | None = None, cancel_on_timeout: bool = False,
    allow_dirty: bool = False, json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Make the package's releases in Octopus, and deploy them to one environment after another."""
    from ..verbs.build import last_build
    from ..verbs.release import deploy_build, release_package
    from ..verbs.which_package import chosen_package

    with session(root_of(c), json=json, verbose=verbose) as run:
        access = octopus_access(run)
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


@task(
    help={
        "name": "The environment's name",
        "projects": RELEASE_FLAGS["projects"],
        "expires": "When env.reap may remove it: a number of hours or days, like 8h or 3d",
        **COMMON,
    }
)
def create(
    c: Context, name: str, projects: str | None = None, expires: str | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Make a temporary environment in Octopus, with a machine that its releases deploy to."""
    from ..verbs.env import create_environment

    with session(root_of(c), json=json, verbose=verbose) as run:
        made = create_environment(
            run.project,
            name,
            octopus_options(octopus_access(run), projects=projects),
            run.machine.environ,
            run.reporter,
            expires=_end(run, expires),
        )
        end = made.expires.isoformat() if made.expires else ""
        run.answer = {"environment": made.name, "id": made.id, "expires": end}


@task(
    help={
        "name": "The environment's name",
        "confirm": "Its name again, for one that env.create did not make",
        **COMMON,
    }
)
def delete(
    c: Context, name: str, confirm: str | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Deregister a temporary environment's machines and remove it from Octopus."""
    from ..verbs.env import delete_environment

    with session(root_of(c), json=json, verbose=verbose) as run:
        done = delete_environment(
            run.project,
            name,
            octopus_options(octopus_access(run)),
            run.machine.environ,
            run.reporter,
            confirm=confirm or "",
        )
        run.answer = {"environment": name, "removed": done}


@task(name="list", help=COMMON)
def list_(
    c: Context, json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """List the environments in Octopus: whose they are, when they end, their machines."""
    from ..verbs.env import list_environments

    with session(root_of(c), json=json, verbose=verbose) as run:
        octopus = octopus_options(octopus_access(run))
        found = list_environments(run.project, octopus, run.machine.environ, run.reporter)
        for one in found:
            kind = "permanent" if one.permanent else f"for {one.owner}" if one.owner else ""
            end = f"until {one.expires}" if one.expires else ""
            words = [f"{one.name:<20}", f"{kind:<30}", end, ", ".join(one.machines)]
            run.reporter.line(" ".join(words).rstrip())
        run.answer = {"environments": [asdict(one) for one in found]}


@task(help={"dry-run": "Show which ones, remove none", **COMMON})
def reap(
    c: Context, dry_run: bool = False, json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Remove this project's temporary environments whose time is over."""
    from ..verbs.env import reap_environments

    with session(root_of(c), json=json, verbose=verbose) as run:
        names = reap_environments(
            run.project,
            octopus_options(octopus_access(run)),
            run.machine.environ,
            run.reporter,
            now=run.machine.now(),
            dry_run=dry_run,
        )
        run.answer = {"environments": names, "dry_run": dry_run}


def octopus_options(
    access: Access,
    environments: str | None = None,
    projects: str | None = None,
    prefix: str | None = None,
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


def _end(run: Session, flag: str | None) -> datetime | None:
    if flag is None:
        return None
    period = _PERIOD.match(flag)
    if not period:
        raise UsageError(
            "--expires", f"{flag!r} is no period", "Pass hours or days, like 8h or 3d."
        )
    number = int(period[1])
    return run.machine.now() + (
        timedelta(hours=number) if period[2] == "h" else timedelta(days=number)
    )
