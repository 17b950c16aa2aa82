"""`fleet.update`: bring the fleet to a release, ring by ring, by requests that its owners merge.

Nothing is kept of a run: what was done is read from the host's branches, requests and issues, so
that a run that was stopped goes on, and a second one does nothing twice.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError, UsageError

from . import texts, updating
from .clones import Gate, Mirror, git, git_environment, mirrors
from .config import RINGS, Fleet, Repository
from .hosts import GREEN, NONE, PENDING, RED, Host, Said
from .releases import numbers_of
from .updating import BRANCH, ForeignCommitError, Release, UnfitError, Updated

# What became of a repository. `failed` may be the release's fault, `broken` is not.
CURRENT, BEHIND, OPENED, CHANGED, STANDS = "current", "behind", "opened", "changed", "stands"
CONFLICT, DECLINED, FOREIGN = "conflict", "declined", "foreign"
BROKEN, FAILED, SKIPPED = "broken", "failed", "skipped"
_WORDS = {
    CURRENT: "has the release",
    BEHIND: "it has no request yet",
    OPENED: "a request is open",
    CHANGED: "the open request is brought up to date",
    STANDS: "the open request stands as it is",
    CONFLICT: "it conflicts: there is an issue",
    DECLINED: "its people have declined: the next release asks again",
    FOREIGN: "somebody works on the branch",
    BROKEN: "it cannot be updated",
    FAILED: "the update fails",
    SKIPPED: "it is not the template's",
}
_WOULD = {
    OPENED: "a request would be opened",
    CHANGED: "the open request would be brought up to date",
    CONFLICT: "it conflicts: an issue would say so",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a repository: `state` is one of the words above, `what` says more.

    `url` is the request's or the issue's, `build` green, red, pending, none, or empty where no
    commit was asked about. A `text` is what a dry run would have written.
    """

    name: str
    ring: str
    state: str
    what: str = ""
    then: str = ""
    url: str = ""
    build: str = ""
    old: str = ""
    text: str = ""


