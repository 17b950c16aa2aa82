"""A fleet for more than one machine: a job matrix, and the shards' reports as a whole."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from pipeline.core.errors import PipelineError, UsageError

from .config import RINGS, Fleet
from .update import Outcome, Report

SERVERS = ("github", "gitlab")
_GITHUBS_MOST = 256  # jobs of a matrix; enough for GitLab as well


def shards(fleet: Fleet, jobs: int) -> list[tuple[str, ...]]:
    """Return the repositories' names in `jobs` parts, one ring after the other.

    No part is empty, and each has some of every ring: a ring is over when all parts are.
    """
    names = [one.name for ring in RINGS for one in fleet.repositories if one.ring == ring]
    return [part for start in range(jobs) if (part := tuple(names[start::jobs]))]


def matrix(fleet: Fleet, server: str, jobs: int, command: str) -> str:
    """Return GitHub's matrix as JSON on one line, or a child pipeline of GitLab's.

    `command` is what each job runs: `fleet.status`, or `fleet.update` with its flags.
    """
    if server not in SERVERS:
        raise UsageError("fleet.plan", f"--matrix {server}", f"Choose {' or '.join(SERVERS)}.")
    if not 1 <= jobs <= _GITHUBS_MOST:
        raise UsageError("fleet.plan", f"--jobs {jobs}", f"From 1 to {_GITHUBS_MOST}.")
    parts = shards(fleet, jobs)
    if server == "github":
        include = [
            {"shard": number, "repositories": " ".join(names)}
            for number, names in enumerate(parts, 1)
        ]
        return json.dumps({"include": include})
    document: dict[str, Any] = {
        f"shard {number}": {
            "script": [_gitlab_line(command, names, number)],
            "artifacts": {"paths": [f"shard-{number}.json"], "when": "always"},
            # Repositories that are not current are the result, no failure.
            "allow_failure": {"exit_codes": [3, 4]},
        }
        for number, names in enumerate(parts, 1)
    }
    page = " --html fleet.html" if command.startswith("fleet.status") else ""
    results = " ".join(f"shard-{number}.json" for number in range(1, len(parts) + 1))
    document["merge"] = {
        "stage": ".post",
        "when": "always",
        "script": [f"python3 tasks.py fleet.merge {results}{page}"],
        **({"artifacts": {"paths": ["fleet.html"], "when": "always"}} if page else {}),
        "allow_failure": {"exit_codes": [3, 4]},
    }
    return json.dumps(document, indent=2)  # which is YAML


def merged_reports(documents: Sequence[Any]) -> Report:
    """Return what `fleet.update --json` said on several machines as one report."""
    try:
        reports = [
            Report(
                one["release"],
                tuple(Outcome(**outcome) for outcome in one["outcomes"]),
                one["stopped"],
                one["dry_run"],
            )
            for one in documents
        ]
        (release,) = {one.release for one in reports}
    except (KeyError, TypeError, ValueError) as error:
        what = "these are not all results of one fleet.update"
        raise PipelineError("fleet.merge", what, "Name those of one run's shards.") from error
    outcomes = sorted(
        (one for report in reports for one in report.outcomes),
        key=lambda one: (RINGS.index(one.ring) if one.ring in RINGS else 0, one.name.lower()),
    )
    stopped = "\n".join(dict.fromkeys(one.stopped for one in reports if one.stopped))
    return Report(release, tuple(outcomes), stopped, any(one.dry_run for one in reports))


def _gitlab_line(command: str, names: tuple[str, ...], number: int) -> str:
    only = shlex.quote(" ".join(names))
    return f"python3 tasks.py {command} --only {only} --json > shard-{number}.json"
