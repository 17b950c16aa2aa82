"""What is known of a repository besides its files: mirrors, builds, requests, live versions."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http
from pipeline.octopus.client import Access
from rich.console import Console

from maintain.fleet.api import Api
from maintain.fleet.clones import Gate, Mirror, git_environment, mirrors
from maintain.fleet.config import Fleet, Host, Repository
from maintain.fleet.deployed import from_file, from_octopus, with_versions
from maintain.fleet.hosts import api_of
from maintain.fleet.screen import show
from maintain.fleet.shards import matrix, merged_reports
from maintain.fleet.signs import Signs
from maintain.fleet.update import Outcome, Report
from tests.fleet import sample
from tests.repositories import commit_all, git
from tests.standins.git_hosts import TOKEN, git_host
from tests.standins.git_hosts import Request as Asked
from tests.standins.loopback import Answer, Fault, serving

_GLOBS = ("fleet/update-*",)


def _fleet(folder: Path, *repositories: Repository, host: Host | None = None) -> Fleet:
    return Fleet("/template", repositories, host or Host(), folder / "clones", parallel=2)


def _source(folder: Path) -> Path:
    git(folder, "init", "--quiet", "source")
    (folder / "source" / "a.txt").write_text("a\n", "utf-8")
    commit_all(folder / "source", "Begin")
    return folder / "source"


def test_a_mirror_follows_its_remote(tmp_path: Path) -> None:
    """A commit, another default branch, and one that is gone are there after the next fetch."""
    source = _source(tmp_path)
    fleet = _fleet(tmp_path, Repository("a", str(source)), Repository("gone", "/no/such/place"))

    def fetched(*, offline: bool = False) -> Mirror:
        found = {one.name: made for one, made in mirrors(fleet, os.environ, offline=offline)}
        assert isinstance(found["gone"], PipelineError)
        assert isinstance(found["a"], Mirror)
        return found["a"]

    first = fetched()
    assert (first.branch, first.heads) == (
        "main",
        {"main": git(source, "rev-parse", "HEAD").strip()},
    )
    git(source, "checkout", "--quiet", "-b", "trunk")
    git(source, "branch", "--delete", "main")
    commit_all(source, "More")
    # What Python takes for a line's end is a letter to git.
    git(source, "branch", "trunk\u2028more", first.commit)
    assert fetched(offline=True) == first
    second = fetched()
    assert (second.branch, [*second.heads]) == ("trunk", ["trunk", "trunk\u2028more"])
    assert second.commit == git(source, "rev-parse", "trunk").strip()
    assert git(second.path, "cat-file", "-t", second.commit) == "commit\n"
    shown = git(second.path, "for-each-ref", "--format=%(refname)").strip("\n").split("\n")
    assert shown == ["refs/heads/trunk", "refs/heads/trunk\u2028more"]


def test_what_passes_is_tried_again(tmp_path: Path) -> None:
    """A busy host shuts the gate for all, a fault is tried again, and what stays ends with it."""
    slept: list[float] = []
    with serving(lambda _: Answer(404)) as server:
        server.faults.extend(Fault("GET", answer=Answer(status)) for status in (429, 503))
        fleet = _fleet(tmp_path, Repository("a", f"{server.url}/example/a.git"))
        ((_, failed),) = mirrors(fleet, os.environ, Gate(slept.append))
    assert slept == [2.0, 5.0]
    assert isinstance(failed, PipelineError)
    assert failed.where == "a"


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_host_says_what_is_open_and_built(tmp_path: Path, kind: str) -> None:
    """The token opens git and the API; the worst of the builds counts, requests by their branch."""
    source = _source(tmp_path)
    with git_host(kind, tmp_path / "host") as host:
        made = host.add("example/orders", source)
        settings, environ = Host(kind, host.api, "T"), {**os.environ, "T": TOKEN}
        repository = Repository("orders", host.url("example/orders"))
        ((_, one),) = mirrors(_fleet(tmp_path, repository, host=settings), environ)
        assert isinstance(one, Mirror)
        signs = Signs(kind, api_of(settings, TOKEN, Http({})))
        assert signs.newest_build(repository, one.commit, one.branch) is None
        made.builds[one.commit] = ["success"]
        build = signs.newest_build(repository, one.commit, one.branch)
        assert build
        assert (build.at.isoformat()[:13], build.result) == ("2026-11-02T08", "passed")
        if kind == "github":
            made.builds[one.commit] = ["success", "status failure", "running"]
            assert signs.newest_build(repository, one.commit, one.branch) == replace(
                build, result="failed"
            )
            host.shows_checks = False
            assert signs.newest_build(repository, one.commit, one.branch) is not None
        made.requests += [
            Asked(1, "fleet/update-template", "Update", ""),
            Asked(2, "feature", "More", ""),
            Asked(3, "fleet/update-template", "Old", "", "merged"),
        ]
        (found,) = signs.open_requests(repository, _GLOBS)
        assert (found.branch, found.since.isoformat()[:13]) == (
            "fleet/update-template",
            "2026-11-02T07",
        )
        assert found.url.endswith("/1")
        refused = Signs(kind, Api(host.api, {}, Http({})))
        with pytest.raises(PipelineError):
            refused.open_requests(repository, _GLOBS)


def test_git_gets_no_token_for_another_host() -> None:
    """A repository elsewhere in the fleet cannot have the token sent to itself."""
    env = git_environment(Host("github", "https://api.github.com", "T"), {"T": TOKEN})
    assert env["GIT_CONFIG_KEY_0"] == "http.https://github.com/.extraHeader"
    assert TOKEN not in json.dumps(env)


def test_live_versions_are_octopus_s(tmp_path: Path) -> None:
    """What has succeeded is live, before a failed one as well; what no space shows is unknown."""
    dashboard = {
        "Projects": [{"Id": "Projects-1", "Name": "Orders"}, {"Id": "Projects-2", "Name": "New"}],
        "Environments": [{"Id": "Environments-1", "Name": "production"}],
        "Items": [_item("3.0.1", "Failed", IsCurrent=True)],
        "PreviousItems": [_item("3.0.0", "Success", IsPrevious=True)],
    }
    answers = {
        "/api/": {"Version": "2026.1.1"},
        "/api/spaces?skip=0&take=100": {
            "Items": [{"Id": "Spaces-1", "Name": "Default", "IsDefault": True}],
            "TotalResults": 1,
        },
        "/api/Spaces-1/dashboard": dashboard,
    }
    made = sample.survey()
    names = {"edge-logs": ["", "orders"], "loyalty": ["", "new"], "refunds": ["No such", "x"]}
    made = replace(made, repositories=[
        replace(one, octopus=names.get(one.name, ["", ""]), deployed=None, unknown=[])
        for one in made.repositories
    ])  # fmt: skip
    with serving(lambda asked: Answer(200, json.dumps(answers[asked.path]).encode())) as server:
        versions, why = from_octopus(Http({}), Access(server.url, "API-KEY"), made)
    found = {one.name: one for one in with_versions(made, versions, why).repositories}
    assert found["edge-logs"].deployed == {"production": "3.0.0"}
    assert found["loyalty"].deployed == {}
    assert found["refunds"].deployed is None
    assert "No such" in found["refunds"].unknown[0]

    path = tmp_path / "live.json"
    path.write_text('{"refunds": {"production": "1.0.0"}}', "utf-8")
    found = {one.name: one for one in with_versions(made, from_file(path)).repositories}
    assert found["refunds"].deployed == {"production": "1.0.0"}
    assert found["loyalty"].unknown == ["deployed: nothing says what"]
    path.write_text('{"refunds": "1.0.0"}', "utf-8")
    with pytest.raises(PipelineError):
        from_file(path)


def _item(version: str, state: str, **more: bool) -> dict[str, object]:
    """Return an item as go-octopusdeploy's resources/dashboard_item.go has it."""
    ids = {"ProjectId": "Projects-1", "EnvironmentId": "Environments-1"}
    return {**ids, "ReleaseVersion": version, "State": state, **more}


