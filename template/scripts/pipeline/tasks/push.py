"""The verb that publishes a package."""

from __future__ import annotations

from invoke import Context, task

from .flags import COMMON
from .secrets import OCTOPUS_FLAGS, octopus_access, secret
from .session import root_of, session

__all__ = ["push"]


@task(
    help={
        "package": "The package; the last build's by default",
        "feed": "A folder, a NuGet feed's URL, or `octopus`; pyproject.toml's feed by default",
        "skip-duplicate": "Accept a version that is there and cannot be compared",
        "nuget-api-key": "`-` reads it from standard input; NUGET_API_KEY is the better place",
        **OCTOPUS_FLAGS,
        **COMMON,
    }
)
def push(
    c: Context, package: str | None = None, feed: str | None = None, skip_duplicate: bool = False,
    nuget_api_key: str | None = None, octopus_server_url: str | None = None,
    octopus_api_key: str | None = None, octopus_space: str | None = None,
    json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Publish a package to a folder, a NuGet feed, or Octopus's built-in feed."""
    from dataclasses import asdict

    from ..verbs.packages import chosen_package
    from ..verbs.push import PushOptions
    from ..verbs.push import push as verb

    with session(root_of(c), json=json, verbose=verbose) as run:
        options = PushOptions(
            feed or "",
            skip_duplicate,
            secret(run, "--nuget-api-key", nuget_api_key, "NUGET_API_KEY"),
            run.machine.environ.get("NUGET_USER", ""),
            octopus_access(run, octopus_server_url, octopus_api_key, octopus_space),
        )
        path = chosen_package(package, run.machine)
        run.answer = asdict(verb(run.project, path, options, run.machine, run.reporter))
