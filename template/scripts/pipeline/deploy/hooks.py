"""Running the functions that a team wrote into its hooks file."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError


def load_hooks(path: Path) -> Callable[[str, object], None]:
    """Load a hooks file, and return what calls `stage(value)` in it.

    No file, or no function for a stage, is fine. Whatever goes wrong in one, at import too, is
    a PipelineError that names the file and the stage and keeps the trace as its cause.
    """
    if not path.is_file():
        return lambda _stage, _value: None
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        what = "Python cannot import it"
        raise PipelineError(str(path), what, "Give it a name that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    _guarded(path, "import", spec.loader.exec_module, module)

    def run(stage: str, value: object) -> None:
        hook: Any = getattr(module, stage, None)
        if hook is not None:
            _guarded(path, stage, hook, value)

    return run


def _guarded(path: Path, stage: str, call: Callable[[Any], object], value: object) -> None:
    try:
        call(value)
    except PipelineError:
        raise
    except (Exception, SystemExit) as error:
        # An exit in a hook, with 0 even, would end the verb halfway and look like success.
        what = f"{type(error).__name__}: {error}"
        # The line is one of the hooks file's own, whatever it has called. A syntax error names it.
        frames = traceback.extract_tb(error.__traceback__)
        if lines := [frame.lineno for frame in frames if frame.filename == str(path)]:
            what += f" (line {lines[-1]})"
        then = f"Correct {stage} in {path.name}; an exception there stops the verb."
        raise PipelineError(f"{path.name} {stage}", what, then) from error
