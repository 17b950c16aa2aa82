"""Builds that are killed, or have no room or no right to write: nothing half-written is left."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.generated.repository import Repository, environment, set_up_child, wait_for_text
from tests.generated.test_build import package_of

_HOOK = """\
import os
import sys
import time


def after_package(stage):
    if os.environ.get("UV_HANG"):
        sys.stderr.write("packaged in " + str(stage.package.parent) + "\\n")
        sys.stderr.flush()
        time.sleep(60)
"""
_LIMIT = 200_000  # bytes: more than any file of a build but the package and the AWS client


@dataclass(frozen=True)
class _Ended:
    code: int
    err: str


def _package(repository: Repository, set_up: Callable[[], None] | None = None) -> _Ended:
    done = subprocess.run(
        repository.command("package", "--force"),
        cwd=repository.root,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        preexec_fn=set_up,
    )
    return _Ended(done.returncode, done.stderr)


def _small_files() -> None:
    """Let no file grow beyond the limit: for a process that is a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, _LIMIT))


@contextmanager
def full_disk(folder: Path) -> Iterator[Callable[[], None] | None]:
    """Make `folder` a disk too small for a package, or give what makes a child see one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
    if mounted and mounted.returncode == 0:
        try:
            yield None
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    else:
        yield _small_files


@pytest.mark.slow
def test_a_killed_build_leaves_no_package(repository: Repository, tmp_path: Path) -> None:
    """After SIGKILL the last build still counts, and the next one removes what was left."""
    repository.write("scripts/hooks_build.py", _HOOK)
    repository.commit()
    repository.must("package")
    before = repository.latest()
    log = tmp_path / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            repository.command("package", "--force"),
            cwd=repository.root,
            env=environment({"UV_HANG": "1"}),
            stderr=output,
            start_new_session=True,
        )
    wait_for_text(log, "packaged in ")
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert repository.latest() == before
    visible = [name for name in repository.output() if not name.startswith(".")]
    assert visible == [str(before["version"]), "latest.json"]
    half = [name for name in repository.output() if name.startswith(".")]
    assert len(half) == 1, "the kill came too late to prove anything"
    repository.must("package", "--force")
    assert not [name for name in repository.output() if name.startswith(".")]


def test_afull_disk(repository: Repository) -> None:
    """Without room for the package the build says so, and the folder is as it was."""
    output = repository.root / "build-output"
    shutil.rmtree(output, ignore_errors=True)
    with full_disk(output) as set_up:
        done = _package(repository, set_up)
        assert done.code == 1, done.err
        assert "Traceback" not in done.err
        assert "No space left" in done.err or "File too large" in done.err
        assert "free space" in done.err
        assert repository.output() == []
    repository.must("package", "--force")


@pytest.mark.slow
def test_a_full_disk_under_the_cache(repository: Repository) -> None:
    """Without room for the cache the build says so, and it can be repeated once there is."""
    cache = repository.root / ".pipeline" / "cache"
    kept = cache.with_name("kept")
    cache.rename(kept)
    with full_disk(cache) as set_up:
        done = _package(repository, set_up)
        assert done.code == 1, done.err
        assert "Traceback" not in done.err
        assert repository.output() == []
    shutil.rmtree(cache, ignore_errors=True)
    kept.rename(cache)
    repository.must("package", "--force")


@pytest.mark.parametrize("what", ["build-output", ".pipeline"])
def test_a_read_only_folder(repository: Repository, what: str) -> None:
    """Without the right to write there the build names the folder, and changes nothing."""
    folder = repository.root / what
    folder.mkdir(exist_ok=True)
    (folder / "build.lock").unlink(missing_ok=True)
    folder.chmod(0o555)
    try:
        done = _package(repository, lambda: set_up_child(read_only=True))
    finally:
        folder.chmod(0o755)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert f"{folder}" in done.err
    assert "cannot be written: Permission denied" in done.err
    assert repository.output() == []


def test_a_file_in_the_way(repository: Repository) -> None:
    """A file where the output should be is named, and the build works once it is gone."""
    path = repository.root / "build-output"
    path.write_bytes(b"")
    done = _package(repository)
    path.unlink()
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert f"{path}" in done.err
    assert "cannot be written" in done.err
    repository.must("package")
    assert package_of(repository).is_file()
