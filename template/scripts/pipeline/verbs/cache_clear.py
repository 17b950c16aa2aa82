"""`cache.clear`: remove everything that a build can make again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..edge.cache import clear, exclusive_use
from ..edge.files import unwritable
from ..edge.locks import exclusive
from ..local.background import running
from .local import state_file


def clear_cache(root: Path, folder: Path, reporter: Reporter) -> tuple[int, int]:
    """Empty the cache `folder` of the repository; return how many files and bytes were removed.

    Other processes that use it are waited for. Raises PipelineError while the embedded AWS runs,
    which uses it until it is stopped. `build-output` and the machine's own caches stay.
    """
    aws = running(state_file(root))
    if aws is not None:
        raise PipelineError(
            "cache.clear",
            f"the embedded AWS (process {aws.pid}) runs the function from there",
            "Stop it first: `python3 tasks.py local.stop`.",
        )

    building = partial(reporter.line, "a build is running in this folder; waiting for it")
    used = partial(
        reporter.line,
        "the cache is in use by a test, `run`, `verify` or the like in this folder; "
        "waiting for its end",
    )
    with exclusive(root / ".pipeline" / "build.lock", building), exclusive_use(folder, used):
        try:
            return clear(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
