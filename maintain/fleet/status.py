"""Where each repository of the fleet stands: one state, and every fact that it follows from.

A survey is JSON all through, so that the shards of a large fleet can be merged, and shown, later.
What could not be found out is said as unknown, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import doctor
from pipeline.core.errors import PipelineError
from pipeline.core.text import counted, few
from pipeline.project.runtimes import RUNTIMES

from .clones import Gate, Mirror, each, forget, git_environment, mirror
from .config import Fleet, Repository
from .content import Content, Judge, text_at
from .objects import MissingObjectError, Objects, Trees, objects
from .releases import Releases, numbers_of
from .signs import Signs

# The worst first: a repository is the first of these that is true of it.
STATES = ("broken", "conflicted", "changed", "silent", "behind", "current")
MEANINGS = {
    "broken": "cannot be read, judged or updated",
    "conflicted": "a merge left markers or .rej files",
    "changed": "files of the template are not as its release has them",
    "silent": "no build has been seen for days",
    "behind": "there is a newer release",
    "current": "the newest release, as it should be",
}
# What somebody does about it who is responsible for the repository.
NEXT = {
    "broken": "correct what is said above, in the repository or in fleet.toml",
    "conflicted": "python3 tasks.py doctor names the files: keep what is right, and commit",
    "changed": "python3 tasks.py doctor --fix, or record what has to stay for a while",
    "silent": "start a build, and look at what should have: its schedule, its bot",
    "behind": "merge the open update; without one, fleet.update makes it",
    "current": "",
}
_COMMITTED = re.compile(rb"^committer .*> (\d+) ", re.MULTILINE)
_RECORDED = re.compile(rb"^_commit: *['\"]?([\w.+-]+)", re.MULTILINE)
_LATEST = 4_000_000_000  # seconds since 1970, as late as a commit is taken to be
_ENDS = {one.name: one.deprecated_on for one in RUNTIMES}
_SHOWN = 50  # findings of one repository that a survey keeps


@dataclass(frozen=True)
class Standing:
    """Where a repository stands, in JSON's types only.

    `state` is one of STATES, `why` says it in a line, `also` has the other states that are true.
    `recorded` is the release in the answers file, `release` the one whose files these are. `behind`
    counts the releases since. Times are texts in UTC; what is about a time has `days` beside it.
    `runtime` is empty, or has name, ends and days, the last two only for a known one. `commit` has
    at and days; `build` result and url as well, and is None where builds are unknown. `requests`
    have branch, at, days and url. `deployed` is a version by environment, None where unknown.
    `unknown` has a sentence for each thing that could not be found out.
    """

    name: str
    url: str
    ring: str
    owner: str
    state: str
    why: str
    also: list[str] = field(default_factory=list)
    recorded: str = ""
    release: str = ""
    behind: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)
    branch: str = ""
    commit: dict[str, Any] = field(default_factory=dict)
    build: dict[str, Any] | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    runtime: dict[str, Any] = field(default_factory=dict)
    octopus: list[str] = field(default_factory=list)
    deployed: dict[str, str] | None = None
    unknown: list[str] = field(default_factory=list)

    @property
    def sign_of_life(self) -> int | None:
        """Days since anything was heard of it; None where nothing ever was."""
        days = [one["days"] for one in (self.commit, self.build or {}) if "days" in one]
        return min(days, default=None)


@dataclass(frozen=True)
class Survey:
    """The fleet at one time. `left_out` names the repositories that are of no template."""

    at: str
    template: str
    newest: str
    days_until_silent: int
    repositories: list[Standing]
    left_out: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many repositories there are in each state, the worst first."""
        return {state: sum(one.state == state for one in self.repositories) for state in STATES}

    @property
    def exit_code(self) -> int:
        """0 where all are current, 4 with a conflict among them, else 3."""
        counts = self.counts
        return 4 if counts["conflicted"] else 3 * (counts["current"] < len(self.repositories))

    def document(self) -> dict[str, Any]:
        """Return it as JSON: each repository with its `sign_of_life` besides."""
        whole = {"kind": "fleet.status", "counts": self.counts, **asdict(self)}
        for one, document in zip(self.repositories, whole["repositories"], strict=True):
            document["sign_of_life"] = one.sign_of_life
        return whole

    def sorted(self) -> Survey:
        """Return it with the worst first, then by name."""
        order = sorted(self.repositories, key=lambda o: (STATES.index(o.state), o.name.lower()))
        return replace(self, repositories=order, left_out=sorted(self.left_out))


@dataclass(frozen=True)
class Source:
    """What a survey reads from besides fleet.toml: git's environment, a clock, perhaps a host."""

    environ: Mapping[str, str]
    now: datetime
    host: Signs | None = None
    gate: Gate = field(default_factory=Gate)
    offline: bool = False
    tell: Callable[[str], None] = lambda _: None


