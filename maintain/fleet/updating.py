"""The update of one repository, in a clone of its mirror that is thrown away.

Nothing of a repository runs: the update is the release's own `scripts/update.py`, without its
builds, and it knows neither the token nor the user's home. `proof` is the exception, in a sandbox.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import doctor
from pipeline.core.errors import PipelineError
from pipeline.edge.shell import Result, run, scrubbed

from .clones import Mirror, git
from .config import UPDATES, same_address
from .releases import numbers_of

BRANCH = f"{UPDATES}template"
EMAIL = "fleet-update@copier-lambda.invalid"  # of commits that a later run may replace
_NAME = "Template updates"
_TRAILER = "Template-Release"
_RELEASE = re.compile(r"v\d+\.\d+\.\d+\Z")
# Where packages come from.
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "NPM_CONFIG_REGISTRY")
_LONGEST_BUILD = 1800  # seconds for both builds
# Root's rights would undo the rest.
_SANDBOX = (
    "bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc",
    "--cap-drop", "ALL",
)  # fmt: skip
_TIMED_OUT = 124  # is how `timeout` says so
_CONFLICTS = 4
_TMP = "/tmp"  # noqa: S108 - a new one, in the sandbox
_ANY_CODE = tuple(range(256))


@dataclass(frozen=True)
class Release:
    """A release of the template: its name, and a clone of the template at it."""

    name: str
    clone: Path


@dataclass(frozen=True)
class Updated:
    """A repository's update: a commit in `clone`, and what `update` reported.

    `changed` are the files that it changes in the template's folder, `changes` is the changelog,
    `patch` what is new in files of the team's. With `conflicts` there is no commit, and `preview`
    shows them.
    """

    clone: Path
    commit: str = ""
    changed: tuple[str, ...] = ()
    changes: str = ""
    patch: str = ""
    replaced: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    preview: str = ""


def release_of(root: Path, name: str, folder: Path, environ: Mapping[str, str]) -> Release:
    """Clone the template from `root` into `folder`, at a release: the newest one by default."""
    env = _isolated(folder, environ)
    tags = git(("tag",), root, env).split()
    name = name or max(filter(_RELEASE.match, tags), key=numbers_of, default="")
    if name not in tags:
        what = f"the template has no release {name!r}" if name else "the template has no release"
        raise PipelineError("fleet.update", what, "Is its tag pushed?")
    clone = folder / "release"
    git(("clone", "--quiet", "--no-checkout", "--", str(root), str(clone)), folder, env)
    git(("checkout", "--quiet", "--detach", name, "--"), clone, env)
    if "--no-build" not in _text(clone / "template/scripts/update.py"):
        what = f"{name} is older than this verb: it cannot update without building"
        raise PipelineError("fleet.update", what, "Take a newer release.")
    # Copier's environment is made once, by the release, before many repositories want it.
    words = "import bootstrap, pathlib, sys; at = pathlib.Path(sys.argv[1])"
    run(
        [sys.executable, "-c", f"{words}; bootstrap.environment(at, at, 'update')", "template"],
        cwd=clone,
        env=scrubbed(environ, {**_indexes(environ), "PYTHONPATH": "template/scripts"}),
        where="fleet.update",
    )
    return Release(name, clone)


class UnfitError(PipelineError):
    """No release could update that repository: the release is not at fault."""


def origin_of(mirror: Mirror, release: Release, template: str, scratch: Path) -> tuple[str, str]:
    """Return the release that a mirror's default branch has, and the template's address there.

    `template` is what it should be. Raises UnfitError where no release could update it.
    """
    where, name = mirror.repository.name, doctor.ANSWERS
    if not mirror.commit:
        raise UnfitError(where, "it has no commit yet", "Push one, or take it out of the fleet.")
    env = _isolated(scratch, os.environ)
    path = Path(mirror.repository.folder, name).as_posix()
    try:
        text = git(("show", f"{mirror.commit}:{path}"), mirror.path, env)
    except PipelineError as error:
        then = "Was it made from the template, and is `folder` in fleet.toml right?"
        raise UnfitError(where, f"{mirror.branch} has no {path}", then) from error
    (scratch / name).write_text(text, encoding="utf-8")
    known = doctor.answers(scratch)
    old, source = str(known.get("_commit", "")), str(known.get("_src_path", ""))
    if not old or not source:
        what = f"{path} does not say which template this is from, and which release of it"
        raise UnfitError(where, what, "Bring it back from its history.")
    if same_address(doctor.git_address(source)) != same_address(template):
        what = f"it is from another template: {doctor.hidden(source)}"
        raise UnfitError(where, what, f"Correct {path}, or take it out of the fleet.")
    words = ["git", "cat-file", "-e", f"{old}^{{commit}}"]
    if old.startswith("-") or run(words, cwd=release.clone, env=env, accept=_ANY_CODE).code:
        what = f"it is from {old}, which the template does not have"
        raise UnfitError(
            where, what, "Was it made from a commit that was never pushed? Update it by hand once."
        )
    return old, source


class Pushed(NamedTuple):
    """The branch that an earlier run has pushed: the release it is for, and whether it merges."""

    release: str
    merges: bool


def pushed(mirror: Mirror, scratch: Path) -> Pushed | None:
    """Return what is on the branch. Raises ForeignCommitError where a commit is somebody else's."""
    tip = mirror.heads.get(BRANCH)
    if not tip:
        return None
    env = _isolated(scratch, os.environ)
    form = f"%h%x09%ce%x09%(trailers:key={_TRAILER},valueonly,separator=%x2C)"
    log = git(("log", f"--format={form}", f"{mirror.commit}..{tip}"), mirror.path, env)
    commits = [line.split("\t", 2) for line in log.split("\n") if line]
    if foreign := [name for name, email, _ in commits if email != EMAIL]:
        what = f"{BRANCH} has commits of somebody's: {', '.join(foreign[:3])}"
        then = "It is left as it is. Merge it, or delete the branch and run this again."
        raise ForeignCommitError(mirror.repository.name, what, then)
    words = ["git", "merge-tree", "--write-tree", mirror.commit, tip]
    merges = run(words, cwd=mirror.path, env=env, accept=_ANY_CODE).code == 0
    return Pushed(commits[0][2] if commits else "", merges)


