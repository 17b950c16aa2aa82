"""What a verb runs in: the project, the machine, its secrets, a reporter; and how a verb ends.

Secrets are from the environment, from standard input, or, with a warning, from a flag. With
`--json` standard output has one document.
"""

from __future__ import annotations

import inspect
import json as json_format
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial, wraps
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bootstrap
from invoke import Context, Exit, Task, task

from ..core.errors import PipelineError, UsageError
from ..core.events import Failed, Reporter
from ..core.foreign import harmless, harmless_json
from ..core.masking import environment_secrets, masked, masked_text, url_passwords
from .printers import printer, show

# `--list` imports this file; what only a verb needs is imported later.
if TYPE_CHECKING:
    from ..edge.machine import Machine
    from ..project.project import Project

# The flags that every verb has.
_COMMON = {"json": "One JSON document on standard output", "verbose": "More lines"}
# A letter means the same in every verb. What is not here is written out: a build server's file is
# read more often than it is typed.
_SHORT = {
    "json": "j", "verbose": "v", "package": "p", "build-number": "b", "force": "f", "event": "e",
    "watch": "w", "upgrade": "u", "dry-run": "d",
}  # fmt: skip
_STDIN = "-"


@dataclass
class Session:
    """One verb's run.

    `answer` is the document that `--json` prints, `held` is closed at the end. With `streams`,
    standard output has a document a line, and at the end one more only where there was an error.
    """

    root: Path
    reporter: Reporter
    json: bool
    answer: dict[str, Any]
    secrets: list[str]
    held: ExitStack
    streams: bool = False

    def hide(self, *secrets: str) -> None:
        """Mask secrets that are not in the environment in everything printed from now on."""
        self.secrets += secrets
        self.reporter = replace(self.reporter, emit=masked(self.reporter.emit, secrets))

    def address(self, url: str) -> str:
        """Return a URL; a password in it is masked from now on."""
        self.hide(*url_passwords(url))
        return url

    def result(self, text: str, answer: dict[str, Any]) -> None:
        """Show a verb's one-line result, which `--json` prints as a document instead."""
        self.answer = answer
        if not self.json:
            show(sys.stdout, harmless(self.masked(text)))

    def masked(self, text: str) -> str:
        """Return a text with the secrets hidden."""
        return masked_text(text, self.secrets)

    def stream(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Print documents as they come, one a line."""
        self.streams = True
        for document in documents:
            print_document(document, self.secrets, indent=None)

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
            cache_folder=lambda: self._cache_in_use,
            environ=os.environ,
            now=utc_now,
            seconds=time.monotonic,
            uv_program=lambda: self._uv,
            tooling=lambda name: _tooling(bootstrap.ensure, self.root, name),
            uv_settings=lambda: bootstrap.uv_settings(self.root),
        )

    @property
    def cache(self) -> Path:
        """Where the repository's cache lies; who reads or writes in it asks the machine for it."""
        return self.root / ".pipeline" / "cache"

    @cached_property
    def _cache_in_use(self) -> Path:
        from ..edge.cache import shared_use

        waiting = partial(
            self.reporter.line, "another process clears this folder's cache; waiting for it"
        )
        self.held.enter_context(shared_use(self.cache, waiting))
        return self.cache

    @cached_property
    def _uv(self) -> Path:
        found: Path = _tooling(bootstrap.find_uv, self.root)
        return found


class Verb(Task[Any]):
    """A task of ours."""

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """Return what invoke's parser gets of a flag: its own short form, or none."""
        options = super().arg_opts(name, default, taken_names)
        options["names"] += filter(None, [_SHORT.get(options["names"][0])])
        return options


def root_of(context: Context) -> Path:
    """Return the repository that a task was started for."""
    return Path(context.config.pipeline.root)


def verb(help: Mapping[str, str] | None = None, **settings: Any) -> Callable[..., Verb]:  # noqa: A002 - invoke's word
    """Make an invoke task of a function that takes a Session and its flags.

    The task has `--json` and `--verbose` besides. `help` has a text for each flag; `settings` are
    other arguments of invoke's `task`.
    """

    def decorate(function: Callable[..., None]) -> Verb:
        @wraps(function)
        def body(
            context: Context, *given: Any, json: bool = False, verbose: bool = False, **flags: Any
        ) -> None:
            with session(root_of(context), json=json, verbose=verbose) as run:
                function(run, *given, **flags)

        signature = inspect.signature(function)
        common = [Parameter(name, Parameter.KEYWORD_ONLY, default=False) for name in _COMMON]
        # invoke reads the flags from the signature.
        body.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*signature.parameters.values(), *common]
        )
        texts = {**(help or {}), **_COMMON}
        made: Verb = task(help=texts, klass=Verb, auto_shortflags=False, **settings)(body)
        return made

    return decorate


def error_document(error: PipelineError) -> dict[str, Any]:
    """Return what `--json` prints for an error."""
    return {"error": {"where": error.where, "what": error.what, "then": error.then}}


def print_document(
    document: Mapping[str, Any], secrets: Sequence[str], indent: int | None = 2
) -> None:
    """Print a verb's JSON document, its secrets masked; on one line without `indent`."""
    text = json_format.dumps(document, indent=indent, ensure_ascii=False)
    show(sys.stdout, harmless_json(masked_text(text, secrets)))


@contextmanager
def session(root: Path, *, json: bool, verbose: bool) -> Iterator[Session]:
    """Give a verb its session; print its answer or its error at the end.

    A verb that has printed everything raises invoke's Exit; the Program exits with its code.
    """
    from ..edge.scratch import own_temporary_folder

    printing = ExitStack()
    sink = printer(printing, json=json, verbose=verbose)
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
        running.answer = error_document(error)
        code = error.exit_code
    except Exit as end:
        code = end.code
    finally:
        printing.close()
    if json and not (running.streams and not running.answer):
        print_document(running.answer, secrets, indent=None if running.streams else 2)
    if code:
        raise Exit(code=code)


def secret(run: Session, flag: str, given: str | None, variable: str) -> str:
    """Return a secret from a flag, standard input or a variable; empty where none has it.

    It is masked from now on.
    """
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


def _tooling(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except bootstrap.BootstrapError as error:
        raise PipelineError("setup", str(error)) from error
