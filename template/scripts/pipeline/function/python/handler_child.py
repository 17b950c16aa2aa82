"""Imports a handler and writes down what came of it: run by the function's Python, never by ours.

Standard library only, and nothing that Lambda's own start does not load: it hides a module of the
package with the same name. Where no report is left, the process's end says what came of it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from types import FrameType

# Flags of a function's code, as `inspect` has them, which would bring half a library along.
_KINDS = ((0x200 | 0x80, "async"), (0x20, "generator"))
_NO_NAME = "cannot import name '"


def main(task: str, handler: str, report: str, limit: str, *brought: str) -> None:
    """Import `handler` from the folder `task`, in front of what the runtime has `brought`.

    After `limit` seconds the place where it still is gets written down instead.
    """
    sys.path[:] = [task, *sys.path, *brought]
    thread = threading.get_ident()

    def tell(facts: dict[str, object]) -> None:
        with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123 - see above
            json.dump(facts, file)
        # What the module has started, or wants to do at the end, is not waited for.
        os._exit(0)

    def late() -> None:
        frames = [*traceback.walk_stack(sys._current_frames()[thread])]  # noqa: SLF001
        tell({"error": "timeout", "places": _places(reversed(frames), task)})

    timer = threading.Timer(float(limit), late)
    timer.daemon = True
    timer.start()
    module, _, name = handler.rpartition(".")
    began = time.monotonic()
    try:
        found = getattr(importlib.import_module(module.replace("/", ".")), name, tell)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
        facts = _failure(error, task)
    else:
        seconds = time.monotonic() - began
        kind = "missing" if found is tell else _kind(found)
        facts = {"kind": kind, "message": type(found).__name__, "seconds": seconds}
    timer.cancel()
    tell(facts)


def _kind(found: object) -> str:
    if not callable(found):
        return "other"
    if type(found).__name__ == "partial":
        return _kind(getattr(found, "func", None))
    code = getattr(found, "__code__", None) or getattr(type(found).__call__, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    return next((kind for mask, kind in _KINDS if flags & mask), "callable")


def _failure(error: BaseException, task: str) -> dict[str, object]:
    message = str(error).replace(f"{task}{os.sep}", "")
    # Half of a surrogate pair could not be written as UTF-8, nor read as JSON by everybody.
    message = message.encode("utf-8", "backslashreplace").decode()
    facts: dict[str, object] = {"error": type(error).__name__, "message": message}
    places = _places(traceback.walk_tb(error.__traceback__), task)
    if isinstance(error, SyntaxError):
        inside = _inside(error.filename or "", error.lineno or 0, task)
        # One in a text that the module itself has compiled is none of its source.
        facts |= {"message": error.msg, "syntax": bool(inside)}
        places += [inside] if inside else []
    elif isinstance(error, ImportError) and error.name:
        facts |= _absent(error, error.name)
    return {**facts, "places": places}


def _absent(error: ImportError, name: str) -> dict[str, object]:
    """Return the module, or the name in one, that was not found: not that it failed to load."""
    facts = {"standard": name.partition(".")[0] in sys.stdlib_module_names}
    if isinstance(error, ModuleNotFoundError):
        return {**facts, "absent": name, "is_module": True}
    if error.msg.startswith(_NO_NAME):
        wanted = error.msg.removeprefix(_NO_NAME).partition("'")[0]
        return {**facts, "absent": f"{name}.{wanted}", "origin": error.path or ""}
    return {}


def _places(frames: Iterable[tuple[FrameType, int]], task: str) -> list[str]:
    """Return `file:line` of those of the frames that are in the package."""
    inside = [_inside(frame.f_code.co_filename, line, task) for frame, line in frames]
    return [place for place in inside if place]


def _inside(file: str, line: int, task: str) -> str:
    name = file.removeprefix(f"{task}{os.sep}")
    return "" if name == file else f"{name}:{line}".replace(os.sep, "/")


if __name__ == "__main__":
    main(*sys.argv[1:])