def test_the_table_fits_into_80_columns() -> None:
    """Each repository is in it, none of its lines is longer, and a name steers no terminal."""
    made = sample.survey()
    made = replace(
        made, repositories=[*made.repositories, replace(made.repositories[0], name="\x1b[2J[red]x")]
    )
    out = StringIO()
    show(made, Console(file=out, width=80, no_color=True))
    table, _, rest = out.getvalue().partition("\n\n")
    assert max(map(len, table.splitlines())) <= 80
    assert all(one.name[:16] in table for one in made.repositories[:-1])
    assert "[red]x" in table
    assert "\x1b" not in out.getvalue()
    assert "21 repositories: 3 broken, 1 conflicted" in rest


def test_reports_of_shards_become_one() -> None:
    """Their outcomes stand ring by ring; the results of two releases do not fit together."""
    parts = [
        Report("v1.1.0", (Outcome("b", "all", "opened"), Outcome("c", "canary", "current"))),
        Report("v1.1.0", (Outcome("a", "all", "conflict"),), "canary is red"),
    ]
    whole = merged_reports([json.loads(json.dumps(part.document())) for part in parts])
    assert [one.name for one in whole.outcomes] == ["c", "a", "b"]
    assert (whole.stopped, whole.code) == ("canary is red", 4)
    with pytest.raises(PipelineError):
        merged_reports([parts[0].document(), Report("v1.0.0", ()).document()])


def test_shards_are_whole_and_even(tmp_path: Path) -> None:
    """Each repository is in one job, each job has its part of every ring, and names are quoted."""
    rings = ["canary"] * 2 + ["early"] * 4 + ["all"] * 8
    repositories = [Repository(f"r{at}", f"/r{at}", ring) for at, ring in enumerate(rings)]
    fleet = _fleet(tmp_path, *repositories)
    document = json.loads(matrix(fleet, "github", 2, "fleet.status"))
    parts = [job["repositories"].split() for job in document["include"]]
    assert parts == [[f"r{at}" for at in range(start, 14, 2)] for start in (0, 1)]
    jobs = json.loads(matrix(fleet, "gitlab", 20, "fleet.status"))
    assert len(jobs) == 14 + 1
    assert jobs["shard 1"]["script"] == [
        "python3 tasks.py fleet.status --only r0 --json > shard-1.json"
    ]
    with pytest.raises(PipelineError):
        matrix(fleet, "jenkins", 2, "fleet.status")
