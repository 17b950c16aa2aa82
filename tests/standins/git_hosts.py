"""A GitHub and a GitLab on loopback: git over HTTP, and the few operations of their APIs in use.

What each operation takes and answers is in the tables below, and nothing else is taken: an unknown
path, parameter, property or header fails the test. GitHub's table is of its published description,
and `test_hosts.py` holds it against that (https://github.com/github/rest-api-description). GitLab's
is of docs.gitlab.com/api: merge_requests, issues, pipelines.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .loopback import Answer, Asked, Loopback, serving

TOKEN = "token-of-the-fleet-0123456789"  # noqa: S105 - opens nothing


@dataclass(frozen=True)
class Operation:
    """An operation: the query's parameters and the values they may have (any without a list).

    `body` has the types of a document's properties and `needed` those that have to be there;
    `answer` is what the stand-in's documents have, of which there may be a `listed` many, in `key`.
    """

    method: str
    path: str
    status: int
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    listed: bool = False
    key: str = ""


_PULL = ("number", "html_url", "state", "title", "body", "merged_at", "created_at", "head")
_ISSUE = ("number", "html_url", "state", "title", "body")
_STATES: Mapping[str, tuple[str, ...]] = {"state": ("open", "closed", "all"), "per_page": ()}
_PAGE: Mapping[str, tuple[str, ...]] = {"per_page": (), "page": ()}
_REPO, _AT = "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/commits/{ref}"
GITHUB = {
    "pulls/list": Operation(
        "GET", f"{_REPO}/pulls", 200, {**_STATES, **_PAGE, "head": ()}, answer=_PULL, listed=True
    ),
    "pulls/create": Operation(
        "POST", f"{_REPO}/pulls", 201,
        body={"title": "string", "head": "string", "base": "string", "body": "string"},
        needed=("head", "base"), answer=_PULL,
    ),
    "pulls/update": Operation(
        "PATCH", f"{_REPO}/pulls/{{pull_number}}", 200,
        body={"title": "string", "body": "string"}, answer=_PULL,
    ),
    "issues/list-for-repo": Operation(
        "GET", f"{_REPO}/issues", 200, {**_STATES, **_PAGE, "labels": ()},
        answer=(*_ISSUE, "pull_request"), listed=True,
    ),
    "issues/create": Operation(
        "POST", f"{_REPO}/issues", 201,
        body={"title": "string", "body": "string", "labels": "array"},
        needed=("title",), answer=_ISSUE,
    ),
    "issues/update": Operation(
        "PATCH", f"{_REPO}/issues/{{issue_number}}", 200,
        body={"title": "string", "body": "string"}, answer=_ISSUE,
    ),
    "checks/list-for-ref": Operation(
        "GET", f"{_AT}/check-runs", 200, _PAGE,
        answer=("status", "conclusion", "started_at", "completed_at", "html_url"), listed=True,
        key="check_runs",
    ),
    "actions/list-workflow-runs-for-repo": Operation(
        "GET", f"{_REPO}/actions/runs", 200, {**_PAGE, "head_sha": ()},
        answer=("status", "conclusion", "run_started_at", "updated_at", "html_url"), listed=True,
        key="workflow_runs",
    ),
    "repos/get-combined-status-for-ref": Operation(
        "GET", f"{_AT}/status", 200, _PAGE, answer=("state", "total_count", "statuses", "sha")
    ),
}  # fmt: skip
_MERGE = (
    "iid", "web_url", "state", "title", "description", "sha", "source_project_id",
    "target_project_id", "source_branch", "created_at",
)  # fmt: skip
_GITLAB_ISSUE = ("iid", "web_url", "state", "title", "description")
_ID = "/projects/{id}"
_SCOPED: Mapping[str, tuple[str, ...]] = {
    **_PAGE, "scope": ("created_by_me", "assigned_to_me", "all"),
}  # fmt: skip
_MERGE_STATES = ("opened", "closed", "locked", "merged", "all")
GITLAB = {
    "merge requests: list": Operation(
        "GET", f"{_ID}/merge_requests", 200,
        {**_SCOPED, "state": _MERGE_STATES, "source_branch": ()}, answer=_MERGE, listed=True,
    ),
    "merge requests: single": Operation(
        "GET", f"{_ID}/merge_requests/{{iid}}", 200, answer=(*_MERGE, "head_pipeline")
    ),
    "merge requests: create": Operation(
        "POST", f"{_ID}/merge_requests", 201,
        body={
            "source_branch": "string", "target_branch": "string", "title": "string",
            "description": "string", "remove_source_branch": "boolean",
        },
        needed=("source_branch", "target_branch", "title"), answer=_MERGE,
    ),
    "merge requests: update": Operation(
        "PUT", f"{_ID}/merge_requests/{{iid}}", 200,
        body={"title": "string", "description": "string"}, answer=_MERGE,
    ),
    "issues: list": Operation(
        "GET", f"{_ID}/issues", 200,
        {**_SCOPED, "state": ("opened", "closed", "all"), "labels": ()},
        answer=_GITLAB_ISSUE, listed=True,
    ),
    "issues: create": Operation(
        "POST", f"{_ID}/issues", 201,
        body={"title": "string", "description": "string", "labels": "string"},
        needed=("title",), answer=_GITLAB_ISSUE,
    ),
    "issues: update": Operation(
        "PUT", f"{_ID}/issues/{{iid}}", 200, body={"title": "string", "description": "string"},
        answer=_GITLAB_ISSUE,
    ),
    "pipelines: list": Operation(
        "GET", f"{_ID}/pipelines", 200,
        {**_PAGE, "sha": (), "ref": (),
         "order_by": ("id", "status", "ref", "updated_at", "user_id"),
         "sort": ("asc", "desc")},
        answer=("id", "status", "sha", "updated_at", "web_url"), listed=True,
    ),
}  # fmt: skip
_TYPES = {"string": str, "boolean": bool, "array": list}
# When each request and build began and ended.
_BEGUN, _ENDED = "2026-11-02T07:00:00Z", "2026-11-02T08:00:00Z"


@dataclass
class Request:
    """A pull or merge request: `state` is open, closed or merged."""

    number: int
    branch: str
    title: str
    body: str
    state: str = "open"
    labels: str = ""


@dataclass
class Repository:
    """A repository at the host, with a bare one of git's. `builds` has the states of a commit's.

    They are "running", "success", "failure" or "skipped"; a test sets them.
    """

    path: Path
    requests: list[Request] = field(default_factory=list)
    issues: list[Request] = field(default_factory=list)
    builds: dict[str, list[str]] = field(default_factory=dict)

    def tip(self, branch: str) -> str:
        """Return a branch's newest commit; empty without one."""
        words = ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"]
        done = subprocess.run(words, cwd=self.path, capture_output=True, text=True, check=False)
        return done.stdout.strip()


