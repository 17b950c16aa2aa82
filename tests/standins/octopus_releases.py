"""The stand-in's releases, by the executions API and the older one."""

from __future__ import annotations

import re

from tests.standins.octopus_ask import ID, SPACE, Answer, Ask, Body, Route, page
from tests.standins.octopus_resources import process_packages
from tests.standins.octopus_state import Document, Refusal, Space, folded

# go-octopusdeploy pkg/releases/create_release_v1.go
_RELEASE = (
    "ProjectName", "ReleaseVersion", "PackageVersion", "Packages", "ChannelName", "GitRef",
    "GitCommit", "GitResources", "ReleaseNotes", "CustomFields", "PackagePrerelease",
    "IgnoreIfAlreadyExists", "IgnoreChannelRules",
)  # fmt: skip
# The REST reference, releases.md, "Create a Release".
_OLD_RELEASE = (
    "ProjectId", "ChannelId", "Version", "ReleaseNotes", "SelectedPackages", "SpaceId",
    "VersionControlReference", "SelectedGitResources", "CustomFields", "IgnoreChannelRules",
)  # fmt: skip


def _create_v1(ask: Ask) -> Answer:
    """Take the space's id in the URL, and its id and its id or name once more in the body.

    go-octopusdeploy pkg/releases/create_release_v1.go.
    """
    body = ask.body
    body.only(*SPACE, *_RELEASE)
    body.need("SpaceId", "SpaceIdOrName", "ProjectName")
    project = ask.space.named("projects", body("ProjectName"))
    git_ref = _git_ref(project, body("GitRef", ""))
    version = body("ReleaseVersion") or body("PackageVersion")
    there = release_of(ask.space, project, version)
    if there and body("IgnoreIfAlreadyExists"):
        # What the release holds is not compared.
        return 200, {"ReleaseId": there["Id"], "ReleaseVersion": version}
    _refuse_twin(there, version)
    chosen = _chosen(ask.space, project, git_ref, body)
    channel = _channel(ask.space, project, body("ChannelName", ""))
    if not body("IgnoreChannelRules"):
        _check_rules(channel, chosen)
    release = {"Version": version, "ReleaseNotes": body("ReleaseNotes"), "SelectedPackages": chosen}
    made = _add_release(ask.space, project, channel, git_ref, release)
    return 201, {"ReleaseId": made["Id"], "ReleaseVersion": version}


def _git_ref(project: Document, git_ref: str) -> str:
    """Refuse a missing reference, and one for a project that is not version-controlled.

    The REST reference, releases.md, on `GitRef`: "the command fails either way round".
    """
    if bool(git_ref) != ("PersistenceSettings" in project):
        raise Refusal(400, "Version-controlled projects need a git reference, others take none.")
    return git_ref


def _chosen(space: Space, project: Document, git_ref: str, body: Body) -> list[Document]:
    """Give every package step its version: `packages` by step or package, else packageVersion."""
    named = {}
    for text in body("Packages", []):
        *names, version = text.split(":")
        # A name that nothing has is ignored without a word: OctopusDeploy/Issues #6912.
        named[folded(names[-1])] = version
    chosen = []
    for step, action, package in process_packages(space, project["Id"], git_ref):
        keys = (folded(step), folded(action), folded(package["PackageId"]))
        version = next((named[key] for key in keys if key in named), body("PackageVersion"))
        version = version or _newest(space, package)
        _refuse_missing(space, package, version)
        chosen.append(_selected(action, package["Name"], str(version)))
    return chosen


def _newest(space: Space, package: Document) -> str | None:
    """Without a version the newest one is taken: OctopusDeploy/Issues #6912."""
    there = [
        p["Version"] for p in space.packages.values() if p["PackageId"] == package["PackageId"]
    ]
    return there[-1] if there else None


def _selected(action: str, reference: str, version: str) -> Document:
    """go-octopusdeploy pkg/packages/selected_package.go."""
    return {"ActionName": action, "PackageReferenceName": reference, "Version": version}


def _refuse_missing(space: Space, package: Document, version: str | None) -> None:
    if not version or f"packages-{package['PackageId']}.{version}" not in space.packages:
        what = f"The package '{package['PackageId']}' version '{version}' was not found."
        raise Refusal(400, what)


