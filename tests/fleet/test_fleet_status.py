"""`fleet.status`: 200 repositories, each made so that its state is known, and judged as that."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import doctor
import pytest
from pipeline.edge.http import Http

from maintain.fleet.config import Fleet, Host, Repository
from maintain.fleet.hosts import api_of
from maintain.fleet.signs import Signs
from maintain.fleet.status import STATES, Source, Survey, merged, read_survey, survey
from maintain.manifest import digest_of
from tests.fleet.made import LINK, NEW, NOW, OLD, Edit, fleet_of
from tests.fleet.made import Fleet as Made
from tests.repositories import git
from tests.standins.git_hosts import TOKEN, Request, git_host
from tests.standins.loopback import Answer, Fault

_TEXT = "scripts/pipeline/core/text.py"
_MARKERS = b"<<<<<<< before\na\n=======\nb\n>>>>>>> after\n"
_ANSWERS, _MANIFEST = ".copier-answers.yml", "scripts/MANIFEST"


def _more(line: bytes) -> Edit:
    return lambda data: data + line


def _records(was: str, now: str) -> Edit:
    return lambda data: data.replace(was.encode(), now.encode())


def _edited(made: Made) -> bytes:
    return made.renders[NEW][_TEXT][1] + b"# ours\n"


def _allowed(made: Made, until: str) -> dict[str, Edit]:
    digest = hashlib.sha256(_edited(made)).hexdigest()
    entry = (
        f'[[change]]\npath = "{_TEXT}"\nsha256 = "{digest}"\nreason = "a"\nexpires = "{until}"\n'
    )
    return {_TEXT: _edited(made), "scripts/allowed-changes.toml": entry.encode()}


def _hidden(made: Made) -> dict[str, Edit]:
    """Edit a file of ours, and the MANIFEST so that it looks right."""
    old = hashlib.sha256(made.renders[NEW][_TEXT][1]).hexdigest().encode()
    manifest = made.renders[NEW][_MANIFEST][1]
    below = manifest.partition(b"\n")[2].replace(
        old, hashlib.sha256(_edited(made)).hexdigest().encode()
    )
    head = digest_of(manifest.decode()).encode()
    whole = manifest.partition(b"\n")[0].replace(head, hashlib.sha256(below).hexdigest().encode())
    return {_TEXT: _edited(made), _MANIFEST: whole + b"\n" + below}


def _edits(made: Made, template: str) -> dict[str, tuple[str, dict[str, Edit], dict[str, Any]]]:
    """Return what is done to a repository by its name: the state it is in then, and how."""
    settings = {"pyproject.toml": _records("base-version", "base-version")}
    users: dict[str, Edit] = {
        "README.md": b"Ours.\n", "scripts/hooks_build.py": _more(b"# more\n"), "src/more.py": b"",
        "docs/a.md": b"=======\n", ".gitlab-ci.yml": b"own: {}\n",
    }  # fmt: skip
    first = git(Path(template), "rev-parse", "--short", OLD).strip()
    old: dict[str, Any] = {"release": OLD}
    return {
        "current": ("current", {}, {}),
        "edited": ("current", users, {}),
        "allowed": ("current", _allowed(made, "2026-12-31"), {}),
        "on-trunk": ("current", settings, {"branch": "trunk"}),
        "in-a-folder": ("current", {}, {"folder": "functions/bills"}),
        "just-not-silent": ("current", {}, {"days": 14.9}),
        "behind": ("behind", {}, old),
        "behind-edited": ("behind", users, old),
        "behind-asked": ("behind", {}, {**old, "other": "fleet/update-template"}),
        "of-a-commit": ("behind", {_ANSWERS: _records(OLD, first)}, old),
        "ours-edited": ("changed", {_TEXT: _edited(made)}, {}),
        "ours-deleted": ("changed", {"scripts/deploy.py": None}, {}),
        "ours-linked": ("changed", {"scripts/deploy.py": LINK}, {}),
        "ours-crlf": ("changed", {_TEXT: lambda data: data.replace(b"\n", b"\r\n")}, {}),
        "extra": ("changed", {"scripts/pipeline/own.py": b"a = 1\n"}, {}),
        "manifest-edited": ("changed", {_MANIFEST: _more(b"\n")}, {}),
        "hidden": ("changed", _hidden(made), {}),
        "allowed-once": ("changed", _allowed(made, "2026-11-25"), {}),
        "says-new": ("changed", {_ANSWERS: _records(OLD, NEW)}, old),
        "answers-edited": ("changed", {_ANSWERS: _records("arm64", "x86_64")}, {}),
        "changed-and-behind": ("changed", {_TEXT: b""}, old),
        "changed-and-silent": ("changed", {_TEXT: b""}, {"days": 100}),
        "markers": ("conflicted", {"src/a.py": _MARKERS}, {}),
        "ours-marked": ("conflicted", {_TEXT: _MARKERS}, {}),
        "rejected": ("conflicted", {"docs/deep/er/a\\nb.md.rej": b"-a\n"}, {}),
        "answers-marked": ("conflicted", {_ANSWERS: _MARKERS}, {}),
        "settings-marked": ("conflicted", {"pyproject.toml": _MARKERS}, {"days": 99}),
        "no-answers": ("broken", {_ANSWERS: None}, {}),
        "no-commit": ("broken", {_ANSWERS: _records("_commit", "_was")}, {}),
        "another-template": ("broken", {_ANSWERS: _records(template, "/other")}, {}),
        "unknown-release": ("broken", {_ANSWERS: _records(NEW, "v7.7.7")}, {}),
        "no-settings": ("broken", {"pyproject.toml": None}, {}),
        "bad-allowed": ("changed", {"scripts/allowed-changes.toml": b"change = 1"}, {}),
        "bad-settings": ("broken", {"pyproject.toml": b"a = \n"}, {}),
        "silent": ("silent", {}, {"days": 16}),
        "silent-behind": ("silent", {}, {**old, "days": 700}),
    }  # fmt: skip


def _source(**settings: Any) -> Source:
    return replace(Source(os.environ, NOW), **settings)


def _judged(template: Path, folder: Path, count: int) -> tuple[Fleet, Survey]:
    """Make so many repositories, look at them, and hold each one's state against what was done."""
    made = fleet_of(template, folder / "made")
    kinds = _edits(made, str(template))
    truth = {"empty": "broken", "<script>": "broken"}
    repositories = []
    for number in range(count - len(truth)):
        kind, (state, edits, how) = [*kinds.items()][number % len(kinds)]
        name = f"{kind}-{number}"
        own = edits | {f"docs/{number}.md": b"Its own.\n"}
        path = made.add(name, own, **how)
        repositories.append(Repository(name, str(path), folder=str(how.get("folder", ""))))
        truth[name] = state
    made.write()
    (folder / "empty.git").mkdir()
    without = next(one.url for one in repositories if one.name.startswith("no-answers"))
    repositories += [
        Repository("empty", str(folder / "empty.git")),
        Repository("<script>", "/no/such/place"),
        Repository("of no template", without, is_listed=False),
    ]
    fleet = Fleet(str(template), tuple(repositories), Host(), folder / "clones", parallel=4)
    found = survey(fleet, _source())
    wrong = {one.name: one for one in found.repositories if one.state != truth[one.name]}
    assert not wrong
    assert {one.name for one in found.repositories} == truth.keys()
    assert len(found.repositories) == count
    assert found.left_out == ["of no template"]
    return fleet, found


