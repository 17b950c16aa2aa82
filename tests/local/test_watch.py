"""`run --watch` in a real process, with a real git repository and real saves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bootstrap
import pytest

from tests.generated.repository import set_up_child
from tests.local.local_support import MINOR
from tests.repositories import ROOT, commit_all, git
from tests.words import assert_said

SCRIPTS = ROOT / "template" / "scripts"
HANDLER = "src/app/handler.py"
EVENT = "event.json"
STACK = "environment/stack.yaml"
STACK_TEXT = """\
Resources: {{F: {{Type: AWS::Lambda::Function, Properties: {{MemorySize: {}, Timeout: 60}}}}}}
"""
SETTINGS = f"""\
[project]
name = "app"
version = "0"
dependencies = []

[tool.pipeline]
package-id = "App"
base-version = "1.0"
version-strategy = "SemVerWithPatchFilledAutomaticallyWithBuildNumber"

[tool.pipeline.function]
name = "App"
runtime = "python{MINOR}"
architecture = "x86_64"
handler = "app.handler.handle"

[tool.pipeline.function.environment]
PLACE = "#{{Place}}"

[tool.pipeline.environments.local.variables]
Place = "here"
"""
ECHO = "import os\n\n\ndef handle(event, _context):\n    return [event, os.environ['PLACE'], {}]\n"
# What the verb does, with an uv that is there already.
CHILD = """\
import datetime, functools, os, pathlib, sys, time
from pipeline.edge.machine import Machine
from pipeline.core.events import Reporter
from pipeline.core.text import line_sink, plain_lines
from pipeline.verbs.watch import Watched, watch

root, cache, uv, event = map(pathlib.Path, sys.argv[1:])
machine = Machine(
    root, lambda: cache, os.environ, datetime.datetime.now, time.monotonic,
    lambda: uv, lambda _: None,
)
lines = functools.partial(plain_lines, verbose=False)
reporter = Reporter(line_sink(lambda line: print(line, flush=True), lines), time.monotonic)
try:
    watch(Watched((event,)), machine, reporter, time.sleep)
except KeyboardInterrupt:
    sys.exit(130)
"""
_END = re.compile(r"^  watch .* [0-9.]+ s$", re.MULTILINE)


class Watching:
    """A repository under watch: what is saved in it, and what is said thereupon."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.root = root
        self.process = process
        self._log = log
        self._read = 0

    def save(self, name: str, text: str) -> str:
        """Save a file, and return what is written up to the end of the run that follows."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return self.run()

    def run(self, until: re.Pattern[str] = _END) -> str:
        """Return what is new, once it has the pattern."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            text = self._log.read_text(encoding="utf-8")
            if found := until.search(text, self._read):
                new, self._read = text[self._read : found.end()], found.end()
                return new
            time.sleep(0.005)
        raise AssertionError(text[self._read :])


def repository(root: Path, *, linked: bool) -> Path:
    """Make a repository, or a linked work tree, with a function that answers with its event."""
    files = {
        "pyproject.toml": SETTINGS,
        ".gitignore": "*.log\nscripts\nmade.py\n",
        HANDLER: ECHO.format(1),
        "requirements/function.txt": "# dependencies: none\n",
        STACK: STACK_TEXT.format(300),
    }
    home = root.with_name("main") if linked else root
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    git(home, "init", "--quiet")
    commit_all(home, "A function")
    if linked:
        git(home, "worktree", "add", "--quiet", "--detach", str(root))
    (root / "scripts").mkdir()
    for path in SCRIPTS.iterdir():
        if path.name != "hooks_build.py":
            (root / "scripts" / path.name).symlink_to(path)
    (root / EVENT).write_text('"first"', encoding="utf-8")
    return root