def survey(fleet: Fleet, source: Source) -> Survey:
    """Look at every repository. Raises PipelineError where the template itself cannot be read."""
    env = git_environment(fleet.host, source.environ)
    theirs = Repository("template", fleet.template)
    template = mirror(fleet.clones, theirs, env, source.gate, offline=source.offline)
    trees: Trees = {}
    found, left_out = [], []
    with objects(template.path, fleet.template, env, trees) as own:
        releases = Releases(own, template.tags)
        judge = Judge(fleet.template, releases, source.now.date().isoformat())
        look = partial(_look, fleet, source, judge, env, trees)
        try:
            for repository, one in each(fleet, look):
                if one is None:
                    left_out.append(repository.name)
                else:
                    found.append(one)
                source.tell(repository.name)
        except MissingObjectError:
            forget(template)
            raise
    at = source.now.astimezone(UTC).isoformat(timespec="seconds")
    made = Survey(at, fleet.template, releases.newest, fleet.days_until_silent, found, left_out)
    return made.sorted()


def merged(surveys: Iterable[Survey]) -> Survey:
    """Return the shards of one fleet as a whole; of a repository in two, the later one counts."""
    shards = sorted(surveys, key=lambda one: one.at)
    if len({one.template for one in shards}) > 1:
        what = f"they are of two fleets: {few(sorted({one.template for one in shards}))}"
        raise PipelineError("fleet.merge", what, "Name the results of one fleet's shards.")
    newest = max((one.newest for one in shards), key=numbers_of)
    found = {one.name: one for shard in shards for one in shard.repositories}
    left_out = {name for shard in shards for name in shard.left_out} - found.keys()
    whole = replace(shards[-1], newest=newest, repositories=[*found.values()])
    return replace(whole, left_out=[*left_out]).sorted()


