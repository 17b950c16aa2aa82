"""Locks between processes, and what is swept when one was killed. The processes are real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pipeline.edge.cache import exclusive_use, shared_use
from pipeline.edge.locks import exclusive_if_free, shared
from pipeline.edge.scratch import own_temporary_folder

from tests.repositories import ROOT

HOLD = """\
import sys, tempfile
from pathlib import Path
from pipeline.edge.cache import exclusive_use, shared_use
from pipeline.edge.scratch import own_temporary_folder

def waiting():
    print("waiting", flush=True)

def temporary(*_):
    return own_temporary_folder()

with globals()[sys.argv[1]](Path(sys.argv[2]), waiting):
    print(tempfile.mkdtemp() if sys.argv[1] == "temporary" else "held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(how: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds something until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, how, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "template/scripts"), "TMPDIR": str(path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a holder says."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_cache_is_removed_from_when_nobody_uses_it(tmp_path: Path) -> None:
    """Two users at once; who removes waits for both, and is let in when they are killed."""
    cache = tmp_path / "cache"
    with holder("shared_use", cache) as one, holder("shared_use", cache) as two:
        assert (line(one), line(two)) == ("held", "held")
        with holder("exclusive_use", cache) as remover:
            assert line(remover) == "waiting"
            one.kill()
            two.kill()
            assert line(remover) == "held"


def test_a_cache_is_not_used_while_somebody_removes_from_it(tmp_path: Path) -> None:
    """Who wants to use it waits, and goes on when the other one is killed."""
    cache = tmp_path / "cache"
    with holder("exclusive_use", cache) as remover:
        assert line(remover) == "held"
        with holder("shared_use", cache) as user:
            assert line(user) == "waiting"
            remover.kill()
            assert line(user) == "held"


def test_one_process_may_use_a_cache_twice(tmp_path: Path) -> None:
    """A build verifies with the cache it already holds."""

    def never() -> None:
        raise AssertionError

    with shared_use(tmp_path / "cache", never), shared_use(tmp_path / "cache", never):
        pass
    with exclusive_use(tmp_path / "cache", never):
        pass


def test_what_was_left_half_written_goes(tmp_path: Path) -> None:
    """The next user removes it, at each depth, unless somebody else is there, whose it may be."""
    cache = tmp_path / "cache"
    left = [
        cache / ".tests-0123.abcdefgh", cache / "made-1" / ".client.zip.abcdefgh",
        cache / "made-1" / "dependencies" / ".site.abcdefgh",
    ]  # fmt: skip
    for path in left:
        (path / "half").mkdir(parents=True)
    (left[0] / "half").chmod(0o555)
    with (
        holder("shared_use", tmp_path / "other") as other,
        shared(tmp_path / "cache.lock", lambda: None, lambda: None),
    ):
        assert line(other) == "held"
        with holder("shared_use", cache) as user:
            assert line(user) == "held"
            assert all(path.is_dir() for path in left)
    with shared_use(cache, lambda: None):
        assert not any(path.exists() for path in left)


def test_temporary_folders_of_killed_processes_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process removes them, read-only ones too; those of a living one stay."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with holder("temporary", tmp_path) as lives, holder("temporary", tmp_path) as killed:
        kept, left = Path(line(lives)), Path(line(killed))
        (left / "task").mkdir(mode=0o555)
        killed.kill()
        killed.wait()
        with own_temporary_folder():
            assert not left.parent.exists()
            assert kept.is_dir()
        assert lives.stdin
        lives.stdin.close()
        lives.wait()
    assert not kept.parent.exists()
    assert [path.name for path in kept.parents[1].iterdir()] == [".lock"]


def test_a_home_that_is_open_to_others_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may have made it, to see or to change what is written there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = tmp_path / f"copier-lambda-{os.getuid()}"
    home.mkdir()
    home.chmod(0o777)
    with own_temporary_folder():
        assert not [*home.iterdir()]


def test_a_lock_that_is_taken(tmp_path: Path) -> None:
    """Who does not wait is told so."""
    with (
        exclusive_if_free(tmp_path / "lock") as first,
        exclusive_if_free(tmp_path / "lock") as second,
    ):
        assert (first, second) == (True, False)
