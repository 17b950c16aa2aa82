"""The verbs that hand a package on: push, release; and env.*, the environments it may go to."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..core.errors import UsageError
from .session import Session, secret, verb

if TYPE_CHECKING:
    from ..octopus.client import Access
    from ..verbs.push import PushOptions
    from ..verbs.release import OctopusOptions

RELEASE_FLAGS = {
    "environments": "Where to deploy, in this order, commas or blanks between; none: no deployment",
    "projects": "The Octopus projects, commas or blanks between; pyproject.toml's by default",
    "octopus-project-prefix": "All projects whose names begin with this, where none is named",
    "channel": "The channel of the releases; each project's default one by default",
    "git-ref": "A branch, tag or commit of version-controlled projects; their default branch else",
}
_PERIOD = re.compile(r"([1-9][0-9]{0,3})([hd])\Z")


@verb(
    {
        "package": "The package; the last build's by default",
        "feed": "A folder, a NuGet feed's URL, or `octopus`; pyproject.toml's feed by default",
        "skip-duplicate": "Accept a version that is there and cannot be compared",
        "nuget-api-key": "`-` reads it from standard input; NUGET_API_KEY is the better place",
        "trust-host": "A host, or HOST:PORT, that may have the feed's key besides its own",
    },
    iterable=["trust_host"],
)
def push(
    run: Session, package: str | None = None, feed: str | None = None,
    skip_duplicate: bool = False, nuget_api_key: str | None = None,
    trust_host: list[str] | None = None,
) -> None:  # fmt: skip
    """Publish a package to a folder, a NuGet feed, or Octopus's built-in feed."""
    from ..verbs.push import push
    from ..verbs.which_package import chosen_package

    options = replace(
        push_options(run, nuget_api_key),
        feed=run.address(feed or ""),
        skip_duplicate=skip_duplicate,
        trust_hosts=tuple(trust_host or ()),
        octopus=octopus_access(run),
    )
    path = chosen_package(package, run.root)
    run.answer = asdict(push(run.project, path, options, run.machine.environ, run.reporter))


@verb(
    {
        "package": "The package; the last build's by default",
        **RELEASE_FLAGS,
        "wait": "How many seconds a deployment may take; 600 by default",
        "cancel-on-timeout": "Cancel a deployment that takes longer",
        "allow-dirty": "Take a dirty or unverified build to a permanent environment all the same",
    }
)
def release(
    run: Session, package: str | None = None, environments: str | None = None,
    projects: str | None = None, octopus_project_prefix: str | None = None,
    wait: str | None = None, cancel_on_timeout: bool = False, allow_dirty: bool = False,
    channel: str | None = None, git_ref: str | None = None,
) -> None:  # fmt: skip
    """Make the package's releases in Octopus, and deploy them to one environment after another."""
    from ..verbs.release import release

    access = octopus_access(run)
    options = octopus_options(
        access, environments, projects, octopus_project_prefix, channel, git_ref
    )
    patience = replace(
        options.patience, seconds=_seconds(wait), cancel_on_timeout=cancel_on_timeout
    )
    options = replace(options, patience=patience, allow_dirty=allow_dirty)
    run.answer = asdict(release(run.project, package, options, run.machine, run.reporter))


@verb(
    {
        "name": "The environment's name",
        "projects": RELEASE_FLAGS["projects"],
        "expires": "When env.reap may remove it: a number of hours or days, like 8h or 3d",
        "like": "The declared environment whose account, region and settings its stack gets",
        "package": "What is deployed at the end; the last build by default",
        "keep-on-failure": "Leave what was made when something fails",
        "confirm": "Its name again, where a permanent stack would lose or replace something",
        "dry-run": "Show how the stack would change, change nothing",
        "local": "In the embedded AWS, without Octopus",
        "print-policy": "Show the IAM policy that env.* needs for its stack, change nothing",
    }
)
def create(
    run: Session, name: str, projects: str | None = None, expires: str | None = None,
    like: str = "", package: str | None = None, keep_on_failure: bool = False,
    confirm: str = "", dry_run: bool = False, local: bool = False, print_policy: bool = False,
) -> None:  # fmt: skip
    """Make an environment: its place in Octopus, its stack in AWS, and the first deploy."""
    from ..verbs.env import create_environment, is_permanent
    from ..verbs.env_stack import StackOptions, create_stack, is_placed

    if print_policy:
        from ..verbs.env_policy import environment_policy

        text = environment_policy(run.project, name, like, run.reporter)
        run.result(text, json.loads(text))
        return
    end = _expiry(run.machine.now(), expires)
    options = StackOptions(name, local, like, package, end, keep_on_failure, confirm, dry_run)
    run.answer = {"environment": name}

    def octopus_half() -> None:
        if local or dry_run or is_permanent(run.project, name):
            return
        octopus = octopus_options(octopus_access(run), projects=projects)
        environ, reporter = run.machine.environ, run.reporter
        made = create_environment(run.project, name, octopus, environ, reporter, expires=end)
        ends = made.expires.isoformat() if made.expires else ""
        run.answer = {"environment": made.name, "id": made.id, "expires": ends}

    if is_placed(run.project, options):
        outputs = create_stack(run.project, options, run.machine, run.reporter, octopus_half)
        for key, value in outputs.items():
            run.reporter.line(f"            {key:<14}{value}")
        run.answer = {**run.answer, "outputs": outputs}
    else:
        octopus_half()
        run.reporter.line(f"    no stack: --like names the environment that {name} is like in AWS")


