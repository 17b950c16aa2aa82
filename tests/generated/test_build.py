"""What a build makes, when it makes it again, and what it says of the source."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.generated.conftest import Fresh
from tests.generated.repository import Repository, wait_for_text
from tests.repositories import git
from tests.words import assert_said

PATIENT_HOOK = """\
import time
from pathlib import Path


def before_build(stage):
    for _ in range(3000):
        # A rebuild's clone has no such folder, and nothing to wait for.
        if not Path(".pipeline").exists() or Path(".pipeline", "go").exists():
            return
        time.sleep(0.01)
"""


def sha256(path: Path) -> bytes:
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).digest()


def package_of(repository: Repository) -> Path:
    """Return the last build's package."""
    return repository.root / str(repository.latest()["package"])


def test_the_files_of_a_build(repository: Repository) -> None:
    """A build leaves package, function zip, manifest, bill of materials and test results.

    With `--json` standard output has one document, and the lines for people are elsewhere.
    """
    done = repository.must("build", "--json", "--build-number", "7")
    answer = done.document
    package = package_of(repository)
    assert answer["package"] == str(package)
    assert (answer["version"], answer["reused"], answer["verified"]) == ("1.0.7", False, True)
    assert "check     0.1 of 250 MB unzipped, handler imported in 0." in done.err
    assert {path.name for path in package.parent.iterdir()} >= {
        package.name,
        "function.zip",
        "build.json",
        "sbom.cdx.json",
        "tests.xml",
    }
    assert "<testsuites" in (package.parent / "tests.xml").read_text(encoding="utf-8")
    manifest = json.loads((package.parent / "build.json").read_text(encoding="utf-8"))
    printed = base64.b64encode(sha256(package.parent / "function.zip")).decode()
    assert f"CodeSha256 {printed}" in done.err
    assert manifest["function_zip"]["code_sha256"] == answer["code_sha256"] == printed
    inspected = repository.must("inspect", "--json").document
    assert (inspected["version"], inspected["manifest"]) == ("1.0.7", manifest)
    assert manifest["source"] == {
        "commit": git(repository.root, "rev-parse", "HEAD").strip(),
        "branch": "main",
        "dirty": False,
    }
    latest = repository.latest()
    assert latest["version"] == "1.0.7"
    assert latest["package_sha256"] == sha256(package).hex()
    assert latest["verified"]


def test_the_package_opens(repository: Repository) -> None:
    """The package holds the function zip as it lies beside it, and what a worker needs."""
    done = repository.must("package", "--build-number", "7")
    # Only a build imports the handler.
    assert "check     0.1 of 250 MB unzipped, handler found " in done.err
    package = package_of(repository)
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        inside = archive.read("function.zip")
        # What stands at the root is what Octopus runs: our script, and nothing that wins over it.
        assert {name for name in names if "/" not in name} >= {"deploy.py", "build.json"}
        assert "smoke/smoke.json" in names
    assert inside == (package.parent / "function.zip").read_bytes()
    assert {"pipeline/deploy/main.py", "client/boto3/__init__.py"} <= names
    assert "environment/stack.yaml" in names
    assert not [name for name in names if name.startswith(("src/", "tests/", ".git"))]
    with zipfile.ZipFile(package.parent / "function.zip") as archive:
        assert f"{repository.module()}/handler.py" in archive.namelist()


def test_an_unchanged_build_is_the_last_build(repository: Repository) -> None:
    """Without a change both stay; `--force`, a version's flag or variable asks for a new one."""
    first = repository.must("package", "--json").document
    again = repository.must("package", "--json").document
    assert again == {**first, "reused": True}
    for flags in (["--force"], ["--build-number", "7"], ["--prerelease"]):
        assert not repository.must("package", "--json", *flags).document["reused"]
    tagged = repository.must("package", "--json", extra={"PRERELEASE_TAG": "fix"}).document
    assert (tagged["version"].partition("-")[2], tagged["reused"]) == ("fix", False)


def test_a_change_makes_a_new_build(repository: Repository) -> None:
    """A changed, an added and a committed file each make the last build stale."""
    handler = f"src/{repository.module()}/handler.py"
    repository.must("package")
    repository.edit(handler, "return", "# a comment\n    return")
    assert not repository.must("package", "--json").document["reused"]
    repository.write("notes.txt", "a note\n")
    assert not repository.must("package", "--json").document["reused"]
    repository.commit()
    clean = repository.must("package", "--json").document
    assert (clean["reused"], clean["dirty"]) == (False, False)
    # Someone touches or removes the package itself: it is not taken for the build's.
    Path(clean["package"]).write_bytes(b"")
    assert not repository.must("package", "--json").document["reused"]


@pytest.mark.slow
def test_a_tag_on_the_last_builds_commit_makes_a_new_build(repository: Repository) -> None:
    """With `GitTag` the tag is the version: `build` makes what `version` says."""
    strategy = "SemVerWithPatchFilledAutomaticallyWithBuildNumber"
    repository.edit("pyproject.toml", f'"{strategy}"', '"GitTag"')
    repository.commit()
    git(repository.root, "tag", "v1.0.0")
    repository.must("package")
    git(repository.root, "tag", "--annotate", "--message", "Next", "v1.1.0")
    assert repository.must("version").out.strip() == "1.1.0"
    tagged = repository.must("package", "--json").document
    assert (tagged["version"], tagged["reused"]) == ("1.1.0", False)
    again = repository.must("package", "--json").document
    assert (again["version"], again["reused"]) == ("1.1.0", True)
    git(repository.root, "tag", "--delete", "v1.0.0", "v1.1.0")


