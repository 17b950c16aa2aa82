"""The verb of the cache: cache.clear."""

from __future__ import annotations

from dataclasses import asdict

from invoke import Collection, Context, task

from .flags import COMMON
from .session import root_of, session

__all__ = ["verbs"]


def verbs() -> Collection:
    """Return the verbs, to be added under the name `cache`."""
    return Collection(clear)


@task(help=COMMON)
def clear(c: Context, json: bool = False, verbose: bool = False) -> None:
    """Remove everything in .pipeline/cache; the next build makes it again."""
    from ..verbs.cache import clear_cache
    from ..verbs.sizes import megabytes

    with session(root_of(c), json=json, verbose=verbose) as run:
        cleared = clear_cache(run.machine, run.reporter)
        size = megabytes(cleared.size) if cleared.files else "nothing"
        run.reporter.line(f".pipeline/cache: {size} in {cleared.files} files removed")
        run.answer = asdict(cleared)