@verb(
    {
        "name": "The environment's name",
        "confirm": "Its name again, for a permanent one or one that env.create did not make",
        "like": "The declared environment that it was made like",
        "dry-run": "List what would go from AWS, remove nothing",
        "local": "From the embedded AWS",
    }
)
def delete(
    run: Session, name: str, confirm: str = "", like: str = "", dry_run: bool = False,
    local: bool = False,
) -> None:  # fmt: skip
    """Take an environment away: sources, machine, Octopus environment, buckets, stack."""
    from invoke import Exit

    from ..verbs.env import delete_environment, is_permanent
    from ..verbs.env_stack import StackOptions, delete_stack, is_placed

    options = StackOptions(name, local, like, confirm=confirm, dry_run=dry_run)
    removed = []

    def octopus_half() -> None:
        if not (local or is_permanent(run.project, name)):
            octopus = octopus_options(octopus_access(run))
            environ, reporter = run.machine.environ, run.reporter
            done = delete_environment(
                run.project, name, octopus, environ, reporter, confirm=confirm
            )
            removed.extend([name] if done else [])

    left: list[str] = []
    if is_placed(run.project, options):
        left = delete_stack(run.project, options, run.machine, run.reporter, octopus_half)
    elif not dry_run:
        octopus_half()
    for text in left:
        run.reporter.line(f"    left: {text}")
    run.answer = {"environment": name, "removed": bool(removed), "left": left}
    if left:
        raise Exit(code=1)


@verb(name="list")
def list_(run: Session) -> None:
    """List the environments in Octopus: whose they are, when they end, their machines."""
    from ..verbs.env import list_environments

    octopus = octopus_options(octopus_access(run))
    found = list_environments(run.project, octopus, run.machine.environ, run.reporter)
    for environment in found:
        owner = f"for {environment.owner}" if environment.owner else ""
        kind = "permanent" if environment.permanent else owner
        end = f"until {environment.expires}" if environment.expires else ""
        words = [f"{environment.name:<20}", f"{kind:<30}", end, ", ".join(environment.machines)]
        run.reporter.line(" ".join(words).rstrip())
    run.answer = {"environments": [asdict(environment) for environment in found]}


@verb({"dry-run": "Show which ones, remove none"})
def reap(run: Session, dry_run: bool = False) -> None:
    """Remove this project's temporary environments whose time is over."""
    from ..verbs.env import reap_environments

    octopus = octopus_options(octopus_access(run))
    names = reap_environments(
        run.project, octopus, run.machine.environ, run.reporter,
        now=run.machine.now(), dry_run=dry_run,
    )  # fmt: skip
    run.answer = {"environments": names, "dry_run": dry_run}


def octopus_access(
    run: Session, url: str | None = None, key: str | None = None, space: str | None = None
) -> Access:
    """Return how to reach Octopus; its texts are empty where neither flags nor variables say so."""
    from ..octopus.client import Access

    environ = run.machine.environ
    return Access(
        run.address(url or environ.get("OCTOPUS_URL", "")),
        secret(run, "--octopus-api-key", key, "OCTOPUS_API_KEY"),
        space or environ.get("OCTOPUS_SPACE", "") or run.project.octopus.space,
        environ.get("OCTOPUS_ACCESS_TOKEN", ""),
    )


def octopus_options(
    access: Access,
    environments: str | None = None,
    projects: str | None = None,
    prefix: str | None = None,
    channel: str | None = None,
    git_ref: str | None = None,
) -> OctopusOptions:
    """Return the options that these flags make; lists are separated by commas."""
    from ..octopus.projects import Choice
    from ..verbs.release import OctopusOptions

    choice = Choice((channel or "").strip(), (git_ref or "").strip())
    return OctopusOptions(access, _names(projects), prefix or "", _names(environments), choice)


def push_options(run: Session, nuget_api_key: str | None = None) -> PushOptions:
    """Return the options of a push to the project's own feed, without Octopus."""
    from ..verbs.push import PushOptions

    return PushOptions(
        nuget_key=secret(run, "--nuget-api-key", nuget_api_key, "NUGET_API_KEY"),
        nuget_user=run.machine.environ.get("NUGET_USER", ""),
    )


def _names(flag: str | None) -> tuple[str, ...]:
    """Return the names in a list that is separated by commas; names may have spaces."""
    return tuple(name.strip() for name in (flag or "").split(",") if name.strip())


def _seconds(flag: str | None) -> float:
    try:
        seconds = float(flag) if flag is not None else 600.0
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError("--wait", f"{flag!r} is not a number of seconds", "Pass one, like 1800.")
    return seconds


def _expiry(now: datetime, flag: str | None) -> datetime | None:
    if flag is None:
        return None
    period = _PERIOD.match(flag)
    if not period:
        raise UsageError(
            "--expires", f"{flag!r} is not a period", "Pass hours or days, like 8h or 3d."
        )
    number = int(period[1])
    return now + (timedelta(hours=number) if period[2] == "h" else timedelta(days=number))
