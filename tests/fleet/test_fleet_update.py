"""`fleet.update`: each repository gets what its state asks for, ring by ring, and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_stack

import pytest
from pipeline.core.errors import PipelineError, UsageError
from pipeline.edge.http import Http

from maintain import verbs
from maintain.fleet.config import Fleet, Repository
from maintain.fleet.config import Host as Settings
from maintain.fleet.hosts import host_of, marked
from maintain.fleet.update import Fleetwide, Report, run_update
from maintain.fleet.updating import BRANCH, EMAIL, Release, release_of, sandboxed
from maintain.manifest import write_manifest
from tests.generated.repository import RUNTIME
from tests.repositories import commit_all, copy_template, git
from tests.standins.git_hosts import TOKEN, GitHost, git_host
from tests.standins.loopback import Answer, Asked
from tests.tools import tool
from tests.verbs import run_verb

_OLD, _NEW = "v999.0.0", "v999.1.0"
_TEMPLATE = "https://git.example.invalid/copier-lambda.git"
# What a release has of its own for an update, as little as will do.
_UPDATE = """
import json, pathlib, sys

# It is given --no-build.
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
root, to = pathlib.Path(given["--root"]), given["--to"]
answers, notes = root / ".copier-answers.yml", root / "notes.txt"
old = answers.read_text().split()[1]
answers.write_text(answers.read_text().replace(old, to))
(root / ".git/message").write_text(f"Update the template from {old} to {to}\\n\\nNew lamps.\\n")
said = {"replaced": [], "saved": [], "patch": "", "message": ".git/message", "conflicts": []}
if notes.exists():
    notes.write_text("<<<<<<< ours\\n=======\\n>>>>>>> theirs\\n")
    said["conflicts"] = [notes.name]
