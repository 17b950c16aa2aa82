"""`verify`: a package is what its commit makes of it, or exit 3 says where it differs."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from pathlib import Path

from tests.generated.conftest import Fresh
from tests.generated.repository import Repository
from tests.repositories import git

LIBRARY_FILE = "scripts/pipeline/errors.py"
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
    assert "the same bytes" in repository.must("verify", str(package)).err


def test_nothing_kept_is_needed_or_trusted(repository: Repository) -> None:
    """`--cold` deflates the dependencies once more and leaves no trace in the cache."""
    repository.must("package", "--build-number", "7")
    cache = repository.root / ".pipeline" / "cache"
    kept = {path: path.stat().st_mtime_ns for path in cache.glob("*.zip")}
    done = repository.must("verify", "--cold", "--json")
    assert done.document["same"] is True
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*.zip")} == kept


def test_an_edited_package(repository: Repository) -> None:
    """A package in which one byte was changed ends with 3 and names the member and the byte."""
    repository.must("package", "--build-number", "7")
    package = package_of(repository)
    edited = package.with_name("edited.nupkg")
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(edited, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename == "deploy.py":
                data = data[:10] + b"?" + data[11:]
            target.writestr(info, data, compress_type=info.compress_type)
    done = repository.verb("verify", str(edited), "--json")
    assert done.code == 3, done
    assert "deploy.py differs from byte 10 on" in done.document["error"]["what"]


def test_a_build_that_depends_on_the_clock(repository: Repository) -> None:
    """A hook that packs the time fails its own build with 3, and nothing of it is left."""
    repository.write("scripts/hooks_build.py", CLOCK)
    repository.write("environment/made.txt", "made: never\n")
    repository.commit()
    done = repository.verb("build", "--build-number", "7")
    assert done.code == 3, done
    assert re.search(r"environment/made\.txt differs from byte \d+ on", done.err), done.err
    assert set(repository.output()) <= {"tests.xml"}


def test_a_package_of_an_older_library(repository: Repository) -> None:
    """A package is rebuilt by the library of its own commit, not by today's."""
    repository.must("package", "--build-number", "7")
    kept = repository.root / "build-output" / "older.nupkg"
    shutil.copyfile(package_of(repository), kept)
    with_another_library(repository)
    repository.must("package", "--build-number", "7")
    assert kept.read_bytes() != package_of(repository).read_bytes()
    done = repository.must("verify", str(kept), "--verbose")
    assert "another library" in done.err
    assert "the same bytes" in done.err


def test_what_cannot_be_verified(fresh: Fresh) -> None:
    """A dirty package and one of an unknown commit are refused, each with its reason."""
    repository = fresh()
    repository.write("notes.txt", "not committed\n")
    repository.must("package", "--build-number", "7")
    dirty = repository.verb("verify")
    assert dirty.code == 1
    assert "the work tree differs from its commit" in dirty.err
    repository.commit()
    repository.must("package", "--build-number", "7")
    repository.forget_commits()
    unknown = repository.verb("verify")
    assert unknown.code == 1
    assert "is not in this repository" in unknown.err


def test_nothing_to_verify(repository: Repository) -> None:
    """Before the first build, and for a file that is no package, the sentence is short."""
    assert "nothing has been built here yet" in repository.verb("verify").err
    repository.write("no.nupkg", "this is no zip\n")
    done = repository.verb("verify", "no.nupkg")
    assert done.code == 1
    assert "no.nupkg" in done.err
    assert "Traceback" not in done.err
