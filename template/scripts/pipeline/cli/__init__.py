"""The verbs of a repository as an invoke namespace: names and flags, nothing else."""

from __future__ import annotations

from pathlib import Path

from invoke import Collection

from ..cli import build, deploy, function, local, octopus, upkeep


def namespace(root: Path) -> Collection:
    """Return the verbs of the repository at `root`."""
    collection = Collection(
        build.version,
        build.lock,
        build.test,
        build.build,
        build.package,
        build.verify,
        build.check,
        build.clean,
        upkeep.doctor,
        upkeep.update,
        function.inspect,
        function.run,
        octopus.push,
        octopus.release,
        deploy.deploy,
        deploy.rollback,
        deploy.status,
        deploy.logs,
        Collection("env", octopus.create, octopus.delete, octopus.list_, octopus.reap),
        Collection(
            "local", local.start, local.stop, local.invoke, local.put, local.logs, local.env
        ),
        Collection("versions", deploy.prune),
        Collection("cache", build.clear),
    )
    collection.configure({"pipeline": {"root": str(root)}})
    return collection
