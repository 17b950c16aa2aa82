"""What GitHub and GitLab are asked, and how their limits are kept."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http, HttpError

from maintain.fleet.clones import Gate, git_environment, mirror
from maintain.fleet.config import Host as Settings
from maintain.fleet.config import Repository
from maintain.fleet.hosts import GREEN, NONE, PENDING, RED, Host, host_of, marked
from tests.repositories import commit_all, git
from tests.standins.git_hosts import GITHUB, TOKEN, GitHost, Operation, git_host
from tests.standins.loopback import Answer, Asked, serving
from tests.tools import tool

_BRANCH = "fleet/update-template"
_DESCRIPTION = "@octokit/openapi@23.0.2"  # GitHub's own description, as its client packages it


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    at: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Return the time."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.slept.append(seconds)
        self.at += seconds


@pytest.fixture(params=["github", "gitlab"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GitHost]:
    """Return a host with one repository that has a branch of the fleet's."""
    source = tmp_path / "source"
    git(tmp_path, "init", "--quiet", "source")
    commit_all(source, "Begin")
    git(source, "branch", _BRANCH)
    with git_host(request.param, tmp_path / "host") as host:
        host.add("example/orders", source)
        yield host


def _client(kind: str, api: str, clock: Clock | None = None) -> Host:
    clock = clock or Clock()
    settings = Settings(kind, api, "TOKEN")
    return host_of(settings, TOKEN, Http({}), now=clock.now, sleep=clock.sleep)


def test_requests_and_issues_are_opened_found_and_changed(served: GitHost) -> None:
    """On both hosts, over several pages, and GitHub's pull requests are not taken for issues."""
    served.page = 1
    host, slug = _client(served.kind, served.api), "example/orders"
    assert (host.requests(slug, _BRANCH), host.issue(slug)) == ([], None)
    opened = host.open_request(slug, _BRANCH, "main", "Update", marked("Text", "v1.0.0", "abc1"))
    assert (opened.state, opened.about) == ("open", ("v1.0.0", "abc1"))
    served.repositories[slug].requests[0].state = "closed"
    host.open_request(slug, _BRANCH, "main", "Update again", "Nobody's mark")
    newest, closed = host.requests(slug, _BRANCH)
    assert (newest.state, newest.about) == ("open", ("", ""))
    assert (closed.state, closed.number) == ("closed", opened.number)
    host.change_request(slug, newest.number, "Newer", marked("Other", "v1.1.0", "abc1"))
    assert host.requests(slug, _BRANCH)[0].title == "Newer"

    host.open_issue(slug, "Somebody's", "No mark")
    made = host.open_issue(slug, "It conflicts", marked("Look", "v1.1.0", "abc1"))
    found = host.issue(slug)
    assert found
    assert (found.number, found.about) == (made.number, ("v1.1.0", "abc1"))
    served.repositories[slug].issues[-1].state = "closed"
    closed_one = host.issue(slug)
    assert closed_one
    assert (closed_one.number, closed_one.state) == (made.number, "closed")
    served.repositories[slug].issues[-1].state = "open"
    host.change_issue(slug, made.number, "It still conflicts", marked("Look", "v1.2.0", "abc2"))
    found = host.issue(slug)
    assert found
    assert (found.title, found.about) == ("It still conflicts", ("v1.2.0", "abc2"))


@pytest.mark.parametrize(
    ("builds", "expected"),
    [
        ([], NONE),
        (["skipped"], NONE),
        (["success"], GREEN),
        (["running"], PENDING),
        (["failure"], RED),
    ],
)
def test_a_commit_builds_or_does_not(served: GitHost, builds: list[str], expected: str) -> None:
    """No build at all is none, and no success; a request's build is that of its newest commit."""
    slug, host = "example/orders", _client(served.kind, served.api)
    repository = served.repositories[slug]
    repository.builds[repository.tip("main")] = builds
    assert host.builds(slug, repository.tip("main")) == expected
    request = host.open_request(slug, _BRANCH, "main", "Update", "")
    assert host.builds(slug, repository.tip(_BRANCH), request.number) == expected


@pytest.mark.parametrize("served", ["github"], indirect=True)
@pytest.mark.parametrize(
    ("builds", "expected"),
    [
        (["success", "skipped", "neutral"], GREEN),
        (["success", "running", "failure"], RED),
        (["success", "running"], PENDING),
        (["timed_out"], RED),
        (["status success"], GREEN),
        (["success", "status pending"], PENDING),
        (["success", "status failure"], RED),
    ],
)
def test_checks_and_statuses_count_together(
    served: GitHost, builds: list[str], expected: str
) -> None:
    """GitHub has two kinds of them; one bad word is enough.

    A person's fine-grained token may read no checks, but the runs of GitHub Actions.
    """
    repository = served.repositories["example/orders"]
    repository.builds[repository.tip("main")] = builds
    host = _client(served.kind, served.api)
    for served.shows_checks in (True, False):
        assert host.builds("example/orders", repository.tip("main")) == expected


def _limits(answers: list[Answer]) -> tuple[Clock, Any, list[Asked]]:
    """Answer with these, one by one; return the clock, the call's end, and the requests."""
    clock = Clock()
    left = [*answers]
    with serving(lambda _: left.pop(0)) as server:
        client = _client("github", server.url, clock)
        try:
            said: Any = client.requests("example/orders", _BRANCH)
        except PipelineError as error:
            said = error
        return clock, said, server.asked


_FINE = Answer(200, b"[]")
_SECONDARY = json.dumps({"message": "You have exceeded a secondary rate limit."}).encode()


