"""`versions.prune`: the versions of a function that nobody needs any more go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..core.events import Reporter
from ..core.text import readable_size
from ..deploy.old_versions import OldVersion, Storage, old_versions, remove, storage
from .which_function import Place

KEPT_BY_DEFAULT = 10


@dataclass(frozen=True)
class Pruned:
    """What was removed of a function's versions, or would be in a dry run; the newest first."""

    environment: str
    function: str
    keep: int
    versions: tuple[OldVersion, ...]
    removed: tuple[OldVersion, ...]
    storage: Storage | None


def prune(place: Place, keep: int | None, reporter: Reporter, *, dry_run: bool) -> Pruned:
    """Remove the versions that nobody needs but the `keep` newest; a dry run only looks.

    None means the environment's setting. Raises PipelineError where what needs them is not known.
    """
    functions, name = place.connection.functions, place.function
    keep = keep or place.environment.keep_versions or KEPT_BY_DEFAULT
    with reporter.stage("versions") as stage:
        versions = old_versions(functions, name, keep)
        stage.text = f"{len(versions)} published, {sum(not one.needed for one in versions)} may go"
    for line in _table(versions):
        reporter.line(line)
    gone: tuple[OldVersion, ...] = ()
    if dry_run:
        reporter.line("Dry run: nothing was changed.")
    else:
        with reporter.stage("remove") as stage:
            gone = remove(functions, name, versions, stage)
    if left := storage(functions):
        reporter.line(f"Of the region's {left}.")
    return Pruned(place.environment.name, name, keep, versions, gone, left)


def _table(versions: tuple[OldVersion, ...]) -> Iterator[str]:
    width = max((len(one.release) for one in versions), default=0)
    for one in versions:
        size = readable_size(one.size)
        yield f"  {one.number:>9} {one.release:<{width}} {size:>10}   {one.needed or 'may go'}"
