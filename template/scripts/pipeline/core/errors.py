"""One family of errors: where it happened, what went wrong, what to do next.

Anything that is not a `PipelineError` is a bug in the pipeline and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar


class PipelineError(Exception):
    """A known failure, written for the person who has to act on it.

    `where` names the verb, file or service; `what` says what went wrong, with the values;
    `then` says what to do next and may be empty where nothing can be done.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, where: str, what: str, then: str = "") -> None:
        super().__init__(where, what, then)
        self.where = where
        self.what = what
        self.then = then

    def __str__(self) -> str:
        message = f"{self.where}: {self.what}"
        return f"{message}\n{self.then}" if self.then else message


class UsageError(PipelineError):
    """The command line is wrong."""

    exit_code = 2


class NotTheSame(PipelineError):
    """Two things that must be equal are not: a rebuilt package, our files, a deployed function."""

    exit_code = 3


class Conflict(PipelineError):
    """Somebody else changed it meanwhile."""

    exit_code = 4


class Interrupted(PipelineError):
    """The user stopped the verb."""

    exit_code = 130
