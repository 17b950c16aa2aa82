"""The function's own files: git decides which."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.git import Git
from pipeline.project.buildserver import BuildServer
from pipeline.project.sources import (
    OwnFile,
    Sources,
    function_files,
    own_files,
)
from pipeline.project.worktree import WorkTree

from tests.repositories import commit_all, git
from tests.words import refused


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with a function, a nuspec and a script, committed."""
    root = tmp_path / "orders"
    (root / "src" / "app").mkdir(parents=True)
    (root / "src" / "app" / "handler.py").write_text("def handle(e, c): ...\n", encoding="utf-8")
    (root / "src" / "Acme.Orders.nuspec").write_text("<package/>\n", encoding="utf-8")
    (root / "README.md").write_text("# Orders\n", encoding="utf-8")
    git(root, "init", "--quiet")
    commit_all(root, "First")
    return root


def test_the_files_are_those_git_tracks(repository: Path) -> None:
    """Untracked and ignored files are not taken, however they lie there."""
    (repository / "src" / "app" / "scratch.py").write_text("", encoding="utf-8")
    (repository / ".gitignore").write_text("*.log\n", encoding="utf-8")
    (repository / "src" / "debug.log").write_text("", encoding="utf-8")
    paths = [file.path for file in own_files(repository, Git(repository))]
    assert paths == ["README.md", "src/Acme.Orders.nuspec", "src/app/handler.py"]


def test_folders_above_the_repository_do_not_matter(repository: Path, tmp_path: Path) -> None:
    """A clone below folders called packages and tests has the same files."""
    elsewhere = tmp_path / "packages" / "tests" / "orders"
    git(tmp_path, "clone", "--quiet", str(repository), str(elsewhere))
    assert own_files(elsewhere, Git(elsewhere)) == own_files(repository, Git(repository))


def test_the_function_is_what_lies_below_src(repository: Path) -> None:
    """All of it but the nuspec; nothing from beside it."""
    files = own_files(repository, Git(repository))
    assert function_files(files, "src/Acme.Orders.nuspec") == (
        OwnFile("src/app/handler.py", executable=False),
    )


def test_modes_come_from_the_index(repository: Path) -> None:
    """What the disk says of a mode differs between machines; what git recorded does not."""
    tool = repository / "src" / "tool.sh"
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o644)
    git(repository, "add", "src/tool.sh")
    git(repository, "update-index", "--chmod=+x", "src/tool.sh")
    (repository / "README.md").chmod(0o755)
    modes = {file.path: file.executable for file in own_files(repository, Git(repository))}
    assert modes["src/tool.sh"]
    assert not modes["README.md"]


def test_a_staged_file_counts_before_its_commit(repository: Path) -> None:
    """`git add` is enough to be packaged; the build is dirty, not incomplete."""
    (repository / "src" / "new name.py").write_text("", encoding="utf-8")
    git(repository, "add", "src")
    assert "src/new name.py" in [file.path for file in own_files(repository, Git(repository))]


@pytest.mark.parametrize("with_git", [True, False])
def test_links_below_src_are_refused(repository: Path, *, with_git: bool) -> None:
    """A link is named; one elsewhere is no concern of the function."""
    (repository / "linked.md").symlink_to("README.md")
    git(repository, "add", "--all")
    here = Git(repository) if with_git else None
    assert "linked.md" not in [file.path for file in own_files(repository, here)]
    (repository / "src" / "link.py").symlink_to("app/handler.py")
    git(repository, "add", "--all")
    with refused("src/link.py", PipelineError):
        own_files(repository, here)


def test_a_submodule_below_src_is_refused(repository: Path) -> None:
    """Its files are not this repository's: it is named."""
    sha = git(repository, "rev-parse", "HEAD").strip()
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{sha},src/vendored")
    with refused("src/vendored", PipelineError):
        own_files(repository, Git(repository))


def test_a_tracked_file_that_is_gone_is_refused(repository: Path) -> None:
    """A function must not silently lose a file; the error says how to get it back."""
    (repository / "README.md").unlink()
    own_files(repository, Git(repository))
    (repository / "src" / "app" / "handler.py").unlink()
    with refused("src/app/handler.py", PipelineError):
        own_files(repository, Git(repository))


def test_the_advice_for_a_renamed_file_keeps_the_new_name(repository: Path) -> None:
    """`git add --all src`, as the error says first, makes what was meant of it."""
    (repository / "src" / "app" / "handler.py").rename(repository / "src" / "app" / "orders.py")
    with refused("src/app/handler.py", PipelineError) as error:
        own_files(repository, Git(repository))
    command = re.search(r"git (add .*?)\. ", error.value.then)
    assert command
    git(repository, *command[1].split())
    paths = [file.path for file in own_files(repository, Git(repository))]
    assert paths[1:] == ["src/Acme.Orders.nuspec", "src/app/orders.py"]


