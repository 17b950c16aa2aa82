"""Replacing functions of moto, which offers no other way in; undone when the block ends.

moto is pinned, and a replacement is refused when what it replaces has moved or changed its
arguments: an embedded AWS that half works would be worse than none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from importlib.metadata import version
from inspect import Parameter, signature
from typing import Any

from ..core.errors import PipelineError

# A function of moto, as what takes its place gets it.
Original = Callable[..., Any]
_ANY = {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}


class Patches(ExitStack):
    """A stack of replacements, taken back in reverse order."""

    def replace(self, owner: Any, name: str, ours: Callable[..., Any]) -> None:
        """Put `ours` in the place of `owner.name`, as `wrap` does, without the original."""
        self.wrap(owner, name, ours, alone=True)

    def add(self, owner: Any, name: str, ours: Callable[..., Any]) -> None:
        """Give `owner` a function that it lacks. Raises PipelineError where it has one by now."""
        if name in vars(owner):
            raise _moved(owner, name, "is there, and was not")
        setattr(owner, name, ours)
        self.callback(delattr, owner, name)

    def wrap(self, owner: Any, name: str, ours: Callable[..., Any], *, alone: bool = False) -> None:
        """Put `ours` in the place of `owner.name`; it gets the original, and what that is given.

        Behind the original it has that one's parameter names, or takes any. Raises PipelineError
        when the original is missing, has other parameters, or is replaced by another stack.
        """
        original = vars(owner).get(name)
        if original is None:
            raise _moved(owner, name, "is not there")
        # What a class method or a property is made of, and how to make another.
        part = {classmethod: "__func__", property: "fget"}.get(type(original))
        plain, same = (getattr(original, part), type(original)) if part else (original, _itself)
        if getattr(plain, "__replaced_by__", self) is not self:
            raise PipelineError(
                "embedded AWS", "it runs in this process already", "Close that one first."
            )
        first = () if alone else (plain,)
        wanted, takes = _parameters(plain), _parameters(ours)[len(first) :]
        if not _ANY.intersection(one.kind for one in takes) and _names(takes) != _names(wanted):
            raise _moved(owner, name, f"takes {', '.join(_names(wanted))}")

        @wraps(plain)
        def replacement(*given: Any, **named: Any) -> Any:
            return ours(*first, *given, **named)

        vars(replacement)["__replaced_by__"] = self
        setattr(owner, name, same(replacement))
        self.callback(setattr, owner, name, original)


def _itself(function: Any) -> Any:
    return function


def _parameters(function: Any) -> list[Parameter]:
    return [*signature(function).parameters.values()]


def _names(parameters: list[Parameter]) -> list[str]:
    return [one.name for one in parameters]


def _moved(owner: Any, name: str, what: str) -> PipelineError:
    label = f"{getattr(owner, '__qualname__', owner.__name__)}.{name}"
    return PipelineError(
        "embedded AWS",
        f"{label} of moto {version('moto')} {what}",
        "Install the tooling of scripts/requirements-local.txt; this library fits that moto only.",
    )
