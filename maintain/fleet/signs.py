"""What the host of the repositories knows besides git: builds, and requests that are open.

GitHub's and GitLab's REST APIs, read only. Without a token, or where the host does not answer,
nothing is guessed: who asks gets an error that says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from pipeline.core.errors import PipelineError

from .api import Api
from .config import Repository
from .hosts import runs_of

_GOOD = ("success", "neutral", "skipped", "manual")
_GOING = ("pending", "running", "created", "queued", "in_progress", "waiting_for_resource",
          "preparing", "scheduled", "waiting", "requested")  # fmt: skip


@dataclass(frozen=True)
class Build:
    """A branch's newest build: when it was last heard of, and passed, failed or running."""

    at: datetime
    result: str
    url: str = ""


@dataclass(frozen=True)
class OpenRequest:
    """A pull or merge request that is open: its branch, since when, and its page."""

    branch: str
    since: datetime
    url: str = ""


@dataclass(frozen=True)
class Signs:
    """A host's API. Any thread may ask."""

    kind: str
    api: Api

    def newest_build(self, repository: Repository, commit: str, branch: str) -> Build | None:
        """Return the newest build of a branch whose head is `commit`; None where there is none.

        GitHub: what reported a check or a status on the commit. GitLab: the branch's last pipeline.
        """
        if self.kind == "gitlab":
            query = {"ref": branch, "order_by": "id", "sort": "desc", "per_page": "1"}
            runs = _objects(self.api.get(f"{_project(repository)}/pipelines", **query))
            marks = [
                (_time(run, "updated_at", "created_at"), str(run.get("status")), run.get("web_url"))
                for run in runs
            ]
        else:
            marks = [
                (
                    _time(run, "completed_at", "updated_at", "started_at", "run_started_at"),
                    str(run.get("conclusion") or run.get("status")),
                    run.get("html_url"),
                )
                for run in _objects(runs_of(self.api, repository.slug, commit))
            ]
            path = f"repos/{repository.slug}/commits/{commit}/status"
            marks += [
                (
                    _time(run, "updated_at", "created_at"),
                    str(run.get("state")),
                    run.get("target_url"),
                )
                for run in _objects(self.api.pages(path, "statuses"))
            ]
        if not marks:
            return None
        results = {_result(state) for _, state, _ in marks}
        worst = next(one for one in ("failed", "running", "passed") if one in results)
        newest = max(marks, key=lambda mark: mark[0])
        return Build(newest[0], worst, _link(newest[2]))

    def open_requests(self, repository: Repository, globs: tuple[str, ...]) -> list[OpenRequest]:
        """Return the open requests from branches that fit one of the globs, the oldest first."""
        if self.kind == "gitlab":
            path, branch = f"{_project(repository)}/merge_requests", "source_branch"
            query = {"state": "opened", "scope": "all"}
        else:
            path, branch, query = f"repos/{repository.slug}/pulls", "head", {"state": "open"}
        found = []
        for one in _objects(self.api.pages(path, **query)):
            head = one.get(branch)
            name = str(head.get("ref")) if isinstance(head, Mapping) else str(head)
            if any(fnmatchcase(name, glob) for glob in globs):
                url = _link(one.get("web_url") or one.get("html_url"))
                found.append(OpenRequest(name, _time(one, "created_at"), url))
        return sorted(found, key=lambda one: one.since)


def _objects(found: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list that a host gives, which may have several pages."""
    try:
        yield from (one for one in found if isinstance(one, Mapping))
    except (KeyError, TypeError) as error:
        raise PipelineError("host", "its answer is strange: it has no list") from error


def _project(repository: Repository) -> str:
    return f"projects/{quote(repository.slug, safe='')}"


def _result(state: str) -> str:
    return "passed" if state in _GOOD else "running" if state in _GOING else "failed"


def _time(document: Mapping[str, Any], *keys: str) -> datetime:
    value = next((document[key] for key in keys if document.get(key)), None)
    try:
        return datetime.fromisoformat(str(value)).astimezone()
    except ValueError as error:
        raise PipelineError("host", f"{value!r} is no time, in {keys[0]}") from error


def _link(value: object) -> str:
    """Return an address that a page may link to; empty for everything else."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else ""
