"""What is installed in a folder: what it says of itself, and whether requirements lead to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement

from ...core.errors import PipelineError
from ...project.runtimes import Runtime
from ...project.tables import normal
from ..engine import Distribution

# Distributions by normalised name.
Site = Mapping[str, metadata.Distribution]
# What a requirement's markers are held against, as `packaging` names it.
Markers = Mapping[str, str]
_SHORT = 80  # characters; longer ones are a licence's text, not its name
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


def installed_in(folder: Path) -> Site:
    """Return the distributions in a folder, or at the root of a zip."""
    found = metadata.distributions(path=[str(folder)])
    return {normal(one.metadata["Name"]): one for one in found}


def facts_of(one: metadata.Distribution) -> Distribution:
    """Return what a distribution says of itself, and the tags of the wheel that it came in.

    The licence is `License-Expression`, else `License` when it is one short line, else the last
    licence classifier.
    """
    every = one.metadata.get_all
    short = [line for line in every("License", []) if "\n" not in line and len(line) < _SHORT]
    classifiers = [line for line in every("Classifier", []) if line.startswith("License ::")]
    last = [line.rpartition("::")[2].strip() for line in classifiers[-1:]]
    licence = next(filter(None, [*every("License-Expression", []), *short, *last]), "")
    wheel = HeaderParser().parsestr(one.read_text("WHEEL") or "")
    return Distribution(one.version, licence, tuple(wheel.get_all("Tag") or ()))


def needs(
    installed: Site, direct: Iterable[str], markers: Markers
) -> Iterator[tuple[str, Requirement]]:
    """Yield who asks for what: the requirements `direct`, by the empty name, and theirs."""
    waiting = list(_asked("", direct, "", markers))
    seen = set()
    while waiting:
        who, wanted = waiting.pop()
        yield who, wanted
        name = normal(wanted.name)
        for extra in ("", *wanted.extras) if name in installed else ():
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _asked(name, installed[name].requires or (), extra, markers)


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


def refuse_misfits(installed: Site, direct: Sequence[str], markers: Markers, lock: str) -> None:
    """Refuse what is installed unless it is what the requirements `direct` lead to.

    So a lock is noticed that was made for another runtime, that was edited, or of which nothing
    asks for a part any more. Raises PipelineError with the place `lock`.
    """
    left = set(installed)
    for who, wanted in needs(installed, direct, markers):
        name = normal(wanted.name)
        left.discard(name)
        version = installed[name].version if name in installed else ""
        if not version or not wanted.specifier.contains(version, prereleases=True):
            raise misfit(lock, f"{who or 'pyproject.toml'} asks for {wanted}", version)
    if left:
        what = f"nothing in pyproject.toml leads to what is locked: {', '.join(sorted(left))}"
        raise PipelineError(lock, what, "Run `python3 tasks.py lock`.")


def misfit(lock: str, asked: str, version: str) -> PipelineError:
    """Return the error for a lock that has another version than is asked for, or none."""
    what = f"{asked}, and {version or 'none of it'} is locked"
    return PipelineError(lock, what, "Run `python3 tasks.py lock`.")


def left_to_runtime(installed: Site, direct: Iterable[str], markers: Markers) -> frozenset[str]:
    """Return the distributions of the SDK that nothing else needs.

    `direct` are the project's own requirements. What they name besides boto3, botocore and
    s3transfer stays, as does everything that a distribution which stays requires.
    """
    asked = [line for line in direct if normal(Requirement(line).name) not in _ITSELF]
    roots = [*asked, *(name for name in installed if name not in SDK)]
    needed = {normal(wanted.name) for _, wanted in needs(installed, roots, markers)}
    return frozenset(SDK) & installed.keys() - needed