def read_survey(document: Any, where: str) -> Survey:
    """Return a survey from the JSON that `document` made of it."""
    try:
        values = {name: document[name] for name in Survey.__dataclass_fields__}
        standings = [
            Standing(**{name: value for name, value in one.items() if name != "sign_of_life"})
            for one in values.pop("repositories")
        ]
        if document["kind"] != "fleet.status" or {one.state for one in standings} - {*STATES}:
            raise ValueError  # noqa: TRY301 - all that is strange ends the same way
        return Survey(repositories=standings, **values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        then = "Write it with `python3 tasks.py fleet.status --json`, of this version."
        raise PipelineError(where, "it is no result of fleet.status", then) from error


def _look(
    fleet: Fleet, source: Source, judge: Judge, env: Mapping[str, str], trees: Trees,
    repository: Repository,
) -> Standing | None:  # fmt: skip
    """Return where a repository stands; None for one that is of no template.

    It raises for the template's own mirror only, not for anything of the repository's.
    """
    try:
        for _ in range(2):
            one = mirror(fleet.clones, repository, env, source.gate, offline=source.offline)
            try:
                with objects(one.path, repository.name, env, trees) as found:
                    return _standing(fleet, source, judge, one, found)
            except MissingObjectError as error:
                if error.where == fleet.template:
                    raise
                forget(one)
        what = "its mirror is damaged, made anew as well"
        raise PipelineError(repository.name, what)  # noqa: TRY301 - as its every other failure
    except MissingObjectError:
        raise
    except PipelineError as error:
        why = error.what if error.where == repository.name else f"{error.where}: {error.what}"
    except Exception as error:  # noqa: BLE001 - whatever somebody put into it: the rest goes on
        why = f"it cannot be judged: {error!r}"
    return _bare(repository, "broken", why)


def _bare(repository: Repository, state: str, why: str) -> Standing:
    url, why = doctor.hidden(repository.url), " ".join(why.split())
    return Standing(repository.name, url, repository.ring, repository.owner, state, why)


def _standing(
    fleet: Fleet, source: Source, judge: Judge, one: Mirror, found: Objects
) -> Standing | None:
    repository, now = one.repository, source.now
    content = judge.judge(found, one.commit, repository.folder) if one.commit else Content(
        broken="its default branch has no commit", is_of_template=repository.is_listed
    )  # fmt: skip
    if not content.is_of_template and not repository.is_listed:
        return None
    unknown = list[str]()
    commit = _since(_committed(found, one.commit), now) if one.commit else {}
    build, requests = _from_host(fleet, source, one, unknown)
    if requests is None:
        requests = _from_branches(fleet, one, found, content, now)
    silent = _silent(fleet.days_until_silent, commit, build)
    behind = judge.releases.behind(content.release) if content.release else 0
    conflicts = [finding.path for finding in content.findings if finding.kind == "conflict"]
    others = [finding for finding in content.findings if finding.kind != "conflict"]
    newest, far = judge.releases.newest, f"{counted(behind, 'release')} behind"
    if not numbers_of(content.release):
        far = f"{content.release} is of no release, and the newest is"
    reasons = {
        "broken": content.broken,
        "conflicted": f"a merge is not finished in {few(conflicts)}" if conflicts else "",
        "changed": _in_words(others),
        "silent": silent,
        "behind": f"{far} {newest}" if behind else "",
        "current": content.release,
    }
    # Markers in the answers file or the settings are why these cannot be read.
    order = ("conflicted", *STATES) if content.is_conflicted else STATES
    true = [state for state in dict.fromkeys(order) if reasons[state]]
    state = true[0]
    return replace(
        _bare(repository, state, reasons[state]),
        also=[other for other in true[1:] if other != "current"],
        recorded=content.recorded,
        release=content.release,
        behind=behind,
        findings=[one._asdict() for one in content.findings[:_SHOWN]],
        branch=one.branch,
        commit=commit,
        build=build,
        requests=requests,
        runtime=_runtime(text_at(content.settings, "function", "runtime"), now.date()),
        octopus=[text_at(content.settings, "octopus", key) for key in ("space", "project")],
        unknown=unknown,
    )


def _from_host(
    fleet: Fleet, source: Source, one: Mirror, unknown: list[str]
) -> tuple[dict[str, Any] | None, list[dict[str, Any]] | None]:
    """Return the newest build, {} for none, and the open requests; None for what is unknown."""
    host, repository, now = source.host, one.repository, source.now
    if host is None or not fleet.host.has(repository):
        token = f"{fleet.host.token} is not set" if fleet.host.token else "no token is named"
        why = "the host has no API" if fleet.host.kind == "none" else token
        why = "--offline asks no host" if source.offline else why
        unknown.append(f"builds: {why if host is None else f'it is not at {fleet.host.web}'}")
        return None, None
    build: dict[str, Any] | None = None
    requests: list[dict[str, Any]] | None = None
    try:
        newest = host.newest_build(repository, one.commit, one.branch) if one.commit else None
        build = {}
        if newest:
            build = _since(newest.at, now) | {"result": newest.result, "url": newest.url}
    except PipelineError as error:
        unknown.append(f"builds: {error.what}")
    try:
        requests = [
            _since(request.since, now) | {"branch": request.branch, "url": request.url}
            for request in host.open_requests(repository, fleet.updates)
        ]
    except PipelineError as error:
        unknown.append(f"requests: {error.what}")
    return build, requests


def _from_branches(
    fleet: Fleet, one: Mirror, found: Objects, content: Content, now: datetime
) -> list[dict[str, Any]]:
    """Return the branches that updates come on and that bring a newer release than is there."""
    requests = []
    for branch, commit in one.heads.items():
        if branch != one.branch and any(fnmatchcase(branch, glob) for glob in fleet.updates):
            start = f"{one.repository.folder}/" if one.repository.folder else ""
            answers = found.find(f"{commit}:{start}{doctor.ANSWERS}")
            to = _RECORDED.search(answers[2]) if answers else None
            if to and numbers_of(to[1].decode()) > numbers_of(content.recorded):
                since = _since(_committed(found, commit), now)
                requests.append(since | {"branch": branch, "url": ""})
    return sorted(requests, key=lambda request: request["at"])


def _committed(found: Objects, commit: str) -> datetime:
    time = _COMMITTED.search(found.read(commit))
    return datetime.fromtimestamp(min(int(time[1]), _LATEST) if time else 0, UTC)


def _since(at: datetime, now: datetime) -> dict[str, Any]:
    """Return a time and the days since; a clock of somebody's that is ahead makes none."""
    days = max((now - at).days, 0)
    return {"at": at.astimezone(UTC).isoformat(timespec="seconds"), "days": days}


def _silent(most: int, commit: Mapping[str, Any], build: Mapping[str, Any] | None) -> str:
    """Return why a repository counts as silent; without known builds its commits have to do."""
    if build:
        return f"the newest build is {build['days']} days old" if build["days"] > most else ""
    if commit and commit["days"] > most:
        seen = "no build was ever seen" if build is not None else "builds are unknown"
        return f"{seen}, and the newest commit is {commit['days']} days old"
    return ""


def _in_words(findings: list[doctor.Finding]) -> str:
    kinds = dict.fromkeys(one.kind for one in findings)
    if kinds.keys() == {"answers"} and len(findings) == 1:
        return findings[0].what
    return "; ".join(
        f"{kind}: {few([one.path for one in findings if one.kind == kind])}" for kind in kinds
    )


def _runtime(name: str, today: date) -> dict[str, Any]:
    if not name:
        return {}
    ends = _ENDS.get(name)
    known = {"ends": ends.isoformat(), "days": (ends - today).days} if ends else {}
    return {"name": name, **known}