class ForeignCommitError(PipelineError):
    """Somebody works on the branch: it is not replaced."""


def update(mirror: Mirror, release: Release, source: str, scratch: Path) -> Updated:
    """Update a repository to a release in a clone below `scratch`, and commit it there.

    `source` is the template's address as the answers have it: git takes the release's clone for it.
    Raises PipelineError where the update itself fails.
    """
    clone, root = _cloned(mirror, scratch)
    env = _isolated(scratch, os.environ, {"XDG_CACHE_HOME": str(_cache(os.environ))})
    env |= _instead(source, release.clone)
    done = run([*_command(release, scratch, root), "--no-build"], cwd=root, env=env,
               accept=_ANY_CODE)  # fmt: skip
    said = _document(done.stdout)
    what = said.get("error", {}).get("what", "") or done.stderr.strip()[-2000:]
    if done.code not in (0, _CONFLICTS):
        where = mirror.repository.name
        raise PipelineError(where, f"the update to {release.name} fails", what)
    text = _text(root / said.get("message", "none"))
    changes = text.partition("\n\n")[2].strip()
    git(("add", "--all"), clone, env)
    staged = ("diff", "--cached")
    changed = git((*staged, "--name-only", "-z"), clone, env).split("\0")[:-1]
    conflicts = said.get("conflicts", []) if "error" not in said else _left(root)
    start = f"{mirror.repository.folder}/" if mirror.repository.folder else ""
    conflicts = [f"{start}{name}" for name in conflicts] or _with_conflicts(clone, changed)
    if conflicts or done.code:
        diff = git((*staged, "--stat"), clone, env)
        diff += git((*staged, "--", *conflicts), clone, env) if "error" not in said else what
        return Updated(clone, conflicts=tuple(conflicts), changes=changes, preview=diff)
    (scratch / "message").write_text(f"{text}\n{_TRAILER}: {release.name}\n", encoding="utf-8")
    git(("commit", "--quiet", f"--file={scratch / 'message'}"), clone, env | _who(clone, env))
    return Updated(
        clone,
        commit=git(("rev-parse", "HEAD"), clone, env).strip(),
        changed=tuple(name.removeprefix(start) for name in changed),
        changes=changes,
        patch=_text(root / said["patch"]) if said["patch"] else "",
        replaced=tuple(said["replaced"]),
        saved=tuple(said["saved"]),
    )


def proof(mirror: Mirror, release: Release, source: str, scratch: Path) -> dict[str, list[str]]:
    """Build before and after the update; return what is different in the package, by its cause.

    The repository's own code runs, in a sandbox and in a clone that nothing is pushed from. Raises
    PipelineError where the build fails after the update.
    """
    _, root = _cloned(mirror, scratch)
    # A copy of what each build would else fetch, and may write to; it ends with the sandbox.
    cache = scratch / "cache"
    for folder in (_cache(os.environ) / "copier-lambda").glob("u[pv]*-*"):
        shutil.copytree(folder, cache / "copier-lambda" / folder.name, symlinks=True)
    env = _instead(source, release.clone) | _indexes(os.environ)
    command = _command(release, scratch, root)
    done = sandboxed(command, root, scratch, (release.clone,), {cache: _cache(os.environ)}, env)
    said = _document(done.stdout)
    if done.code == _TIMED_OUT:
        what = f"its builds take more than {_LONGEST_BUILD // 60} minutes"
        raise PipelineError(mirror.repository.name, what, "Leave the proof to its build server.")
    if done.code:
        what = said.get("error", {}).get("what", "") or done.stderr.strip()[-2000:]
        raise PipelineError(mirror.repository.name, "its build fails after the update", what)
    found: dict[str, list[str]] = said["package"]
    return found


