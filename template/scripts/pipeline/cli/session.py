"""What a task runs in: the project, the machine, its secrets, a reporter; and how a verb ends.

Secrets are from the environment, from standard input, or, with a warning, from a flag. With
`--json` standard output has one document.
"""

from __future__ import annotations

import json as json_format
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bootstrap
from invoke import Context, Exit

from ..core.errors import PipelineError, UsageError
from .printers import printer, show

# `--list` imports this file, and need not wait for what only a verb needs.
if TYPE_CHECKING:
    from ..core.events import Reporter
    from ..edge.machine import Machine
    from ..octopus.client import Access
    from ..project.project import Project

# The flags that every verb has, for its help.
COMMON = {"json": "One JSON document on standard output", "verbose": "More lines"}
_STDIN = "-"


@dataclass
class Session:
    """One verb's run.

    `answer` is the document that `--json` prints, `held` what is let go at the end.
    """

    root: Path
    reporter: Reporter
    json: bool
    answer: dict[str, Any]
    secrets: list[str]
    held: ExitStack

    def hide(self, *secrets: str) -> None:
        """Keep secrets that are not in the environment out of all that is said from now on."""
        from ..core.masking import masked

        self.secrets += secrets
        self.reporter = replace(self.reporter, emit=masked(self.reporter.emit, secrets))

    def address(self, url: str) -> str:
        """Return an address; a password in it is hidden from now on."""
        from ..core.masking import url_passwords

        self.hide(*url_passwords(url))
        return url

    def result(self, text: str, answer: dict[str, Any]) -> None:
        """Show a verb's one-line result, which `--json` prints as a document instead."""
        self.answer = answer
        if not self.json:
            from ..core.foreign import harmless
            from ..core.masking import masked_text

            show(sys.stdout, harmless(masked_text(text, self.secrets)))

    @cached_property
    def project(self) -> Project:
        """The repository's settings."""
        from ..project.project import Project

        loaded = Project.load(self.root)
        self.address(loaded.feed)
        for line in loaded.advice:
            self.reporter.warn(line)
        return loaded

    @cached_property
    def machine(self) -> Machine:
        """The machine that the verb runs on."""
        from ..edge.machine import Machine, utc_now

        return Machine(
            root=self.root,
            cache_folder=lambda: self._cache,
            environ=os.environ,
            now=utc_now,
            seconds=time.monotonic,
            uv_program=lambda: self._uv,
            tooling=lambda name: _tooling(bootstrap.ensure, self.root, name),
        )

    @property
    def cache(self) -> Path:
        """Where the repository's cache lies, for who does not use it."""
        return self.root / ".pipeline" / "cache"

    @cached_property
    def _cache(self) -> Path:
        from ..edge.cache import shared_use

        def waiting() -> None:
            self.reporter.line("somebody clears this folder's cache; waiting for it")

        self.held.enter_context(shared_use(self.cache, waiting))
        return self.cache

    @cached_property
    def _uv(self) -> Path:
        found: Path = _tooling(bootstrap.find_uv, self.root)
        return found


def root_of(context: Context) -> Path:
    """Return the repository that a task was started for."""
    return Path(context.config.pipeline.root)


@contextmanager
def session(root: Path, *, json: bool, verbose: bool) -> Iterator[Session]:
    """Give a task its session; print its answer or its error, and end the verb.

    A verb that has said all there is to say raises invoke's Exit; the Program exits with its code.
    """
    from ..core.events import Failed, Reporter
    from ..core.foreign import harmless_json
    from ..core.masking import environment_secrets, masked, masked_text
    from ..edge.scratch import own_temporary_folder

    sink, close = printer(json=json, verbose=verbose)
    secrets = environment_secrets(os.environ)
    reporter = Reporter(masked(sink, secrets), time.monotonic)
    running = Session(root, reporter, json, {}, secrets, ExitStack())
    code = 0
    try:
        with running.held:
            running.held.enter_context(own_temporary_folder())
            yield running
    except PipelineError as error:
        running.reporter.emit(Failed("", error))
        running.answer = {"error": {"where": error.where, "what": error.what, "then": error.then}}
        code = error.exit_code
    except Exit as end:
        code = end.code
    finally:
        close()
    if json:
        document = json_format.dumps(running.answer, indent=2, ensure_ascii=False)
        show(sys.stdout, harmless_json(masked_text(document, secrets)))
    if code:
        raise Exit(code=code)


def secret(run: Session, flag: str, given: str | None, variable: str) -> str:
    """Return a secret, which is hidden from now on; empty where nobody gave one."""
    if given is None:
        given = run.machine.environ.get(variable, "")
    elif given != _STDIN:
        run.reporter.warn(
            f"{flag}: every user of this machine can read it in the list of processes; "
            f"set {variable}, or write {flag} {_STDIN} and give it on standard input"
        )
    if given == _STDIN:
        given = sys.stdin.readline().strip()
        if not given:
            raise UsageError(flag, "there is no line on standard input", f"Or set {variable}.")
    if given:
        run.hide(given)
    return given


def octopus_access(
    run: Session, url: str | None = None, key: str | None = None, space: str | None = None
) -> Access:
    """Return how to reach Octopus; its texts are empty where nothing says so."""
    from ..octopus.client import Access

    environ = run.machine.environ
    return Access(
        run.address(url or environ.get("OCTOPUS_URL", "")),
        secret(run, "--octopus-api-key", key, "OCTOPUS_API_KEY"),
        space or environ.get("OCTOPUS_SPACE", "") or run.project.octopus.space,
    )


def _tooling(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except bootstrap.BootstrapError as error:
        raise PipelineError("setup", str(error)) from error
