"""What Octopus is told of a package's build: commits, branch and page; and a release's notes.

Fields as in Octopus's documentation and in go-octopusdeploy's pkg/buildinformation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ..core.manifest import Manifest
from ..core.names import FULL_COMMIT
from ..core.text import counted
from ..edge.git import Git
from ..edge.http import HttpError
from ..project.buildserver import BuildServer
from .client import Octopus

_MOST_COMMITS = 199  # Octopus's own command line warns from 200 on
_BUILDS_READ = 30
_EXISTS = "already exists"
# Some servers read the mode from the query, others from the document.
_MODE = "FailIfExists"
# user@host:path, git's short form of ssh; a drive letter is no host. An @ in the path may be the
# end of a password.
_SHORT = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//)([^@]+)\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_AZURE = re.compile(r"v3/([^/]+)/([^/]+)/([^/]+)\Z")
_AZURE_SSH = ("ssh.dev.azure.com", "vs-ssh.visualstudio.com")
_WEB, _SSH = ("http", "https"), ("ssh", "git+ssh", "ssh+git", "git")


def build_document(
    manifest: Manifest, previous: str, git: Git | None, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return what Octopus stores of the build that made a package; what is unknown is left out.

    The commits are those since `previous`, which Octopus knows; where that is "", those since the
    last version tag.
    """
    server, commit = BuildServer.from_environ(environ), manifest.source.commit or ""
    known = {
        "BuildEnvironment": server.name or "a developer's machine",
        "BuildNumber": server.build_number or manifest.version,
        "BuildUrl": server.build_url,
        "Branch": manifest.source.branch,
        "VcsType": "Git",
        "VcsRoot": web_url(git.remote() or "") if git else "",
        "VcsCommitNumber": commit,
    }
    listed = []
    if git and commit:
        since = previous or git.tag_before(commit) or ""
        commits = git.commits(since, commit, _MOST_COMMITS)
        listed = [{"Id": sha, "Comment": subject} for sha, subject in commits]
    return {key: value for key, value in known.items() if value} | {"Commits": listed}


def send_build_information(
    octopus: Octopus, manifest: Manifest, git: Git | None, environ: Mapping[str, str]
) -> str:
    """Send the build information of a package and return what was done, in words.

    What Octopus has for this version already stays. Raises PipelineError where it refuses.
    """
    build = build_document(manifest, _commit_before(octopus, manifest, git), git, environ)
    document = {
        "SpaceId": octopus.space_id,
        "PackageId": manifest.package_id,
        "Version": manifest.version,
        "OverwriteMode": _MODE,
        "OctopusBuildInformation": build,
    }
    try:
        octopus.post("build-information", document, overwriteMode=_MODE)
    except HttpError as error:
        if _EXISTS in error.what.lower():
            return "Octopus has it already"
        raise
    count = len(build["Commits"])
    return f"{counted(count, 'commit')}, {build.get('Branch', 'no branch')}"


def release_notes(
    octopus: Octopus, manifest: Manifest, git: Git | None, environ: Mapping[str, str]
) -> str:
    """Return a release's notes as Markdown: the commits since the version that Octopus knows.

    Where no commits are known they say where the package came from.
    """
    build = build_document(manifest, _commit_before(octopus, manifest, git), git, environ)
    commit, url = manifest.source.commit, build.get("BuildUrl")
    source = f", {build.get('Branch', 'no branch')} at {commit[:7]}" if commit else ""
    page = f", [build {build['BuildNumber']}]({url})" if url else ""
    lines = [f"{manifest.package_id} {manifest.version}{source}{page}."]
    listed = [f"- {_escaped(one['Comment'])} ({one['Id'][:7]})" for one in build["Commits"]]
    return "\n".join([*lines, *([""] if listed else []), *listed])


def _commit_before(octopus: Octopus, manifest: Manifest, git: Git | None) -> str:
    """Return the newest commit of another version that is in this one's history, or ""."""
    commit = manifest.source.commit
    if not git or not commit:
        return ""
    try:
        page = octopus.get("build-information", packageId=manifest.package_id, take=_BUILDS_READ)
    except HttpError:
        # Servers from before 2019.10 know no build information, and some keys may not read it.
        return ""
    for item in page.resources():
        before = item.text("VcsCommitNumber")
        is_other = item.text("Version") != manifest.version and before != commit
        if is_other and FULL_COMMIT.fullmatch(before) and git.is_ancestor(before, commit):
            return before
    return ""


def _escaped(subject: str) -> str:
    """Escape what Markdown or Octopus's own templates would interpret."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", subject).replace("#{", "# {")


def web_url(remote: str) -> str:
    """Return the https URL of a remote, without user, password and `.git`.

    Empty for a folder and for anything else that no browser opens. An http remote stays http:
    a server without TLS is not found under https. A port is kept for these two only.
    """
    remote = remote.strip()
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return ""
        scheme, path = parts.scheme, parts.path
        if scheme not in (*_WEB, *_SSH):
            return ""
    else:
        found = _SHORT.match(remote)
        scheme, host, port, path = (
            ("ssh", found[1], None, found[2]) if found else ("", "", None, "")
        )
    path = quote(path.strip("/").removesuffix(".git"), safe="/~%", errors="replace")
    azure = _AZURE.match(path) if host in _AZURE_SSH else None
    if azure:
        host, path = "dev.azure.com", f"{azure[1]}/{azure[2]}/_git/{azure[3]}"
    if not _HOST.match(host) or not path:
        return ""
    if scheme in _WEB:
        return f"{scheme}://{host}{f':{port}' if port else ''}/{path}"
    return f"https://{host}/{path}"
