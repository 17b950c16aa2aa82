"""The version of a real work tree: git's tags, the build server's facts, the flags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError, UsageError
from pipeline.edge.git import Git
from pipeline.project.buildserver import BuildServer
from pipeline.project.project import Project
from pipeline.project.worktree import WorkTree
from pipeline.verbs.version import VersionOptions, next_version

from tests.project.values_support import SETTINGS, machine, write_settings
from tests.repositories import commit_all, git
from tests.words import refused

TEAMCITY = {"TEAMCITY_VERSION": "2026.1", "BUILD_NUMBER": "7"}
SEMVER = VersionOptions(version_strategy="semverwithpatchfilledautomaticallywithbuildnumber")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with settings for GitTag and one commit."""
    root = tmp_path / "orders"
    root.mkdir()
    git(root, "init", "--quiet")
    write_settings(root)
    commit_all(root, "First")
    return root


def version(
    root: Path, options: VersionOptions | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """Return the text of the version that a build in `root` would have."""
    here = machine(root, environ)
    options = options or VersionOptions()
    return next_version(Project.load(root), options, here.environ, here.now()).text


@pytest.mark.parametrize("flags", [(), ("--annotate", "--message", "Release")])
def test_the_nearest_tag_of_either_kind_counts(repository: Path, flags: tuple[str, ...]) -> None:
    """Light and annotated tags alike; a commit later it is a prerelease that names its commit."""
    git(repository, "tag", *flags, "v1.4.0")
    assert version(repository) == "1.4.0"
    commit_all(repository, "Second")
    sha = git(repository, "rev-parse", "HEAD")[:7]
    assert version(repository) == f"1.4.1-p00001-g{sha}"


def test_other_tags_do_not_count(repository: Path) -> None:
    """A tag that is no version hides none that is."""
    git(repository, "tag", "v1.4.0")
    commit_all(repository, "Second")
    git(repository, "tag", "deployed-to-production")
    assert version(repository).startswith("1.4.1-p00001-g")


def test_projects_of_one_git_repository_have_tags_of_their_own(repository: Path) -> None:
    """Each goes by the tags that begin with its prefix, and says so where there is none."""
    roots = [repository / name for name in ("orders", "bills")]
    for root in roots:
        root.mkdir()
        setting = f'[tool.pipeline]\ntag-prefix = "{root.name}/"\n'
        write_settings(root, SETTINGS.replace("[tool.pipeline]\n", setting))
    commit_all(repository, "Two projects")
    for tag in ("orders/v3.0.1", "v1.4.0"):
        git(repository, "tag", tag)
    assert version(roots[0]) == "3.0.1"
    with refused("version", PipelineError):
        version(roots[1])
    git(repository, "tag", "bills/v2.x.0")
    with refused("version", PipelineError):
        version(roots[1])


def test_a_repository_without_tags_says_how_to_make_one(repository: Path) -> None:
    """The error is about the tag, not about git's exit code."""
    with refused("version", PipelineError):
        version(repository)


def test_a_shallow_clone_is_recognised(repository: Path, tmp_path: Path) -> None:
    """Where the history is cut off before the tag, the error says that, and what to fetch."""
    git(repository, "tag", "v1.4.0")
    commit_all(repository, "Second")
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", repository.as_uri(), str(clone))
    with refused("version", PipelineError):
        version(clone)


def test_without_git_the_strategy_says_what_it_needs(tmp_path: Path) -> None:
    """An export has no tags, whatever the build server says."""
    with refused("version", PipelineError):
        version(write_settings(tmp_path), environ=TEAMCITY)


def test_a_build_server_gives_number_and_branch(repository: Path) -> None:
    """A release branch builds releases; any other branch a prerelease named after it."""
    assert version(repository, SEMVER, TEAMCITY) == "2.0.7"
    branch = {**TEAMCITY, "TEAMCITY_BUILD_BRANCH": "refs/heads/feature/faster"}
    assert version(repository, SEMVER, branch) == "2.0.7-feature-faster"
    assert version(repository, SEMVER, {**branch, "PRERELEASE_TAG": "beta"}) == "2.0.7-beta"


def test_flags_win_over_the_build_server(repository: Path) -> None:
    """Number and tag of the command line are used, not those of the environment."""
    options = VersionOptions(9, prerelease_tag="mine", version_strategy=SEMVER.version_strategy)
    environ = {**TEAMCITY, "PRERELEASE_TAG": "beta"}
    assert version(repository, options, environ) == "2.0.9-mine"
    unnamed = VersionOptions(9, prerelease=True, version_strategy=SEMVER.version_strategy)
    assert version(repository, unnamed, environ) == "2.0.9-prerelease"
    unnamed = VersionOptions(prerelease=True, version_strategy=SEMVER.version_strategy)
    assert version(repository, unnamed) == "2.0.0-p26327-43200"


def test_a_developer_gets_the_clock(repository: Path) -> None:
    """Without a number the day and second are the tag, on any branch."""
    git(repository, "switch", "--quiet", "--create", "feature/faster")
    assert version(repository, SEMVER) == "2.0.0-p26327-43200"


@pytest.mark.parametrize("number", ["2.0.7", "-7", "7 ", "\u0667", "7a", "0x7", "7" * 5000])
def test_a_number_that_is_none_names_server_and_way_out(repository: Path, number: str) -> None:
    """A build number format with dots or words is quoted, with the setting to change."""
    environ = {"TF_BUILD": "True", "BUILD_BUILDID": number}
    with refused("Azure Pipelines", UsageError):
        version(repository, SEMVER, environ)


def test_the_work_tree_is_described(repository: Path) -> None:
    """Clean, changed and untracked files, and a detached commit, each in a few words."""
    sha = git(repository, "rev-parse", "HEAD")[:7]
    here = Git(repository)
    assert WorkTree.read(here, BuildServer()).describe() == f"main@{sha}, clean"
    (repository / "pyproject.toml").write_text("", encoding="utf-8")
    (repository / "new file.txt").write_text("", encoding="utf-8")
    tree = WorkTree.read(here, BuildServer())
    assert tree.describe() == f"main@{sha}, dirty (1 changed, 1 untracked)"
    assert (tree.changed, tree.untracked) == (("pyproject.toml",), ("new file.txt",))
    git(repository, "checkout", "--quiet", "--detach")
    detached = WorkTree.read(here, BuildServer(branch="release/2"))
    assert detached.describe().startswith(f"release/2@{sha}")


def test_an_export_takes_the_servers_word(tmp_path: Path) -> None:
    """Without .git commit and branch are the build server's, and dirty is unknown."""
    server = BuildServer("TeamCity", branch="main", commit="3f2c1ab09d8e")
    tree = WorkTree.read(Git.at(tmp_path), server)
    assert tree.source.dirty is None
    assert tree.describe() == "main@3f2c1ab, no .git here"


def test_nothing_committed_yet_is_dirty(tmp_path: Path) -> None:
    """A repository before its first commit has no commit to be the same as."""
    git(tmp_path, "init", "--quiet")
    tree = WorkTree.read(Git.at(tmp_path), BuildServer())
    assert tree.source.dirty is True
    assert tree.describe() == "main@no commit, nothing committed yet"
