"""Which file a handler is in, by Lambda's rules."""

from __future__ import annotations

from collections.abc import Collection

# In the order in which Lambda looks; TypeScript is never run by it.
_ENDINGS = ("", ".js", ".mjs", ".cjs")


def module_of(handler: str) -> tuple[str, str]:
    """Return the module's path and the name in it: the last part is cut at its first dot."""
    folder, slash, last = handler.rpartition("/")
    stem, _, name = last.partition(".")
    return folder + slash + stem, name


def handler_file(names: Collection[str], handler: str) -> str:
    """Return which of a function's files the handler is in; empty if none."""
    module, _ = module_of(handler)
    return next((module + ending for ending in _ENDINGS if module + ending in names), "")
