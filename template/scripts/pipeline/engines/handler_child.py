"""Imports a handler and writes down what came of it: run by the function's Python, never by ours.

Standard library only, and little of it: what is loaded here hides a module of the package that
has the same name. Where no report is left, the process's end says what came of it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from types import FrameType, TracebackType

# Flags of a function's code, as `inspect` has them, which would bring half a library along.
_KINDS = ((0x200 | 0x80, "async"), (0x20, "generator"))
_NO_NAME = "cannot import name '"
_LONGEST_CHAIN = 9


def main(task: str, handler: str, report: str, seconds: str, *brought: str) -> None:
    """Import `handler` from the folder `task`, in front of what the runtime has `brought`.

    After `seconds` the place where it still is gets written down instead.
    """
    sys.path[:] = [task, *sys.path, *brought]
    thread = threading.get_ident()

    def tell(facts: dict[str, object]) -> None:
        with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123 - see above
            json.dump(facts, file)
        # What the module has started, or wants to do at the end, is not waited for.
        os._exit(0)

    def late() -> None:
        frames = reversed([*_stack(sys._current_frames()[thread])])  # noqa: SLF001
        tell({"error": "timeout", "place": _place(frames, task)})

    timer = threading.Timer(float(seconds), late)
    timer.daemon = True
    timer.start()
    module, _, name = handler.rpartition(".")
    began = time.monotonic()
    try:
        found = getattr(importlib.import_module(module.replace("/", ".")), name, tell)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
        facts = _failure(error, task)
    else:
        kind = "missing" if found is tell else _kind(found)
        facts = {
            "kind": kind,
            "message": type(found).__name__,
            "seconds": time.monotonic() - began,
        }
    timer.cancel()
    tell(facts)


def _kind(found: object) -> str:
    if not callable(found):
        return "other"
    while isinstance(found, partial):
        found = found.func
    code = getattr(found, "__code__", None) or getattr(type(found).__call__, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    return next((kind for mask, kind in _KINDS if flags & mask), "callable")


def _failure(error: BaseException, task: str) -> dict[str, object]:
    message = str(error).replace(f"{task}{os.sep}", "")
    facts: dict[str, object] = {"error": type(error).__name__, "message": message}
    frames = [*_trace(error.__traceback__)]
    if isinstance(error, SyntaxError):
        frames.append((error.filename or "", error.lineno or 0))
        # One in a text that the module itself has compiled is none of its source.
        facts |= {"message": error.msg, "syntax": _is_inside(frames[-1][0], task)}
    chain: list[BaseException] = [error]
    while isinstance(chain[-1], ImportError) and not chain[-1].name:
        # `raise ImportError("install x") from error`: the first one knows what is missing.
        cause = chain[-1].__cause__ or chain[-1].__context__
        if cause is None or len(chain) > _LONGEST_CHAIN:
            break
        chain.append(cause)
    if isinstance(chain[-1], ImportError):
        facts |= _absent(chain[-1])
    return {**facts, "place": _place(frames, task)}


def _absent(error: ImportError) -> dict[str, object]:
    """Return the module, or the name in one, that was not found: not that it failed to load."""
    name = error.name or ""
    facts: dict[str, object] = {"standard": name.partition(".")[0] in sys.stdlib_module_names}
    if isinstance(error, ModuleNotFoundError):
        return {**facts, "absent": name, "is_module": True}
    if name and error.msg.startswith(_NO_NAME):
        wanted = error.msg.removeprefix(_NO_NAME).partition("'")[0]
        return {**facts, "absent": f"{name}.{wanted}", "origin": error.path or ""}
    return facts


def _trace(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _stack(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    while frame:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _place(frames: Iterable[tuple[str, int]], task: str) -> str:
    """Return `file:line` of the innermost frame that is in the package; the last is innermost."""
    inside = [(file, line) for file, line in frames if _is_inside(file, task)]
    if not inside:
        return ""
    file, line = inside[-1]
    return f"{os.path.relpath(file, task)}:{line}".replace(os.sep, "/")


def _is_inside(file: str, task: str) -> bool:
    return file.startswith(f"{task}{os.sep}")


if __name__ == "__main__":
    main(*sys.argv[1:])
