"""A repository made from this work tree, and its verbs run as its user would run them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.edge.shell import run, stream

# Commits need an author, and a machine without a home has none.
_AUTHOR = {
    "GIT_AUTHOR_NAME": "Demo", "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "Demo", "GIT_COMMITTER_EMAIL": "demo@example.com",
}  # fmt: skip


@dataclass(frozen=True)
class Generated:
    """A generated repository at `root`."""

    root: Path

    def commit(self, subject: str) -> None:
        """Commit everything."""
        environ = {**os.environ, **_AUTHOR}
        for command in (
            ["init", "--quiet", "--initial-branch", "main"],
            ["add", "--all"],
            ["commit", "--quiet", "-m", subject],
        ):
            run(["git", *command], cwd=self.root, env=environ, where="git")

    def verb(
        self, *words: str, show: Callable[[str], None], extra: Mapping[str, str] | None = None
    ) -> int:
        """Run `python3 tasks.py WORDS` with every line given to `show`; return the exit code."""
        command: list[str | Path] = [sys.executable, self.root / "tasks.py", *words]
        environ = {**os.environ, **(extra or {})}
        return stream(command, lambda line, _is_error: show(line), cwd=self.root, env=environ)


def generate(template: Path, target: Path, answers: Mapping[str, Any] | None = None) -> Generated:
    """Render the template's work tree, uncommitted changes included, without trust."""
    import warnings  # noqa: PLC0415 - only to keep the next line quiet

    from copier import run_copy  # noqa: PLC0415 - slow to import
    from copier.errors import DirtyLocalWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        run_copy(
            str(template),
            target,
            dict(answers or {}),
            defaults=True,
            quiet=True,
            vcs_ref="HEAD",
            unsafe=False,
        )
    return Generated(target)
