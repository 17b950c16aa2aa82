"""Verbs without Python's start: each is a fork of one process that has the library loaded.

A verb is a process of its own as before: own environment, folder, streams and exit code, and it
runs the repository's own `tasks.py`. Only the interpreter's start and the imports are shared, which
are two thirds of what a short verb costs.

As a program it is that one process: a line of JSON for each verb in, its exit code out.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_LONGEST = 120  # seconds


@dataclass(frozen=True)
class Starter:
    """A process with the library of the repository at `root` loaded, from its `.venv`."""

    root: Path
    process: subprocess.Popen[str]

    @classmethod
    def of(cls, root: Path, environ: Mapping[str, str]) -> Starter:
        """Start it; `stop` ends it."""
        command: list[str | Path] = [
            root / ".venv" / "bin" / "python",
            "-X",
            "utf8",
            __file__,
            root,
        ]
        pipe = subprocess.PIPE
        return cls(root, subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True))

    def stop(self) -> None:
        """End the process."""
        self.process.communicate()

    def fits(self, root: Path) -> bool:
        """Tell whether a repository is set up and has the very library that is loaded."""
        return (root / ".venv").is_dir() and all(
            _is_same(path, root / path.relative_to(self.root))
            for path in (self.root / "scripts").rglob("*.py")
            if not path.name.startswith("hooks_")
        )

    def run(
        self, root: Path, words: tuple[str, ...], cwd: Path, environ: Mapping[str, str], stdin: str
    ) -> tuple[int, str, str]:
        """Run a verb to its end; return its exit code and what it wrote to its two streams."""
        assert self.process.stdin
        assert self.process.stdout
        with tempfile.TemporaryDirectory(prefix="verb-") as made:
            streams = [Path(made) / name for name in ("stdin", "stdout", "stderr")]
            streams[0].write_text(stdin, encoding="utf-8")
            order = {
                "root": str(root),
                "words": words,
                "cwd": str(cwd),
                "environ": dict(environ),
                "streams": [str(path) for path in streams],
            }
            self.process.stdin.write(f"{json.dumps(order)}\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            return code, *(path.read_text(encoding="utf-8") for path in streams[1:])  # type: ignore[return-value]


def _is_same(ours: Path, theirs: Path) -> bool:
    try:
        one, other = ours.stat(), theirs.stat()
    except FileNotFoundError:
        return False
    seen = (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
    return seen or ours.read_bytes() == theirs.read_bytes()


def _serve(loaded: Path) -> None:
    """Load the library, then fork for each line."""
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    sys.path[0] = str(loaded / "scripts")
    for name in ("pipeline.cli", "pipeline.verbs"):
        for module in pkgutil.iter_modules(import_module(name).__path__, f"{name}."):
            import_module(module.name)
    # No fork is to look through it for what can be thrown away, nor to take it apart at its end.
    gc.collect()
    gc.freeze()
    for line in orders:
        child = os.fork()
        if not child:
            _end(_become_a_verb, json.loads(line), loaded)
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _become_a_verb(order: dict[str, Any], loaded: Path) -> None:
    signal.alarm(_LONGEST)
    for number, name in enumerate(order["streams"]):
        file = os.open(name, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    root = order["root"]
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["cwd"])
    # What is imported from now on, and every Python that this one starts, is the repository's.
    sys.path[:] = [path.replace(str(loaded), root) for path in sys.path]
    sys.prefix = sys.exec_prefix = f"{root}/.venv"
    sys.executable = f"{root}/.venv/bin/python"
    sys.argv = [f"{root}/tasks.py", *order["words"]]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _end(verb: Callable[..., None], *arguments: object) -> NoReturn:
    """Run a verb, and end this process with its exit code as Python does, but at once."""
    try:
        verb(*arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - Python ends with whatever it is
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