@dataclass(frozen=True)
class Fleetwide:
    """What a run needs: the fleet, the release, the host, and `environ` with the token in it.

    With `dry_run` nothing is pushed and nothing written at the host; with `build` each repository
    is built before and after, in a sandbox. `tell` gets a line per repository.
    """

    fleet: Fleet
    release: Release
    host: Host
    environ: Mapping[str, str]
    dry_run: bool = False
    build: bool = False
    gate: Gate | None = None
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Report:
    """The end of a run. `stopped` says why a ring kept the next ones from being begun."""

    release: str
    outcomes: tuple[Outcome, ...]
    stopped: str = ""
    dry_run: bool = False

    @property
    def code(self) -> int:
        """1 where something failed or a build is red, 4 where there are conflicts, else 0."""
        states = {one.state for one in self.outcomes}
        if states & {BROKEN, FAILED} or any(one.build == RED for one in self.outcomes):
            return 1
        return 4 if CONFLICT in states else 0

    def document(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def run_update(run: Fleetwide, *, ring: str = "", only: Sequence[str] = ()) -> Report:
    """Update ring after ring, each only when all before it build; `ring` is the last one.

    `only` names the repositories to work on. With a ring the others are looked at, for what they
    say of the release; without one the rings say nothing: somebody has chosen.
    """
    if ring and ring not in RINGS:
        raise UsageError("--ring", f"{ring!r} is no ring", f"They are {', '.join(RINGS)}.")
    chosen = run.fleet.only(tuple(only)).repositories
    names = {one.name for one in chosen}
    if only and not ring:
        return Report(run.release.name, tuple(_together(run, chosen, names)), "", run.dry_run)
    done: list[Outcome] = []
    rings = RINGS[: RINGS.index(ring or RINGS[-1]) + 1]
    stopped = ""
    for name in rings:
        of_ring = [one for one in run.fleet.repositories if one.ring == name]
        outcomes = _together(run, of_ring, names)
        done += [one for one in outcomes if one.name in names]
        if outcomes and name != rings[-1] and not stopped:
            stopped = _why_not_on(name, outcomes)
        # A dry run shows all of the fleet, and where a run would stop.
        if stopped and not run.dry_run:
            break
    return Report(run.release.name, tuple(done), stopped, run.dry_run)


def _why_not_on(ring: str, outcomes: Sequence[Outcome]) -> str:
    """Say why the next ring is not begun; nothing where this one proves the release."""
    found: dict[str, list[str]] = {}
    for one in outcomes:
        found.setdefault(FAILED if one.state == FAILED else one.build, []).append(one.name)
    for kind, what in (
        (RED, "the build is red of"),
        (FAILED, "the update fails of"),
        (PENDING, "a build is not done yet of"),
        (NONE, "no build was seen of"),
    ):
        if kind in found:
            return f"ring {ring}: {what} {', '.join(found[kind])}"
    return "" if GREEN in found else f"ring {ring}: nothing in it builds with the release"


def _together(run: Fleetwide, repositories: Sequence[Repository], names: set[str]) -> list[Outcome]:
    """Update those with these names and look at the others, several at once; keep the order."""
    chosen = replace(run.fleet, repositories=tuple(repositories))
    waiting: dict[str, Future[Outcome]] = {}
    found: dict[str, Outcome] = {}
    telling = threading.Lock()

    def one(mirror: Mirror) -> Outcome:
        outcome = _outcome(run, mirror, look=mirror.repository.name not in names)
        with telling:
            run.tell(line_of(outcome))
        return outcome

    # A name of its own, or it would end, and wait for fetches, before the rest is cancelled.
    coming = mirrors(chosen, run.environ, run.gate)
    with ThreadPoolExecutor(max(1, run.fleet.parallel)) as pool:
        try:
            for repository, mirror in coming:
                if isinstance(mirror, PipelineError):
                    found[repository.name] = _failed(repository, BROKEN, mirror)
                    run.tell(line_of(found[repository.name]))
                else:
                    waiting[repository.name] = pool.submit(one, mirror)
            found |= {name: future.result() for name, future in waiting.items()}
        finally:
            # After a Ctrl-C nothing more is begun, least of all pushed.
            for future in waiting.values():
                future.cancel()
    return [found[one.name] for one in repositories]


def _outcome(run: Fleetwide, mirror: Mirror, *, look: bool) -> Outcome:
    """Update one repository, or only look; whatever goes wrong with it is its outcome."""
    repository = mirror.repository
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        try:
            return _updated(run, mirror, Path(folder), look=look)
        except ForeignCommitError as error:
            return _failed(repository, FOREIGN, error)
        except UnfitError as error:
            # An organisation has others as well.
            return _failed(repository, BROKEN if repository.is_listed else SKIPPED, error)
        except PipelineError as error:
            return _failed(repository, FAILED, error)
        except Exception as error:  # noqa: BLE001 - a bug that one meets must not stop the rest
            what = f"{type(error).__name__}: {error}"
            bug = PipelineError(repository.name, what, "This is a bug of fleet.update: report it.")
            return _failed(repository, FAILED, bug)


def _updated(run: Fleetwide, mirror: Mirror, scratch: Path, *, look: bool) -> Outcome:
    repository, release, slug = mirror.repository, run.release.name, mirror.repository.slug
    if not run.fleet.host.has(repository):
        what = f"it is not at {run.fleet.host.web}, which takes this fleet's requests"
        raise UnfitError(repository.name, what, "List it in a fleet.toml that names its host.")
    old, source = updating.origin_of(mirror, run.release, run.fleet.template, scratch)
    outcome = Outcome(repository.name, repository.ring, CURRENT, old=old)
    if old == release or numbers_of(old) > numbers_of(release):
        what = f"has {old}" if old != release else ""
        outcome = replace(outcome, what=what)
        # Nothing waits for the last ring.
        is_last = repository.ring == RINGS[-1]
        return outcome if is_last else _built(run, outcome, slug, mirror.commit)
    asked = run.host.requests(slug, BRANCH)
    standing = next((one for one in asked if one.state == "open"), None)
    ended = next((one for one in asked if one.about[0] == release and one.state != "open"), None)
    if ended and not standing:
        what = f"the request is {ended.state}, and {mirror.branch} has {old}"
        return replace(outcome, state=DECLINED, what=what, url=ended.url)
    branch = updating.pushed(mirror, scratch)
    if standing and standing.about[0] == release and branch == (release, True):
        outcome = replace(outcome, state=STANDS, url=standing.url)
        return _built(run, outcome, slug, mirror.heads[BRANCH], standing.number)
    if look:
        return replace(outcome, state=BEHIND, build=NONE)
    issue = run.host.issue(slug)
    if issue and issue.about == (release, mirror.commit):
        return _standing(outcome, issue)
    done = updating.update(mirror, run.release, source, scratch)
    if not done.commit:
        return _conflict(run, outcome, mirror, done, issue)
    package = None
    if run.build:
        package = updating.proof(mirror, run.release, source, scratch / "proof")
    number = issue.number if issue and issue.state == "open" else 0
    text = texts.request_text(done, mirror.commit, release, package, number)
    outcome = replace(outcome, state=CHANGED if standing else OPENED)
    if run.dry_run:
        return replace(outcome, url=standing.url if standing else "", text=text)
    _push(run, mirror, done)
    title = texts.title(old, release)
    if standing:
        request = run.host.change_request(slug, standing.number, title, text)
    else:
        request = run.host.open_request(slug, BRANCH, mirror.branch, title, text)
    outcome = replace(outcome, url=request.url)
    return _built(run, outcome, slug, done.commit, request.number)


def _built(run: Fleetwide, one: Outcome, slug: str, commit: str, request: int = 0) -> Outcome:
    """Add what a commit builds; a build that cannot be read is none, and what was done stays."""
    try:
        return replace(one, build=run.host.builds(slug, commit, request))
    except PipelineError as error:
        return replace(one, build=NONE, what=f"its builds cannot be read: {error.what}")


def _conflict(
    run: Fleetwide, outcome: Outcome, mirror: Mirror, done: Updated, issue: Said | None
) -> Outcome:
    """Open an issue, or bring the one up to date that is open; a closed one says no."""
    release, slug = run.release.name, mirror.repository.slug
    text = texts.issue_text(done, mirror.repository.owner, outcome.old, mirror.commit, release)
    is_open = issue is not None and issue.state == "open"
    outcome = replace(outcome, state=CONFLICT, what=", ".join(done.conflicts))
    if issue and issue.about[0] == release and not is_open:
        return _standing(outcome, issue)
    if run.dry_run:
        return replace(outcome, url=issue.url if issue and is_open else "", text=text)
    title = texts.conflict_title(release)
    if issue and is_open:
        said = run.host.change_issue(slug, issue.number, title, text)
    else:
        said = run.host.open_issue(slug, title, text)
    return replace(outcome, url=said.url)


def _standing(outcome: Outcome, issue: Said) -> Outcome:
    if issue.state == "open":
        return replace(outcome, state=CONFLICT, url=issue.url)
    what = f"it conflicts, and the issue of that is closed: {outcome.what}".rstrip(": ")
    return replace(outcome, state=DECLINED, what=what, url=issue.url)


def _push(run: Fleetwide, mirror: Mirror, done: Updated) -> None:
    """Push the commit, unless somebody has pushed to the branch since it was looked at.

    Only this git knows the token; the clone it runs in has never run anything of the repository's.
    """
    seen = mirror.heads.get(BRANCH, "")
    if seen == done.commit:
        return
    lease = f"--force-with-lease=refs/heads/{BRANCH}:{seen}"
    words = ("push", "--quiet", "--no-verify", lease, "--", mirror.repository.url)
    env = git_environment(run.fleet.host, run.environ)
    try:
        git((*words, f"{done.commit}:refs/heads/{BRANCH}"), done.clone, env)
    except PipelineError as error:
        where, said = mirror.repository.name, error.then
        if "stale info" in said:
            then = "It is left as it is; run this again to see whose commit it is."
            raise ForeignCommitError(
                where, f"somebody pushed to {BRANCH} meanwhile", then
            ) from error
        then = "docs/fleet-update.md says which permissions its token needs."
        raise PipelineError(where, f"{BRANCH} cannot be pushed: {said}", then) from error


def _failed(repository: Repository, state: str, error: PipelineError) -> Outcome:
    what = error.what if error.where in ("", repository.name) else f"{error.where}: {error.what}"
    return Outcome(repository.name, repository.ring, state, what, error.then)


def line_of(one: Outcome) -> str:
    """Return what became of a repository as a line, and what to do then below it."""
    build = f" (build: {one.build})" if one.build else ""
    more = [" ".join(text.split()) for text in (one.what, one.url) if text]
    # Only a dry run keeps the text.
    words = _WOULD.get(one.state, "") if one.text else ""
    said = f"{words or _WORDS[one.state]}{build}{': ' if more else ''}{'; '.join(more)}"
    then = "".join(f"\n    {line}" for line in one.then.splitlines())
    return f"  {one.ring:6}  {one.name:24}  {said}{then}"
