"""What stays out of a function zip where the runtime's SDK is used.

Worked out from an installed folder while each distribution's RECORD and METADATA are still there.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...project.tables import normal

# boto3 and what it is made of, as in Lambda's Python runtimes.
SDK = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
# A distribution, and the extras of it that somebody asks for.
_Wanted = tuple[str, frozenset[str]]
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def sdk_files(folder: Path, requirements: Sequence[str]) -> frozenset[str]:
    """Return the files of the SDK's distributions that nothing else in `folder` needs.

    `requirements` are the project's own. What they name besides boto3, botocore and s3transfer
    stays, as does everything that a distribution which stays requires.
    """
    installed = {
        normal(found.metadata["Name"]): found
        for found in importlib.metadata.distributions(path=[str(folder)])
    }
    requires = {name: tuple(found.requires or ()) for name, found in installed.items()}
    keep = needed(requires, requirements)
    return frozenset(
        file.as_posix()
        for name in SDK
        if name in installed and name not in keep
        for file in installed[name].files or ()
    )


def needed(requires: Mapping[str, Sequence[str]], direct: Iterable[str]) -> frozenset[str]:
    """Return the distributions that stay: all but the SDK, and what those require.

    `requires` holds each installed distribution's `Requires-Dist`. Markers other than an extra
    are taken as true, so that rather too much stays than too little.
    """
    asked = [wanted for line in direct if (wanted := _wanted(line, frozenset()))]
    roots: list[_Wanted] = [(name, frozenset()) for name in requires if name not in SDK]
    roots += [want for want in asked if want[0] not in ("boto3", "botocore", "s3transfer")]
    seen: set[_Wanted] = set()
    while roots:
        name, extras = roots.pop()
        if (name, extras) not in seen:
            seen.add((name, extras))
            lines = requires.get(name, ())
            roots += [found for line in lines if (found := _wanted(line, extras))]
    return frozenset(name for name, _ in seen)


def _wanted(line: str, extras: frozenset[str]) -> _Wanted | None:
    """Read a requirement; None when it belongs to an extra that nobody asked for."""
    match = _REQUIREMENT.match(line)
    if not match:
        return None
    if (extra := _EXTRA.search(match[4] or "")) and normal(extra[1]) not in extras:
        return None
    asked = (normal(item.strip()) for item in (match[2] or "").split(",") if item.strip())
    return normal(match[1]), frozenset(asked)
