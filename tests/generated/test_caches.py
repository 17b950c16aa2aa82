"""Caches of a repository: damaged ones heal, and they can be cleared."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

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
    _cut(_only(cache, "dependencies/*.zip"))
    client = _only(cache, "client-*.zip")
    data = bytearray(client.read_bytes())
    data[len(data) // 2] ^= 1
    client.write_bytes(bytes(data))
    _cut(next(_only(cache, f"runtime-client-{_DIGEST}").glob("awslambdaric/bootstrap.py")))
    _replace(_only(cache, "compiled-*.json"), "{")
    _cut(next((cache / "import" / "task").glob("*/handler.py")))
    for memory in cache.glob("python-*.json"):
        _replace(memory, json.dumps("/nowhere/python"))
    tests = _only(cache, f"tests-{_DIGEST}")
    shutil.rmtree(next(tests.glob("lib/python*/site-packages/pluggy")))


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


def test_a_damaged_last_build_is_no_hindrance(repository: Repository) -> None:
    """A last build with a file missing or emptied is built again."""
    repository.must("package")
    (package_of(repository).parent / "build.json").unlink()
    assert "unchanged" not in repository.must("package").err
    (package_of(repository).parent / "function.zip").write_bytes(b"")
    repository.must("package", "--force")


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
    end = time.monotonic() + 30
    while not found():
        assert time.monotonic() < end
        time.sleep(0.01)
