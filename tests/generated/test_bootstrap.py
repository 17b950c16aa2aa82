"""The way from a clone to a running verb."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import bootstrap
import pytest
from pipeline.edge.pythons import find_python

from tests.generated.conftest import Fresh
from tests.generated.repository import (
    PYTHON,
    Done,
    Repository,
    environment,
    set_up_child,
    wait_for_text,
)
from tests.repositories import ROOT, git
from tests.tools import lacking
from tests.words import assert_said

TOO_OLD = ("3.10", "3.9", "3.8", "2.7")
LOCK, STAMP = "requirements-build.txt", ".requirements-build.sha256"
# Whatever asks for the network gets a refused connection at once.
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")


@pytest.fixture
def repository(repository: Repository) -> Repository:
    """Return the shared repository; here it is Python's start itself that is tried."""
    return replace(repository, starter=None)


@pytest.fixture
def clone(unused: Repository, tmp_path: Path) -> Repository:
    """Return a repository right after a clone: nothing is set up."""
    git(tmp_path, "clone", "--quiet", str(unused.root), "a clone")
    return Repository(tmp_path / "a clone")


def imports(repository: Repository, module: str) -> bool:
    """Tell whether `.venv` has the module."""
    python = repository.root / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return done.returncode == 0


def assert_refused(repository: Repository, done: Done) -> None:
    """Expect an error for people: exit code 1, no trace, in the words of the page."""
    assert (done.code, "Traceback" in done.err) == (1, False), done
    names = {re.escape(str(repository.root)): "REPOSITORY", r"\d+ locked packages": "N packages"}
    assert_said(done.err, names)


