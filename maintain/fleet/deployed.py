"""Which version each repository has in which environment: from a file, or Octopus's dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.core.strict_json import parse_json
from pipeline.edge.http import Http
from pipeline.octopus.client import Access, Document, connect

from .status import Survey

Versions = Mapping[str, dict[str, str]]  # by repository, then by environment


def from_file(path: Path) -> Versions:
    """Return what a JSON file says: `{"orders": {"production": "2.4.17"}}`."""
    try:
        document = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise PipelineError(str(path), error.strerror or str(error)) from error
    if not isinstance(document, dict) or not all(
        isinstance(one, dict) and all(isinstance(version, str) for version in one.values())
        for one in document.values()
    ):
        then = 'Write {"orders": {"production": "2.4.17"}}: by repository, then by environment.'
        raise PipelineError(str(path), "it says no versions", then)
    return document


def from_octopus(http: Http, access: Access, survey: Survey) -> tuple[Versions, str]:
    """Return what the spaces' dashboards show, and why nothing more, which may be empty.

    A project is the one that the repository's settings name. A version counts as deployed where
    the deployment has succeeded; the dashboard keeps the one before a failed one as well.
    """
    found: dict[str, dict[str, str]] = {}
    wrong = []
    for space in dict.fromkeys(one.octopus[0] for one in survey.repositories if any(one.octopus)):
        try:
            octopus = connect(http, replace(access, space=space or access.space), lambda _: None)
            versions = _on(octopus.get("dashboard"))
        except PipelineError as error:
            wrong.append(f"{error.where}: {error.what}")
            continue
        for one in survey.repositories:
            if any(one.octopus) and one.octopus[0] == space:
                found[one.name] = versions.get(one.octopus[1].casefold(), {})
    return found, "; ".join(wrong)


def with_versions(survey: Survey, versions: Versions, why: str = "") -> Survey:
    """Return a survey with the versions that are deployed; `why` says why some are unknown."""
    repositories = [
        replace(one, deployed=versions[one.name])
        if one.name in versions
        else replace(one, unknown=[*one.unknown, f"deployed: {why or 'nothing says what'}"])
        for one in survey.repositories
    ]
    return replace(survey, repositories=repositories)


def _on(dashboard: Document) -> dict[str, dict[str, str]]:
    """Return the versions on a dashboard by project, in small letters, then by environment."""
    environments = {one.text("Id"): one.text("Name") for one in dashboard.documents("Environments")}
    projects = {one.text("Id"): one.text("Name") for one in dashboard.documents("Projects")}
    found: dict[str, dict[str, str]] = {name.casefold(): {} for name in projects.values()}
    for item in (*dashboard.documents("Items"), *dashboard.documents("PreviousItems")):
        project, environment = projects.get(item.text("ProjectId")), item.text("EnvironmentId")
        if project and environment in environments and item.text("State") == "Success":
            known = found[project.casefold()]
            known.setdefault(environments[environment], item.text("ReleaseVersion"))
    return found
