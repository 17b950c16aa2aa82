"""Caches of a repository: damaged ones heal, and they can be cleared."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.generated.conftest import Fresh
from tests.generated.repository import Repository, environment, wait_for_text
from tests.generated.test_build import PATIENT_HOOK, package_of

_DIGEST = "?" * 16


def _only(cache: Path, pattern: str) -> Path:
    (found,) = cache.glob(pattern)
    return found


def _cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def _replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text, encoding="utf-8")


def _damage_all(cache: Path) -> None:
    """Damage everything that a build takes from the cache, each thing in another way."""
    _cut(_only(cache, "made-*/dependencies/*.zip"))
    client = _only(cache, "made-*/client-*.zip")
    data = bytearray(client.read_bytes())
    data[len(data) // 2] ^= 1
    client.write_bytes(bytes(data))
    _cut(next(_only(cache, f"runtime-client-{_DIGEST}").glob("awslambdaric/bootstrap.py")))
    _replace(_only(cache, "made-*/dependencies/*.json"), "{")
    _cut(next((cache / "import" / "task").glob("*/handler.py")))
    for memory in cache.glob("python-*.json"):
        _replace(memory, json.dumps("/nowhere/python"))
    (installed,) = cache.parent.glob("python/lib/python*/site-packages/pluggy")
    shutil.rmtree(installed)


@pytest.mark.slow
def test_damaged_caches_heal(fresh: Fresh) -> None:
    """After all caches were damaged the same commit still gives the same bytes, without a word."""
    repository = fresh()
    repository.must("build", "--build-number", "7")
    first = hashlib.sha256(package_of(repository).read_bytes()).hexdigest()
    _damage_all(repository.root / ".pipeline" / "cache")
    done = repository.must("build", "--build-number", "7")
    assert "warning" not in done.err
    assert "handler imported" in done.err
    assert hashlib.sha256(package_of(repository).read_bytes()).hexdigest() == first
    assert "from cache" in repository.must("build", "--build-number", "7").err


@pytest.mark.slow
def test_an_update_of_the_library_reaches_what_is_kept(fresh: Fresh) -> None:
    """What an older library kept is not taken for what the new one would make."""
    repository = fresh()
    repository.must("package", "--build-number", "7")
    repository.edit("scripts/pipeline/zip/writer.py", "LEVEL = 6", "LEVEL = 1")
    repository.commit("A newer library")
    assert repository.must("build", "--build-number", "7", "--json").document["verified"] is True
    kept = package_of(repository).read_bytes()
    repository.must("cache.clear")
    repository.must("package", "--build-number", "7")
    assert package_of(repository).read_bytes() == kept


def _lie(cache: Path) -> None:
    """Put another client into the cache, sealed as if it had been made there."""
    client = _only(cache, "made-*/client-*.zip")
    with zipfile.ZipFile(client, "a") as archive:
        archive.writestr("client/extra.py", "# nobody's\n")
    digest = hashlib.sha256(client.read_bytes()).hexdigest()
    _replace(client.with_name(client.name + ".sha256"), digest)


@pytest.mark.slow
def test_a_build_server_does_not_trust_what_is_kept(fresh: Fresh) -> None:
    """There the rebuilding that proves a build uses no cache, so a wrong one cannot hide."""
    repository = fresh()
    repository.must("package", "--build-number", "7")
    _lie(repository.root / ".pipeline" / "cache")
    server = {"JENKINS_URL": "http://build.example", "BUILD_NUMBER": "8"}
    done = repository.verb("build", extra=server)
    assert done.code == 3, done
    assert "client/extra.py is not in the rebuilt one" in done.out
    assert "Something outside the commit went into it" in done.out


@pytest.mark.slow
def test_an_edited_client_is_not_packed(fresh: Fresh) -> None:
    """A file of .venv that is not as it was installed is named; nothing is built with it."""
    # A process of its own: a fork of a started one remembers where it found its packages.
    repository = replace(fresh(), starter=None)
    (session,) = repository.root.glob(".venv/lib/python*/site-packages/botocore/session.py")
    path = session.relative_to(repository.root).as_posix()
    repository.must("package", "--build-number", "7")
    repository.write(path, f"{session.read_text(encoding='utf-8')}# Edited.\n")
    repository.must("package", "--build-number", "7")
    repository.refused(1, "AWS client", "verify", "--cold")
    session.unlink()
    repository.must("cache.clear")
    repository.refused(1, "AWS client", "package", "--build-number", "8")


def test_a_damaged_last_build_is_no_hindrance(repository: Repository) -> None:
    """A last build with a file missing or emptied is built again, without a word."""
    repository.must("package")
    (package_of(repository).parent / "function.zip").unlink()
    assert "unchanged" not in repository.must("package").err
    for name in ("build.json", "sbom.cdx.json"):
        (package_of(repository).parent / name).write_bytes(b"")
        done = repository.must("package")
        assert "unchanged" not in done.err
        assert "warning" not in done.err
        assert (package_of(repository).parent / name).stat().st_size
    assert "unchanged" in repository.must("package").err


def test_a_pointer_that_is_none_of_ours(repository: Repository) -> None:
    """A last build that cannot be read is none."""
    repository.must("package")
    latest = {**repository.latest(), "package": 5}
    repository.write("build-output/latest.json", json.dumps(latest))
    repository.refused(1, "package", "verify")
    repository.must("package")
    assert package_of(repository).is_file()


def test_what_stays_is_a_copy(unused: Repository) -> None:
    """Who edits the runtime client in the cache does not edit uv's own file."""
    cache = unused.root / ".pipeline" / "cache"
    (file,) = cache.glob(f"runtime-client-{_DIGEST}/awslambdaric/bootstrap.py")
    assert file.stat().st_nlink == 1


@pytest.mark.slow
def test_clearing_says_how_much(fresh: Fresh) -> None:
    """`cache.clear` removes the cache and says how much; builds stay, and the next one works."""
    repository = fresh()
    repository.must("package")
    done = repository.must("cache.clear")
    found = re.search(
        r"^\.pipeline/cache: (\d+\.\d) MB in (\d+) files removed$", done.err, re.MULTILINE
    )
    assert found
    assert float(found[1]) > 1
    left = [path.name for path in (repository.root / ".pipeline" / "cache").iterdir()]
    assert all(name.endswith(".lock") for name in left)
    assert package_of(repository).is_file()
    answer = repository.must("cache.clear", "--json").document
    assert answer == {"files": 0, "size": 0}
    repository.must("package", "--force")


@pytest.mark.slow
def test_clearing_waits_for_a_build(fresh: Fresh, tmp_path: Path) -> None:
    """A build that is under way keeps its cache to the end; who clears it is told to wait."""
    repository = fresh()
    repository.write("scripts/hooks_build.py", PATIENT_HOOK)
    repository.commit()
    go = repository.root / ".pipeline" / "go"
    with _started(repository, tmp_path / "build", "package", "--verbose") as build:
        _until((repository.root / ".pipeline" / "build.lock").exists)
        wait_for_text(tmp_path / "build", "clean")
        with _started(repository, tmp_path / "clear", "cache.clear") as clear:
            wait_for_text(tmp_path / "clear", "a build is running in this folder")
            assert build.poll() is None
            go.touch()
            assert build.wait(60) == 0, (tmp_path / "build").read_text(encoding="utf-8")
            assert clear.wait(60) == 0
    assert package_of(repository).is_file()


def _started(repository: Repository, log: Path, *words: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            repository.command(*words), cwd=repository.root, env=environment(), stderr=output
        )


def _until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not found():
        assert time.monotonic() < end
        time.sleep(0.01)
