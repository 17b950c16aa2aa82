"""`verify`: a package is what its commit makes of it, or exit 3 says where it differs."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.generated.conftest import Fresh
from tests.generated.repository import Repository
from tests.repositories import git

LIBRARY_FILE = "scripts/pipeline/core/errors.py"
SPEAKING = """\
import subprocess

print("hooks are read")


def before_build(stage):
    print("it begins")
    subprocess.run(["echo", "a program says so"], check=True)


def after_package(stage):
    print("it is packed")
"""
CLOCK = """\
import time
from pathlib import Path


def before_build(stage):
    Path(stage.root, "environment", "made.txt").write_text(f"made: {time.time_ns()}\\n")
"""


def package_of(repository: Repository) -> Path:
    """Return the last build's package."""
    return repository.root / str(repository.latest()["package"])


def with_another_library(repository: Repository) -> None:
    """Change and commit the shared library, as an update of the template does."""
    repository.edit(LIBRARY_FILE, "from __future__", "# A newer library.\nfrom __future__")
    digest = hashlib.sha256((repository.root / LIBRARY_FILE).read_bytes()).hexdigest()
    manifest = repository.root / "scripts" / "MANIFEST"
    text = manifest.read_text(encoding="utf-8")
    changed = re.sub(rf"[0-9a-f]{{64}}(?=  {LIBRARY_FILE})", digest, text)
    assert changed != text
    repository.write("scripts/MANIFEST", changed)
    repository.commit("A newer library")


def test_a_package_is_rebuilt_from_its_commit(repository: Repository) -> None:
    """The last package is verified by default, another by its path, also after a new commit."""
    repository.must("package", "--build-number", "7")
    done = repository.must("verify", "--json")
    commit = git(repository.root, "rev-parse", "HEAD").strip()
    assert (done.document["commit"], done.document["same"]) == (commit, True)
    package = package_of(repository)
    repository.write("notes.txt", "later\n")
    repository.commit("Later")
    repository.edit(f"src/{repository.module()}/handler.py", "return", "# later\n    return")
    assert repository.must("verify", str(package), "--json").document["same"] is True


@pytest.mark.slow
def test_line_ends_that_git_does_not_see(repository: Repository) -> None:
    """A work tree with CRLF that git calls clean gives the bytes of the commit."""
    handler = repository.root / "src" / repository.module() / "handler.py"
    text = handler.read_bytes()
    repository.write(handler.relative_to(repository.root).as_posix(), "")
    handler.write_bytes(text.replace(b"\n", b"\r\n"))
    git(repository.root, "add", "--all")
    done = repository.must("package", "--build-number", "7")
    assert "clean" in done.err
    with zipfile.ZipFile(package_of(repository).parent / "function.zip") as archive:
        assert archive.read(f"{repository.module()}/handler.py") == text
    repository.must("verify")


@pytest.mark.slow
def test_nothing_kept_is_needed_or_trusted(repository: Repository) -> None:
    """`--cold` deflates the dependencies once more and leaves no trace in the cache."""
    repository.must("package", "--build-number", "7")
    cache = repository.root / ".pipeline" / "cache"
    kept = {path: path.stat().st_mtime_ns for path in cache.glob("*.zip")}
    done = repository.must("verify", "--cold", "--json")
    assert done.document["same"] is True
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*.zip")} == kept


def _edited(package: Path) -> Path:
    """Return a copy with another byte in a member, as a whole package has it."""
    edited = package.with_name("edited.nupkg")
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(edited, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename == "deploy.py":
                data = data[:10] + b"?" + data[11:]
            target.writestr(info, data, compress_type=info.compress_type)
    return edited


@pytest.mark.slow
def test_a_build_that_depends_on_the_clock(repository: Repository) -> None:
    """A hook that packs the time fails its own build with 3, and nothing of it is left."""
    repository.write("scripts/hooks_build.py", CLOCK)
    repository.write("environment/made.txt", "made: never\n")
    repository.commit()
    done = repository.verb("build", "--build-number", "7")
    assert done.code == 3, done
    assert re.search(r"environment/made\.txt differs from byte ", done.err), done.err
    assert set(repository.output()) <= {"tests.xml"}


@pytest.mark.slow
def test_a_package_of_an_older_library(repository: Repository) -> None:
    """A package is rebuilt by the library of its own commit, not by today's."""
    repository.must("package", "--build-number", "7")
    kept = repository.root / "build-output" / "older.nupkg"
    shutil.copyfile(package_of(repository), kept)
    with_another_library(repository)
    repository.must("package", "--build-number", "7")
    assert kept.read_bytes() != package_of(repository).read_bytes()
    done = repository.must("verify", str(kept), "--verbose", "--json")
    assert "another library" in done.err
    assert done.document["same"] is True


@pytest.mark.slow
def test_an_edited_library_that_nobody_committed(repository: Repository) -> None:
    """The commit's own library rebuilds its package, whatever lies in the work tree today."""
    repository.must("package", "--build-number", "7")
    repository.edit("scripts/pipeline/zip/writer.py", "LEVEL = 6", "LEVEL = 1")
    done = repository.must("verify", "--verbose", "--json")
    assert "another library" in done.err
    assert done.document["same"] is True


@pytest.mark.slow
def test_hooks_that_print(repository: Repository) -> None:
    """What hooks and their programs print are lines of the log, and no part of a document."""
    repository.write("scripts/hooks_build.py", SPEAKING)
    repository.commit()
    done = repository.must("package", "--build-number", "7", "--json")
    assert done.document["version"] == "1.0.7"
    said = ["hooks are read", "it begins", "a program says so", "hooks are read", "it is packed"]
    assert [line for line in done.err.splitlines() if line in said] == said
    package = repository.root / "kept.nupkg"
    shutil.copyfile(package_of(repository), package)
    assert "it begins" not in repository.must("verify").err
    with_another_library(repository)
    assert repository.must("verify", str(package), "--json").document["same"] is True


@pytest.mark.slow
def test_hooks_of_git_have_no_part_in_it(repository: Repository, tmp_path: Path) -> None:
    """A user's own hook neither runs in the clone nor stops it."""
    repository.must("package", "--build-number", "7")
    (tmp_path / "hooks").mkdir()
    hook = tmp_path / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    settings = f"[core]\n\thooksPath = {tmp_path}/hooks\n"
    (tmp_path / ".gitconfig").write_text(settings, encoding="utf-8")
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(Path.home() / ".cache")}
    repository.must("verify", extra=home)
    assert not (tmp_path / "ran").exists()


