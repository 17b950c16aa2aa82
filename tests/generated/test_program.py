"""The command line of a generated repository: arguments, exit codes, interruption."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import textwrap
import time

import pytest

from tests.generated.conftest import Fresh
from tests.generated.repository import Repository, environment, set_up_child
from tests.words import assert_said

SLOW_TEST = """\
import time
from pathlib import Path


def test_slowly():
    Path("build-output/started").touch()
    time.sleep(60)
"""


def test_wrong_usage(repository: Repository) -> None:
    """A command line that cannot be understood ends with 2, nothing on standard output."""
    said: list[str] = []
    for words in (
        "nonsense",
        "bild",
        "deploy",
        "build --nonsense",
        "deploy ci --dry",
        "verify one.nupkg two.nupkg",
        "deploy CI Staging",
        "version --build-number",
        "env.create",
        "version --build-number=-1",
        "version --prerelease-tag a.b",
        "version --prerelease-tag abcdefghijklmnopqrstu",
        "version --version-strategy nonsense",
    ):
        done = repository.verb(*words.split())
        assert (done.code, done.out) == (2, ""), words
        said += [f"$ {words}", done.err]
    assert_said("\n".join(said))


@pytest.mark.parametrize(
    ("words", "code", "where"),
    [
        ("build --json --nonsense", 2, "usage"),
        ("build -j --nonsense", 2, "usage"),
        ("version --json --build-number seven", 2, "--build-number"),
        ("verify --json nothing.nupkg", 1, "package"),
        ("deploy nowhere --json", 1, "environment"),
    ],
)
def test_errors_as_json(repository: Repository, words: str, code: int, where: str) -> None:
    """With `--json` an error is one document as well, and people still read it elsewhere."""
    error = repository.refused(code, where, *words.split())
    assert error["what"]


def test_a_bug_keeps_its_trace_and_its_document(repository: Repository) -> None:
    """What nobody foresaw says that it is a bug of ours, with its trace."""
    verb, manifest = repository.root / "scripts/pipeline/verbs/version.py", "scripts/MANIFEST"
    released = hashlib.sha256(verb.read_bytes()).hexdigest()
    repository.edit(
        "scripts/pipeline/verbs/version.py", "    strategy = ", "    1 / 0\n    strategy = "
    )
    done = repository.verb("version", "--json")
    assert done.code == 1
    assert "ZeroDivisionError" in done.document["error"]["what"]
    assert "Traceback" in done.err
    # The file of ours that was edited is named, and no bug to report.
    assert "scripts/pipeline/verbs/version.py: not as the template has it" in done.err
    assert "doctor --fix" in done.document["error"]["then"]
    digest = hashlib.sha256(verb.read_bytes()).hexdigest()
    entry = f'path = "scripts/pipeline/verbs/version.py"\nsha256 = "{digest}"\nreason = "tried"\n'
    allowed = f"[[change]]\n{entry}expires = 2126-11-26\n"
    repository.write("scripts/allowed-changes.toml", allowed)
    assert "doctor --fix" in repository.verb("version", "--json").document["error"]["then"]
    # A release that has it so: then it is one.
    head, _, below = (repository.root / manifest).read_text(encoding="utf-8").partition("\n")
    changed = below.replace(released, hashlib.sha256(verb.read_bytes()).hexdigest())
    assert hashlib.sha256(below.encode()).hexdigest() in head
    head = f"# sha256 {hashlib.sha256(changed.encode()).hexdigest()} of the lines below"
    repository.write(manifest, f"{head}\n{changed}")
    done = repository.verb("version", "--json")
    assert (done.code, "Traceback" in done.err) == (1, True)
    assert "please report it" in done.document["error"]["then"]
    assert "not as the template has it" not in done.err


def test_what_a_merge_left_in_the_settings(repository: Repository) -> None:
    """It ends every verb with 4, before anything is read of them."""
    markers = "<<<<<<< before updating\na = 1\n=======\na = 2\n>>>>>>> after updating\n"
    repository.write("pyproject.toml", markers)
    repository.refused(4, "pyproject.toml", "build")


def test_help_says_what_each_flag_does(repository: Repository) -> None:
    """`VERB --help` has a text beside every flag, `--list` one beside every verb."""
    shown = " ".join(repository.must("build", "--help").out.split())
    assert shown == " ".join(repository.must("--help", "build").out.split())
    assert "--force" in shown
    assert "Build even when nothing has changed" in shown
    assert "The build number" in shown
    listed = repository.must("--list").out
    for verb in ("version", "lock", "build", "verify", "run", "deploy", "local.start"):
        assert f"\n  {verb} " in listed


def test_every_verb_has_its_help(repository: Repository) -> None:
    """Also verbs that need a name or pass words on; `verify`'s own command line is left out."""
    for verb in ("deploy", "env.create", "test"):
        assert f"] {verb} [" in repository.must(verb, "-h").out
    assert "--rebuild" not in repository.must("package", "--help").out