@dataclass
class GitHost:
    """A running host; `kind` is github or gitlab. Repositories are below `folder`, by their names.

    `built` is what a commit's builds are that no test has set. A person's fine-grained token is not
    shown checks. `before` is called with each request, and may answer it.
    """

    kind: str
    folder: Path
    repositories: dict[str, Repository] = field(default_factory=dict)
    built: tuple[str, ...] = ()
    shows_checks: bool = True
    before: Callable[[Asked], object] = lambda _: None
    page: int = 100
    server: Loopback = field(default_factory=lambda: Loopback("", lambda _: None))

    @property
    def api(self) -> str:
        """The API's base URL."""
        return f"{self.server.url}/api/{'v3' if self.kind == 'github' else 'v4'}"

    def url(self, slug: str) -> str:
        """Return a repository's address for git."""
        return f"{self.server.url}/{slug}.git"

    def add(self, slug: str, source: Path) -> Repository:
        """Have a repository with all that is in another one."""
        path = self.folder / f"{slug}.git"
        words = ["git", "clone", "--quiet", "--bare", str(source), str(path)]
        subprocess.run(words, check=True)
        self.repositories[slug] = Repository(path)
        return self.repositories[slug]

    def writes(self) -> list[str]:
        """Return the requests to the API that change something."""
        paths = ((one.method, urlsplit(one.path).path) for one in self.server.asked)
        return [f"{method} {path}" for method, path in paths
                if method != "GET" and path.startswith("/api/")]  # fmt: skip

    def pushes(self) -> int:
        """Return how many pushes came to their end."""
        return sum(
            one.method == "POST" and one.path.endswith("/git-receive-pack")
            for one in self.server.asked
        )


