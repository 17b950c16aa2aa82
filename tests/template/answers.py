"""Answers for the render matrix, and where each file of a render comes from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import jinja2
import yaml
from pipeline.project.runtimes import language_of

from tests.repositories import ROOT

QUESTIONS: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
ANSWERS_FILE = ".copier-answers.yml"
MODULE = "elb_logs_processor"
KINDS = ("elb-logs", "s3-event", "sqs-queue", "empty")
# The smallest repository, for tests of what is not the function.
EMPTY = {"function_kind": "empty", "build_servers": ["teamcity"]}
# Those whose function begins with an AWS client, and whose stack has a bucket.
WITH_BUCKET = ("elb-logs", "s3-event")
SERVERS = {
    "teamcity": ".teamcity/settings.kts",
    "github": ".github/workflows/build.yml",
    "gitlab": ".gitlab-ci.yml",
    "jenkins": "Jenkinsfile",
    "azure": "azure-pipelines.yml",
}
_SERVERS = ((), ("teamcity",), ("github", "gitlab", "jenkins", "azure"))
_OURS = ("scripts/", *SERVERS.values())


def is_ours(path: str) -> bool:
    """Tell whether a path of a rendered repository is in the zone that nobody edits."""
    return path.startswith(_OURS) and not path.startswith(("scripts/hooks_", "scripts/allowed-"))


def label(answers: Mapping[str, Any]) -> str:
    """Return a combination's name for pytest."""
    return " ".join("+".join(v) or "none" if isinstance(v, list) else v for v in answers.values())


def language_in(answers: Mapping[str, Any]) -> str:
    """Return the language of the runtime that is answered, or of the default."""
    return language_of(answers.get("runtime", QUESTIONS["runtime"]["default"]))[0]


def expected_files(template: Path, answers: Mapping[str, Any]) -> dict[str, Path]:
    """Return the files that a render of `answers` must have, each with its source."""
    language, kind = language_in(answers), answers["function_kind"]
    names = {
        "module_name": MODULE,
        "package_id": "ELB.Logs.Processor",
        "code_owner": "",
        "_copier_conf": {"answers_file": ANSWERS_FILE},
        "language": language,
        "python_kind": kind if language == "python" else "",
        "node_kind": kind if language == "node" else "",
        **answers,
    }
    expected = {}
    for path in (template / "template").rglob("*"):
        name = path.relative_to(template / "template").as_posix().removesuffix(".jinja")
        parts = [_jinja().from_string(part).render(names) for part in name.split("/")]
        if path.is_file() and all(parts):
            expected["/".join(parts)] = path
    return expected


@cache
def _jinja() -> jinja2.Environment:
    return jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701


# Which files there are depends on kind and language, and on the servers by themselves; what the
# settings say on each answer alone.
COMBINATIONS = tuple(
    {
        "function_kind": kind,
        "build_servers": list(servers),
        "architecture": architecture,
        "runtime": runtime,
    }
    for runtimes in (
        ("python3.13", "python3.14", "python3.12", "python3.11"),
        ("nodejs22.x", "nodejs24.x"),
    )
    for kind, servers, architecture, runtime in zip(
        KINDS, cycle(_SERVERS), cycle(("arm64", "x86_64", "x86_64")), cycle(runtimes), strict=False
    )
)
