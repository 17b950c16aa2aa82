"""What the fleet asks of GitHub and of GitLab: requests, issues, and whether a commit builds.

GitHub's pull request and GitLab's merge request are both called a request here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote

from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http, HttpError

from .api import Api
from .config import FILE
from .config import Host as Settings

GREEN, RED, PENDING, NONE = "green", "red", "pending", "none"
_LABEL = "template-update"  # of the fleet's issues; both hosts make it with the first one
_MARK = re.compile(r"<!-- template-update (\S+) (\w*) -->")
_GOOD = frozenset({"success", "neutral", "skipped"})
_PIPELINES = {"success": GREEN, "failed": RED, "canceled": RED, "skipped": NONE}


@dataclass(frozen=True)
class Said:
    """A request or an issue; `state` is open, merged or closed."""

    number: int
    url: str
    state: str
    title: str
    body: str

    @property
    def about(self) -> tuple[str, str]:
        """The release of the template, and the commit that was to be updated; empty for others'."""
        found = _MARK.search(self.body)
        return (found[1], found[2]) if found else ("", "")


def marked(body: str, release: str, commit: str) -> str:
    """Return a text with the line by which a later run knows it again; people do not see it."""
    return f"{body.rstrip()}\n\n<!-- template-update {release} {commit} -->\n"


class Host(Protocol):
    """What GitHub and GitLab can both do; `slug` is a repository's name there, with its owner."""

    def requests(self, slug: str, branch: str) -> list[Said]:
        """Return all requests to merge a branch, the newest first."""

    def open_request(self, slug: str, branch: str, into: str, title: str, body: str) -> Said:
        """Open a request."""

    def change_request(self, slug: str, number: int, title: str, body: str) -> Said:
        """Give a request another title and text."""

    def issue(self, slug: str) -> Said | None:
        """Return the issue that is the fleet's: the open one, else the newest of the closed."""

    def open_issue(self, slug: str, title: str, body: str) -> Said:
        """Open an issue."""

    def change_issue(self, slug: str, number: int, title: str, body: str) -> Said:
        """Give an issue another title and text."""

    def builds(self, slug: str, commit: str, request: int = 0) -> str:
        """Return GREEN, RED, PENDING or NONE for a commit; `request` is the one it belongs to."""


def host_of(settings: Settings, token: str, http: Http, **clock: Any) -> Host:
    """Return the host that fleet.toml names. `clock` is Api's: now, sleep and tell."""
    api = api_of(settings, token, http, **clock)
    return GitLab(api) if settings.kind == "gitlab" else GitHub(api)


def api_of(settings: Settings, token: str, http: Http, **clock: Any) -> Api:
    """Return the API that fleet.toml names. `clock` is Api's: now, sleep and tell."""
    if settings.kind == "none":
        then = 'Write kind = "github" or "gitlab" in [host].'
        raise PipelineError(FILE, "a host of kind none takes no requests", then)
    if not token:
        then = f"Set {settings.token or 'a variable, and its name as `token` in [host]'}."
        raise PipelineError(FILE, f"there is no token for {settings.web}", then)
    headers = {"Authorization": f"Bearer {token}"}
    if settings.kind == "github":
        headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    return Api(settings.api, headers, http, **clock)


@dataclass(frozen=True)
class GitHub:
    """GitHub, or a GitHub Enterprise Server."""

    api: Api

    def requests(self, slug: str, branch: str) -> list[Said]:
        """See Host."""
        head = f"{slug.partition('/')[0]}:{branch}"
        found = self.api.pages(f"repos/{slug}/pulls", head=head, state="all")
        return sorted(map(self._said, found), key=lambda one: -one.number)

    def open_request(self, slug: str, branch: str, into: str, title: str, body: str) -> Said:
        """See Host."""
        document = {"head": branch, "base": into, "title": title, "body": body}
        return self._said(self.api.send("POST", f"repos/{slug}/pulls", document))

    def change_request(self, slug: str, number: int, title: str, body: str) -> Said:
        """See Host."""
        document = {"title": title, "body": body}
        return self._said(self.api.send("PATCH", f"repos/{slug}/pulls/{number}", document))

    def issue(self, slug: str) -> Said | None:
        """See Host. GitHub lists pull requests as issues, too."""
        found = self.api.pages(f"repos/{slug}/issues", state="all", labels=_LABEL)
        return _ours(self._said(one) for one in found if "pull_request" not in one)

    def open_issue(self, slug: str, title: str, body: str) -> Said:
        """See Host."""
        document = {"title": title, "body": body, "labels": [_LABEL]}
        return self._said(self.api.send("POST", f"repos/{slug}/issues", document))

    def change_issue(self, slug: str, number: int, title: str, body: str) -> Said:
        """See Host."""
        document = {"title": title, "body": body}
        return self._said(self.api.send("PATCH", f"repos/{slug}/issues/{number}", document))

    def builds(self, slug: str, commit: str, request: int = 0) -> str:
        """See Host. Apps report checks, older build servers statuses; both count."""
        del request
        start = f"repos/{slug}/commits/{commit}"
        found = []
        for run in runs_of(self.api, slug, commit):
            if run["status"] != "completed":
                found.append(PENDING)
            elif run["conclusion"] not in _GOOD:
                found.append(RED)
            elif run["conclusion"] == "success":
                found.append(GREEN)
        status = self.api.get(f"{start}/status")
        if status["total_count"]:
            # Without any it says pending.
            found.append({"success": GREEN, "pending": PENDING}.get(status["state"], RED))
        return next((one for one in (RED, PENDING, GREEN) if one in found), NONE)

    @staticmethod
    def _said(one: Mapping[str, Any]) -> Said:
        return Said(
            number=one["number"],
            url=one["html_url"],
            state="merged" if one.get("merged_at") else one["state"],
            title=one["title"],
            body=one.get("body") or "",
        )


