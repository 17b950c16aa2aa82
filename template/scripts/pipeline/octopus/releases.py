"""Octopus releases, and starting their deployments: each only once, even if an answer is lost.

There is one release for each project and version, always with the same package version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ..core.errors import Conflict, PipelineError
from ..edge.http import HttpError
from .client import Document, Octopus, once
from .environments import OctopusEnvironment
from .projects import OctopusProject

_PAGE = 30


@dataclass(frozen=True)
class Wanted:
    """The release to make of a package: its version is the package's, its notes are Markdown."""

    package_id: str
    version: str
    notes: str


@dataclass(frozen=True)
class Release:
    """A release that is there; `created` says whether it was made just now."""

    id: str
    version: str
    project: OctopusProject
    created: bool


def ensure_release(octopus: Octopus, project: OctopusProject, wanted: Wanted) -> Release:
    """Return the project's release of this version, made now unless it is there.

    Raises Conflict where it is there with another version of the package or in another channel,
    PipelineError with the server's words where it refuses the release.
    """
    where = f"release {project.name} {wanted.version}"
    path = f"projects/{project.id}/releases/{quote(wanted.version, safe='')}"
    template = octopus.get(f"{project.process.views}/template", channel=project.channel_id)
    packages = template.documents("Packages")
    there = octopus.find(path)
    created = there is None

    def make() -> Document | None:
        _make(octopus, project, wanted, packages)
        return octopus.find(path)

    try:
        there = there or once(make, lambda: octopus.find(path))
    except HttpError as error:
        # Somebody else may have made it meanwhile.
        there, created = octopus.find(path), False
        if not there:
            then = (
                "Push the package first (`python3 tasks.py push`), and look whether the "
                f"channel {project.channel} takes the version {wanted.version}: its rules may "
                "exclude prereleases. --channel names another one."
            )
            is_rule = error.status == HTTPStatus.BAD_REQUEST
            what = error.text or error.what
            raise PipelineError(where, what, then if is_rule else error.then) from error
    if there is None:
        raise PipelineError(where, "the server made it, and does not show it", "Try again.")
    _refuse_others(there, project, packages, wanted, where)
    return Release(there.identity(), wanted.version, project, created)


def find_release(octopus: Octopus, project: OctopusProject, version: str) -> Release | None:
    """Return the project's release of that version, whatever made it, or None."""
    there = octopus.find(f"projects/{project.id}/releases/{quote(version, safe='')}")
    return Release(there.identity(), version, project, created=False) if there else None


def _is_ours(package: Document, wanted: Wanted) -> bool:
    return package.text("PackageId").casefold() == wanted.package_id.casefold()


def _place(package: Document) -> tuple[str, str]:
    """Return the action that uses a package, and by which name."""
    return package.text("ActionName"), package.text("PackageReferenceName")


def _make(
    octopus: Octopus, project: OctopusProject, wanted: Wanted, packages: Sequence[Document]
) -> None:
    if not octopus.has_executions:
        octopus.post("releases", _by_steps(project, wanted, packages), ignoreChannelRules="false")
        return
    # Other packages of the process get the version that Octopus chooses.
    is_only_package = all(_is_ours(package, wanted) for package in packages)
    selected: dict[str, Any] = (
        {"packageVersion": wanted.version}
        if is_only_package
        else {"packages": [f"{wanted.package_id}:{wanted.version}"]}
    )
    # A project that is not version-controlled must not be given a reference.
    git_ref = project.process.git_ref
    octopus.execute(
        "releases/create/v1",
        projectName=project.name,
        # Without its name the server chooses another channel where the default one's rules exclude
        # the version, whose steps nobody has looked at.
        channelName=project.channel,
        **({"gitRef": git_ref} if git_ref else {}),
        releaseVersion=wanted.version,
        releaseNotes=wanted.notes,
        ignoreIfAlreadyExists=False,
        ignoreChannelRules=False,
        **selected,
    )


