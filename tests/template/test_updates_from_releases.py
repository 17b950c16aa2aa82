"""Every release can be updated to what is here, with the real library and a team's usual edits."""

from __future__ import annotations

import compileall
import re
import subprocess
import sys
from pathlib import Path

import copier
import doctor
import pytest

from tests.repositories import NEWER_THAN_ANY_RELEASE, ROOT, commit_all, git
from tests.template.answers import MODULE

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


# Tags may not travel: a release is a commit with this subject.
RELEASES = {
    subject.removeprefix("Release "): commit
    for commit, subject in re.findall(
        r"^([0-9a-f]{40}) (Release v[0-9]+\.[0-9]+\.[0-9]+)$",
        git(ROOT, "log", "--format=%H %s"),
        re.MULTILINE,
    )
}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone with a tag for each release commit, and the work tree as a newer release."""
    clone = tmp_path_factory.mktemp("releases") / "copier-lambda"
    git(ROOT, "clone", "--quiet", str(ROOT), str(clone))
    for name, commit in RELEASES.items():
        git(clone, "tag", "--force", name, commit)
    changed = git(ROOT, "diff", "--binary", "HEAD")
    if changed:
        subprocess.run(["git", "apply"], cwd=clone, input=changed.encode(), check=True)
    for name in git(ROOT, "ls-files", "--others", "--exclude-standard", "-z").split("\0"):
        if name:
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    commit_all(clone, "The working tree")
    git(clone, "tag", NEWER_THAN_ANY_RELEASE)
    return clone


def test_the_history_is_there() -> None:
    """A clone without the release commits would have nothing to try."""
    assert {"v0.1.0", "v0.2.0", "v0.3.0"} <= RELEASES.keys(), "clone with the whole history"


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_an_update_keeps_the_teams_edits_and_leaves_nothing_old_behind(
    releases: Path, tmp_path: Path, release: str
) -> None:
    """No conflict, every edit kept, ours to the byte, no file of an old layout; the verbs run."""
    repository = tmp_path / "a repository"
    answers = {"build_servers": ["teamcity"]}
    copier.run_copy(
        str(releases), repository, data=answers, vcs_ref=release, defaults=True, quiet=True
    )
    git(repository, "init", "--quiet")
    for name, there, instead in EDITS:
        text = (repository / name).read_text(encoding="utf-8")
        assert there in text, (name, there)
        (repository / name).write_text(text.replace(there, instead, 1), encoding="utf-8")
    commit_all(repository, "The team's work")
    # The library was used: compiled modules lie about.
    compileall.compile_dir(repository / "scripts", quiet=2)

    copier.run_update(
        repository, defaults=True, skip_answered=True, overwrite=True, unsafe=False, quiet=True
    )

    assert git(repository, "ls-files", "--unmerged") == ""
    assert git(repository, "ls-files", "--others", "--ignored", "--exclude-standard", "*.rej") == ""
    subprocess.run(["git", "diff", "--check", "HEAD"], cwd=repository, check=True)
    for name, _, instead in EDITS:
        assert instead in (repository / name).read_text(encoding="utf-8"), name
    listed = subprocess.run(
        [sys.executable, "tasks.py", "--list"],
        cwd=repository, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert {"build", "greet"} <= set(listed.split())
    manifest = (repository / "scripts" / "MANIFEST").read_text(encoding="utf-8")
    ours = {line.split("  ")[1] for line in manifest.splitlines() if "  " in line}
    found = {
        path.relative_to(repository).as_posix()
        for path in (repository / "scripts").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    # Later updates go through the verb; what it is to heal, it finds nothing of here.
    assert [one for one in doctor.ours(repository, "") if one.kind != "line-ends"] == []
    assert doctor.conflicts(repository) == []
    # An update brings nothing of a team's own: the last is there since its release only.
    assert found - ours - {"scripts/allowed-changes.toml"} == {
        "scripts/MANIFEST", "scripts/hooks_build.py", "scripts/hooks_deploy.py",
    }  # fmt: skip
    left = [
        folder
        for folder in (repository / "scripts" / "pipeline").rglob("*")
        if folder.is_dir() and folder.name != "__pycache__" and not list(folder.glob("*.py"))
    ]
    assert left == [], "folders of an old layout"