def sandboxed(
    command: Sequence[str | Path],
    cwd: Path,
    scratch: Path,
    shown: Iterable[Path],
    instead: Mapping[Path, Path],
    env: Mapping[str, str],
) -> Result:
    """Run a program that may be anybody's: it writes below `scratch` only, and its home is empty.

    It has `env` and what programs need, sees no other process, and of the user's home nothing but
    `shown`, its Python, and the folders of `instead`, each in the place of another one.
    """
    if not shutil.which("bwrap"):
        then = "apt-get install bubblewrap, or leave the proof to each repository's build server."
        raise PipelineError("--build", "it needs bubblewrap, which is not here", then)
    # Where namespaces are forbidden, as in many containers, nothing at all is run.
    tried = run([*_SANDBOX, "--ro-bind", "/", "/", "true"], cwd=scratch, accept=_ANY_CODE)
    if tried.code:
        said = tried.stderr.strip().rpartition("\n")[2]
        then = "Run it where namespaces are allowed, or leave the proof to each build server."
        raise PipelineError("--build", f"bubblewrap makes no sandbox here: {said}", then)
    home = Path.home()
    pythons = {Path(sys.prefix), Path(sys.base_prefix)}
    words: list[str | Path] = [
        "timeout", "--kill-after=10", str(_LONGEST_BUILD),
        *_SANDBOX, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
        # Sockets of daemons and agents are in /run; so is, often, where names are asked for.
        "--tmpfs", "/run", "--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve",
        "--tmpfs", _TMP, "--tmpfs", home, "--chdir", cwd,
    ]  # fmt: skip
    for path in (*pythons, *shown):
        words += ["--ro-bind", path, path]
    words += ["--bind", scratch, scratch]
    for path, place in instead.items():
        words += ["--bind", path, place]
    given = scrubbed(os.environ, {"HOME": str(home), "TMPDIR": _TMP, **env})
    return run([*words, *command], cwd=scratch, env=given, accept=_ANY_CODE)


def _cloned(mirror: Mirror, scratch: Path) -> tuple[Path, Path]:
    """Clone a mirror, and return the clone and the folder in it that the template was rendered to.

    Its objects are its own: who writes into it can change nothing in the mirror.
    """
    clone = scratch / "clone"
    env = _isolated(scratch, os.environ)
    words = ("clone", "--quiet", "--no-local", f"--branch={mirror.branch}", "--")
    scratch.mkdir(parents=True, exist_ok=True)
    git((*words, str(mirror.path), str(clone)), scratch, env)
    root = clone / mirror.repository.folder
    listed = git(("ls-files", "-z", "--stage"), clone, env).split("\0")
    links = [line.partition("\t")[2] for line in listed if line.startswith("120000")]
    # What an update writes must not end up elsewhere on this machine, nor in git's own settings,
    # which the git that pushes reads as well.
    top = os.path.realpath(clone)
    for name in (*links, mirror.repository.folder):
        # Not `resolve`, which a link to itself would make raise.
        at = Path(os.path.relpath(os.path.realpath(clone / name), top))
        place = "".join(at.parts[:1]).lower()
        if place in ("..", ".git"):
            what = f"{name} leads out of the repository{', into .git' if place != '..' else ''}"
            raise UnfitError(mirror.repository.name, what, "Take the link out of it.")
    return clone, root


def _command(release: Release, scratch: Path, root: Path) -> list[str | Path]:
    """Return the second half of `update`, which the release does, and which fetches nothing."""
    # It keeps its renders beside the clone: each repository's go with its own folder.
    beside = scratch / "template"
    beside.symlink_to(release.clone, target_is_directory=True)
    script = beside / "template/scripts/update.py"
    given: list[str | Path] = ["--apply", beside, "--root", root, "--to", release.name, "--json"]
    return [sys.executable, "-B", script, *given]


def _isolated(
    home: Path, environ: Mapping[str, str], extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return an environment with an empty home, without secrets, and without anybody's settings."""
    return scrubbed(environ, {
        "HOME": str(home / "home"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": os.devnull,
        "GIT_COMMITTER_NAME": _NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "GIT_AUTHOR_NAME": _NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        **(extra or {}),
    })  # fmt: skip


def _instead(source: str, clone: Path) -> dict[str, str]:
    """Return the settings by which git takes a clone for the template's address.

    Copier may add `.git`, and git takes the longest address that fits.
    """
    address = doctor.git_address(source).removesuffix(".git")
    pairs = [
        ("core.hooksPath", os.devnull),
        (f"url.{clone}.insteadOf", address),
        (f"url.{clone}.insteadOf", f"{address}.git"),
    ]
    env = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (key, value) in enumerate(pairs):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def _who(clone: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return the date of a commit: that of the one below, so that the same is the same commit."""
    date = git(("log", "-1", "--format=%cI"), clone, dict(env)).strip()
    return {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}


def _cache(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()


def _indexes(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in _INDEXES if name in environ}


def _left(root: Path) -> list[str]:
    return [one.path for one in doctor.conflicts(root)]


def _with_conflicts(clone: Path, names: Iterable[str]) -> list[str]:
    """Return the files about to be committed that hold a conflict, whatever `update` said."""
    return [
        name
        for name in names
        if name.endswith(".rej")
        or ((clone / name).is_file() and doctor.has_markers((clone / name).read_bytes()))
    ]


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
