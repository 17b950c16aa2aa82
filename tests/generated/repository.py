"""A generated repository, and its verbs run as its users run them: as processes."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.edge.pythons import find_python

from tests.generated.starter import Starter
from tests.repositories import commit_all, git
from tests.words import assert_said

# A machine's own Python: the bootstrap must not depend on the environment these tests run in.
PYTHON = Path(sys._base_executable)  # type: ignore[attr-defined]
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
# What a repository is generated for: the default, else the Python that every machine has.
RUNTIME = f"python{'3.13' if find_python('3.13', os.environ) else _HERE}"
_START = "start"
_DROP_CAPABILITY = 24  # prctl(2): PR_CAPBSET_DROP
_OVERRIDE_PERMISSIONS = (1, 2)  # capabilities(7): CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@dataclass(frozen=True)
class Done:
    """A verb's end: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output; anything besides it is an error."""
        document: dict[str, Any] = json.loads(self.out)
        return document


@dataclass(frozen=True)
class Repository:
    """A generated repository at `root`; `extra` is added to the environment of every verb.

    `starter` runs the verbs as long as the repository has the library that is loaded there.
    """

    root: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    starter: Starter | None = None

    def command(self, *words: str, python: Path = PYTHON) -> list[str]:
        """Return the command line of a verb."""
        return [str(python), str(self.root / "tasks.py"), *words]

    def verb(
        self,
        *words: str,
        extra: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str = "",
        python: Path = PYTHON,
    ) -> Done:
        """Run a verb to its end, with `extra` in its environment."""
        environ = environment({**self.extra, **(extra or {})})
        # Another Python, or one told something at its start, has to be started.
        same = python == PYTHON and not any(name.startswith("PYTHON") for name in environ)
        if self.starter and same and self.starter.fits(self.root):
            return Done(*self.starter.run(self.root, words, cwd or self.root, environ, stdin))
        done = subprocess.run(
            self.command(*words, python=python),
            cwd=cwd or self.root,
            env=environ,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def started(self, *words: str, log: Path) -> subprocess.Popen[str]:
        """Start a verb whose standard error goes to the file `log`."""
        with log.open("wb") as stderr:
            return subprocess.Popen(
                self.command(*words),
                cwd=self.root,
                env=environment(self.extra),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def must(self, *words: str, **how: Any) -> Done:
        """Run a verb that has to succeed."""
        done = self.verb(*words, **how)
        assert done.code == 0, f"{words}: {done.code}\n{done.out}{done.err}"
        return done

    def refused(self, code: int, where: str, *words: str, **how: Any) -> dict[str, str]:
        """Run a verb that has to end with that code at that place, in the words of the page."""
        done = self.verb(*words, "--json", **how)
        error: dict[str, str] = done.document["error"]
        assert (done.code, error["where"]) == (code, where), done
        assert "Traceback" not in done.err
        names = {
            re.escape(str(self.root)): "REPOSITORY",
            r"\b[0-9a-f]{12,40}\b": "COMMIT",
            # Machines have one Python or another.
            rf"\b{re.escape(RUNTIME)}\b": "RUNTIME",
        }
        assert_said(f"{where}: {error['what']}\n{error['then']}", names)
        return error

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file; it must be there."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {path}"
        # A new file: the old one's bytes may be shared with the repository this one is a copy of.
        file.unlink()
        file.write_text(text.replace(old, new), encoding="utf-8", newline="\n")

    def write(self, path: str, text: str) -> None:
        """Write a file, with its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def commit(self, message: str = "Change") -> None:
        """Commit everything."""
        commit_all(self.root, message)

    def module(self) -> str:
        """Return the folder of the function below `src`."""
        (handler,) = self.root.glob("src/*/handler.py")
        return handler.parent.name

    def nuspec(self) -> str:
        """Return the path of the nuspec."""
        (nuspec,) = self.root.glob("src/*.nuspec")
        return nuspec.relative_to(self.root).as_posix()

    def output(self) -> list[str]:
        """Return the names in `build-output`, hidden ones included."""
        folder = self.root / "build-output"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def latest(self) -> dict[str, Any]:
        """Return `build-output/latest.json`."""
        found: dict[str, Any] = json.loads(
            (self.root / "build-output" / "latest.json").read_text(encoding="utf-8")
        )
        return found

    def start_here(self) -> None:
        """Commit everything, and make it what `reset` goes back to."""
        git(self.root, "init", "--quiet")
        self.commit("Generated from the template")
        git(self.root, "tag", _START)

    def reset(self) -> None:
        """Bring back the first commit, without builds; `.venv` and what was fetched stay."""
        git(self.root, "checkout", "--quiet", "--force", "-B", "main", _START)
        git(self.root, "clean", "--quiet", "--force", "-d")
        shutil.rmtree(self.root / "build-output", ignore_errors=True)
        for told_once in (self.root / ".pipeline" / "cache").glob("python-*.json"):
            told_once.unlink()

    def forget_commits(self) -> None:
        """Start a new history: the commits so far are gone for good."""
        shutil.rmtree(self.root / ".git")
        git(self.root, "init", "--quiet")
        self.commit("A new history")

    def copy(self, target: Path) -> Repository:
        """Copy the repository, its `.venv` and its caches; what nobody edits shares its bytes."""
        shutil.copytree(self.root, target, symlinks=True, copy_function=_copy)
        return replace(self, root=target)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a user's environment: these tests' one without what belongs to their own Python."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"PYTEST_|PYTHON|VIRTUAL_ENV|COV_|NO_COLOR|FORCE_COLOR|TERM$", name)
    }
    return {**inherited, **(extra or {})}


def set_up_child(*, read_only: bool = False) -> None:
    """Let a child take SIGINT whatever its parents did, and bind root to permissions.

    To be called between fork and exec.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if read_only and os.geteuid() == 0:
        for capability in _OVERRIDE_PERMISSIONS:
            ctypes.CDLL(None).prctl(_DROP_CAPABILITY, capability, 0, 0, 0)


def wait_for_text(file: Path, text: str, seconds: float = 120) -> None:
    """Wait until a process has written `text` to its log."""
    end = time.monotonic() + seconds
    while text not in file.read_text(encoding="utf-8"):
        assert time.monotonic() < end, f"no {text!r} in {file.read_text(encoding='utf-8')}"
        time.sleep(0.01)


def _copy(source: str, target: str) -> None:
    if "/.venv/" in source or "/.pipeline/python/" in source:
        os.link(source, target, follow_symlinks=False)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
