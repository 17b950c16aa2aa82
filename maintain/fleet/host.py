"""What the host of the repositories knows besides git: builds, and requests that are open.

GitHub's and GitLab's REST APIs, read only. Without a token, or where the host does not answer,
nothing is guessed: who asks gets an error that says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http, HttpError, Request

from .config import Host, Repository

_PAGE, _MOST_PAGES = 100, 20
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


class HostApi:
    """A host's API with a token. Any thread may ask; `connect` makes the connections of one."""

    def __init__(self, host: Host, token: str, connect: Callable[[], Http]) -> None:
        self._host, self._token, self._connect = host, token, connect
        self._own = threading.local()
        self._refused: PipelineError | None = None

    def newest_build(self, repository: Repository, commit: str, branch: str) -> Build | None:
        """Return the newest build of a branch whose head is `commit`; None where there is none.

        GitHub: what reported a check or a status on the commit. GitLab: the branch's last pipeline.
        """
        if self._host.kind == "gitlab":
            query = f"pipelines?ref={quote(branch, safe='')}&order_by=id&sort=desc&per_page=1"
            runs = list(self._get(f"{_project(repository)}/{query}"))
            marks = [
                (_time(run, "updated_at", "created_at"), str(run.get("status")), run.get("web_url"))
                for run in runs
            ]
        else:
            at = f"repos/{repository.slug}/commits/{commit}"
            marks = [
                (_time(run, "completed_at", "started_at"),
                 str(run.get("conclusion") or run.get("status")), run.get("html_url"))
                for run in self._pages(f"{at}/check-runs", "check_runs")
            ]  # fmt: skip
            marks += [
                (
                    _time(run, "updated_at", "created_at"),
                    str(run.get("state")),
                    run.get("target_url"),
                )
                for run in self._pages(f"{at}/status", "statuses")
            ]
        if not marks:
            return None
        results = {_result(state) for _, state, _ in marks}
        worst = next(one for one in ("failed", "running", "passed") if one in results)
        newest = max(marks, key=lambda mark: mark[0])
        return Build(newest[0], worst, _link(newest[2]))

    def open_requests(self, repository: Repository, globs: tuple[str, ...]) -> list[OpenRequest]:
        """Return the open requests from branches that fit one of the globs, the oldest first."""
        if self._host.kind == "gitlab":
            path, branch = f"{_project(repository)}/merge_requests?state=opened", "source_branch"
        else:
            path, branch = f"repos/{repository.slug}/pulls?state=open", "head"
        found = []
        for one in self._pages(path):
            head = one.get(branch)
            name = str(head.get("ref")) if isinstance(head, Mapping) else str(head)
            if any(fnmatchcase(name, glob) for glob in globs):
                url = _link(one.get("web_url") or one.get("html_url"))
                found.append(OpenRequest(name, _time(one, "created_at"), url))
        return sorted(found, key=lambda one: one.since)

    def _pages(self, path: str, key: str = "") -> Iterator[Mapping[str, Any]]:
        sign = "&" if "?" in path else "?"
        for page in range(1, _MOST_PAGES + 1):
            found = list(self._get(f"{path}{sign}per_page={_PAGE}&page={page}", key))
            yield from found
            if len(found) < _PAGE:
                return

    def _get(self, path: str, key: str = "") -> Iterator[Mapping[str, Any]]:
        """Yield the objects of a list, which is the answer or its property `key`."""
        if self._refused:
            raise self._refused
        if not hasattr(self._own, "http"):
            self._own.http = self._connect()
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if self._host.kind == "github":
            headers |= {
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            }
        try:
            answer = self._own.http.request(Request("GET", f"{self._host.api}/{path}", headers))
        except HttpError as error:
            said = error.text.lower()
            if error.status == HTTPStatus.UNAUTHORIZED or "rate limit" in said:
                # Asking once more for each repository would make it worse.
                self._refused = error
            raise
        document = answer.json()
        if key and isinstance(document, Mapping):
            document = document.get(key)
        if not isinstance(document, list):
            raise PipelineError(answer.where, "the answer is strange: it has no list")
        yield from (one for one in document if isinstance(one, Mapping))


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
