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

    from .deployed import from_file, from_octopus, with_versions
    from .hosts import api_of
    from .signs import Signs
    from .status import Source, survey

    read = fleet_of(run, fleet, only)
    environ = run.machine.environ
    token = read.host.secret(environ)
    run.hide(*filter(None, [token]))
    http = Http(environ, tell=run.reporter.line)
    host = None
    if token and read.host.api and not offline:
        api = api_of(read.host, token, http, tell=run.reporter.line)
        host = Signs(read.host.kind, api)
    with run.reporter.stage("status") as stage:
        done, total = count(1), len(read.repositories)
        source = Source(
            environ, run.machine.now(), host, offline=offline,
            tell=lambda name: stage.progress(name, next(done), total),
        )  # fmt: skip
        found = survey(read, source)
        stage.text = f"{total} repositories of {read.template}"
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
        found = with_versions(found, {}, "neither --deployed nor OCTOPUS_URL is there")
    _show(run, found, html)


@verb({"html": _PAGE}, name="merge", iterable=["file"], positional=["file"])
def merge(run: Session, file: list[str], html: str = "") -> None:
    """Make one result of those that several machines wrote with --json."""
    from pipeline.core.strict_json import parse_json

    from .status import merged, read_survey

    if not file:
        raise UsageError("fleet.merge", "no file is named", "Name the shards' results.")
    try:
        found = [read_survey(parse_json(Path(one).read_bytes(), one), one) for one in file]
    except OSError as error:
        raise PipelineError(str(error.filename), error.strerror or str(error)) from error
    _show(run, merged(found), html)


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


def fleet_of(run: Session, file: str, only: str) -> Fleet:
    """Return the fleet, or those of it that are asked for."""
    import re

    from .config import read_fleet

    read = read_fleet(Path(file), run.machine.environ)
    return read.only(tuple(filter(None, re.split(r"[,\s]+", only))))


def _show(run: Session, found: Survey, html: str) -> None:
    from rich.console import Console

    from .page import page
    from .screen import show

    run.answer = found.document()
    if html:
        from pipeline.edge.files import write_whole

        write_whole(Path(html), page(found).encode())
        run.reporter.line(f"The page is {html}")
    if not run.json:
        show(found, Console(file=sys.stdout))
    if found.exit_code:
        raise Exit(code=found.exit_code)
