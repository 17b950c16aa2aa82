"""`update`: the release's own script does it, nothing is lost, ours are to the byte."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import doctor
import pytest
import update

from maintain.manifest import write_manifest
from tests.generated.repository import PYTHON, RUNTIME, environment
from tests.repositories import commit_all, copy_template, git

_NEXT = "v999.1.0"


@pytest.mark.slow
def test_an_update_replaces_saves_and_proves(template_clone: Path, tmp_path: Path) -> None:
    """Edits of ours are named and kept, yours is a patch, and another answer goes everywhere."""
    template = tmp_path / "the template"
    git(tmp_path, "clone", "--quiet", str(template_clone), str(template))
    answers = {"function_kind": "empty", "runtime": RUNTIME, "architecture": "arm64"}
    repository = copy_template(template, tmp_path / "a repository", answers)
    git(repository, "init", "--quiet")
    for name in ("scripts/deploy.py", "scripts/docs/feeds.md"):
        with (repository / name).open("a", encoding="utf-8") as file:
            file.write("# edited\n")
    (repository / "scripts/docs/plans.md").unlink()
    commit_all(repository, "The team's work")
    (template / "template/scripts/docs/feeds.md").unlink()
    for name in ("template/scripts/deploy.py", "template/.editorconfig"):
        with (template / name).open("a", encoding="utf-8") as file:
            file.write("# new\n")
    write_manifest(template)
    commit_all(template, "The next release")
    git(template, "tag", _NEXT)

    code, said = _update(repository)
    assert code == 0, said
    assert {*said["replaced"]} == {"scripts/deploy.py", "scripts/docs/plans.md"}
    assert (said["saved"], said["conflicts"]) == (["scripts/docs/feeds.md"], [])
    (kept,) = (repository / ".pipeline/replaced").glob("*/scripts/docs/feeds.md")
    assert kept.read_text(encoding="utf-8").endswith("# edited\n")
    assert ".editorconfig" in (repository / said["patch"]).read_text(encoding="utf-8")
    assert doctor.main([], repository) == 0
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--file", said["message"])

    code, said = _update(repository, "--answer", "architecture=x86_64")
    assert (code, said["applied"], said["to"]) == (0, True, _NEXT)
    assert "x86_64" in (repository / "environment/stack.yaml").read_text(encoding="utf-8")
    assert doctor.main([], repository) == 0


def _update(repository: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [PYTHON, "tasks.py", "update", "--json", *words],
        cwd=repository, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout or "{}") or {"error": done.stderr}


def test_a_wrong_command_line_is_refused(tmp_path: Path) -> None:
    """With exit code 2, before anything is fetched."""
    assert update.main(["--answer", "runtime"], tmp_path) == 2
    assert update.main(["--nonsense"], tmp_path) == 2
