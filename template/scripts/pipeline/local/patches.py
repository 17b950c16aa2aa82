"""Replacing functions of moto, which offers no other way in; undone when the block ends.

moto is pinned, and a replacement is refused when what it replaces has moved or changed its
arguments: an embedded AWS that half works would be worse than none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

from ..core.errors import PipelineError


class Patches(ExitStack):
    """A stack of replacements, taken back in reverse order."""

    def replace(self, owner: Any, name: str, ours: Callable[..., Any]) -> None:
        """Put `ours` in the place of `owner.name`, as `wrap` does."""
        self.wrap(owner, name, lambda _: ours)

    def add(self, owner: Any, name: str, ours: Callable[..., Any]) -> None:
        """Give `owner` a function that it lacks. Raises PipelineError where it has one by now."""
        if name in vars(owner):
            raise _moved(owner, name, "is there, and was not")
        setattr(owner, name, ours)
        self.callback(delattr, owner, name)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put `make(original)` in the place of `owner.name`.

        The replacement must have the original's parameter names. Raises PipelineError when the
        original is missing, has other parameters, or is a replacement already.
        """
        original = vars(owner).get(name)
        if original is None:
            raise _moved(owner, name, "is not there")
        # What a class method or a property is made of, and how to make another.
        part = {classmethod: "__func__", property: "fget"}.get(type(original))
        plain, same = (getattr(original, part), type(original)) if part else (original, _itself)
        if getattr(plain, "__replaced_by__", "") == __name__:
            raise PipelineError(
                "embedded AWS", "it runs in this process already", "Close that one first."
            )
        replacement: Any = make(plain)
        if _parameters(plain) != _parameters(replacement):
            raise _moved(owner, name, f"takes {', '.join(_parameters(plain))}")
        replacement.__replaced_by__ = __name__
        setattr(owner, name, same(replacement))
        self.callback(setattr, owner, name, original)


def _itself(function: Any) -> Any:
    return function


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def _moved(owner: Any, name: str, what: str) -> PipelineError:
    label = f"{getattr(owner, '__qualname__', owner.__name__)}.{name}"
    return PipelineError(
        "embedded AWS",
        f"{label} of moto {version('moto')} {what}",
        "Install the tooling of scripts/requirements-local.txt; this library fits that moto only.",
    )