@pytest.mark.slow
def test_python_and_invoke_do_the_same(repository: Repository) -> None:
    """`python3 tasks.py` and any `invoke` give the same answer, from sub-folders too."""
    words = ("version", "--build-number", "7")
    for folder in (repository.root, repository.root / "src" / repository.module()):
        invoke = subprocess.run(
            [sys.executable, "-m", "invoke", *words],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (invoke.returncode, invoke.stdout, invoke.stderr) == (0, "1.0.7\n", "")
        assert repository.verb(*words, cwd=folder) == Done(0, "1.0.7\n", "")


def test_a_foreign_invoke_gets_the_exit_code(repository: Repository) -> None:
    """The code of the verb is the code of the `invoke` that was called."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "version", "--build-number", "x"],
        cwd=repository.root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert_said(done.stderr)


def test_a_clone_sets_itself_up_without_a_network(clone: Repository) -> None:
    """With warm caches the first verb needs no network, nor the library, and says what it does.

    It imports nothing of the library, and says how to bring back what was changed.
    """
    clone.write("scripts/pipeline/__init__.py", "raise RuntimeError('broken')\n")
    done = clone.verb("version", extra=NO_NETWORK)
    assert done.code == 1
    assert "locked packages from scripts/requirements-build.txt" in done.err
    assert "RuntimeError: broken" in done.err
    assert "doctor --fix" in done.err
    git(clone.root, "checkout", "--quiet", ".")
    done = clone.must("version", "--build-number", "7")
    assert done == Done(0, "1.0.7\n", "")
    again = clone.must("build", "--build-number", "7", extra={**NO_NETWORK, "UV_OFFLINE": "1"})
    assert "setup:" not in again.err


@pytest.mark.parametrize(
    "missing",
    [
        "bin/python",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (STAMP, "lib/python*/site-packages/invoke", ".")
        ),
    ],
)
def test_a_half_made_venv_heals(repository: Repository, missing: str) -> None:
    """A `.venv` without its stamp, its interpreter or anything at all is made anew."""
    (broken,) = repository.root.glob(f".venv/{missing}")
    if broken.is_dir():
        shutil.rmtree(broken)
    else:
        broken.unlink()
    assert repository.must("version", "--build-number", "7").out == "1.0.7\n"
    assert (repository.root / ".venv" / STAMP).is_file()


@pytest.mark.slow
def test_a_killed_set_up_heals(clone: Repository) -> None:
    """A set-up that was killed on the way leaves nothing that the next verb trips over."""
    child = subprocess.Popen(
        clone.command("version"), env=environment(), stderr=subprocess.PIPE, process_group=0
    )
    while not (clone.root / ".venv").exists():
        time.sleep(0.002)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert clone.must("version", "--build-number", "7").out == "1.0.7\n"


@pytest.mark.slow
def test_several_at_once_are_safe(clone: Repository, tmp_path: Path) -> None:
    """First verbs at the same time say that they wait; one of them makes `.venv`, all succeed."""
    (clone.root / ".pipeline").mkdir()
    logs = [tmp_path / "one.txt", tmp_path / "two.txt"]
    with (clone.root / ".pipeline" / "setup.lock").open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        children = [clone.started("version", "--build-number", "7", log=log) for log in logs]
        for log in logs:
            wait_for_text(log, "another process is making .venv; waiting")
    ends = [child.communicate(timeout=60)[0] for child in children]
    assert ends == ["1.0.7\n"] * 2
    assert [child.returncode for child in children] == [0, 0]
    assert sum("setup: done" in log.read_text(encoding="utf-8") for log in logs) == 1


def test_no_pip_and_no_venv(clone: Repository, tmp_path: Path) -> None:
    """A Python with neither pip nor the venv module is told what to install."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    (site,) = (tmp_path / "bare").glob("lib/python*/site-packages")
    (site / "none.pth").write_text("import sys; sys.modules.update(pip=None, venv=None)\n")
    extra = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = clone.verb("version", extra=extra, python=tmp_path / "bare" / "bin" / "python")
    assert_refused(clone, done)


@pytest.mark.slow
def test_nothing_of_a_foreign_folder_runs_or_counts(clone: Repository, tmp_path: Path) -> None:
    """Modules and settings of the caller's folder, and of those above, change no set-up.

    The user's own settings of pip choose where uv comes from.
    """
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for module in ("pip", "venv", "ensurepip"):
        (foreign / f"{module}.py").write_text("open('ran', 'w').close()\n")
    nowhere = 'index-url = "http://127.0.0.1:9"\n'
    for folder in (foreign, tmp_path):
        (folder / "uv.toml").write_text(nowhere)
        (folder / "pyproject.toml").write_text(
            f"[project]\nname = 'x'\nversion = '1'\n[tool.uv]\n{nowhere}"
        )
    done = clone.must(
        *("version", "--build-number", "7"),
        cwd=foreign,
        extra={
            **NO_NETWORK,
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "UV_CACHE_DIR": _uv("cache", "dir"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(_folder_with_uv(tmp_path / "wheels")),
        },
    )
    assert (done.out, (foreign / "ran").exists()) == ("1.0.7\n", False)
    assert "setup: done" in done.err


def _uv(*words: str) -> str:
    program = bootstrap.find_uv(ROOT, "requirements/dev.txt")
    return subprocess.run(
        [program, *words], capture_output=True, text=True, check=True, env=environment()
    ).stdout.strip()


def _folder_with_uv(folder: Path) -> Path:
    """Return a folder with the locked uv's wheel, under the name that pip knows it by."""
    folder.mkdir()
    (kept,) = bootstrap.find_uv(ROOT, "requirements/dev.txt").parent.glob("*.whl")
    with zipfile.ZipFile(kept) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
        tags = re.findall(r"^Tag: (\S+)$", wheel.read(name).decode(), re.MULTILINE)
    python, abi, _ = tags[0].split("-")
    platforms = ".".join(tag.split("-")[2] for tag in tags)
    version = name.partition(".dist-info")[0]
    shutil.copy2(kept, folder / f"{version}-{python}-{abi}-{platforms}.whl")
    return folder


def test_too_old_a_python(repository: Repository) -> None:
    """A Python older than 3.11 is told so, in one line, also one that knows no annotations."""
    found = {version: find_python(version, os.environ) for version in TOO_OLD}
    old = {version: python for version, python in found.items() if python}
    if not old:
        lacking(f"none of Python {', '.join(TOO_OLD)} is on this machine: install one")
    for version, python in old.items():
        done = repository.verb("version", python=python)
        said = f"tasks.py: Python 3.11 or newer is needed, this is {version}.\n"
        assert done == Done(1, "", said), done


@pytest.mark.parametrize("name", [".venv", ".pipeline"])
def test_a_file_in_the_way(clone: Repository, name: str) -> None:
    """Where a folder of the set-up cannot be made, the path is named and nothing is traced."""
    (clone.root / name).write_text("in the way")
    assert_refused(clone, clone.verb("version"))


def test_a_read_only_folder(clone: Repository) -> None:
    """A folder that cannot be written to is named, with what is needed of it."""
    clone.root.chmod(0o555)
    try:
        done = subprocess.run(
            clone.command("version"),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: set_up_child(read_only=True),
        )
    finally:
        clone.root.chmod(0o755)
    assert_refused(clone, Done(done.returncode, done.stdout, done.stderr))


def test_a_lock_that_is_missing(clone: Repository) -> None:
    """Without the tooling's lock the file is named, and how to get it back."""
    (clone.root / "scripts" / "requirements-build.txt").unlink()
    done = clone.verb("version")
    assert_refused(clone, done)
    for flag in ("--json", "-j"):
        assert clone.verb("build", flag).document["error"]["where"] == "setup"


def test_a_lock_that_is_no_text(clone: Repository) -> None:
    """A tooling lock in UTF-16 is named, and how to get it back."""
    lock = clone.root / "scripts" / "requirements-build.txt"
    lock.write_text(lock.read_text(encoding="utf-8"), encoding="utf-16")
    done = clone.verb("version")
    assert_refused(clone, done)


@pytest.mark.slow
def test_later_locks_wait_until_they_are_needed(fresh: Fresh) -> None:
    """The embedded AWS is not installed by a build, but by the first verb that needs it."""
    repository = replace(fresh(), starter=None)
    repository.must("build")
    assert not imports(repository, "moto")
    done = repository.must("run", "--event", "tests/events/hello.json")
    assert "scripts/requirements-local.txt" in done.err
    assert imports(repository, "moto")
    # The first lock is still in place: no second set-up.
    assert "setup:" not in repository.must("version").err


def test_a_broken_bootstrap_says_how_to_bring_it_back(clone: Repository) -> None:
    """Its lock and its helpers are files of ours too."""
    lock, doctor = (clone.root / "scripts" / name for name in (LOCK, "doctor.py"))
    text = lock.read_text(encoding="utf-8")
    lock.write_text(f"{text}six==1.17.0\n", encoding="utf-8")
    done = clone.verb("version")
    assert ("setup:" in done.err, "doctor --fix" in done.err) == (True, True)
    lock.write_text(text, encoding="utf-8")
    doctor.write_text("", encoding="utf-8")
    done = clone.verb("version")
    assert "git checkout HEAD -- scripts/doctor.py" in done.err
    assert "Traceback" not in done.err
    doctor.unlink()
    for verb in ("version", "doctor"):
        assert "git checkout HEAD -- scripts/doctor.py" in clone.verb(verb).err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bootstrap.py", None),
        ("bootstrap.py", "<<<<<<< ours\n"),
        ("bootstrap.py", ""),
        ("pipeline/core/names.py", ""),
        ("pipeline/tasks/__init__.py", None),
        ("pipeline/core/errors.py", "class\n"),
        ("pipeline/verbs/version.py", None),
    ],
)
def test_a_file_of_ours_that_is_missing_needs_no_trace(
    repository: Repository, name: str, text: str | None
) -> None:
    """It is named, and what brings it back; also where no verb could start at all."""
    (repository.root / "scripts" / name).unlink()
    if text is not None:
        repository.write(f"scripts/{name}", text)
    done = repository.verb("version", "--json")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert (f"scripts/{name}" in done.err, "doctor.py --fix" in done.err) == (
        True, name == "bootstrap.py",
    )  # fmt: skip
    if name != "bootstrap.py":
        assert "doctor --fix" in done.document["error"]["then"]


def test_what_others_read_of_a_shared_environment_is_whole(tmp_path: Path) -> None:
    """Updates of several repositories use one copier: its files are never half-written."""
    source = ROOT / "template"
    folder = bootstrap.environment(source, tmp_path, "update").parents[2]
    lock, settings = folder / bootstrap.LOCKS["update"], folder / "uv.toml"
    (tmp_path / "uv.toml").write_text('index-strategy = "first-index"\n', encoding="utf-8")
    before = lock.stat()
    with settings.open(encoding="utf-8") as read, lock.open(encoding="utf-8") as held:
        whole = settings.read_text(encoding="utf-8")
        bootstrap.environment(source, tmp_path, "update")
        after = lock.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert held.read() == (source / bootstrap.LOCKS["update"]).read_text(encoding="utf-8")
        assert read.read() == whole
    assert settings.read_text(encoding="utf-8").startswith("index-strategy")