def runs_of(api: Api, slug: str, commit: str) -> Iterator[Mapping[str, Any]]:
    """Yield GitHub's checks of a commit, or its workflows' runs to a token that may not read them.

    GitHub lets no person's fine-grained token read checks.
    """
    try:
        yield from [*api.pages(f"repos/{slug}/commits/{commit}/check-runs", "check_runs")]
    except HttpError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        yield from api.pages(f"repos/{slug}/actions/runs", "workflow_runs", head_sha=commit)


@dataclass(frozen=True)
class GitLab:
    """GitLab."""

    api: Api

    def requests(self, slug: str, branch: str) -> list[Said]:
        """See Host. A fork may have a branch of the same name."""
        path = f"{_project(slug)}/merge_requests"
        found = self.api.pages(path, source_branch=branch, state="all", scope="all")
        own = (one for one in found if one["source_project_id"] == one["target_project_id"])
        return sorted(map(self._said, own), key=lambda one: -one.number)

    def open_request(self, slug: str, branch: str, into: str, title: str, body: str) -> Said:
        """See Host."""
        document = {
            "source_branch": branch, "target_branch": into, "title": title, "description": body,
            "remove_source_branch": True,
        }  # fmt: skip
        return self._said(self.api.send("POST", f"{_project(slug)}/merge_requests", document))

    def change_request(self, slug: str, number: int, title: str, body: str) -> Said:
        """See Host."""
        path = f"{_project(slug)}/merge_requests/{number}"
        return self._said(self.api.send("PUT", path, {"title": title, "description": body}))

    def issue(self, slug: str) -> Said | None:
        """See Host."""
        path = f"{_project(slug)}/issues"
        found = self.api.pages(path, state="all", scope="all", labels=_LABEL)
        return _ours(map(self._said, found))

    def open_issue(self, slug: str, title: str, body: str) -> Said:
        """See Host."""
        document = {"title": title, "description": body, "labels": _LABEL}
        return self._said(self.api.send("POST", f"{_project(slug)}/issues", document))

    def change_issue(self, slug: str, number: int, title: str, body: str) -> Said:
        """See Host."""
        path = f"{_project(slug)}/issues/{number}"
        return self._said(self.api.send("PUT", path, {"title": title, "description": body}))

    def builds(self, slug: str, commit: str, request: int = 0) -> str:
        """See Host. A pipeline of merged results has another commit than the branch."""
        if request:
            one = self.api.get(f"{_project(slug)}/merge_requests/{request}")
            if one["sha"] != commit:
                return PENDING  # It has not heard of the push yet.
            newest = one["head_pipeline"]
        else:
            path = f"{_project(slug)}/pipelines"
            newest = next(self.api.pages(path, sha=commit, order_by="id", sort="desc"), None)
        return _PIPELINES.get(newest["status"], PENDING) if newest else NONE

    @staticmethod
    def _said(one: Mapping[str, Any]) -> Said:
        return Said(
            number=one["iid"],
            url=one["web_url"],
            # A locked one is about to be merged.
            state={"opened": "open", "locked": "open"}.get(one["state"], one["state"]),
            title=one["title"],
            body=one.get("description") or "",
        )


def _project(slug: str) -> str:
    return f"projects/{quote(slug, safe='')}"


def _ours(found: Iterable[Said] | Iterator[Said]) -> Said | None:
    own = (one for one in found if one.about[0])
    return max(own, key=lambda one: (one.state == "open", one.number), default=None)
