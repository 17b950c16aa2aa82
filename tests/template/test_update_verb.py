"""`update`: the release's own script does it, nothing is lost, ours are to the byte."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import doctor
import pytest
import update

from maintain.manifest import write_manifest
from tests.generated.repository import PYTHON, RUNTIME, environment
from tests.repositories import NEWER_THAN_ANY_RELEASE, Render, commit_all, copy_template, git
from tests.template.answers import EMPTY
from tests.words import assert_said

_NEXT = "v999.1.0"
_RENAMED = """\"{{ region | default('eu-west-1') }}\""""
_SECTION = """## 999.1.0 - 2030-12-31

- The stack says that it is new:

  ```diff
  -# The function with
  +# New: the function with
  ```
"""


@pytest.fixture
def template(template_clone: Path, tmp_path: Path) -> Path:
    """Return a clone of the template that a test may change."""
    git(tmp_path, "clone", "--quiet", str(template_clone), "the template")
    return tmp_path / "the template"


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a folder with a repository made from it, which is not git's yet."""
    answers = {
        "function_kind": "empty", "runtime": RUNTIME, "architecture": "arm64",
        "region": "us-east-1",
    }  # fmt: skip
    return copy_template(template, tmp_path / "all" / "a repository", answers)


@pytest.mark.slow
def test_an_update_replaces_saves_and_proves(template: Path, repository: Path) -> None:
    """Edits of ours are named and kept, yours is a patch, and another answer goes everywhere.

    The repository is a folder in a larger one; the release asks a question by another name.
    """
    git(repository.parent, "init", "--quiet")
    stack = "environment/stack.yaml"
    for name in ("scripts/deploy.py", "scripts/docs/feeds.md", stack):
        with (repository / name).open("a", encoding="utf-8") as file:
            file.write("# edited\n")
    (repository / "scripts/docs/plans.md").unlink()
    commit_all(repository, "The team's work")
    (template / "template/scripts/docs/feeds.md").unlink()
    for name in ("template/scripts/deploy.py", "template/.editorconfig"):
        with (template / name).open("a", encoding="utf-8") as file:
            file.write("# new\n")
    (path,) = template.glob(f"template/environment/*'empty'*{Path(stack).name}*")
    _replaced(path, "# The function with", "# New: the function with")
    _replaced(template / "copier.yml", "\nregion:\n", "\naws_region:\n")
    _replaced(template / "copier.yml", "not region |", "not aws_region |")
    _replaced(template / "copier.yml", "default: eu-west-1", f"default: {_RENAMED}")
    _replaced(template / "template/pyproject.toml.jinja", "text(region)", "text(aws_region)")
    _replaced(template / "CHANGELOG.md", "\n## Unreleased\n", f"\n## Unreleased\n\n{_SECTION}")
    _release(template)

    before = _state(repository.parent)
    code, said = _update(repository, "--preview")
    assert code == 0, said
    assert ".editorconfig" in said["patch"]
    assert _state(repository.parent) == before
    code, said = _update(repository)
    assert code == 0, said
    assert {*said["replaced"]} == {"scripts/deploy.py", "scripts/docs/plans.md"}
    assert (said["saved"], said["conflicts"]) == (["scripts/docs/feeds.md"], [])
    (kept,) = (repository / ".pipeline/replaced").glob("*/scripts/docs/feeds.md")
    assert kept.read_text(encoding="utf-8").endswith("# edited\n")
    assert _SECTION in said["lines"]
    assert _SECTION.strip() in (repository / said["message"]).read_text(encoding="utf-8")
    assert doctor.answers(repository)["aws_region"] == "us-east-1"
    assert 'region = "us-east-1"' in (repository / "pyproject.toml").read_text(encoding="utf-8")
    git(repository, "apply", "--3way", said["patch"])
    text = (repository / stack).read_text(encoding="utf-8")
    assert (text.startswith("# New: "), text.endswith("# edited\n")) == (True, True)
    assert (repository / ".editorconfig").read_text(encoding="utf-8").endswith("# new\n")
    assert doctor.main([], repository) == 0
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--file", said["message"])

    code, said = _update(repository, "--answer", "architecture=x86_64")
    assert (code, said["applied"], said["to"]) == (0, True, _NEXT)
    assert "x86_64" in (repository / "environment/stack.yaml").read_text(encoding="utf-8")
    assert doctor.main([], repository) == 0