def _refuse_twin(there: Document | None, version: str) -> None:
    if there:
        # OctopusDeploy/Issues #888 and #1051
        text = (
            f"Release '{version}' already exists for this project. Please use a different version, "
            "or look at using a mask to auto-increment the number."
        )
        raise Refusal(400, text)


def _channel(space: Space, project: Document, name: str) -> Document:
    channels = [c for c in space.channels.values() if c["ProjectId"] == project["Id"]]
    for channel in channels:
        named = folded(name) in (folded(channel["Name"]), folded(channel["Id"]))
        if named if name else channel["IsDefault"]:
            return channel
    raise Refusal(400, f"The channel '{name}' was not found.")


def _check_rules(channel: Document, chosen: list[Document]) -> None:
    """Refuse what a rule's Tag (a regular expression) rejects: go-octopusdeploy pkg/channels."""
    for rule in channel["Rules"]:
        for package in chosen:
            tag = package["Version"].partition("-")[2]
            if not re.search(rule["Tag"], tag):
                text = (
                    f"Package version '{package['Version']}' of step '{package['ActionName']}' "
                    f"violates the pre-release tag '{rule['Tag']}' of channel '{channel['Name']}'."
                )
                raise Refusal(400, text)


def _create_old(ask: Ask) -> Answer:
    """go-octopusdeploy pkg/releases/release.go; the words of node-octopus-deploy issue 3."""
    body = ask.body
    body.only(*_OLD_RELEASE)
    body.need("ProjectId", "Version")
    project = ask.space.named("projects", body("ProjectId"))
    git_ref = _git_ref(project, body("VersionControlReference", {}).get("GitRef", ""))
    _refuse_twin(release_of(ask.space, project, body("Version")), body("Version"))
    given = {
        (p.get("ActionName") or p.get("StepName"), p.get("PackageReferenceName", "")): p["Version"]
        for p in body("SelectedPackages", [])
    }
    chosen = []
    for step, action, package in process_packages(ask.space, project["Id"], git_ref):
        version = given.get((action, package["Name"]))
        if version is None:
            raise Refusal(400, f"No package version was specified for the step '{step}'")
        _refuse_missing(ask.space, package, version)
        chosen.append(_selected(action, package["Name"], version))
    channel = _channel(ask.space, project, body("ChannelId", ""))
    if ask.query.get("ignoreChannelRules") != "true":
        _check_rules(channel, chosen)
    release = {**body.document({}, "Version", "ReleaseNotes"), "SelectedPackages": chosen}
    return 201, _add_release(ask.space, project, channel, git_ref, release)


def _add_release(
    space: Space, project: Document, channel: Document, git_ref: str, release: Document
) -> Document:
    facts = {"ProjectId": project["Id"], "ChannelId": channel["Id"], "Name": release["Version"]}
    git = {"VersionControlReference": {"GitRef": f"refs/heads/{git_ref}"}} if git_ref else {}
    return space.add("releases", {**facts, **git, **release})


def release_of(space: Space, project: Document, version: str) -> Document | None:
    """Return the release of a project with that version, if there is one."""
    for release in space.releases.values():
        if release["ProjectId"] == project["Id"] and release["Version"] == version:
            return release
    return None


def _release(ask: Ask, id: str) -> Answer:  # noqa: A002 - the API's word
    return 200, ask.space.named("releases", id)


def _release_by_version(ask: Ask, project: str, version: str) -> Answer:
    """go-octopusdeploy uritemplates ReleasesByProject."""
    found = release_of(ask.space, ask.space.named("projects", project), version)
    if found is None:
        raise Refusal(404, message=f"The resource '{version}' was not found.")
    return 200, found


def _releases_of_project(ask: Ask, project: str) -> Answer:
    """Newest first: api-client.ts src/features/projects/releases/releaseRepository.ts."""
    found = [r for r in reversed(ask.space.releases.values()) if r["ProjectId"] == project]
    return page(ask, found)


ROUTES = (
    Route("POST", "/releases/create/v1", _create_v1),
    Route("POST", "/releases", _create_old, "ignoreChannelRules"),
    Route("GET", f"/releases{ID}", _release),
    Route("GET", f"/projects{ID}/releases", _releases_of_project, "skip take searchByVersion"),
    Route("GET", f"/projects{ID}/releases/([^/]+)", _release_by_version),
)
