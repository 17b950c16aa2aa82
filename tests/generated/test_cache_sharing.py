"""Several processes with one cache, and a cache that came from elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.generated.cache_race import members, race
from tests.generated.conftest import Fresh
from tests.generated.repository import Repository, wait_for_text
from tests.wheels import hash_in_record, write_wheel

pytestmark = pytest.mark.slow
WAITING_TEST = """\
import pathlib
import time


def test_slowly():
    here = pathlib.Path(__file__).parent
    (here / "started").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
"""


def depending(repository: Repository, index: Path) -> dict[str, str]:
    """Let the function depend on a wheel of some hundred files; return how uv finds it."""
    (index / "wheels").mkdir(parents=True)
    files = {f"many/module_{number}.py": b"value = 1\n" * 1000 for number in range(600)}
    digest = write_wheel(index / "wheels", "many", files)
    repository.edit("pyproject.toml", "dependencies = []", 'dependencies = ["many"]')
    lock = repository.root / "requirements" / "function.txt"
    repository.write(
        "requirements/function.txt",
        f"{lock.read_text(encoding='utf-8')}many==1.0 --hash=sha256:{digest}\n",
    )
    repository.commit()
    return {"UV_FIND_LINKS": str(index / "wheels"), "UV_CACHE_DIR": str(index / "cache")}


def test_clearing_while_a_cache_is_filled(fresh: Fresh, tmp_path: Path) -> None:
    """Whenever it comes, both verbs end well, and no package is made of half of it."""
    repository = fresh()
    repository = replace(repository, extra=depending(repository, tmp_path / "index"))
    repository.must("package")
    whole = members(repository)
    assert len(whole) > 600
    for moment in (0.2, 0.28, 0.36):
        assert race(repository, whole, moment) == "whole"


def test_clearing_waits_for_a_test_run(fresh: Fresh, tmp_path: Path) -> None:
    """The tests' environment stays as long as tests run in it."""
    repository = fresh()
    repository.write("tests/test_slowly.py", WAITING_TEST)
    tests = repository.started("test", log=tmp_path / "test")
    while not (repository.root / "tests" / "started").exists():
        assert tests.poll() is None, (tmp_path / "test").read_text(encoding="utf-8")
    clear = repository.started("cache.clear", log=tmp_path / "clear")
    wait_for_text(tmp_path / "clear", "the cache is in use by a test")
    (repository.root / "tests" / "go").touch()
    assert tests.communicate()[0].count("passed") == 1
    clear.communicate()
    assert (tests.returncode, clear.returncode) == (0, 0)
    assert [*(repository.root / ".pipeline" / "cache").iterdir()] == []


def test_clearing_under_the_embedded_aws(fresh: Fresh) -> None:
    """What its functions run with stays; who wants it cleared is told how."""
    repository = fresh()
    repository.must("local.start")
    try:
        done = repository.verb("cache.clear")
        assert done.code == 1
        assert "the embedded AWS (process " in done.err
        assert "local.stop" in done.err
    finally:
        repository.must("local.stop")
    repository.must("cache.clear")


def test_a_cache_of_uv_that_lies(fresh: Fresh, tmp_path: Path) -> None:
    """An edited file is fetched anew; with its hash edited too, only a cold `verify` finds it."""
    repository = fresh()
    repository = replace(repository, extra=depending(repository, tmp_path / "index"))
    repository.must("package")
    first = _sha256(repository)
    (kept,) = (tmp_path / "index").glob("cache/archive-v0/*/many")
    module, record = kept / "module_7.py", kept.parent / "many-1.0.dist-info" / "RECORD"
    honest = record.read_text(encoding="utf-8")
    lie = module.read_bytes() + b"value = 2\n"

    def again(data: bytes, listed: str) -> str:
        (found,) = (tmp_path / "index").glob("cache/archive-v0/*/many")
        (found / module.name).write_bytes(data)
        (found.parent / record.parent.name / "RECORD").write_text(listed, encoding="utf-8")
        repository.must("cache.clear")
        repository.must("package", "--force")
        return _sha256(repository)

    assert again(lie, honest) == first
    good = hash_in_record(b"value = 1\n" * 1000)
    row = f"many/module_7.py,{good}"
    assert row in honest
    lying = honest.replace(row, f"many/module_7.py,{hash_in_record(lie)}")
    assert again(lie, lying) != first
    repository.must("verify")
    done = repository.verb("verify", "--cold")
    assert done.code == 3, done
    assert "it is not the same" in done.err


def _sha256(repository: Repository) -> str:
    package = repository.root / repository.latest()["package"]
    return hashlib.sha256(package.with_name("function.zip").read_bytes()).hexdigest()
