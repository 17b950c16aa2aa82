"""What requirements lead to: whether that is installed, and what of it the runtime has already.

Worked out from an installed folder while each distribution's RECORD and METADATA are still there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement

from ...core.errors import PipelineError
from ...project.runtimes import Runtime
from ...project.tables import normal

# What a requirement's markers are held against, as `packaging` names it.
Markers = Mapping[str, str]
_VERSIONS = re.compile(r"^(\s*[\w.-]+\s*(?:\[[^\]]*\])?)[^;]*")
# boto3 and what it is made of, as in Lambda's Python runtimes.
SDK = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
# Those that a function names to use the SDK; the rest it names to have it.
_ITSELF = ("boto3", "botocore", "s3transfer")


def markers_here(version: str) -> Markers:
    """Return this machine's values of markers, for Python `major.minor`."""
    here = default_environment()
    return {**here, "python_version": version, "python_full_version": f"{version}.0"}  # type: ignore[dict-item]


def markers_of(runtime: Runtime, architecture: str) -> Markers:
    """Return the values of markers on Lambda."""
    return {
        **markers_here(runtime.version),
        "implementation_name": "cpython",
        "implementation_version": f"{runtime.version}.0",
        "os_name": "posix",
        "platform_machine": runtime.platform(architecture).partition("-")[0],
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "sys_platform": "linux",
    }


def installed_in(folder: Path) -> dict[str, Distribution]:
    """Return the distributions in a folder by normalised name."""
    found = distributions(path=[str(folder)])
    return {normal(distribution.metadata["Name"]): distribution for distribution in found}


def needs(
    requires: Mapping[str, Sequence[str]], direct: Iterable[str], markers: Markers
) -> Iterator[tuple[str, Requirement]]:
    """Yield who asks for what: the requirements `direct`, for whom the name is empty, and theirs.

    `requires` holds each installed distribution's `Requires-Dist`, by normalised name.
    """
    waiting = list(_asked("", direct, "", markers))
    seen = set()
    while waiting:
        who, wanted = waiting.pop()
        yield who, wanted
        for extra in ("", *wanted.extras):
            package = normal(wanted.name), extra
            if package not in seen:
                seen.add(package)
                lines = requires.get(package[0], ())
                waiting += _asked(package[0], lines, extra, markers)


def _asked(
    who: str, lines: Iterable[str], extra: str, markers: Markers
) -> Iterator[tuple[str, Requirement]]:
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            # Some old wheels write versions that were never right; the lock has chosen one.
            wanted = Requirement(_VERSIONS.sub(r"\1", line))
        if wanted.marker is None or wanted.marker.evaluate({**markers, "extra": extra}):
            yield who, wanted


def refuse_misfits(folder: Path, direct: Sequence[str], markers: Markers, lock: str) -> None:
    """Refuse what is installed in a folder unless it is what the requirements `direct` lead to.

    So a lock is noticed that was made for another runtime, that was edited, or of which nothing
    asks for a part any more. Raises PipelineError with the place `lock`.
    """
    installed = installed_in(folder)
    requires = {name: found.requires or () for name, found in installed.items()}
    left = set(installed)
    for who, wanted in needs(requires, direct, markers):
        name = normal(wanted.name)
        left.discard(name)
        version = installed[name].version if name in installed else ""
        if not version or not wanted.specifier.contains(version, prereleases=True):
            raise _misfit(lock, f"{who or 'pyproject.toml'} asks for {wanted}", version)
    if left:
        what = f"nothing in pyproject.toml leads to what is locked: {', '.join(sorted(left))}"
        raise PipelineError(lock, what, "Run `python3 tasks.py lock`.")


def refuse_unlocked(lock: str, locked: Mapping[str, Sequence[str]], direct: Sequence[str]) -> None:
    """Refuse a lock without a version that each of the project's requirements takes.

    `locked` has the versions by normalised name. Raises PipelineError with the place `lock`.
    """
    for wanted in map(Requirement, direct):
        versions = locked.get(normal(wanted.name), ())
        fits = any(wanted.specifier.contains(version, prereleases=True) for version in versions)
        # With a marker it may be for other Pythons only, and rightly not in the lock.
        if not fits and (versions or not wanted.marker):
            raise _misfit(lock, f"pyproject.toml asks for {wanted}", " and ".join(versions))


def _misfit(lock: str, asked: str, version: str) -> PipelineError:
    what = f"{asked}, and {version or 'none of it'} is locked"
    return PipelineError(lock, what, "Run `python3 tasks.py lock`.")


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