def _by_steps(
    project: OctopusProject, wanted: Wanted, packages: Sequence[Document]
) -> dict[str, Any]:
    """Return the document of the older endpoint, where every package needs its version."""
    selected = []
    for package in packages:
        action, reference = _place(package)
        last = package.text("VersionSelectedLastRelease")
        other = package.text("PackageId")
        version = wanted.version if _is_ours(package, wanted) else last
        if not version:
            raise PipelineError(
                f"release {project.name} {wanted.version}",
                f"step {action!r} uses {other} too, which no release had so far",
                "Make the project's first release in Octopus; later ones take its version.",
            )
        selected.append(
            {"ActionName": action, "PackageReferenceName": reference, "Version": version}
        )
    git_ref = project.process.git_ref
    return {
        "ProjectId": project.id,
        "ChannelId": project.channel_id,
        **({"VersionControlReference": {"GitRef": git_ref}} if git_ref else {}),
        "Version": wanted.version,
        "ReleaseNotes": wanted.notes,
        "SelectedPackages": selected,
    }


def _refuse_others(
    there: Document, project: OctopusProject, packages: Iterable[Document], wanted: Wanted,
    where: str,
) -> None:  # fmt: skip
    """Compare what the release holds: it may be of another package, channel or reference."""
    git_ref = there.document("VersionControlReference").text("GitRef")
    for flag, made_with, wanted_one in (
        ("--channel", there.reference("ChannelId"), project.channel_id),
        ("--git-ref", _short(git_ref), _short(project.process.git_ref)),
    ):
        if made_with and wanted_one and made_with != wanted_one:
            raise Conflict(
                where,
                f"it is there already, made with another {flag}: {made_with}, not {wanted_one}",
                f"Name that one with {flag}; or delete the release in Octopus and run this again.",
            )
    held = {_place(item): item.text("Version") for item in there.documents("SelectedPackages")}
    for package in packages:
        action, version = _place(package)[0], held.get(_place(package), "")
        if _is_ours(package, wanted) and version != wanted.version:
            has = f"version {version} of" if version else "no version of"
            raise Conflict(
                where,
                f"it is there already, and its step {action!r} has {has} {wanted.package_id}",
                "Build a new version; or delete the release in Octopus and run this again.",
            )


def _short(git_ref: str) -> str:
    return git_ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def newest_releases(octopus: Octopus, project: str) -> list[str]:
    """Return the versions of a project's releases, the newest first, a page of them."""
    then = "Correct project in pyproject.toml [tool.pipeline.octopus]."
    found = octopus.required("projects", "project", project, then)
    releases = octopus.get(f"projects/{found.identity()}/releases", skip=0, take=_PAGE)
    return [release.text("Version") for release in releases.resources()]


@dataclass(frozen=True)
class Run:
    """A deployment that was started: its server task, and where people look at it."""

    task: str
    project: str
    environment: str
    version: str
    link: str


def start_deployment(octopus: Octopus, release: Release, environment: OctopusEnvironment) -> Run:
    """Start the deployment and return its task.

    Raises PipelineError with the server's words where it refuses, as when a lifecycle forbids it.
    """
    before = _started(octopus, release, environment)

    def new() -> str:
        found = _started(octopus, release, environment).items() - before.items()
        return max(found)[1] if found else ""

    try:
        task = once(lambda: _create(octopus, release, environment), new)
    except HttpError as error:
        then = (
            "Look at the lifecycle of the project's channel: the release has to pass its "
            f"earlier phases first, and {environment.name} has to be in one of them."
        )
        what = f"project {release.project.name}, release {release.version}: "
        raise PipelineError(
            f"deploy {environment.name}",
            what + (error.text or error.what),
            then if error.status == HTTPStatus.BAD_REQUEST else error.then,
        ) from error
    link = octopus.link(f"tasks/{task}")
    return Run(task, release.project.name, environment.name, release.version, link)


def _create(octopus: Octopus, release: Release, environment: OctopusEnvironment) -> str:
    if not octopus.has_executions:
        document = {"ReleaseId": release.id, "EnvironmentId": environment.id}
        return octopus.post("deployments", document).identity("TaskId")
    answer = octopus.execute(
        "deployments/create/untenanted/v1",
        projectName=release.project.name,
        releaseVersion=release.version,
        environmentNames=[environment.name],
    )
    tasks = answer.documents("DeploymentServerTasks")
    return (tasks[0] if tasks else answer).identity("ServerTaskId")


def _started(octopus: Octopus, release: Release, environment: OctopusEnvironment) -> dict[str, str]:
    """Return the tasks of the release's deployments to the environment, by the deployment's id."""
    return {
        deployment.identity(): deployment.identity("TaskId")
        for deployment in octopus.all(f"releases/{release.id}/deployments")
        if deployment.text("EnvironmentId") == environment.id
    }