@contextmanager
def git_host(kind: str, folder: Path) -> Iterator[GitHost]:
    """Run a host whose repositories lie below `folder`."""
    host = GitHost(kind, folder)
    with serving(lambda asked: _handle(host, asked)) as host.server:
        yield host


def _handle(host: GitHost, asked: Asked) -> Answer | None:
    if isinstance(answer := host.before(asked), Answer):
        return answer
    start = urlsplit(host.api).path
    if not asked.path.startswith(f"{start}/"):
        return _git(host, asked)
    if asked.headers.get("authorization") != f"Bearer {TOKEN}":
        return _answer(401, {"message": "Bad credentials"})
    parts = urlsplit(asked.path.removeprefix(start))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    document = json.loads(asked.body) if asked.body else {}
    table = GITHUB if host.kind == "github" else GITLAB
    for name, operation in table.items():
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.path)
        match = re.fullmatch(pattern, parts.path)
        if match and operation.method == asked.method:
            _refuse_unknown(operation, query, document)
            if host.kind == "github":
                assert asked.headers["accept"] == "application/vnd.github+json"
                assert asked.headers["x-github-api-version"] == "2022-11-28"
            found = {key: unquote(value) for key, value in match.groupdict().items()}
            slug = found.get("id") or f"{found['owner']}/{found['repo']}"
            if slug not in host.repositories:
                return _answer(404, {"message": "Not Found"})
            answer = _ANSWERS[name](_Call(host, slug, found, query, document))
            return answer if isinstance(answer, Answer) else _said(host, operation, asked, answer)
    return None


def _refuse_unknown(
    operation: Operation, query: Mapping[str, str], document: Mapping[str, Any]
) -> None:
    for name, value in query.items():
        assert name in operation.query, f"no parameter {name}"
        assert value in operation.query[name] or not operation.query[name], f"{name}={value}"
    for name, value in document.items():
        assert name in operation.body, f"no property {name}"
        assert isinstance(value, _TYPES[operation.body[name]]), f"{name} is {value!r}"
    if operation.body:
        assert document.keys() >= {*operation.needed}, f"{operation.needed} are needed"


def _said(host: GitHost, operation: Operation, asked: Asked, answer: Any) -> Answer:
    for one in answer if operation.listed else [answer]:
        assert {*one} <= {*operation.answer}, {*one} - {*operation.answer}
    if not operation.listed:
        return _answer(operation.status, answer)
    # Fewer than asked for, as a host may give; the next page is a link's, as both document.
    number = int(re.search(r"[?&]page=(\d+)|\Z", asked.path)[1] or 1)  # type: ignore[index]
    items = answer[(number - 1) * host.page : number * host.page]
    document = {"total_count": len(answer), operation.key: items} if operation.key else items
    links = {}
    if len(answer) > number * host.page:
        plain = re.sub(r"[?&]page=\d+", "", asked.path)
        url = f"{host.server.url}{plain}{'&' if '?' in plain else '?'}page={number + 1}"
        links = {"Link": f'<{url}>; rel="next", <{url}>; rel="last"'}
    return _answer(operation.status, document, links)


def _answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Answer:
    plain = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status, json.dumps(document).encode(), {**plain, **(headers or {})})


@dataclass(frozen=True)
class _Call:
    host: GitHost
    slug: str
    found: Mapping[str, str]
    query: Mapping[str, str]
    document: Mapping[str, Any]

    @property
    def repository(self) -> Repository:
        return self.host.repositories[self.slug]

    def builds(self, commit: str) -> list[str]:
        return self.repository.builds.get(commit, [*self.host.built])

    def request(self) -> Request:
        number = int(self.found.get("pull_number") or self.found["iid"])
        return next(one for one in self.repository.requests if one.number == number)

    def issue(self) -> Request:
        number = int(self.found.get("issue_number") or self.found["iid"])
        return next(one for one in self.repository.issues if one.number == number)

    def numbered(self, branch: str, body: str, *, issue: bool) -> Request:
        # GitHub counts both together, GitLab each alone: the next free one does for either.
        number = len(self.repository.requests) + len(self.repository.issues) + 1
        labels = self.document.get("labels", "")
        labels = labels if isinstance(labels, str) else ",".join(labels)
        one = Request(number, branch, self.document["title"], body, labels=labels)
        (self.repository.issues if issue else self.repository.requests).append(one)
        return one

    def labelled(self) -> list[Request]:
        """Return the issues in any state that have a label."""
        assert self.query["state"] == "all"
        wanted = self.query["labels"]
        return [one for one in self.repository.issues if wanted in one.labels.split(",")]

    def page(self, kind: str, one: Request) -> str:
        return f"{self.host.server.url}/{self.slug}/{kind}/{one.number}"