def test_a_merge_conflict_is_named(repository: Path) -> None:
    """Between two versions of a file none is the function's."""
    handler = repository / "src" / "app" / "handler.py"
    git(repository, "switch", "--quiet", "--create", "other")
    handler.write_text("other = 1\n", encoding="utf-8")
    commit_all(repository, "Other")
    git(repository, "switch", "--quiet", "main")
    handler.write_text("mine = 1\n", encoding="utf-8")
    commit_all(repository, "Mine")
    with pytest.raises(AssertionError):
        git(repository, "merge", "--quiet", "other")
    with refused("git", PipelineError):
        own_files(repository, Git(repository))


def test_a_repository_without_a_function_says_so(repository: Path) -> None:
    """Nothing tracked below src is an error with the command that helps."""
    git(repository, "rm", "--quiet", "-r", "--cached", "src/app")
    with refused("src", PipelineError):
        function_files(own_files(repository, Git(repository)), "src/Acme.Orders.nuspec")


def test_an_export_has_the_same_files(repository: Path) -> None:
    """Without git every file counts but what tools make; modes are the disk's."""
    tracked = own_files(repository, Git(repository))
    for made in (".venv/x.py", "build-output/y", "src/__pycache__/z.pyc", ".pipeline/q"):
        (repository / made).parent.mkdir(parents=True, exist_ok=True)
        (repository / made).write_text("", encoding="utf-8")
    assert tuple(sorted(own_files(repository, None), key=lambda file: file.path)) == tracked
    (repository / "src" / "app" / "handler.py").chmod(0o755)
    assert OwnFile("src/app/handler.py", executable=True) in own_files(repository, None)


@pytest.mark.parametrize("cause", ["line ends", "assumed unchanged", "autocrlf"])
def test_a_clean_tree_gives_the_bytes_of_the_commit(repository: Path, cause: str) -> None:
    """What git does not call a change must not change a package."""
    name = "src/app/handler.py"
    file = repository / name
    committed = file.read_bytes()
    match cause:
        case "line ends":
            (repository / ".gitattributes").write_text("* text=auto eol=lf\n", encoding="utf-8")
            commit_all(repository, "Attributes")
            file.write_bytes(committed.replace(b"\n", b"\r\n"))
            git(repository, "add", "--all")
        case "assumed unchanged":
            git(repository, "update-index", "--assume-unchanged", name)
            file.write_bytes(b"other")
        case _:
            git(repository, "config", "core.autocrlf", "true")
            file.unlink()
            git(repository, "checkout", "--", name)
    assert git(repository, "status", "--porcelain") == ""
    assert file.read_bytes() != committed
    sources = Sources.read(repository, Git(repository))
    assert sources.contents([name]) == {name: committed}
    assert sources.contents([name] * 450) == {name: committed}
    assert Sources.read(repository, None).contents([name]) == {name: file.read_bytes()}


def test_what_was_changed_is_taken_as_it_lies_there(repository: Path) -> None:
    """An edit, a hook's or a person's, counts; so does a file that git does not know yet."""
    changed, untracked = "src/app/handler.py", "src/new.nuspec"
    for name in (changed, untracked):
        (repository / name).write_text("new\r\n", encoding="utf-8", newline="")
    sources = Sources.read(repository, Git(repository))
    found = sources.contents([changed, untracked, "README.md"])
    assert found == {changed: b"new\r\n", untracked: b"new\r\n", "README.md": b"# Orders\n"}


def test_a_folder_of_a_larger_repository_stands_for_itself(repository: Path) -> None:
    """Below a work tree's top it has the files, bytes, changes and clone that it would have there.

    What lies beside it neither is packaged nor makes the build dirty.
    """
    top, name = repository.parent, "src/app/handler.py"
    shutil.rmtree(repository / ".git")
    git(top, "init", "--quiet")
    (top / "beside.py").write_text("", encoding="utf-8")
    commit_all(top, "All of them")
    (top / "beside.py").write_text("changed = 1\n", encoding="utf-8")
    here = Git.at(repository)
    assert here
    assert WorkTree.read(here, BuildServer()).source.dirty is False
    sources = Sources.read(repository, here)
    assert [file.path for file in sources.files] == ["README.md", "src/Acme.Orders.nuspec", name]
    cloned = here.clone_to(top / "a clone", here.commit() or "")
    assert own_files(cloned, Git.at(cloned)) == sources.files
    assert sources.contents([name]) == {name: (cloned / name).read_bytes()}
    assert [subject for _, subject in here.commits("", "HEAD", 9)] == ["All of them"]
    (repository / name).write_text("changed = 1\n", encoding="utf-8")
    (repository / "new.txt").write_text("", encoding="utf-8")
    tree = WorkTree.read(here, BuildServer())
    assert (tree.changed, tree.untracked) == ((name,), ("new.txt",))


def test_a_folder_that_a_larger_repository_ignores_is_an_export(repository: Path) -> None:
    """A work tree that has nothing to do with what lies below it does not decide its files."""
    top = repository.parent
    shutil.rmtree(repository / ".git")
    git(top, "init", "--quiet")
    assert Git.at(repository)
    (top / ".gitignore").write_text(f"/{repository.name}/\n", encoding="utf-8")
    assert Git.at(repository) is None