def test_what_git_says_is_passed_on(fresh: Fresh) -> None:
    """A clone that fails for another reason than a missing commit says that reason."""
    repository = fresh()
    repository.must("package", "--build-number", "7")
    tree = git(repository.root, "rev-parse", "HEAD^{tree}").strip()
    (repository.root / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    done = repository.verb("verify")
    assert done.code == 1
    assert "git: exit code 128" in done.err
    assert "fatal: " in done.err
    assert "is not in this repository" not in done.err


def test_a_commit_that_is_not_here(repository: Repository, tmp_path: Path) -> None:
    """A shallow clone is told how to get it, another repository's package what it is."""
    repository.must("package", "--build-number", "7")
    package = package_of(repository)
    repository.commit("Later")
    shallow = Repository(tmp_path / "shallow", repository.extra)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository.root}", "shallow")
    (shallow.root / ".venv").symlink_to(repository.root / ".venv")
    shallow.refused(1, "verify", "verify", str(package))
    shallow.edit("pyproject.toml", 'package-id = "', 'package-id = "Other.')
    shallow.refused(1, "verify", "verify", str(package))


def test_damaged_packages(repository: Repository) -> None:
    """A damaged package ends with 3 and names what is damaged, by its own name.

    One in which a byte was changed, and which is whole, the member and the byte.
    """
    repository.must("package", "--build-number", "7")
    repository.refused(3, "verify edited.nupkg", "verify", str(_edited(package_of(repository))))
    whole = package_of(repository).read_bytes()
    with zipfile.ZipFile(package_of(repository)) as archive:
        places = {info.filename: info.header_offset + 60 for info in archive.infolist()}
    for name in ("deploy.py", "build.json", "function.zip"):
        at = places[name]
        repository.write("damaged.nupkg", "")
        (repository.root / "damaged.nupkg").write_bytes(
            whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        )
        done = repository.verb("verify", "damaged.nupkg", "--json")
        error = done.document["error"]
        assert (done.code, error["where"]) == (3, "verify damaged.nupkg")
        # Of what the damage is depends on the bytes it hits.
        assert f"'{name}': " in error["what"]
    (repository.root / "damaged.nupkg").write_bytes(whole[: len(whole) // 2])
    repository.refused(3, "verify damaged.nupkg", "verify", "damaged.nupkg")


def test_what_cannot_be_verified(fresh: Fresh) -> None:
    """A dirty package, one of an unknown commit, and any without `.git`, each with its reason."""
    repository = fresh()
    repository.write("notes.txt", "not committed\n")
    repository.must("package", "--build-number", "7")
    repository.refused(1, f"verify {package_of(repository).name}", "verify")
    repository.commit()
    repository.must("package", "--build-number", "7")
    repository.forget_commits()
    repository.refused(1, "verify", "verify")
    # A commit is not what is missing there.
    shutil.rmtree(repository.root / ".git")
    repository.refused(1, f"verify {package_of(repository).name}", "verify")


def test_nothing_to_verify(repository: Repository) -> None:
    """Before the first build, and for a file that is no package, the sentence is short."""
    repository.refused(1, "package", "verify")
    repository.write("no.nupkg", "this is no zip\n")
    repository.refused(3, "verify no.nupkg", "verify", "no.nupkg")
    # A folder is told as one.
    repository.refused(1, "package", "inspect", "src")
