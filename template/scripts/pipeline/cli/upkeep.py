"""The verbs that keep the template's files right, for `--list`.

tasks.py hands them over to `scripts/doctor.py` and `scripts/update.py` before anything of the
library is read: they must work when it is broken. Here they come only from behind another verb.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from invoke import Context, Exit, task

from .session import Verb, root_of


@task(klass=Verb, auto_shortflags=False)
def doctor(
    c: Context, fix: bool = False, yes: bool = False, against_template: bool = False,
    json: bool = False, verbose: bool = False,  # noqa: ARG001 - every verb has it
) -> None:  # fmt: skip
    """Look for edited and missing files of the template's, and for conflicts that are left."""
    flags = {"fix": fix, "yes": yes, "against-template": against_template, "json": json}
    _run(c, "doctor", [f"--{name}" for name, given in flags.items() if given])


@task(klass=Verb, auto_shortflags=False, iterable=["answer"])
def update(
    c: Context, to: str | None = None, preview: bool = False, answer: Sequence[str] = (),
    no_build: bool = False, json: bool = False,
    verbose: bool = False,  # noqa: ARG001 - every verb has it
) -> None:  # fmt: skip
    """Update to another release of the template, or change an answer, with proof."""
    words = [*(["--to", to] if to else []), *(["--preview"] if preview else [])]
    words += [word for pair in answer for word in ("--answer", pair)]
    words += [f"--{name}" for name, given in (("no-build", no_build), ("json", json)) if given]
    _run(c, "update", words)


def _run(c: Context, verb: str, words: Sequence[str]) -> None:
    code = importlib.import_module(verb).main(words, root_of(c))
    if code:
        raise Exit(code=code)