print(json.dumps(said))
sys.exit(4 if said["conflicts"] else 0)
"""
_EVIL = """
import os, pathlib
pathlib.Path({seen!r}).write_text(repr(dict(os.environ)))
"""


@dataclass
class World:
    """A host, a template with two releases, and the fleet's repositories there."""

    host: GitHost
    release: Release
    folder: Path
    template: str = _TEMPLATE
    repositories: list[Repository] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, name: str, source: Path, ring: str = "all") -> None:
        """Add a repository to the host and to the fleet."""
        self.host.add(f"example/{name}", source)
        self.repositories.append(Repository(name, self.host.url(f"example/{name}"), ring))

    def run(
        self, ring: str = "", only: tuple[str, ...] = (), *, dry_run: bool = False,
        build: bool = False,
    ) -> Report:  # fmt: skip
        """Run the update."""
        settings = Settings(self.host.kind, self.host.api, "FLEET_TOKEN")
        clock = {"now": lambda: 0.0, "sleep": lambda _: None}
        fleet = Fleet(self.template, tuple(self.repositories), settings, self.folder / "mirrors",
                      parallel=2)  # fmt: skip
        run = Fleetwide(
            fleet, self.release, host_of(settings, TOKEN, Http({}), **clock),
            {**os.environ, "FLEET_TOKEN": TOKEN}, dry_run=dry_run, build=build,
            tell=self.lines.append,
        )  # fmt: skip
        return run_update(run, ring=ring, only=only)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Return a world whose template has no more than an update needs; GitHub is its host."""
    template = tmp_path / "template"
    scripts = template / "template" / "scripts"
    scripts.mkdir(parents=True)
    git(template, "init", "--quiet")
    (scripts / "update.py").write_text(_UPDATE, encoding="utf-8")
    (scripts / "bootstrap.py").write_text("environment = print\n", encoding="utf-8")
    commit_all(template, "Release")
    for name in (_OLD, _NEW, "v999.2.0"):
        git(template, "tag", name)
    with git_host(getattr(request, "param", "github"), tmp_path / "host") as host:
        yield World(host, Release(_NEW, template), tmp_path)


def _current(folder: Path, name: str, release: str = _NEW, template: str = _TEMPLATE) -> Path:
    """Return a repository that says which release it has."""
    repository = folder / "sources" / name
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet")
    answers = f"_commit: {release}\n_src_path: {template}\nworkload: {name}\n"
    (repository / ".copier-answers.yml").write_text(answers, encoding="utf-8")
    commit_all(repository, "Begin")
    return repository


def _states(report: Report) -> dict[str, str]:
    return {one.name: one.state for one in report.outcomes}


@pytest.mark.parametrize(
    ("builds", "begun", "why"),
    [
        (["success"], True, ""),
        (["failure"], False, "red"),
        (["running"], False, "not done"),
        ([], False, "no build"),
    ],
)
def test_a_ring_begins_when_the_one_before_builds(
    world: World, builds: list[str], begun: bool, why: str
) -> None:
    """Red stops, and so does what is not done, and what nobody ever built."""
    world.add("first", _current(world.folder, "first"), "canary")
    world.add("second", _current(world.folder, "second"), "all")
    first = world.host.repositories["example/first"]
    first.builds[first.tip("main")] = builds
    report = world.run()
    assert ("second" in _states(report), bool(report.stopped)) == (begun, not begun)
    assert why in report.stopped
    assert "first" in report.stopped or begun
    assert report.code == (1 if why == "red" else 0)
    dry = world.run(dry_run=True)
    assert (len(dry.outcomes), dry.stopped) == (2, report.stopped)
    # Part of a fleet, as one of several machines has it, waits for the whole ring.
    part = world.run("all", only=("second",))
    assert (_states(part), part.stopped) == ({"second": "current"} if begun else {}, report.stopped)
    # Who is asked for by name alone is updated whatever the rings are at.
    assert _states(world.run(only=("second",))) == {"second": "current"}


def test_one_ring_is_the_last_one(world: World) -> None:
    """`--ring canary` never looks at the others; an unknown one is refused."""
    world.host.built = ("success",)
    for name in ("canary", "early", "all"):
        world.add(name, _current(world.folder, name), name)
    assert [*_states(world.run("canary"))] == ["canary"]
    assert [*_states(world.run("early"))] == ["canary", "early"]
    with pytest.raises(UsageError):
        world.run("late")


def test_a_bad_repository_is_named_and_does_not_stop_the_rest(world: World) -> None:
    """No answers, another template, a release nobody knows, no remote, a link to elsewhere."""
    world.host.built = ("success",)
    world.add("good", _current(world.folder, "good"), "canary")
    bare = world.folder / "sources" / "bare"
    git(world.folder, "init", "--quiet", str(bare))
    commit_all(bare, "Nothing of the template's")
    world.add("bare", bare, "canary")
    foreign = _current(world.folder, "foreign")
    text = (foreign / ".copier-answers.yml").read_text(encoding="utf-8")
    (foreign / ".copier-answers.yml").write_text(text.replace("copier-lambda", "evil"), "utf-8")
    commit_all(foreign, "From elsewhere")
    world.add("foreign", foreign, "canary")
    world.add("unknown", _current(world.folder, "unknown", "v1.2.3"), "canary")
    linking = _current(world.folder, "linking", _OLD)
    (linking / "scripts").symlink_to(world.folder)
    commit_all(linking, "Let others write elsewhere")
    world.add("linking", linking, "canary")
    # Git's settings name programs, and the git that pushes reads them.
    setting = _current(world.folder, "setting", _OLD)
    (setting / "tasks.py").symlink_to(".git/config")
    commit_all(setting, "Let others write settings")
    world.add("setting", setting, "canary")
    # What has the same name on the fleet's host is another repository.
    elsewhere = world.folder / "sources" / "good"
    world.repositories.append(Repository("elsewhere", str(elsewhere), "canary"))
    world.repositories.append(Repository("gone", world.host.url("example/gone"), "canary"))
    listed = Repository("other", world.host.url("example/bare"), "canary", is_listed=False)
    world.repositories.append(listed)
    world.add("newer", _current(world.folder, "newer", "v999.2.0"), "all")
    report = world.run()
    assert report.stopped == ""
    assert _states(report) == {
        "good": "current", "bare": "broken", "foreign": "broken", "unknown": "broken",
        "linking": "broken", "setting": "broken", "elsewhere": "broken", "gone": "broken",
        "other": "skipped", "newer": "current",
    }  # fmt: skip
    assert (report.code, world.host.writes()) == (1, [])


def test_a_ctrl_c_lets_nothing_more_begin(world: World) -> None:
    """Only what was at work comes to its end: the rest is neither pushed nor asked about."""
    names = [*"abcdefgh"]
    for name in names:
        world.add(name, _current(world.folder, name), "canary")
    world.repositories.append(Repository("gone", world.host.url("example/gone"), "canary"))
    main = threading.main_thread().ident or 0

    def hold(asked: Asked) -> None:
        """Answer once the run waits for those at work to end."""
        while asked.path.startswith("/api/"):
            if "shutdown" in [one.name for one in extract_stack(sys._current_frames()[main])]:
                break
            time.sleep(0.01)

    class Stopped(list[str]):
        def append(self, line: str) -> None:
            if "gone" in line:
                raise KeyboardInterrupt

    world.host.before, world.lines = hold, Stopped()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    paths = [one.path for one in world.host.server.asked]
    begun = [name for name in names if any(f"/api/v3/repos/example/{name}/" in p for p in paths)]
    assert len(begun) <= 2


@pytest.mark.parametrize("verb", ["fleet.status", "fleet.update"])
def test_a_ctrl_c_ends_the_wait_for_a_limit(world: World, verb: str) -> None:
    """In whichever thread it is, and the host is not asked again; the next run goes on."""
    world.host.add("example/copier-lambda", world.folder / "template")
    address = world.host.url("example/copier-lambda")
    world.add("orders", _current(world.folder, "orders", _OLD, address))
    host_is = f'kind = "github"\napi = "{world.host.api}"\ntoken = "FLEET_TOKEN"'
    rows = f'[[repository]]\nurl = "{world.repositories[0].url}"'
    text = f'[fleet]\ntemplate = "{address}"\n[host]\n{host_is}\n{rows}\n'
    (world.folder / "fleet.toml").write_text(text, encoding="utf-8")

    def busy(asked: Asked) -> Answer | None:
        if not asked.path.startswith("/api/"):
            return None
        os.kill(os.getpid(), signal.SIGINT)
        return Answer(429, b"{}", {"Retry-After": "60"})

    def run(before: Callable[[Asked], object]) -> tuple[int, int]:
        world.host.before = before
        done = run_verb(
            world.folder, verb, environ={**os.environ, "FLEET_TOKEN": TOKEN}, verbs=verbs.namespace
        )
        asked = [one for one in world.host.server.asked if one.path.startswith("/api/")]
        return done.returncode, len(asked)

    assert run(busy) == (130, 1)
    assert run(lambda _: None)[0] != 130


@pytest.mark.parametrize("world", ["gitlab"], indirect=True)
def test_a_whole_run_at_gitlab(world: World) -> None:
    """A merge request, an issue, a ring that waits for a pipeline, and nothing twice."""
    world.add("orders", _current(world.folder, "orders", _OLD), "canary")
    both = _current(world.folder, "both", _OLD)
    (both / "notes.txt").write_text("The team's.\n", encoding="utf-8")
    commit_all(both, "Notes")
    world.add("both", both)
    world.add("current", _current(world.folder, "current"))
    orders, conflicted = (world.host.repositories[f"example/{name}"] for name in ("orders", "both"))

    report = world.run()
    assert (_states(report), "no build" in report.stopped) == ({"orders": "opened"}, True)
    (request,) = orders.requests
    assert (request.branch, request.title) == (BRANCH, f"Update the template from {_OLD} to {_NEW}")
    assert "New lamps." in request.body
    assert _NEW in git(orders.path, "show", f"{BRANCH}:.copier-answers.yml")

    orders.builds[orders.tip(BRANCH)] = ["running"]
    assert "not done" in world.run().stopped
    orders.builds[orders.tip(BRANCH)] = ["success"]
    expected = {"orders": "stands", "both": "conflict", "current": "current"}
    report = world.run()
    assert (_states(report), report.stopped, report.code) == (expected, "", 4)
    (issue,) = conflicted.issues
    assert "notes.txt" in issue.body
    assert (conflicted.tip(BRANCH), conflicted.requests) == ("", [])

    before = world.host.writes(), world.host.pushes()
    assert _states(world.run()) == expected
    assert (world.host.writes(), world.host.pushes()) == before
    request.state = "closed"
    assert _states(world.run(only=("orders",))) == {"orders": "declined"}
    assert (world.host.writes(), world.host.pushes()) == before


def _sandbox(scratch: Path) -> None:
    """Go on where a sandbox can be made; where namespaces are forbidden, nothing is run."""
    tool("bwrap", "bubblewrap")
    words = ("bwrap", "--unshare-pid", "--ro-bind", "/", "/", "true")
    if subprocess.run(words, capture_output=True, check=False).returncode:
        with pytest.raises(PipelineError) as caught:
            sandboxed(["touch", scratch / "ran"], scratch, scratch, (), {}, {})
        assert caught.value.where == "--build"
        assert not (scratch / "ran").exists()
        pytest.xfail("this machine forbids namespaces")


def test_what_runs_in_the_sandbox_sees_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in its environment nor in another process's, nor in the user's home.

    It has one place to write.
    """
    _sandbox(tmp_path)
    monkeypatch.setenv("FLEET_TOKEN", TOKEN)
    home = Path.home()
    (home / ".netrc").write_text(f"machine git.example.invalid password {TOKEN}\n", "utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    probe = scratch / "probe.py"
    probe.write_text(
        "import glob, os, pathlib\n"
        f"names = [*glob.glob('/proc/*/environ'), *glob.glob({str(home)!r} + '/.*')]\n"
        "for name in names:\n"
        "    try:\n"
        "        print(name, pathlib.Path(name).read_bytes())\n"
        "    except OSError:\n"
        "        pass\n"
        "pathlib.Path('written').write_text('yes')\n"
        f"for name in ({str(tmp_path / 'outside')!r}, {str(home / 'inside')!r}):\n"
        "    try:\n"
        "        pathlib.Path(name).write_text('yes')\n"
        "    except OSError as error:\n"
        "        print(error)\n",
        encoding="utf-8",
    )
    # Another process of the same user's, as the fleet's own one is, that has it.
    with subprocess.Popen(["sleep", "60"], env={**os.environ}) as other:
        done = sandboxed([sys.executable, probe], scratch, scratch, (), {}, {"NAMED": "a variable"})
        told = Path(f"/proc/{other.pid}/environ").read_bytes()
        other.terminate()
    assert TOKEN.encode() in told
    assert done.code == 0, done.stderr
    assert "NAMED=a variable" in done.stdout
    assert TOKEN not in done.stdout
    assert (scratch / "written").is_file()
    assert not (tmp_path / "outside").exists()
    assert not (home / "inside").exists()


# One run of everything, and a second one: each update takes seconds.


@pytest.fixture
def whole(template_clone: Path, tmp_path: Path) -> Iterator[World]:
    """Return a world with the real template, and a fleet with a repository of each state."""
    template = tmp_path / "copier-lambda"
    git(tmp_path, "clone", "--quiet", str(template_clone), str(template))
    answers = {"function_kind": "empty", "runtime": RUNTIME, "architecture": "arm64"}
    made = copy_template(template, tmp_path / "made", answers)
    changelog = template / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    said = f"## {_NEW[1:]} - 2026-12-01\n\n- Lamps are green now.\n\n## "
    changelog.write_text(text.replace("## ", said, 1), encoding="utf-8")
    for name in ("template/scripts/deploy.py", "template/.editorconfig"):
        _edit(template / name, r"\Z", "# new\n")
    _edit(template / "template/tasks.py", "# Room for your own", "# Room for your")
    write_manifest(template)
    commit_all(template, "Release")
    git(template, "tag", _NEW)
    release = release_of(template, "", tmp_path, os.environ)
    assert release.name == _NEW
    with git_host("github", tmp_path / "host") as host:
        host.add("example/copier-lambda", template)
        address = host.url("example/copier-lambda")
        _edit(made / ".copier-answers.yml", r"(?m)^_src_path: .*", f"_src_path: {address}")
        git(made, "init", "--quiet")
        commit_all(made, "Begin")
        yield World(host, release, made, address)


def _edit(path: Path, pattern: str, text: str) -> None:
    old = path.read_text(encoding="utf-8")
    new = re.sub(pattern, lambda _: text, old, count=1)
    assert new != old
    path.write_text(new, encoding="utf-8")


def _with(world: World, name: str, change: Callable[[Path], object], ring: str = "all") -> None:
    """Add a repository that a team has changed."""
    repository = world.folder.parent / "sources" / name
    shutil.copytree(world.folder, repository)
    change(repository)
    commit_all(repository, "The team's work")
    world.add(name, repository, ring)


def _nothing(_: Path) -> None:
    pass


@pytest.mark.slow
def test_each_state_gets_what_it_needs(whole: World, tmp_path: Path) -> None:
    """A request, an issue, or nothing; and a second run does nothing a second time."""
    seen = tmp_path / "seen"

    def evil(repository: Path) -> None:
        """Put code wherever a tool might run it."""
        for name in ("update.py", "bootstrap.py", "hooks_build.py", "doctor.py"):
            (repository / "scripts" / name).write_text(_EVIL.format(seen=str(seen)), "utf-8")
        # A tool that Python starts in that folder by a module's name would import these.
        for name in ("copier.py", "yaml.py", "sitecustomize.py"):
            (repository / name).write_text(_EVIL.format(seen=str(seen)), "utf-8")
        (repository / "hooks").mkdir()
        for name in ("pre-push", "pre-commit", "post-checkout", "post-commit"):
            hook = repository / "hooks" / name
            hook.write_text(f"#!/bin/sh\nenv > '{seen}'\n", encoding="utf-8")
            hook.chmod(0o755)
        (repository / ".gitattributes").write_text("* filter=evil\n", encoding="utf-8")

    def conflicting(repository: Path) -> None:
        _edit(repository / "tasks.py", "# Room for your own", "# Room for OUR own")

    def merged_badly(repository: Path) -> None:
        lines = "<<<<<<< ours\n1\n=======\n2\n>>>>>>> theirs\n"
        (repository / "notes.txt").write_text(lines, encoding="utf-8")

    _with(whole, "behind", _nothing, "canary")
    _with(whole, "changed", evil)
    _with(whole, "conflicted", conflicting)
    _with(whole, "merged-badly", merged_badly)
    _with(whole, "asked", _nothing)
    _with(whole, "raced", _nothing)
    _with(whole, "declined", _nothing)
    _with(whole, "foreign", _nothing)
    _with(whole, "broken", lambda folder: (folder / ".copier-answers.yml").unlink())
    hosts = whole.host.repositories
    settings = Settings("github", whole.host.api, "FLEET_TOKEN")
    host = host_of(settings, TOKEN, Http({}), now=lambda: 0.0, sleep=lambda _: None)
    for name in ("declined", "foreign"):
        bare = hosts[f"example/{name}"].path
        git(bare, "branch", BRANCH, "main")
        text = marked("", _NEW, "abc1")
        host.open_request(f"example/{name}", BRANCH, "main", "Update", text)
    hosts["example/declined"].requests[0].state = "closed"
    theirs = tmp_path / "theirs"
    git(tmp_path, "clone", "--quiet", str(hosts["example/foreign"].path), "theirs")
    git(theirs, "checkout", "--quiet", BRANCH)
    commit_all(theirs, "Somebody's work on the update")
    git(theirs, "push", "--quiet", "origin", BRANCH)
    tip = hosts["example/foreign"].tip(BRANCH)
    # An earlier run has asked one for an older release.
    older = tmp_path / "older"
    git(tmp_path, "clone", "--quiet", str(hosts["example/asked"].path), "older")
    git(older, "checkout", "--quiet", "-b", BRANCH)
    git(older, "config", "user.email", EMAIL)
    commit_all(older, "Update\n\nTemplate-Release: v998.9.0")
    git(older, "push", "--quiet", "origin", BRANCH)
    host.open_request("example/asked", BRANCH, "main", "Old", marked("", "v998.9.0", "abc1"))

    def race(asked: Asked) -> None:
        """Push somebody's commit to a branch, after it was looked at."""
        bare = hosts["example/raced"]
        if asked.path.startswith("/api/v3/repos/example/raced/issues") and not bare.tip(BRANCH):
            git(bare.path, "branch", BRANCH, "main")

    whole.host.before = race

    # The first ring has no build yet, so nothing else is begun.
    before = len(whole.host.writes())
    dry = whole.run("canary", dry_run=True)
    assert _states(dry) == {"behind": "opened"}
    assert "would be opened" in whole.lines[-1]
    assert "Lamps are green now" in dry.outcomes[0].text
    assert (len(whole.host.writes()), whole.host.pushes()) == (before, 0)
    report = whole.run()
    assert (_states(report), "behind" in report.stopped) == ({"behind": "opened"}, True)
    behind = hosts["example/behind"]
    commit = behind.tip(BRANCH)
    (request,) = behind.requests
    assert request.title == f"Update the template from {_OLD} to {_NEW}"
    for words in ("Lamps are green now", "scripts/deploy.py", "the deploy half", ".editorconfig"):
        assert words in request.body
    assert git(behind.path, "log", "-1", "--format=%ce %P", BRANCH).split() == [
        EMAIL, behind.tip("main"),
    ]  # fmt: skip
    assert _NEW in git(behind.path, "show", f"{BRANCH}:.copier-answers.yml")

    # It builds now: all the others. Nothing of a repository's has run.
    behind.builds[commit] = ["success"]
    report = whole.run()
    assert report.stopped == ""
    assert _states(report) == {
        "behind": "stands", "changed": "opened", "conflicted": "conflict",
        "merged-badly": "conflict", "asked": "changed", "raced": "foreign",
        "declined": "declined", "foreign": "foreign", "broken": "broken",
    }, whole.lines  # fmt: skip
    assert not seen.exists(), seen.read_text(encoding="utf-8")
    assert hosts["example/foreign"].tip(BRANCH) == tip
    (renewed,) = hosts["example/asked"].requests
    assert (renewed.title, _NEW in renewed.body) == (request.title, True)
    there = hosts["example/asked"]
    assert git(there.path, "rev-parse", f"{BRANCH}^").strip() == there.tip("main")
    assert hosts["example/raced"].tip(BRANCH) == hosts["example/raced"].tip("main")
    (asked,) = hosts["example/changed"].requests
    assert "`scripts/update.py`" in asked.body
    update = git(hosts["example/changed"].path, "show", f"{BRANCH}:scripts/update.py")
    assert update == (whole.release.clone / "template/scripts/update.py").read_text("utf-8")
    for name in ("conflicted", "merged-badly"):
        one = hosts[f"example/{name}"]
        assert (one.requests, one.tip(BRANCH)) == ([], "")
    assert "tasks.py" in hosts["example/conflicted"].issues[0].body
    assert "OUR own" in hosts["example/conflicted"].issues[0].body
    assert "notes.txt" in hosts["example/merged-badly"].issues[0].body

    # Again: the same requests, the same commits, and one issue each.
    writes, pushes = len(whole.host.writes()), whole.host.pushes()
    hosts["example/conflicted"].issues[0].state = "closed"
    again = whole.run(only=tuple(name for name in _states(report) if name != "raced"))
    expected = {**_states(report), "changed": "stands", "asked": "stands", "conflicted": "declined"}
    del expected["raced"]
    assert _states(again) == expected
    assert (len(whole.host.writes()), whole.host.pushes()) == (writes, pushes)
    assert TOKEN not in repr((whole.lines, report))

    # As its users type it, from a file.
    rows = "".join(f"""
        [[repository]]
        name = "{one.name}"
        url = "{one.url}"
        ring = "{one.ring}"
    """ for one in whole.repositories)  # fmt: skip
    host_is = f'kind = "github"\napi = "{whole.host.api}"\ntoken = "FLEET_TOKEN"'
    text = f'[fleet]\ntemplate = "{whole.template}"\n[host]\n{host_is}\n{rows}'
    (tmp_path / "fleet.toml").write_text(text, encoding="utf-8")
    environ = {**os.environ, "FLEET_TOKEN": TOKEN}
    done = run_verb(
        tmp_path, "fleet.update", "--json", "--only", " ".join(_states(again)),
        environ=environ, verbs=verbs.namespace,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert {one["name"]: one["state"] for one in json.loads(done.stdout)["outcomes"]} == _states(
        again
    )
    assert (len(whole.host.writes()), whole.host.pushes()) == (writes, pushes)


_HOOKS = """
import glob, os, pathlib, time

def before_build(stage):
    texts = [repr(dict(os.environ)).encode()]
    for name in glob.glob("/proc/*/environ"):
        try:
            texts.append(pathlib.Path(name).read_bytes())
        except OSError:
            pass
    seen = any(b"token-of-the-fleet" in text for text in texts)
    for folder in pathlib.Path("src").iterdir():
        if folder.is_dir():
            (folder / f"seen_{seen}.txt").write_text(str(time.time()))
"""


@pytest.mark.slow
def test_a_build_is_in_the_sandbox_and_its_package_in_the_text(
    whole: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What really differs is told; the build's own code ran, and saw no token."""
    _sandbox(tmp_path)
    monkeypatch.setenv("FLEET_TOKEN", TOKEN)

    def with_hooks(repository: Path) -> None:
        (repository / "scripts/hooks_build.py").write_text(_HOOKS, encoding="utf-8")
        with (repository / ".gitignore").open("a", encoding="utf-8") as file:
            file.write("seen_*.txt\n")

    _with(whole, "built", with_hooks)
    report = whole.run(build=True)
    assert _states(report) == {"built": "opened"}, whole.lines
    repository = whole.host.repositories["example/built"]
    (request,) = repository.requests
    assert "By two builds" in request.body
    assert re.search(r"function\.zip/.*seen_False\.txt", request.body), request.body
    assert "`deploy.py`" in request.body
    # What the build wrote is nowhere in the commit.
    assert "seen_" not in git(repository.path, "ls-tree", "-r", "--name-only", BRANCH)
