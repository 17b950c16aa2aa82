"""Every release can be updated to what is here, with the real library and what teams did to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import copier
import doctor
import pytest
import update

from maintain.release import Released, releases
from tests.repositories import NEWER_THAN_ANY_RELEASE, ROOT, commit_all, copy_template, git
from tests.template.answers import MODULE

ANSWERS = {"build_servers": ["teamcity"]}

OWN_VERB = '''

@invoke.task
def greet(c: invoke.Context) -> None:
    """Say hello."""
    print("hello from the team")


ns.add_task(greet)
'''
# What teams change, each as (file, text that is there, text instead).
EDITS = (
    ("tasks.py", "import bootstrap\n", "import bootstrap\nimport invoke\n"),
    ("tasks.py", "\nif __name__ ==", f"{OWN_VERB}\nif __name__ =="),
    ("pyproject.toml", 'description = "Ships load', 'description = "Now ships load'),
    ("pyproject.toml", "[dependency-groups]", "# The team's own remark.\n[dependency-groups]"),
    ("scripts/hooks_build.py", '    """Run before', '    """Hook: run before'),
    (f"src/{MODULE}/handler.py", '"""', '"""The team\'s: '),
    ("README.md", "# ", "# Our "),
    (
        "src/ELB.Logs.Processor.nuspec",
        "</files>",
        '  <file src="docs/**" target="docs" />\n  </files>',
    ),
    (".gitignore", ".idea/\n", ".idea/\n.our-own/\n"),
)


# What nobody should do to files of ours, which an update neither stops at nor ends.
EDITED, DELETED, EXTRA = "scripts/deploy.py", "scripts/requirements-build.txt", "scripts/more.py"
RELEASES = releases(ROOT)
_PARTS = ("copier.yml", "template", "CHANGELOG.md")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with a tag for each release, and the work tree as a newer one.

    It has what copier reads, and nothing else: all of it would be cloned for each render.
    """
    folder = tmp_path_factory.mktemp("releases") / "copier-lambda"
    folder.mkdir()
    git(folder, "init", "--quiet")
    objects = git(ROOT, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    (folder / ".git/objects/info/alternates").write_text(objects, encoding="utf-8")
    for release in RELEASES:
        listed = git(ROOT, "ls-tree", release.commit, "--", *_PARTS)
        tree = subprocess.run(
            ["git", "mktree"],
            cwd=folder,
            input=listed,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()
        commit = git(folder, "commit-tree", tree, "-m", f"Release {release.name}").strip()
        git(folder, "tag", release.name, commit)
    git(ROOT, f"--git-dir={folder}/.git", "--work-tree=.", "add", "--all", "--", *_PARTS)
    git(folder, "commit", "--quiet", "--message", "The working tree")
    git(folder, "reset", "--quiet", "--hard")
    git(folder, "tag", NEWER_THAN_ANY_RELEASE)
    return folder


@pytest.fixture(scope="module")
def fresh(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a render of the work tree."""
    return copy_template(template, tmp_path_factory.mktemp("fresh") / "render", ANSWERS)


def test_the_history_is_there() -> None:
    """A clone without the release commits would have nothing to try."""
    names = {release.name for release in RELEASES}
    assert {"v0.1.0", "v0.2.0", "v0.3.0"} <= names, "clone with the whole history"


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_an_update_is_a_fresh_render_with_the_teams_edits(
    template: Path, fresh: Path, tmp_path: Path, release: Released
) -> None:
    """No conflict, every edit kept, yours untouched, all else to the byte.

    Of ours `doctor` names what was done to it, no more, and heals it. Half of the releases are
    checked out with line ends of Windows. In the end the verbs run, and tidy up an old layout.
    """
    repository = tmp_path / "a repository"
    copier.run_copy(
        str(template), repository, data=ANSWERS, vcs_ref=release.name, defaults=True, quiet=True
    )
    git(repository, "init", "--quiet")
    for name, there, instead in EDITS:
        text = (repository / name).read_text(encoding="utf-8")
        assert there in text, (name, there)
        (repository / name).write_text(text.replace(there, instead, 1), encoding="utf-8")
    with (repository / EDITED).open("a", encoding="utf-8") as file:
        file.write("# the team's\n")
    (repository / DELETED).unlink()
    (repository / EXTRA).write_text("", encoding="utf-8")
    commit_all(repository, "The team's work")
    yours = {*git(repository, "ls-files", "-z").split("\0")[:-1]} - {EXTRA}
    if RELEASES.index(release) % 2:
        for name in yours:
            data = (repository / name).read_bytes()
            (repository / name).write_bytes(data.replace(b"\n", b"\r\n"))
        git(repository, "-c", "core.safecrlf=false", "add", "--all")
    # The library was used: compiled modules lie about.
    for folder in {path.parent for path in (repository / "scripts").rglob("*.py")}:
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "old.cpython-311.pyc").touch()

    copier.run_update(
        repository, defaults=True, skip_answered=True, overwrite=True, unsafe=False, quiet=True
    )

    assert {*git(repository, "diff", "--name-only", "--diff-filter=U").split()} <= {EDITED}
    found = {(one.path, one.kind) for one in doctor.ours(repository, "")}
    assert found == {(EDITED, "changed"), (DELETED, "missing"), (EXTRA, "extra")}
    assert {one.path for one in doctor.conflicts(repository)} <= {EDITED}
    assert doctor.main(["--fix", "--yes"], repository) == 0

    for name, there, instead in EDITS:
        path = repository / name
        text = path.read_bytes().decode().replace("\r\n", "\n")
        assert instead in text, name
        path.write_text(text.replace(instead, there, 1), encoding="utf-8")
    ours = {*doctor.entries((fresh / doctor.MANIFEST).read_text(encoding="utf-8"))}
    for path in fresh.rglob("*"):
        name = path.relative_to(fresh).as_posix()
        if path.is_file() and (name in ours or update.SHARED.match(name)):
            yours.discard(name)
            assert (repository / name).read_bytes() == path.read_bytes(), name
    assert {**doctor.answers(repository), "_src_path": ""} == {
        **doctor.answers(fresh), "_src_path": ""
    }  # fmt: skip
    yours -= {*doctor.entries(git(repository, "show", f"HEAD:{doctor.MANIFEST}"))}
    changed = {*git(repository, "diff", "--name-only", "HEAD", "-z").split("\0")}
    assert changed & yours <= {doctor.ANSWERS, doctor.MANIFEST, *(name for name, *_ in EDITS)}
    # All have the same bytes now; only the oldest have folders of another layout.
    if release == RELEASES[-1]:
        _lists_its_verbs(repository)


def _lists_its_verbs(repository: Path) -> None:
    """Run a verb, which tidies up."""
    listed = subprocess.run(
        [sys.executable, "tasks.py", "--list"],
        cwd=repository, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "build" in listed.split()
    left = [
        folder
        for folder in (repository / "scripts" / "pipeline").rglob("*")
        if folder.is_dir() and folder.name != "__pycache__" and not list(folder.glob("*.py"))
    ]
    assert left == [], "folders of an old layout"
