"""Git commands on one work tree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from .shell import Result, run, scrubbed

_EXECUTABLE = "100755"
_REGULAR = ("100644", _EXECUTABLE)
# How many fields stand before the path of a changed and of an unmerged file, in `git status`.
_FIELDS = {"1": 8, "u": 10}
_AT_ONCE = 200  # paths in a command line, of which Windows takes 32,767 characters


@dataclass(frozen=True)
class TrackedFile:
    """A file in git's index, its path relative to the work tree with `/`.

    `regular` is False for links and submodules.
    """

    path: str
    executable: bool
    regular: bool


@dataclass(frozen=True)
class Status:
    """A work tree: its commit and branch, and the paths that differ from the commit.

    Before the first commit `commit` is None, on a detached HEAD `branch` is.
    """

    commit: str | None
    branch: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...]


@dataclass(frozen=True)
class Git:
    """The part of a work tree at `root`, the repository's folder; paths are relative to that.

    `within` is the way from the work tree's top, with a `/` at its end: empty for the top itself.
    Its version tags begin with `tag_prefix`.
    """

    root: Path
    within: str = ""
    tag_prefix: str = ""

    @classmethod
    def at(cls, root: Path) -> Git | None:
        """Return the work tree that `root` is the top of, or a folder in; None where there is none.

        One that ignores `root` does not count: that is what lies below it by chance.
        """
        if (root / ".git").exists():
            return cls(root)
        root = root.resolve()
        for top in root.parents:
            if (top / ".git").exists():
                git = cls(root, f"{root.relative_to(top).as_posix()}/")
                done = git._git("check-ignore", "--quiet", str(root), accept=(0, 1))
                return git if done.code else None
        return None

    def commit(self) -> str | None:
        """Return HEAD's full sha, or None before the first commit."""
        done = self._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", accept=(0, 1))
        return done.stdout.strip() or None

    def status(self) -> Status:
        """Return where HEAD is, and every file that differs from it."""
        words = ("--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames")
        lines = self._git("status", *words, "--", ".").stdout.split("\0")
        facts = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
        commit, branch = facts["branch.oid"], facts["branch.head"]
        return Status(
            commit=None if commit == "(initial)" else commit,
            branch=None if branch == "(detached)" else branch,
            changed=tuple(
                line.split(" ", _FIELDS[line[0]])[-1].removeprefix(self.within)
                for line in lines
                if line[:1] in _FIELDS
            ),
            untracked=tuple(
                line[2:].removeprefix(self.within) for line in lines if line.startswith("? ")
            ),
        )

    def index(self) -> Path:
        """Return the file that git keeps its index in; a linked work tree has it elsewhere."""
        return self.root / self._git("rev-parse", "--git-path", "index").stdout.rstrip("\n")

    def tracked(self, *folders: str) -> tuple[TrackedFile, ...]:
        """Return the index's files, of the whole tree or below the given folders."""
        found = []
        for entry in self._git("ls-files", "--stage", "-z", "--", *folders).stdout.split("\0"):
            if entry:
                facts, path = entry.split("\t", 1)
                mode, _blob, stage = facts.split(" ")
                if stage != "0":
                    raise PipelineError(
                        "git", f"{path} has a merge conflict", "Resolve it and add the file."
                    )
                found.append(TrackedFile(path, mode == _EXECUTABLE, mode in _REGULAR))
        return tuple(found)

    def export(self, paths: Sequence[str], folder: Path) -> Path:
        """Write files as the index has them, with LF where git knows them as text.

        Returns the folder, in `folder`, that the paths are relative to then.

        A work tree that git calls clean may differ from that: in line ends, and in files that git
        was told to ignore changes of.
        """
        plain = ("-c", "core.autocrlf=false", "-c", "core.eol=lf")
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            self._git(*plain, "checkout-index", "--force", f"--prefix={folder}/", "--", *some)
        return folder / self.within

    def nearest_tag(self) -> tuple[str, int] | None:
        """Return the nearest version tag, annotated or not, and the commits since, or None."""
        words = ("describe", "--tags", "--long", "--match", self._version_tags(), "HEAD")
        done = self._git(*words, accept=(0, 128))
        if done.code:
            return None
        tag, distance, _sha = done.stdout.strip().rsplit("-", 2)
        return tag, int(distance)

    def tag_before(self, commit: str) -> str | None:
        """Return the nearest version tag that is older than a commit, or None."""
        words = ("describe", "--tags", "--abbrev=0", "--match", self._version_tags(), f"{commit}^")
        return self._git(*words, accept=(0, 128)).stdout.strip() or None

    def _version_tags(self) -> str:
        return f"{self.tag_prefix}[v0-9]*.*"

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether a commit is in another one's history; unknown ones are not."""
        done = self._git("merge-base", "--is-ancestor", older, newer, accept=(0, 1, 128))
        return done.code == 0

    def commits(self, since: str, until: str, most: int) -> tuple[tuple[str, str], ...]:
        """Return (sha, subject) of what `until` has and `since` lacks, the newest first.

        An empty `since` means the whole history; a commit that is not here has none.
        """
        words = ["log", f"--max-count={most}", "--format=%H%x00%s", until]
        words += [f"^{since}"] if since else []
        done = self._git(*words, "--", *(["."] if self.within else []), accept=(0, 128))
        pairs = (line.split("\0", 1) for line in done.stdout.splitlines() if "\0" in line)
        return tuple((sha, subject) for sha, subject in pairs)

    def is_shallow(self) -> bool:
        """Tell whether the clone's history is cut off."""
        return self._git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"

    def remote(self) -> str | None:
        """Return the URL of `origin`, or None."""
        return self._git("remote", "get-url", "origin", accept=(0, 2, 128)).stdout.strip() or None

    def has(self, commit: str) -> bool:
        """Tell whether a commit, by its full name, is in this repository."""
        words = ("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        return self._git(*words, accept=(0, 1)).code == 0

    def clone_to(self, folder: Path, commit: str) -> Path:
        """Make a clean clone of one commit at `folder`, sharing this repository's objects.

        Returns what is `root` there. The user's hooks do not run.
        """
        words = ("--shared", "--no-checkout", "--config", f"core.hooksPath={os.devnull}")
        top = str(self.root)[: -len(self.within) or None]
        self._git("clone", "--quiet", *words, top, str(folder))
        quietly = ("-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach")
        self._git("-C", str(folder), *quietly, commit)
        return folder / self.within

    def _git(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> Result:
        # Variables set by a hook or an outer git would name another repository; with optional
        # locks, two commands at the same time would fail.
        env = scrubbed(os.environ, {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"})
        return run(["git", *arguments], cwd=self.root, env=env, accept=accept, where="git")
