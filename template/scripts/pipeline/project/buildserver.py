"""What a build server says of the build: its number, page, branch, commit and prerelease tag.

Variables as documented by TeamCity, GitHub Actions, GitLab CI, Jenkins and Azure Pipelines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

# No server has a variable of its own for it; set this one in the build's parameters.
PRERELEASE_TAG_VARIABLE = "PRERELEASE_TAG"
_REF_PREFIXES = ("refs/heads/", "origin/")
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class _Variables:
    name: str
    marker: str
    number: str
    branch: tuple[str, ...]
    commit: str
    url: str


# The first branch variable with a value counts: a pull request's own branch before the
# merge commit's. TeamCity has none of its own; its build file passes it on.
_SERVERS = (
    _Variables(
        "TeamCity", "TEAMCITY_VERSION", "BUILD_NUMBER",
        ("TEAMCITY_BUILD_BRANCH",), "BUILD_VCS_NUMBER",
        "{BUILD_URL}",
    ),
    _Variables(
        "GitHub Actions", "GITHUB_ACTIONS", "GITHUB_RUN_NUMBER",
        ("GITHUB_HEAD_REF", "GITHUB_REF_NAME"), "GITHUB_SHA",
        "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
    ),
    _Variables(
        "GitLab CI", "GITLAB_CI", "CI_PIPELINE_IID",
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME"),
        "CI_COMMIT_SHA", "{CI_PIPELINE_URL}",
    ),
    _Variables(
        "Jenkins", "JENKINS_URL", "BUILD_NUMBER",
        ("CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"), "GIT_COMMIT", "{BUILD_URL}",
    ),
    _Variables(
        "Azure Pipelines", "TF_BUILD", "BUILD_BUILDID",
        ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH"), "BUILD_SOURCEVERSION",
        "{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class BuildServer:
    """The build server that runs this build; `name` is empty on a developer's machine.

    `build_number` and `prerelease_tag` are as the server wrote them, unchecked; `build_url` is
    the build's page.
    """

    name: str = ""
    build_number: str | None = None
    branch: str | None = None
    commit: str | None = None
    prerelease_tag: str | None = None
    build_url: str | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> BuildServer:
        """Recognise the server by the variable that only it sets."""
        tag = environ.get(PRERELEASE_TAG_VARIABLE) or None
        for server in _SERVERS:
            if environ.get(server.marker):
                branches = (environ.get(name) for name in server.branch)
                return cls(
                    name=server.name,
                    build_number=environ.get(server.number) or None,
                    branch=_short(next((branch for branch in branches if branch), None)),
                    commit=environ.get(server.commit) or None,
                    prerelease_tag=tag,
                    build_url=_filled(server.url, environ),
                )
        return cls(prerelease_tag=tag)


def _filled(template: str, environ: Mapping[str, str]) -> str | None:
    """Return an address made of variables, or None when one of them is not set."""
    if not all(environ.get(name) for name in _NAME.findall(template)):
        return None
    # A project of Azure Pipelines may have spaces in its name.
    return _NAME.sub(lambda found: quote(environ[found[1]], safe="/:%?=&"), template)


def _short(branch: str | None) -> str | None:
    for prefix in _REF_PREFIXES:
        if branch and branch.startswith(prefix):
            return branch.removeprefix(prefix)
    # TeamCity calls the default branch by this when nobody named it.
    return None if branch == "<default>" else branch