def _pull(call: _Call, one: Request) -> dict[str, Any]:
    return {
        "number": one.number, "html_url": call.page("pull", one), "title": one.title,
        "state": "open" if one.state == "open" else "closed", "body": one.body or None,
        "merged_at": _ENDED if one.state == "merged" else None,
        "created_at": _BEGUN,
        "head": {"ref": one.branch, "sha": call.repository.tip(one.branch)},
    }  # fmt: skip


def _pulls(call: _Call) -> Any:
    owner, _, branch = call.query.get("head", "").partition(":")
    state = call.query.get("state", "open")
    assert owner in ("", call.slug.partition("/")[0])
    return [
        _pull(call, one)
        for one in call.repository.requests
        if branch in ("", one.branch)
        and (state == "all" or (one.state == "open") == (state == "open"))
    ]


def _open_pull(call: _Call) -> Any:
    branch, repository = call.document["head"], call.repository
    if any(one.branch == branch and one.state == "open" for one in repository.requests):
        said = f"A pull request already exists for {call.slug.partition('/')[0]}:{branch}."
        return _answer(422, {"message": "Validation Failed", "errors": [{"message": said}]})
    if not repository.tip(branch) or not repository.tip(call.document["base"]):
        errors = [{"resource": "PullRequest", "field": "head", "code": "invalid"}]
        return _answer(422, {"message": "Validation Failed", "errors": errors})
    return _pull(call, call.numbered(branch, call.document.get("body", ""), issue=False))


def _changed(one: Request, document: Mapping[str, Any], text: str) -> Request:
    one.title, one.body = document.get("title", one.title), document.get(text, one.body)
    return one


def _issue(call: _Call, one: Request) -> dict[str, Any]:
    return {
        "number": one.number, "html_url": call.page("issues", one), "state": one.state,
        "title": one.title, "body": one.body or None,
    }  # fmt: skip


def _issues(call: _Call) -> Any:
    # To GitHub each pull request is an issue as well.
    found = [{**_issue(call, one), "pull_request": {}} for one in call.repository.requests]
    return [*found, *(_issue(call, one) for one in call.labelled())]


def _check_runs(call: _Call) -> Any:
    if not call.host.shows_checks:
        return _answer(403, {"message": "Resource not accessible by personal access token"})
    return _runs(call, call.found["ref"], "started_at", "completed_at")


def _runs(call: _Call, commit: str, began: str, ended: str) -> Any:
    return [
        {"status": "in_progress", "conclusion": None, began: _BEGUN}
        if one == "running"
        else {"status": "completed", "conclusion": one, began: _BEGUN, ended: _ENDED}
        for one in call.builds(commit)
        if not one.startswith("status ")
    ]


def _status(call: _Call) -> Any:
    found = [one.removeprefix("status ") for one in call.builds(call.found["ref"])
             if one.startswith("status ")]  # fmt: skip
    state = next((one for one in ("failure", "pending") if one in found), "success")
    return {
        "state": state if found else "pending",
        "total_count": len(found), "sha": call.found["ref"],
        "statuses": [{"state": one, "updated_at": _ENDED} for one in found],
    }  # fmt: skip


def _merge(call: _Call, one: Request) -> dict[str, Any]:
    return {
        "iid": one.number, "web_url": call.page("-/merge_requests", one), "title": one.title,
        "state": "opened" if one.state == "open" else one.state, "description": one.body or None,
        "sha": call.repository.tip(one.branch), "source_project_id": 7, "target_project_id": 7,
        "source_branch": one.branch, "created_at": _BEGUN,
    }  # fmt: skip


