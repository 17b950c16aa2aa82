"""The verbs of a repository as an invoke namespace: names and flags, nothing else."""

from __future__ import annotations

from pathlib import Path

from invoke import Collection

from . import build, cache, deploy, env, function, local, push, release

__all__ = ["namespace"]


def namespace(root: Path) -> Collection:
    """Return the verbs of the repository at `root`."""
    collection = Collection(
        build.version,
        build.lock,
        build.test,
        build.build,
        build.package,
        build.verify,
        function.inspect,
        function.run,
        push.push,
        release.release,
        deploy.deploy,
    )
    collection.add_collection(env.verbs(), name="env")
    collection.add_collection(local.verbs(), name="local")
    collection.add_collection(cache.verbs(), name="cache")
    collection.configure({"pipeline": {"root": str(root)}})
    return collection
