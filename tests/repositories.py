"""Making repositories for tests: git, and copier without trust."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import copier
from jinja2 import Environment

ROOT = Path(__file__).resolve().parent.parent
NEWER_THAN_ANY_RELEASE = "v999.0.0"

_WINDOWS_REFUSES = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[. ]\Z|\A(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)', re.IGNORECASE
)

Render = Callable[..., Path]


def _compile_each_text_once() -> None:
    """Keep what Jinja compiles: copier has it do so anew for each part of each file's name.

    That is more than half of the time of a render, of which the tests make hundreds. The same text
    under the same settings is the same code.
    """
    compiled: dict[Any, Any] = {}
    compile_ = Environment.compile

    def once(self: Environment, source: Any, *more: Any, **named: Any) -> Any:
        settings = (type(self), self.lexer, *self.extensions, self.autoescape)
        key = (settings, source, more, *named.items())
        if key not in compiled:
            compiled[key] = compile_(self, source, *more, **named)
        return compiled[key]

    Environment.compile = once  # type: ignore[method-assign]


_compile_each_text_once()


def copy_template(
    source: Path, folder: Path, answers: Mapping[str, Any], release: str | None = None
) -> Path:
    """Render `source`, its newest release by default, without trust and without a terminal."""
    copier.run_copy(
        str(source),
        folder,
        data=dict(answers),
        vcs_ref=release,
        defaults=True,
        unsafe=False,
        quiet=True,
    )
    return folder


def copy_work_tree(folder: Path, *paths: str) -> None:
    """Make `folder` a tagged git repository with the working tree's files, committed or not.

    Those below `paths`, if there are any.
    """
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", *paths)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    commit_all(folder, "The working tree")
    git(folder, "tag", NEWER_THAN_ANY_RELEASE)


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` and return its output; a failure shows what git said."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def commit_all(folder: Path, message: str) -> None:
    """Commit everything in `folder`."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


def refused_by_windows(paths: list[str]) -> list[str]:
    """Return the paths with reserved characters or names, or that differ in case only."""
    lower = Counter(path.lower() for path in paths)
    return [
        path
        for path in paths
        if lower[path.lower()] > 1 or any(map(_WINDOWS_REFUSES.search, path.split("/")))
    ]