@pytest.mark.slow
def test_a_file_saved_during_the_build(repository: Repository) -> None:
    """A build that may hold the old and the new is none: the error names the file."""
    handler = f"src/{repository.module()}/handler.py"
    save = f"    with open({handler!r}, 'a') as file:\n        file.write('# saved\\n')\n"
    repository.write("tests/test_late.py", f"def test_saves():\n{save}")
    done = repository.verb("build", "--json")
    assert (done.code, done.document["error"]["where"]) == (1, handler)
    assert repository.output() == ["tests.xml"]


def test_what_a_hook_writes_is_packaged(fresh: Fresh) -> None:
    """In verify as well, from what lies beside a repository that is a folder of a larger one too.

    What git ignores leaves the build clean, and the next one is the last.
    """
    original = fresh()
    shutil.rmtree(original.root / ".git")
    top = original.root.parent / "all services"
    top.mkdir()
    original.root.rename(top / "orders")
    repository = replace(original, root=top / "orders")
    made = f"src/{repository.module()}/made.py"
    (top / "shared.py").write_text("SHARED = 1\n", encoding="utf-8")
    repository.write(
        "scripts/hooks_build.py",
        "import shutil\n\n\ndef before_build(stage):\n"
        f"    shutil.copyfile('../shared.py', {made!r})\n"
        "    shutil.copyfile('../shared.py', 'environment/made.txt')\n",
    )
    with (repository.root / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("made.*\n")
    git(top, "init", "--quiet")
    repository.commit("All services")
    for reused in (False, True):
        done = repository.must("build", "--json").document
        assert (done["dirty"], done["verified"], done["reused"]) == (False, True, reused)
    with zipfile.ZipFile(package_of(repository).parent / "function.zip") as archive:
        assert archive.read(made.removeprefix("src/")) == b"SHARED = 1\n"
    with zipfile.ZipFile(package_of(repository)) as archive:
        assert "environment/made.txt" in archive.namelist()


def test_a_dirty_build_says_so(repository: Repository) -> None:
    """Changed files make a build dirty; the untracked and the removed are named and left out."""
    repository.edit(f"src/{repository.module()}/handler.py", "return", "# changed\n    return")
    repository.write(f"src/{repository.module()}/forgotten.py", "")
    for number in range(186):
        repository.write(f"notes/{number}.txt", "")
    (repository.root / "CHANGELOG.md").unlink()
    done = repository.must("build", "--build-number", "7")
    assert "dirty (2 changed, 187 untracked)" in done.err
    warnings = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert_said("\n".join(warnings))
    latest = repository.latest()
    assert (latest["dirty"], latest["verified"]) == (True, False)
    with zipfile.ZipFile(package_of(repository).parent / "function.zip") as archive:
        assert f"{repository.module()}/forgotten.py" not in archive.namelist()
        assert b"# changed" in archive.read(f"{repository.module()}/handler.py")


def test_without_git(fresh: Fresh) -> None:
    """An export without `.git` builds: the build server names the commit, verify is skipped."""
    repository = fresh()
    shutil.rmtree(repository.root / ".git")
    server = {
        "TEAMCITY_VERSION": "2025.07",
        "BUILD_NUMBER": "9",
        "BUILD_VCS_NUMBER": "f" * 40,
    }
    repository.must("build", extra=server)
    latest = repository.latest()
    assert (latest["version"], latest["dirty"], latest["verified"]) == ("1.0.9", None, False)
    manifest = json.loads((package_of(repository).parent / "build.json").read_text("utf-8"))
    assert manifest["source"]["commit"] == "f" * 40


def test_before_the_first_commit(fresh: Fresh) -> None:
    """A repository whose files are added but not committed builds, and says what is missing."""
    repository = fresh()
    shutil.rmtree(repository.root / ".git")
    git(repository.root, "init", "--quiet")
    repository.refused(1, "src", "package", "--build-number", "7")
    git(repository.root, "add", "--all")
    repository.must("build", "--build-number", "7")
    latest = repository.latest()
    assert (latest["version"], latest["verified"]) == ("1.0.7", False)


@pytest.mark.slow
def test_two_builds_at_once(repository: Repository, tmp_path: Path) -> None:
    """Two builds in one folder run one after the other; the second takes the first one's."""
    repository.write("scripts/hooks_build.py", PATIENT_HOOK)
    repository.commit()
    first = repository.started("build", "--json", log=tmp_path / "first.txt")
    wait_for_text(tmp_path / "first.txt", "main@")
    second = repository.started("build", "--json", log=tmp_path / "second.txt")
    wait_for_text(tmp_path / "second.txt", "another build is running in this folder")
    (repository.root / ".pipeline" / "go").touch()
    answers = [json.loads(child.communicate(timeout=60)[0]) for child in (first, second)]
    (repository.root / ".pipeline" / "go").unlink()
    assert [answer["reused"] for answer in answers] == [False, True]
    assert answers[0]["package"] == answers[1]["package"]


def test_an_untracked_test_counts(repository: Repository) -> None:
    """What git does not track makes a build stale too: its tests run with the others."""
    test = "tests/test_mine.py"
    repository.write(test, "def test_mine():\n    pass\n")
    repository.must("build")
    again = repository.must("build", "--json").document
    assert (again["reused"], again["verified"]) == (True, False)
    repository.write(test, "def test_mine():\n    raise ValueError\n")
    done = repository.verb("build")
    assert done.code == 1
    assert "test_mine" in done.err