@pytest.mark.parametrize(
    ("refusals", "slept"),
    [
        ([Answer(429, b"{}", {"Retry-After": "7"})], [7]),
        ([Answer(403, b"{}", {"Retry-After": "7"})], [7]),
        # The time in the header is that of Clock and half a minute.
        ([Answer(403, b"{}", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000030"})],
         [31]),
        ([Answer(429, b"{}", {"RateLimit-Remaining": "0", "RateLimit-Reset": "1800000030"})], [31]),
        ([Answer(403, _SECONDARY)] * 3, [60, 120, 240]),
    ],
)  # fmt: skip
def test_limits_are_waited_for(refusals: list[Answer], slept: list[float]) -> None:
    """As long as the host says; where it does not, a minute, and twice as long each time."""
    clock, said, asked = _limits([*refusals, _FINE])
    assert (said, clock.slept) == ([], slept)
    assert len(asked) == len(refusals) + 1


def test_a_limit_of_an_hour_ends_the_run_with_the_time() -> None:
    """The next run goes on; no request is made meanwhile, not even a first one."""
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(1_800_000_000 + 3600)}
    clock, said, asked = _limits([Answer(403, b"{}", spent), _FINE])
    assert isinstance(said, PipelineError)
    assert "09:00 UTC" in said.what
    assert (clock.slept, len(asked)) == ([], 1)


def test_a_refusal_that_is_no_limit_is_not_repeated() -> None:
    """A token without the permission gets the host's words, and where to look."""
    words = b'{"message": "Resource not accessible by personal access token"}'
    _, said, asked = _limits([Answer(403, words, {"X-RateLimit-Remaining": "4999"})])
    assert isinstance(said, HttpError)
    assert (said.status, len(asked)) == (403, 1)
    assert "not accessible" in said.what
    assert "docs/fleet-update.md" in said.then


def test_writes_are_a_second_apart(served: GitHost) -> None:
    """As GitHub asks for; reading needs no pause."""
    clock = Clock()
    host = _client(served.kind, served.api, clock)
    for number in range(3):
        host.open_issue("example/orders", f"Issue {number}", "")
        host.issue("example/orders")
    assert clock.slept == [1.0, 1.0]


def test_the_token_stays_at_its_host() -> None:
    """Neither a redirect nor a page's link takes it to another one."""
    with serving(lambda _: Answer(200, b"[]")) as other:
        links = [
            Answer(307, b"", {"Location": f"{other.url}/elsewhere"}),
            Answer(200, b"[]", {"Link": f'<{other.url}/more>; rel="next"'}),
        ]
        _, said, _ = _limits(links[:1])
        assert said == []
        assert [asked.headers.get("authorization") for asked in other.asked] == [None]
        _, said, _ = _limits(links[1:])
        assert isinstance(said, PipelineError)
        assert len(other.asked) == 1


def test_git_takes_no_token_to_another_host(tmp_path: Path) -> None:
    """Its first request to where it is led has none, and each later one would; so it stops."""
    with (
        serving(lambda _: Answer(200, b"")) as other,
        serving(lambda asked: Answer(302, b"", {"Location": f"{other.url}{asked.path}"})) as server,
    ):
        settings = Settings("github", f"{server.url}/api/v3", "TOKEN")
        moved = Repository("orders", f"{server.url}/example/orders.git")
        env = git_environment(settings, {**os.environ, "TOKEN": TOKEN})
        with pytest.raises(PipelineError) as refused:
            mirror(tmp_path, moved, env, Gate(lambda _: None), offline=False)
        assert "moved" in refused.value.then
        assert server.asked[0].headers["authorization"].startswith("Basic ")
        assert other.asked == []


@pytest.mark.slow
def test_the_stand_in_is_as_githubs_description_has_it(tmp_path: Path) -> None:
    """Each path, parameter, value, property and status that it knows is in the published one."""
    words = [tool("npm"), "pack", "--silent", "--pack-destination", str(tmp_path), _DESCRIPTION]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.strip()) as archive:
        file = archive.extractfile("package/generated/api.github.com.json")
        assert file
        description = json.load(file)
    for name, operation in GITHUB.items():
        published = description["paths"][operation.path][operation.method.lower()]
        assert published["operationId"] == name
        assert _misfits(description, published, operation) == [], name


def _misfits(
    description: Mapping[str, Any], published: Mapping[str, Any], operation: Operation
) -> list[str]:
    def whole(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            found: Any = description
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        parts = [whole(part) for part in schema.get("allOf", ())]
        inherited = {k: v for part in parts for k, v in part.get("properties", {}).items()}
        return {**schema, "properties": {**inherited, **schema.get("properties", {})}}

    wrong = []
    parameters = [whole(one) for one in published.get("parameters", ())]
    known = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
    for query, values in operation.query.items():
        if not {*values} <= {*known.get(query, {}).get("enum", values)} or query not in known:
            wrong.append(f"parameter {query}")
    if operation.body:
        body = whole(published["requestBody"]["content"]["application/json"]["schema"])
        wrong += [
            f"property {one}"
            for one, kind in operation.body.items()
            if kind not in json.dumps(body["properties"].get(one, {}))
        ]
        if {*body.get("required", ())} != {*operation.needed}:
            wrong.append("what is needed")
    response = whole(published["responses"][str(operation.status)])
    answer = whole(response["content"]["application/json"]["schema"])
    if operation.key:
        answer = whole(answer["properties"][operation.key])
    if operation.listed:
        answer = whole(answer["items"])
    return [*wrong, *(f"answer {one}" for one in {*operation.answer} - {*answer["properties"]})]