def test_several_verbs_in_one_line(repository: Repository) -> None:
    """Verbs run one after the other, each with its own flags."""
    done = repository.must("version", "--build-number", "3", "version", "--build-number=4")
    assert done.out == "1.0.3\n1.0.4\n"


def test_arguments_of_the_tests_pass_through(repository: Repository) -> None:
    """Everything after `test` is pytest's, the names of our own flags and verbs included."""
    done = repository.must("test", "-k", "no_such_name or handle", "--maxfail=1", "-q", "-rN")
    assert "passed" in done.out
    nothing = repository.verb("test", "-k", "build", "--verbose", "--co")
    assert nothing.code == 1
    assert "deselected" in nothing.out
    assert repository.output() == ["tests.xml"]


def test_own_tasks(repository: Repository) -> None:
    """The task that tasks.py shows works as it stands there; its errors are the team's."""
    text = (repository.root / "tasks.py").read_text(encoding="utf-8")
    shown = "".join(re.findall("^    .*\n|^\n", text.split('"""')[1], re.MULTILINE))
    repository.edit("tasks.py", "\nif __name__", f"{textwrap.dedent(shown)}\nif __name__")
    assert repository.must("greet", "--name", "team").out == "Hello, team!\n"
    assert (
        repository.must("version", "--build-number", "7", "greet").out == "1.0.7\nHello, world!\n"
    )
    repository.edit("tasks.py", "    c.run", "    open('absent'), c.run")
    failed = repository.verb("greet")
    assert (failed.code, failed.out) == (1, "")
    assert re.match(
        r"Traceback .*\n  File \".*tasks.py\", line \d+, in greet\n    open", failed.err
    )
    assert failed.err.splitlines()[-1].startswith("FileNotFoundError: ")


def test_ctrl_c_during_a_build(fresh: Fresh) -> None:
    """An interrupted build ends with 130, with nothing half-written and no lock left."""
    repository = fresh()
    repository.write("tests/test_slow.py", SLOW_TEST)
    child = subprocess.Popen(
        repository.command("build", "--build-number", "7", "--json"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=set_up_child,  # noqa: PLW1509 - no thread of ours runs here
    )
    started = repository.root / "build-output" / "started"
    end = time.monotonic() + 120
    while not started.exists() and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130, err
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert '"interrupted"' in out
    started.unlink()
    # pytest itself writes its results when it is interrupted.
    assert set(repository.output()) <= {"tests.xml"}
    (repository.root / "tests" / "test_slow.py").unlink()
    again = repository.must("build", "--build-number", "7")
    assert "waiting" not in again.err


def test_the_version_is_the_templates(repository: Repository) -> None:
    """`--version` tells which template the library is from, or that this is not known."""
    answers = (repository.root / ".copier-answers.yml").read_text(encoding="utf-8")
    (commit,) = re.findall("^_commit: (.+)$", answers, re.MULTILINE)
    assert repository.must("--version").out == f"template {commit}\n"
    (repository.root / ".copier-answers.yml").unlink()
    assert "of an unknown version" in repository.must("--version").out
