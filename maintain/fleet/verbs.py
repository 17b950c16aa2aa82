"""The verbs of the fleet: names and flags, nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Exit
from pipeline.cli.session import Session, secret, verb
from pipeline.core.errors import PipelineError, UsageError

if TYPE_CHECKING:
    from .config import Fleet
    from .status import Survey
    from .update import Report

_FLEET = {
    "fleet": "The file that lists the repositories; fleet.toml by default",
    "only": "Names of repositories, commas or blanks between; all by default",
}
_PAGE = "Write the page for people to this file"


@verb(
    {
        **_FLEET,
        "html": _PAGE,
        "deployed": "A JSON file of versions, by repository, then environment; Octopus otherwise",
        "offline": "Take the mirrors as they are: fetch nothing, ask no host",
    },
    name="status",
)
def status(
    run: Session, fleet: str = "fleet.toml", only: str = "", html: str = "", deployed: str = "",
    offline: bool = False,
) -> None:  # fmt: skip
    """Say where each repository stands: current, behind, changed, conflicted, broken or silent."""
    from itertools import count

    from pipeline.edge.http import Http
    from pipeline.octopus.client import Access

    from .clones import Gate
    from .deployed import from_file, from_octopus, with_versions
    from .hosts import api_of
    from .pauses import Pauses
    from .screen import how_many
    from .signs import Signs
    from .status import Source, survey

    read = fleet_of(run, fleet, only)
    environ = run.machine.environ
    token = read.host.secret(environ)
    run.hide(*filter(None, [token]))
    with Pauses() as pauses, run.reporter.stage("status") as stage:
        sleep = pauses.sleep
        http = Http(environ, sleep=sleep, tell=run.reporter.line)
        host = None
        if token and read.host.api and not offline:
            api = api_of(read.host, token, http, sleep=sleep, tell=run.reporter.line)
            host = Signs(read.host.kind, api)
        done, total = count(1), len(read.repositories)
        source = Source(
            environ, run.machine.now(), host, Gate(sleep), offline=offline,
            tell=lambda name: stage.progress(name, next(done), total),
        )  # fmt: skip
        found = survey(read, source)
        stage.text = f"{how_many(total)} of {read.template}"
    if deployed:
        found = with_versions(found, from_file(Path(deployed)))
    elif environ.get("OCTOPUS_URL") and not offline:
        access = Access(
            run.address(environ["OCTOPUS_URL"]),
            secret(run, "OCTOPUS_API_KEY", None, "OCTOPUS_API_KEY"),
            environ.get("OCTOPUS_SPACE", ""),
            environ.get("OCTOPUS_ACCESS_TOKEN", ""),
        )
        found = with_versions(found, *from_octopus(http, access, found))
    else:
        why = "--offline asks no host" if offline else "neither --deployed nor OCTOPUS_URL is there"
        found = with_versions(found, {}, why)
    _show(run, found, html)


@verb({"html": _PAGE}, name="merge", iterable=["file"], positional=["file"])
def merge(run: Session, file: list[str], html: str = "") -> None:
    """Make one result of those that several machines wrote with --json."""
    from pipeline.core.strict_json import parse_json

    from .shards import merged_reports
    from .status import merged, read_survey
    from .update import line_of

    if not file:
        raise UsageError("fleet.merge", "no file is named", "Name the shards' results.")
    try:
        documents = {one: parse_json(Path(one).read_bytes(), one) for one in file}
    except OSError as error:
        raise PipelineError(str(error.filename), error.strerror or str(error)) from error
    if all(isinstance(one, dict) and "outcomes" in one for one in documents.values()):
        report = merged_reports([*documents.values()])
        for outcome in report.outcomes:
            run.reporter.line(line_of(outcome))
        _report(run, report)
    else:
        surveys = [read_survey(document, name) for name, document in documents.items()]
        _show(run, merged(surveys), html)


@verb(
    {
        **_FLEET,
        "matrix": "For whom: github or gitlab",
        "jobs": "How many at most; 10 by default",
        "command": "What each job runs, like fleet.update and its flags; fleet.status by default",
    },
    name="plan",
)
def plan(
    run: Session, matrix: str = "github", jobs: int = 10, fleet: str = "fleet.toml",
    only: str = "", command: str = "fleet.status",
) -> None:  # fmt: skip
    """Write a job matrix for a fleet that one machine takes too long for."""
    from .shards import matrix as written

    text = written(fleet_of(run, fleet, only), matrix, jobs, command)
    run.result(text, json.loads(text))


@verb(
    {
        **_FLEET,
        "to": "The release, as v1.2.3; the newest one by default",
        "ring": "The last ring to update: canary, early or all",
        "dry-run": "Push nothing, and write nothing at the host",
        "build": "Build each before and after, in a sandbox, for what changes in its package",
    },
    name="update",
)
def update(
    run: Session, fleet: str = "fleet.toml", only: str = "", to: str = "", ring: str = "",
    dry_run: bool = False, build: bool = False,
) -> None:  # fmt: skip
    """Ask each repository to merge the newest release, ring by ring."""
    import tempfile

    from pipeline.edge.http import Http

    from .clones import Gate, git_environment, mirror
    from .config import Repository
    from .hosts import host_of
    from .pauses import Pauses
    from .update import Fleetwide, run_update
    from .updating import release_of

    read, environ = fleet_of(run, fleet, ""), run.machine.environ
    token = read.host.secret(environ)
    run.hide(*filter(None, [token]))
    theirs, login = Repository("template", read.template), git_environment(read.host, environ)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, Pauses() as pauses:
        sleep, tell = pauses.sleep, run.reporter.line
        http, gate = Http(environ, sleep=sleep, tell=tell), Gate(sleep)
        host = host_of(read.host, token, http, sleep=sleep, tell=tell)
        template = mirror(read.clones, theirs, login, gate, offline=False)
        release = release_of(template.path, to, Path(folder), environ)
        tell(f"{release.name}{', as a dry run' if dry_run else ''}")
        fleetwide = Fleetwide(
            read, release, host, environ,
            dry_run=dry_run, build=build, gate=gate, tell=tell,
        )  # fmt: skip
        report = run_update(fleetwide, ring=ring, only=_names(only))
    if dry_run and not run.json:
        for one in report.outcomes:
            if one.text:
                run.reporter.line(f"\n{one.name}\n\n{one.text}")
    _report(run, report)


def _report(run: Session, report: Report) -> None:
    run.answer = report.document()
    if report.stopped:
        then = "Nothing of the next rings was begun. Run it again when that builds."
        then = "A run would stop there until that builds." if report.dry_run else then
        run.reporter.line(f"{report.stopped}\n{then}")
    if report.code:
        raise Exit(code=report.code)


def fleet_of(run: Session, file: str, only: str) -> Fleet:
    """Return the fleet, or those of it that are asked for."""
    from .config import read_fleet

    return read_fleet(Path(file), run.machine.environ).only(_names(only))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _show(run: Session, found: Survey, html: str) -> None:
    from rich.console import Console

    from .page import page
    from .screen import show

    run.answer = found.document()
    if not run.json:
        show(found, Console(file=sys.stdout))
    if html:
        from pipeline.edge.files import write_whole

        # Last: where it cannot be written, the rest is there.
        write_whole(Path(html), page(found).encode())
        run.reporter.line(f"The page is {html}")
    if found.exit_code:
        raise Exit(code=found.exit_code)
