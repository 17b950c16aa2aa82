"""What stays out of a function zip where the runtime's SDK is used.

Worked out from an installed folder while each distribution's RECORD and METADATA are still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from ...project.tables import normal
from .requirements import Markers, installed_in, needs

# boto3 and what it is made of, as in Lambda's Python runtimes.
SDK = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
# Those that a function names to use the SDK; the rest it names to have it.
_ITSELF = ("boto3", "botocore", "s3transfer")


def sdk_files(folder: Path, requirements: Sequence[str], markers: Markers) -> frozenset[str]:
    """Return the files of the SDK's distributions that nothing else in `folder` needs.

    `requirements` are the project's own. What they name besides boto3, botocore and s3transfer
    stays, as does everything that a distribution which stays requires.
    """
    installed = installed_in(folder)
    requires = {name: found.requires or () for name, found in installed.items()}
    keep = needed(requires, requirements, markers)
    return frozenset(
        file.as_posix()
        for name in SDK
        if name in installed and name not in keep
        for file in installed[name].files or ()
    )


def needed(
    requires: Mapping[str, Sequence[str]], direct: Iterable[str], markers: Markers
) -> frozenset[str]:
    """Return the distributions that stay: all but the SDK, and what those require.

    `requires` holds each installed distribution's `Requires-Dist`.
    """
    asked = [line for line in direct if normal(Requirement(line).name) not in _ITSELF]
    roots = [*asked, *(name for name in requires if name not in SDK)]
    return frozenset(normal(wanted.name) for _, wanted in needs(requires, roots, markers))
