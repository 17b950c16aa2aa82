"""`clean` and `cache.clear`: remove what builds left behind, and what they can make again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.manifest import MANIFEST_NAME
from ..edge.cache import clear, clear_unused, exclusive_use, remove
from ..edge.files import writing
from ..edge.locks import exclusive
from ..local.background import running
from .last_build import OUTPUT, last_build
from .local import state_file


def clear_cache(root: Path, folder: Path, reporter: Reporter) -> tuple[int, int]:
    """Empty the cache `folder` of the repository; return how many files and bytes were removed.

    Other processes that use it are waited for. Raises PipelineError while the embedded AWS runs,
    which uses it until it is stopped. `build-output` and the machine's own caches stay.
    """
    with _alone("cache.clear", root, folder, reporter):
        return clear(folder)


def clean(root: Path, folder: Path, keep: int | None, reporter: Reporter) -> tuple[int, int]:
    """Remove all builds but the `keep` newest and the last, and what no later one used of a cache.

    With None for `keep` all of `build-output` and of the cache `folder` goes. Returns and raises as
    `clear_cache` does.
    """
    if keep is not None and keep < 0:
        raise UsageError("--keep", f"{keep} builds cannot be kept", "Pass a number, like 3.")
    output = root / OUTPUT
    with _alone("clean", root, folder, reporter):
        if keep is None:
            found = [remove([*output.iterdir()] if output.is_dir() else ()), clear(folder)]
        else:
            last = last_build(root)
            # A build's manifest is as old as the build, and what it used of the cache no younger.
            made = {path.parent: path.stat().st_mtime for path in output.glob(f"*/{MANIFEST_NAME}")}
            gone = sorted(made, key=made.__getitem__, reverse=True)[keep:]
            gone = [build for build in gone if not last or build != (root / last.package).parent]
            for build in gone:
                reporter.line(f"  {build.relative_to(root).as_posix()}")
            unused = clear_unused(folder, made[gone[0]]) if gone else (0, 0)
            found = [remove(gone), unused]
    return sum(files for files, _ in found), sum(size for _, size in found)


@contextmanager
def _alone(verb: str, root: Path, folder: Path, reporter: Reporter) -> Iterator[None]:
    """Hold the builds and the cache of a repository alone; an OSError names what is in the way."""
    aws = running(state_file(root))
    if aws is not None:
        raise PipelineError(
            verb,
            f"the embedded AWS (process {aws.pid}) runs the function from the cache",
            "Stop it first: `python3 tasks.py local.stop`.",
        )
    building = partial(reporter.line, "a build is running in this folder; waiting for it")
    used = partial(
        reporter.line,
        "the cache is in use by a test, `run`, `verify` or the like in this folder; "
        "waiting for its end",
    )
    with (
        exclusive(root / ".pipeline" / "build.lock", building),
        exclusive_use(folder, used),
        writing(folder),
    ):
        yield
