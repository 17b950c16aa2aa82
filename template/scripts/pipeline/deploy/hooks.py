"""Running the functions that a team wrote into its hooks file."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError


def load_hooks(path: Path, name: str = "") -> Callable[[str, object], None]:
    """Load a hooks file, and return what calls `stage(value)` in it.

    No file, or no function for a stage, is fine. Whatever goes wrong in one, at import too, is
    a PipelineError that names the line of the file, which is called `name`, and keeps the trace as
    its cause.
    """
    if not path.is_file():
        return lambda _stage, _value: None
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        what = "Python cannot import it"
        raise PipelineError(str(path), what, "Give it a name that ends in .py.")
    module = importlib.util.module_from_spec(spec)

    def guarded(stage: str, call: Callable[[Any], object], value: object) -> None:
        try:
            call(value)
        except PipelineError:
            raise
        except (Exception, SystemExit) as error:
            # An exit in a hook, with 0 even, would end the verb halfway and look like success.
            where = f"{name or path.name}{_line(error, str(path))}"
            said = error.msg if isinstance(error, SyntaxError) else str(error)
            what = f"{stage} ended with {type(error).__name__}: {said}"
            then = "Correct it: what a hook raises stops the verb."
            raise PipelineError(where, what, then) from error

    guarded("its import", spec.loader.exec_module, module)

    def run(stage: str, value: object) -> None:
        hook: Any = getattr(module, stage, None)
        if hook is not None:
            guarded(stage, hook, value)

    return run


def _line(error: BaseException, file: str) -> str:
    """Return like `:17` for the line of the file that an error came from, where that is known."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno)
    return f":{lines[-1]}" if lines and lines[-1] else ""