@contextmanager
def watched(folder: Path, cache: Path, *, linked: bool = False) -> Iterator[Watching]:
    """Watch a new repository below `folder` as long as the block lasts."""
    root, log, temporary = (
        repository(folder / "a repository", linked=linked),
        folder / "log",
        folder / "tmp",
    )
    temporary.mkdir()
    uv = bootstrap.find_uv(ROOT, "requirements/dev.txt")
    words = [root, cache, uv, root / EVENT]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), "TMPDIR": str(temporary)},
            stdout=output,
            stderr=output,
            preexec_fn=set_up_child,  # noqa: PLW1509 - nothing else runs in this process then
        )
    watching = Watching(root, process, log)
    try:
        assert '["first", "here", 1]' in watching.run()
        yield watching
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def cache(pytestconfig: pytest.Config) -> Path:
    """Return a folder that keeps the runtime client for the next tests."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("watch")


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Watching]:
    """Watch one repository in all tests; each leaves it as it was."""
    with watched(tmp_path_factory.mktemp("watch"), cache, linked=True) as watching:
        yield watching


def test_what_was_saved_is_what_runs(watching: Watching) -> None:
    """Two saves within one second, of the same size, are two programs, and both are run."""
    for number in range(2, 6):
        said = watching.save(HANDLER, ECHO.format(number))
        assert f'["first", "here", {number}]' in said
        assert f"{HANDLER} " in said.splitlines()[1]
        assert "1 answered" in said


def test_a_failure_is_shown_and_the_watch_goes_on(watching: Watching) -> None:
    """A syntax error, a handler that fails and one that ends its process stop nothing."""
    assert "Runtime.UserCodeSyntaxError" in watching.save(HANDLER, "def (\n")
    raises = "def handle(event, context):\n    raise LookupError('lost keys')\n"
    said = watching.save(HANDLER, raises)
    assert 'File "/var/task/app/handler.py", line 2' in said
    assert "Unhandled LookupError: lost keys" in said
    assert "1 of 1 events failed" in said
    leaves = "import os\n\n\ndef handle(event, context):\n    os._exit(3)\n"
    assert "Runtime.ExitError" in watching.save(HANDLER, leaves)
    assert "1 answered" in watching.save(HANDLER, ECHO.format(1))


def test_untracked_files_are_named_and_join_with_git_add(watching: Watching) -> None:
    """A new file is no part of the function before git tracks it, nor after it ceases to."""
    other = "src/app/deep/other.py"
    (watching.root / "src/app/ignored.log").write_text("nothing to say", encoding="utf-8")
    (watching.root / other).parent.mkdir()
    (watching.root / other).write_text("NUMBER = 7\n", encoding="utf-8")
    said = watching.run(re.compile(r"^warning: .*\n", re.MULTILINE))
    assert_said(said)
    imports = "from app.deep.other import NUMBER\n\n\ndef handle(*_):\n    return NUMBER\n"
    assert "No module named 'app.deep'" in watching.save(HANDLER, imports)
    git(watching.root, "add", "src")
    said = watching.run()
    assert f"{other} " in said
    assert "\n7\n" in said
    git(watching.root, "rm", "--quiet", "--force", other)
    assert "No module named 'app.deep'" in watching.run()
    assert "1 answered" in watching.save(HANDLER, ECHO.format(1))


def test_what_a_hook_makes_is_there(watching: Watching) -> None:
    """It runs when it was saved; what it has made stays, and is none that git has to know."""
    hook, made = "scripts/hooks_build.py", watching.root / "src/app/made.py"
    write = "import pathlib\n\n\ndef before_build(stage):\n"
    write += "    made = pathlib.Path('src/app/made.py')\n"
    write += "    made.exists() or made.write_text('NUMBER = 9')\n"
    assert '["first", "here", 1]' in watching.save(hook, write)
    imports = "from app.made import NUMBER\n\n\ndef handle(*_):\n    return NUMBER\n"
    assert "\n9\n" in watching.save(HANDLER, imports)
    assert "\n9\n" in watching.save(hook, f"{write}\n")
    (watching.root / hook).unlink()
    made.unlink()
    assert "1 answered" in watching.save(HANDLER, ECHO.format(1))


def test_the_event_and_the_settings_are_watched_too(watching: Watching) -> None:
    """A saved event is run; wrong JSON and wrong settings are shown until they are right."""
    assert '["second", "here", 1]' in watching.save(EVENT, '"second"')
    event = re.compile("event 1: this is not JSON.*\n.*\n")
    (watching.root / EVENT).write_text('"', encoding="utf-8")
    assert "Correct the event file" in watching.run(event)
    assert '["first", "here", 1]' in watching.save(EVENT, '"first"')
    (watching.root / "pyproject.toml").write_text("x = \n", encoding="utf-8")
    assert "Correct that line" in watching.run(re.compile("cannot be read.*\n.*\n"))
    there = SETTINGS.replace('"here"', '"there"')
    assert '["first", "there", 1]' in watching.save("pyproject.toml", there)
    assert '["first", "here", 1]' in watching.save("pyproject.toml", SETTINGS)
    assert "Memory Size: 400 MB" in watching.save(STACK, STACK_TEXT.format(400))


def test_what_changes_nothing_runs_nothing(watching: Watching) -> None:
    """A file outside, another one's `git add`, and git's own housekeeping are no saves."""
    (watching.root / "notes.txt").write_text("nothing", encoding="utf-8")
    git(watching.root, "add", "notes.txt")
    git(watching.root, "commit", "--quiet", "--all", "--message", "Notes")
    said = watching.save(HANDLER, ECHO.format(8))
    assert said.count("START RequestId") == 1
    assert "1 answered" in watching.save(HANDLER, ECHO.format(1))


def test_ctrl_c_ends_it_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    """An interrupt ends with 130, without a trace, and without a file of ours."""
    with watched(tmp_path, cache) as watching:
        watching.process.send_signal(signal.SIGINT)
        assert watching.process.wait(10) == 130
        assert "Traceback" not in watching.run(re.compile(r"\Z"))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (watching.root / "build-output").exists()
    assert not (watching.root / ".pipeline").exists()