@pytest.mark.slow
def test_a_conflict_is_left_to_people_and_nothing_is_lost(
    template: Path, repository: Path, tmp_path: Path
) -> None:
    """Exit 4 names it, a preview too; what it says to do then ends in a build.

    The repository is a shallow clone with line ends of Windows, and has an edit of a file that the
    release takes away.
    """
    git(repository, "init", "--quiet")
    with (repository / "scripts/docs/feeds.md").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    _replaced(repository / "tasks.py", "# Room for your own", "# Room for OUR own")
    commit_all(repository, "The team's work")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    clone = tmp_path / "shallow"
    git(clone, "config", "core.safecrlf", "false")
    for name in ("tasks.py", "pyproject.toml", "scripts/docs/feeds.md"):
        (clone / name).write_bytes((clone / name).read_bytes().replace(b"\n", b"\r\n"))
    git(clone, "add", "--all")
    (template / "template/scripts/docs/feeds.md").unlink()
    _replaced(template / "template/tasks.py", "# Room for your own", "# Room for your")
    _release(template)

    notes = clone / "notes.txt"
    notes.write_text("Not committed.\n", encoding="utf-8")
    code, said = _update(clone)
    assert code == 1
    assert notes.name in said["error"]["what"]
    notes.unlink()

    before = git(clone, "status", "--porcelain")
    code, said = _update(clone, "--preview")
    assert (code, said["conflicts"]) == (4, ["tasks.py"])
    assert git(clone, "status", "--porcelain") == before

    code, said = _update(clone)
    assert (code, said["conflicts"], said["saved"]) == (
        4, ["tasks.py"], ["scripts/docs/feeds.md"],
    )  # fmt: skip
    assert "say so with git add" in said["lines"]
    (kept,) = (clone / ".pipeline/replaced").glob("*/scripts/docs/feeds.md")
    assert kept.read_text(encoding="utf-8").endswith("# edited\n")
    assert doctor.main([], clone) == 4

    text = (clone / "tasks.py").read_bytes().decode()
    solved = re.sub(r"(?s)<{7}[^\n]*\n(.*?)={7}.*?>{7}[^\n]*\n", r"\1", text)
    (clone / "tasks.py").write_bytes(solved.encode())
    assert "# Room for OUR own" in solved
    assert doctor.main([], clone) == 4, "git has it as unmerged"
    git(clone, "add", "--all")
    subprocess.run([PYTHON, "tasks.py", "build"], cwd=clone, env=environment(), check=True)
    git(clone, "commit", "--quiet", "--file", said["message"])
    assert doctor.main([], clone) == 0


def _replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _release(template: Path) -> None:
    write_manifest(template)
    commit_all(template, "The next release")
    git(template, "tag", _NEXT)


def _state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return when each file was changed, and its bytes; Python's own caches are nobody's."""
    return {
        path: (path.lstat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }


def _update(repository: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run the verb where every commit's hook fails, and nobody is there to ask."""
    hooks = repository.parent.parent / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (hooks / "pre-commit").chmod(0o755)
    failing = {
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(hooks),
    }  # fmt: skip
    done = subprocess.run(
        [PYTHON, "tasks.py", "update", "--json", *words],
        cwd=repository, env=environment(failing), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, {"lines": done.stderr, **json.loads(done.stdout or "{}")}


def test_a_wrong_command_line_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, before anything is fetched."""
    for words in (["--answer", "runtime"], ["--nonsense"]):
        assert update.main(words, tmp_path) == 2
        assert_said(capsys.readouterr().err)


@pytest.mark.parametrize("answer", ["nosuch=1", "language=node", "function_kind=s3-event",
                                    "runtime=nodejs24.x"])  # fmt: skip
def test_an_answer_that_changes_nothing_or_too_much_is_refused(
    render: Render, template_clone: Path, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    """Copier takes any name, and makes half of another function beside the team's."""
    words = ["--apply", str(template_clone), "--preview", "--answer", answer]
    assert update.main(words, render(**EMPTY)) == 2
    assert_said(capsys.readouterr().err)


@pytest.mark.parametrize("name", ["scripts", "scripts/docs", "scripts/deploy.py"])
def test_what_is_in_the_way_is_refused(
    render: Render, template_clone: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], name: str,
) -> None:  # fmt: skip
    """A file where a folder comes, a folder where a file comes; copier writes to where links lead.

    Before anything is changed, with exit code 3.
    """
    repository, words = tmp_path / "a repository", ["--apply", str(template_clone), "--to", "x"]
    # Links: no file is written to.
    shutil.copytree(render(**EMPTY), repository, copy_function=os.link)
    there, elsewhere = repository / name, tmp_path / "elsewhere"
    there.rename(elsewhere)
    makers = [there.mkdir] if elsewhere.is_file() else [there.touch]
    for make in (*makers, lambda: there.symlink_to(elsewhere)):
        make()
        assert update.main(words, repository) == 3
        assert_said(capsys.readouterr().err)
        there.rmdir() if there.is_dir() and not there.is_symlink() else there.unlink()


@pytest.mark.parametrize("module", [doctor, update])
def test_help_has_each_flag_of_the_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], module: ModuleType
) -> None:
    """Who asks what a flag does reads it."""
    assert module.main(["--help"], tmp_path) == 0
    usage, _, rest = capsys.readouterr().out.partition("\n")
    flags = re.findall(r"--[a-z-]+", usage)
    assert flags == [
        flag for flag in flags if re.search(rf"^  (-\w, )?{flag} ", rest, re.MULTILINE)
    ]


@pytest.mark.parametrize(
    ("now", "words", "code"),
    [
        (f"{_NEXT}-3-gabcdef0", [], 0),
        (_NEXT, [], 0),
        # Its tag was never pushed.
        ("v999.2.0", [], 0),
        ("v999.2.0", ["--to", _NEXT], 1),
        ("v999.2.0", ["--answer", "architecture=x86_64"], 1),
        (_NEXT, ["--to", NEWER_THAN_ANY_RELEASE], 2),
    ],
)
def test_an_update_goes_forward_only(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str],
    now: str, words: list[str], code: int,
) -> None:  # fmt: skip
    """Where there is nothing newer, nothing is done; copier would show a trace, or half of why."""
    git(template, "tag", _NEXT)
    answers = f"_commit: {now}\n_src_path: {template}\n"
    (tmp_path / doctor.ANSWERS).write_text(answers, encoding="utf-8")
    assert update.main(["--preview", *words], tmp_path) == code
    assert_said(capsys.readouterr().err)


def test_an_unknown_origin_is_an_error(
    tmp_path: Path, template_clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copier records no release of a template that is no git repository."""
    (tmp_path / doctor.ANSWERS).write_text(f"_src_path: {template_clone}\n", encoding="utf-8")
    assert update.main(["--preview"], tmp_path) == 1
    assert_said(capsys.readouterr().err)
