"""Build servers: which one it is, and what it says of the build."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.project.buildserver import BuildServer

# What each server documents for a build of the branch `main` at commit 3f2c1ab.
ENVIRONMENTS = {
    "TeamCity": {
        "TEAMCITY_VERSION": "2026.1",
        "BUILD_NUMBER": "7",
        "TEAMCITY_BUILD_BRANCH": "main",
        "BUILD_VCS_NUMBER": "3f2c1ab",
    },
    "GitHub Actions": {
        "GITHUB_ACTIONS": "true",
        "GITHUB_RUN_NUMBER": "7",
        "GITHUB_HEAD_REF": "",
        "GITHUB_REF_NAME": "main",
        "GITHUB_SHA": "3f2c1ab",
    },
    "GitLab CI": {
        "GITLAB_CI": "true",
        "CI_PIPELINE_IID": "7",
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_REF_NAME": "main",
        "CI_COMMIT_SHA": "3f2c1ab",
    },
    "Jenkins": {
        "JENKINS_URL": "https://jenkins.example.com/",
        "BUILD_NUMBER": "7",
        "GIT_BRANCH": "origin/main",
        "GIT_COMMIT": "3f2c1ab",
    },
    "Azure Pipelines": {
        "TF_BUILD": "True",
        "BUILD_BUILDID": "7",
        "BUILD_SOURCEBRANCH": "refs/heads/main",
        "BUILD_SOURCEVERSION": "3f2c1ab",
    },
}


# What each server documents of the build's page.
PAGES = {
    "TeamCity": ({"BUILD_URL": "https://ci.example/build/7?x=1"}, "https://ci.example/build/7?x=1"),
    "GitHub Actions": (
        {
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "acme/orders",
            "GITHUB_RUN_ID": "42",
        },
        "https://github.com/acme/orders/actions/runs/42",
    ),
    "GitLab CI": (
        {"CI_PIPELINE_URL": "https://gitlab.example/acme/orders/-/pipelines/42"},
        "https://gitlab.example/acme/orders/-/pipelines/42",
    ),
    "Jenkins": (
        {"BUILD_URL": "https://jenkins.example.com/job/orders/7/"},
        "https://jenkins.example.com/job/orders/7/",
    ),
    "Azure Pipelines": (
        {
            "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
            "SYSTEM_TEAMPROJECT": "The Shop",
        },
        "https://dev.azure.com/acme/The%20Shop/_build/results?buildId=7",
    ),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_server_tells_the_builds_page(name: str) -> None:
    """An address that a browser opens; none where a part of it is missing."""
    variables, page = PAGES[name]
    assert BuildServer.from_environ({**ENVIRONMENTS[name], **variables}).build_url == page
    for missing in variables:
        rest = {key: value for key, value in variables.items() if key != missing}
        assert BuildServer.from_environ({**ENVIRONMENTS[name], **rest}).build_url is None


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_server_is_recognised(name: str) -> None:
    """Number, branch in short and commit come from the server's own variables."""
    expected = BuildServer(name, build_number="7", branch="main", commit="3f2c1ab")
    assert BuildServer.from_environ(ENVIRONMENTS[name]) == expected


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("GitHub Actions", {"GITHUB_HEAD_REF": "feature/x", "GITHUB_REF_NAME": "12/merge"}),
        (
            "GitLab CI",
            {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature/x", "CI_COMMIT_BRANCH": ""},
        ),
        ("Jenkins", {"CHANGE_BRANCH": "feature/x", "BRANCH_NAME": "PR-12"}),
        (
            "Azure Pipelines",
            {
                "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/feature/x",
                "BUILD_SOURCEBRANCH": "refs/pull/12/merge",
            },
        ),
    ],
)
def test_a_pull_requests_own_branch_counts(name: str, variables: dict[str, str]) -> None:
    """Not the merge commit's name: versions must say what was built."""
    assert BuildServer.from_environ({**ENVIRONMENTS[name], **variables}).branch == "feature/x"


@pytest.mark.parametrize("branch", ["<default>", ""])
def test_teamcitys_unnamed_default_branch_is_unknown(branch: str) -> None:
    """TeamCity's placeholder is no branch: git or the settings have to say."""
    environ = {**ENVIRONMENTS["TeamCity"], "TEAMCITY_BUILD_BRANCH": branch}
    assert BuildServer.from_environ(environ).branch is None


@pytest.mark.parametrize("name", ["", *ENVIRONMENTS])
def test_the_prerelease_tag_is_read_everywhere(name: str) -> None:
    """One variable of ours gives the tag on every server, and on a developer's machine."""
    environ = {**ENVIRONMENTS.get(name, {}), "PRERELEASE_TAG": "beta"}
    assert BuildServer.from_environ(environ).prerelease_tag == "beta"


@given(st.dictionaries(st.sampled_from(["BUILD_NUMBER", "GIT_BRANCH", "CI", "PATH"]), st.text()))
def test_without_a_servers_own_variable_there_is_none(environ: dict[str, str]) -> None:
    """Variables that developers have too do not make a machine a build server."""
    assert BuildServer.from_environ(environ) == BuildServer()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_empty_variables_are_unknown_facts(name: str) -> None:
    """A server that leaves its variables empty gives None, never an empty text."""
    environ = dict.fromkeys(ENVIRONMENTS[name], "")
    marker = next(iter(environ))
    assert BuildServer.from_environ({**environ, marker: "1"}) == BuildServer(name)
