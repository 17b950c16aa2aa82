"""Build information: what Octopus shows of a package's build, and makes release notes of.

Fields as in Octopus's documentation and in go-octopusdeploy's pkg/buildinformation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.names import FULL_COMMIT
from ..edge.http import HttpError
from .client import Octopus, items, text

# Octopus's own command line warns from 200 commits on.
MOST_COMMITS = 199
_EXISTS = "already exists"
# Some servers read the mode from the query, others from the document.
_MODE = "FailIfExists"


@dataclass(frozen=True)
class BuildFacts:
    """A package's build; what is unknown stays empty. `commits` are (sha, subject)."""

    package_id: str
    version: str
    environment: str
    number: str
    url: str
    branch: str
    root: str
    commit: str
    commits: tuple[tuple[str, str], ...]


def build_information(facts: BuildFacts) -> dict[str, Any]:
    """Return the document that describes a build; what is empty is left out."""
    found: dict[str, Any] = {
        "BuildEnvironment": facts.environment,
        "BuildNumber": facts.number,
        "BuildUrl": facts.url,
        "Branch": facts.branch,
        "VcsType": "Git",
        "VcsRoot": facts.root,
        "VcsCommitNumber": facts.commit,
    }
    commits = [{"Id": sha, "Comment": subject} for sha, subject in facts.commits]
    return {key: value for key, value in found.items() if value} | {"Commits": commits}


def previous_commit(octopus: Octopus, package_id: str) -> str:
    """Return the commit of the last build that Octopus knows of the package, or an empty text."""
    page = octopus.get("build-information", packageId=package_id, latest="true", take=1)
    found = items(page)
    commit = text(found[0], "VcsCommitNumber") if found else ""
    return commit if FULL_COMMIT.fullmatch(commit) else ""


def inform(octopus: Octopus, facts: BuildFacts) -> bool:
    """Send a build's information; False when there is some for this version, which then stays."""
    document = {
        "SpaceId": octopus.space_id,
        "PackageId": facts.package_id,
        "Version": facts.version,
        "OverwriteMode": _MODE,
        "OctopusBuildInformation": build_information(facts),
    }
    try:
        octopus.post("build-information", document, overwriteMode=_MODE)
    except HttpError as error:
        if _EXISTS in error.what.lower():
            return False
        raise
    return True
