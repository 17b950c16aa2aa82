"""The verbs that hand a package on: push, release; and env.*, the environments it may go to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invoke import Exit

from ..core.errors import PipelineError, UsageError
from ..core.events import Failed
from ..core.text import aligned
from .session import Session, secret, verb

if TYPE_CHECKING:
    from ..octopus.client import Access, Octopus
    from ..verbs.env_list import Survey
    from ..verbs.env_octopus import OctopusHalf
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
    from ..verbs.last_build import chosen_package
    from ..verbs.push import push

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
        "like": "The declared environment whose account, settings and release it gets",
        "package": "What is deployed at the end; `last` is the last build",
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
    from ..verbs.env_place import Asked, StackOptions
    from ..verbs.env_stack import create_stack

    if print_policy:
        from ..verbs.env_policy import environment_policy

        text = environment_policy(run.project, name, like, run.reporter)
        run.result(text, json.loads(text))
        return
    end = _expiry(run.machine.now(), expires)
    options = StackOptions(name, local, like, package, end, keep_on_failure, confirm, dry_run)
    asked = Asked(run.project, options, run.machine, run.reporter)
    octopus = None if local else _octopus_half(run, name, projects, end)
    outputs = None
    if asked.is_placed:
        outputs = create_stack(asked, octopus)
        show_outputs(run, outputs)
    else:
        if octopus is None:
            octopus_access(run).check("Or name with --like the environment that it is like in AWS.")
        elif not dry_run:
            octopus.make()
        run.reporter.line(f"    no stack: --like names the environment that {name} is like in AWS")
    run.answer = {"environment": name}
    if octopus and (made := octopus.made):
        ends = made.expires.isoformat() if made.expires else ""
        run.answer = {"environment": made.name, "id": made.id, "expires": ends}
    if outputs is not None:
        run.answer = {**run.answer, "outputs": outputs}


def show_outputs(run: Session, outputs: Mapping[str, str]) -> None:
    """Show what a stack gives out."""
    for line in aligned([*outputs.items()], "  "):
        run.reporter.line(f"            {line}")


@verb(
    {
        "name": "The environment's name",
        "confirm": "Its name again, for a permanent one or one that env.create did not make",
        "like": "The declared environment in whose account it is; its stack says so, too",
        "dry-run": "List what would go, remove nothing",
        "local": "From the embedded AWS",
    }
)
def delete(
    run: Session, name: str, confirm: str = "", like: str = "", dry_run: bool = False,
    local: bool = False,
) -> None:  # fmt: skip
    """Take an environment away: sources, machine, Octopus environment, buckets, stack."""
    from ..verbs.env_place import Asked, StackOptions
    from ..verbs.env_stack import delete_stack

    options = StackOptions(name, local, like, confirm=confirm, dry_run=dry_run)
    octopus = None if local else _octopus_half(run, name)
    removed = []

    def octopus_half() -> None:
        if octopus and dry_run:
            for line in octopus.what_would_go():
                run.reporter.line(line)
        elif octopus and octopus.remove(confirm):
            removed.append(name)

    if octopus and not dry_run:
        octopus.refuse_removal(confirm)
    left = delete_stack(Asked(run.project, options, run.machine, run.reporter), octopus_half)
    for text in left:
        run.reporter.line(f"    left: {text}")
    run.answer = {"environment": name, "removed": bool(removed), "left": left}
    if left:
        raise Exit(code=1)


def _octopus_half(
    run: Session, name: str, projects: str | None = None, end: datetime | None = None
) -> OctopusHalf | None:
    """Return the environment's half in Octopus, None where neither settings nor anybody names it.

    A permanent environment has one to be deployed through, where a server is named.
    """
    from ..verbs.env_octopus import OctopusHalf

    access = octopus_access(run)
    options = octopus_options(access, projects=projects)
    push = replace(push_options(run), octopus=access)
    declared = {one.name.casefold(): one.name for one in run.project.environments}
    name = declared.get(name.casefold(), name)
    half = OctopusHalf(run.project, name, options, push, run.machine, run.reporter, end)
    has_project = projects or run.project.octopus.project
    return None if access.missing and (half.is_permanent or not has_project) else half


@verb({"local": "Those in the embedded AWS, without Octopus"}, name="list")
def list_(run: Session, local: bool = False) -> None:
    """List the environments in the settings, in Octopus and in AWS, and what is left of them."""
    found = _survey(run, local=local)
    for line in found.lines():
        run.reporter.line(line)
    run.answer = found.document()


@verb(
    {
        "dry-run": "Show which ones, remove none and warn of none",
        "local": "Those in the embedded AWS, without Octopus",
    }
)
def reap(run: Session, dry_run: bool = False, local: bool = False) -> None:
    """Remove this project's environments whose time is over; the run before warns of each."""
    from ..verbs.env_reap import reap

    found = _survey(run, local=local)
    done = reap(run.project, found, run.machine, run.reporter, dry_run=dry_run)
    if not any(found.over(one) for one in found.environments):
        run.reporter.line("nothing is over")
    run.answer = asdict(done)
    if done.left:
        then = "Settle that, then run this again: what AWS still holds goes with a later run."
        run.reporter.emit(Failed("", PipelineError("env.reap", "\n".join(done.left), then)))
        raise Exit(code=1)


def _survey(run: Session, *, local: bool) -> Survey:
    from ..verbs.env_list import survey
    from ..verbs.release import connected

    reach: Octopus | PipelineError | None = None
    if not local:
        try:
            octopus = octopus_options(octopus_access(run))
            reach = connected(octopus, run.machine.environ, run.reporter)
        except PipelineError as error:
            reach = error
    found = survey(run.project, run.machine, reach, local=local)
    for text in found.unread:
        run.reporter.warn(text)
    return found


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