def test_each_kind_is_what_it_was_made(template: Path, tmp_path: Path) -> None:
    """Each state is found, with its reason; a look at the mirrors alone finds the same."""
    fleet, found = _judged(template, tmp_path, 38)
    assert [*dict.fromkeys(one.state for one in found.repositories)] == [*STATES]
    assert found.exit_code == 4
    by_name = {one.name.rpartition("-")[0]: one for one in found.repositories}
    assert by_name["silent-behind"].also == ["behind"]
    assert by_name["settings-marked"].also == ["broken", "silent"]
    assert not [one for one in found.repositories if "\n" in one.why]
    assert by_name["says-new"].why == f"it records {NEW}, and the files are those of {OLD}"
    assert by_name["of-a-commit"].why.endswith(f"is of no release, and the newest is {NEW}")
    assert by_name["behind-asked"].requests[0]["branch"] == "fleet/update-template"
    assert by_name["current"].runtime["days"] > 0
    assert by_name["current"].deployed is None
    again = survey(fleet, _source(offline=True))
    assert [one.state for one in again.repositories] == [one.state for one in found.repositories]
    halves = [replace(found, repositories=found.repositories[part::2]) for part in (0, 1)]
    read = [read_survey(json.loads(json.dumps(half.document())), "half") for half in halves]
    assert merged(read) == found

    _asks_its_host(fleet, tmp_path)


def _asks_its_host(fleet: Fleet, folder: Path) -> None:
    """Hold a repository with a commit of yesterday to its last build, which is weeks ago."""
    with git_host("github", folder / "host") as host:
        orders = host.add("example/orders", Path(fleet.repositories[0].url))
        orders.builds[orders.tip("main")] = ["success"]
        orders.requests.append(Request(1, "fleet/update-template", "Update", ""))
        settings = Host("github", host.api, "T")
        asked = replace(
            fleet,
            repositories=(Repository("orders", host.url("example/orders")),),
            host=settings,
        )
        signs = Signs("github", api_of(settings, TOKEN, Http({})))
        found = survey(asked, _source(environ={**os.environ, "T": TOKEN}, host=signs))
        (one,) = found.repositories
        assert (one.state, one.why) == ("silent", "the newest build is 24 days old")
        assert (one.commit["days"], one.sign_of_life) == (1, 1)
        assert [request["days"] for request in one.requests] == [24]
        assert one.unknown == []
        host.server.faults.append(Fault("GET", answer=Answer(404)))
        git_only = _source(environ={**os.environ, "T": TOKEN}, host=signs, offline=True)
        (one,) = survey(asked, git_only).repositories
        assert (one.state, one.build) == ("current", None)
        assert one.unknown[0].startswith("builds: status 404")
        assert len(one.requests) == 1


@pytest.mark.slow
def test_two_hundred_are_what_they_were_made(template: Path, tmp_path: Path) -> None:
    """200 of 200 are in the state that they were made in, and doctor finds the same in each."""
    fleet, found = _judged(template, tmp_path, 200)
    addresses = {one.name: one for one in fleet.repositories}
    looked = [one for one in found.repositories if one.recorded and one.recorded == one.release]
    for one in looked[::4]:
        checkout = tmp_path / "checkouts" / one.name
        git(tmp_path, "clone", "--quiet", addresses[one.name].url, str(checkout))
        root = checkout / addresses[one.name].folder
        by_doctor = [*doctor.conflicts(root), *doctor.ours(root, found.at[:10])]
        by_doctor += doctor.answered(root)
        ours = {(finding["kind"], finding["path"]) for finding in one.findings}
        theirs = {(finding.kind, finding.path) for finding in by_doctor}
        # Who edits the MANIFEST as well hides it from doctor offline, and not from the release.
        is_hidden = one.name.startswith("hidden-") and not theirs
        assert one.state == "broken" or ours == theirs or is_hidden, one.name
