"""The verbs of temporary environments: env.create, env.delete, env.list, env.reap."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from invoke import Context, task

from ..errors import UsageError
from .release import octopus_options
from .secrets import OCTOPUS_FLAGS, octopus_access
from .session import COMMON, Session, root_of, session

if TYPE_CHECKING:
    from datetime import datetime

    from ..verbs.release import OctopusOptions

__all__ = ["create", "delete", "list_", "reap"]

_PROJECTS = "The Octopus projects, separated by commas; pyproject.toml's by default"
_PERIOD = re.compile(r"([1-9][0-9]{0,3})([hd])\Z")


@task(
    help={
        "name": "The environment's name",
        "projects": _PROJECTS,
        "expires": "When env.reap may remove it: a number of hours or days, like 8h or 3d",
        **OCTOPUS_FLAGS,
        **COMMON,
    }
)
def create(
    c: Context, name: str, projects: str | None = None, expires: str | None = None,
    octopus_server_url: str | None = None, octopus_api_key: str | None = None,
    octopus_space: str | None = None, json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Make a temporary environment in Octopus, with a machine that its releases deploy to."""
    from ..verbs.environments import EnvironmentOptions, create_environment

    with session(root_of(c), json=json, verbose=verbose) as run:
        octopus = _octopus(run, (octopus_server_url, octopus_api_key, octopus_space), projects)
        options = EnvironmentOptions(octopus, expires=_end(run, expires))
        made = create_environment(run.project, name, options, run.machine, run.reporter)
        end = made.expires.isoformat() if made.expires else ""
        run.answer = {"environment": made.name, "id": made.id, "expires": end}


@task(
    help={
        "name": "The environment's name",
        "confirm": "Its name again, for one that env.create did not make",
        **OCTOPUS_FLAGS,
        **COMMON,
    }
)
def delete(
    c: Context, name: str, confirm: str | None = None,
    octopus_server_url: str | None = None, octopus_api_key: str | None = None,
    octopus_space: str | None = None, json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Deregister a temporary environment's machines and remove it from Octopus."""
    from ..verbs.environments import EnvironmentOptions, delete_environment

    with session(root_of(c), json=json, verbose=verbose) as run:
        octopus = _octopus(run, (octopus_server_url, octopus_api_key, octopus_space))
        options = EnvironmentOptions(octopus, confirm=confirm or "")
        done = delete_environment(run.project, name, options, run.machine, run.reporter)
        run.answer = {"environment": name, "removed": done}


@task(name="list", help={**OCTOPUS_FLAGS, **COMMON})
def list_(
    c: Context, octopus_server_url: str | None = None, octopus_api_key: str | None = None,
    octopus_space: str | None = None, json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """List the environments in Octopus: whose they are, when they end, their machines."""
    from ..verbs.environments import list_environments

    with session(root_of(c), json=json, verbose=verbose) as run:
        octopus = _octopus(run, (octopus_server_url, octopus_api_key, octopus_space))
        found = list_environments(run.project, octopus, run.machine, run.reporter)
        for one in found:
            kind = "permanent" if one.permanent else f"for {one.owner}" if one.owner else ""
            end = f"until {one.expires}" if one.expires else ""
            words = [f"{one.name:<20}", f"{kind:<30}", end, ", ".join(one.machines)]
            run.reporter.line(" ".join(words).rstrip())
        run.answer = {"environments": [asdict(one) for one in found]}


@task(help={"dry-run": "Show which ones, remove none", **OCTOPUS_FLAGS, **COMMON})
def reap(
    c: Context, dry_run: bool = False, octopus_server_url: str | None = None,
    octopus_api_key: str | None = None, octopus_space: str | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Remove this project's temporary environments whose time is over."""
    from ..verbs.environments import EnvironmentOptions, reap_environments

    with session(root_of(c), json=json, verbose=verbose) as run:
        octopus = _octopus(run, (octopus_server_url, octopus_api_key, octopus_space))
        options = EnvironmentOptions(octopus, dry_run=dry_run)
        names = reap_environments(run.project, options, run.machine, run.reporter)
        run.answer = {"environments": names, "dry_run": dry_run}


def _octopus(
    run: Session, flags: tuple[str | None, str | None, str | None], projects: str | None = None
) -> OctopusOptions:
    return octopus_options(octopus_access(run, *flags), None, projects, None)


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