def _merges(call: _Call) -> Any:
    branch, state = call.query.get("source_branch", ""), call.query["state"]
    assert call.query["scope"] == "all"
    found = [
        one
        for one in call.repository.requests
        if branch in ("", one.branch) and (state == "all" or one.state == "open")
    ]
    return [_merge(call, one) for one in found]


def _open_merge(call: _Call) -> Any:
    branch = call.document["source_branch"]
    if any(one.branch == branch and one.state == "open" for one in call.repository.requests):
        said = "Another open merge request already exists for this source branch: !1"
        return _answer(409, {"message": [said]})
    text = call.document.get("description", "")
    return _merge(call, call.numbered(branch, text, issue=False))


def _gitlab_issue(call: _Call, one: Request) -> dict[str, Any]:
    return {
        "iid": one.number, "web_url": call.page("-/issues", one),
        "state": "opened" if one.state == "open" else one.state,
        "title": one.title, "description": one.body or None,
    }  # fmt: skip


def _pipeline(call: _Call, commit: str) -> list[dict[str, Any]]:
    words = {"failure": "failed"}
    return [{"id": number, "status": words.get(one, one), "sha": commit, "updated_at": _ENDED}
            for number, one in enumerate(call.builds(commit))]  # fmt: skip


def _single_merge(call: _Call) -> Any:
    one = _merge(call, call.request())
    return {**one, "head_pipeline": next(iter(_pipeline(call, one["sha"])), None)}


_ANSWERS: Mapping[str, Any] = {
    "pulls/list": _pulls,
    "pulls/create": _open_pull,
    "pulls/update": lambda call: _pull(call, _changed(call.request(), call.document, "body")),
    "issues/list-for-repo": _issues,
    "issues/create": lambda call: _issue(
        call, call.numbered("", call.document.get("body", ""), issue=True)
    ),
    "issues/update": lambda call: _issue(call, _changed(call.issue(), call.document, "body")),
    "checks/list-for-ref": _check_runs,
    "actions/list-workflow-runs-for-repo": lambda call: _runs(
        call, call.query["head_sha"], "run_started_at", "updated_at"
    ),
    "repos/get-combined-status-for-ref": _status,
    "merge requests: list": _merges,
    "merge requests: single": _single_merge,
    "merge requests: create": _open_merge,
    "merge requests: update": lambda call: _merge(
        call, _changed(call.request(), call.document, "description")
    ),
    "issues: list": lambda call: [_gitlab_issue(call, one) for one in call.labelled()],
    "issues: create": lambda call: _gitlab_issue(
        call, call.numbered("", call.document.get("description", ""), issue=True)
    ),
    "issues: update": lambda call: _gitlab_issue(
        call, _changed(call.issue(), call.document, "description")
    ),
    "pipelines: list": lambda call: _pipeline(
        call, call.query.get("sha") or call.repository.tip(call.query["ref"])
    ),
}


def _git(host: GitHost, asked: Asked) -> Answer:
    """Answer as git's own HTTP server does; nobody without the token is let in."""
    user = "x-access-token" if host.kind == "github" else "oauth2"
    wanted = base64.b64encode(f"{user}:{TOKEN}".encode()).decode()
    if asked.headers.get("authorization") != f"Basic {wanted}":
        return Answer(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
    parts = urlsplit(asked.path)
    env = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(host.folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "REMOTE_USER": user,
        "REQUEST_METHOD": asked.method,
        "PATH_INFO": unquote(parts.path),
        "QUERY_STRING": parts.query,
        "CONTENT_TYPE": asked.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(asked.body)),
        "HTTP_CONTENT_ENCODING": asked.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": asked.headers.get("git-protocol", ""),
    }
    done = subprocess.run(
        ["git", "http-backend"], input=asked.body, env=env, capture_output=True, check=False
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    pairs = [line.split(": ", 1) for line in head.decode().split("\r\n")]
    headers = {name: value for name, value in pairs if name != "Content-Length"}
    status = int(headers.pop("Status", "200").split()[0])
    return Answer(status, body, headers)
