"""A fleet of more than one machine's: a job matrix for GitHub Actions and GitLab CI."""

from __future__ import annotations

import json
import shlex
from typing import Any

from pipeline.core.errors import UsageError

from .config import RINGS, Fleet

SERVERS = ("github", "gitlab")


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
    results = " ".join(f"shard-{number}.json" for number in range(1, len(parts) + 1))
    document["merge"] = {
        "stage": ".post",
        "when": "always",
        "script": [f"python3 tasks.py fleet.merge {results} --html fleet.html"],
        "artifacts": {"paths": ["fleet.html"], "when": "always"},
        "allow_failure": {"exit_codes": [3, 4]},
    }
    return json.dumps(document, indent=2)  # which is YAML


def _gitlab_line(command: str, names: tuple[str, ...], number: int) -> str:
    only = shlex.quote(" ".join(names))
    return f"python3 tasks.py {command} --only {only} --json > shard-{number}.json"
