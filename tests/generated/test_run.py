"""`run`: the packaged function on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.generated.conftest import Fresh
from tests.generated.repository import (
    PYTHON,
    RUNTIME,
    Repository,
    environment,
    set_up_child,
    wait_for_text,
)
from tests.words import assert_said

EVENT = "tests/events/hello.json"


def handler_of(repository: Repository) -> str:
    """Return the path of the function's handler."""
    return f"src/{repository.module()}/handler.py"


def test_an_event_gets_its_answer(repository: Repository) -> None:
    """`run` builds when nothing is built, and shows what the function logs and answers."""
    done = repository.must("run", "--event", EVENT)
    assert '"Hello, ' in done.err
    assert "REPORT RequestId" in done.err
    assert "latest.json" in repository.output()
    again = repository.must("run", "--event", EVENT, "--event", EVENT, "--json")
    answers = [one["answer"] for one in again.document["invocations"]]
    assert answers[0] == answers[1]
    assert again.err.count("INIT_START") == 1
    assert "  package " not in again.err

    # Without `--event` the event comes from standard input; what is no JSON is refused.
    name = {"name": "Zürich"}
    done = repository.must("run", "--json", stdin=json.dumps(name, ensure_ascii=False))
    assert "Zürich" in json.dumps(done.document["invocations"][0]["answer"], ensure_ascii=False)
    wrong = repository.verb("run", "--json", stdin="{no")
    assert (wrong.code, wrong.document["error"]["where"]) == (1, "event 1")
    repository.refused(1, "--event", "run", "--event", "tests/events/nothing.json")


def test_a_function_in_python_waits_for_no_debugger(repository: Repository) -> None:
    """`--inspect` would be without effect, and break `breakpoint()`: it is refused at once."""
    repository.refused(2, "--inspect", "run", "--inspect", "--event", EVENT)
    assert not (repository.root / "build-output").exists()


@pytest.mark.slow
def test_a_stale_build_is_built_again(repository: Repository) -> None:
    """What runs is what lies there now; a function that fails ends with 1 and its own error."""
    repository.must("package")
    repository.write("tests/test_handler.py", "def test_nothing():\n    pass\n")
    repository.write(
        handler_of(repository), "def handle(event, context):\n    raise LookupError('lost keys')\n"
    )
    done = repository.verb("run", "--event", EVENT, "--json")
    assert done.code == 1
    (invocation,) = done.document["invocations"]
    assert invocation["answer"]["errorType"] == "LookupError"
    assert invocation["answer"]["errorMessage"] == "lost keys"
    assert invocation["error"]
    assert "lost keys" in done.err


def test_another_python_is_told_once(repository: Repository) -> None:
    """A package that is there runs on the Python that is there, with one warning about it."""
    repository.edit("pyproject.toml", f'runtime = "{RUNTIME}"', 'runtime = "python3.14"')
    repository.commit()
    bare = {"PATH": os.defpath, "PYENV_ROOT": str(repository.root / "nowhere")}
    repository.must("package", extra=bare)
    done = repository.must("run", "--event", EVENT, extra=bare)
    warnings = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert_said("\n".join(warnings), {rf"\b3\.{sys.version_info.minor}\b": "3.N"})


@pytest.mark.slow
def test_a_named_package(repository: Repository) -> None:
    """A package that is named runs as it is, whatever the work tree holds."""
    package = repository.must("package", "--json").document["package"]
    repository.write(handler_of(repository), "this is no Python\n")
    assert '"Hello, ' in repository.must("run", package, "--event", EVENT).err


def test_watch_runs_again_at_a_save_until_ctrl_c(repository: Repository, tmp_path: Path) -> None:
    """`--watch` needs no build and makes none; Ctrl-C is its end, with 130 and without a trace."""
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            repository.command("run", "--watch", "--event", EVENT),
            cwd=repository.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            process_group=0,
            preexec_fn=set_up_child,  # noqa: PLW1509 - no thread of ours runs here
        )
    try:
        wait_for_text(log, "1 answered")
        repository.edit(handler_of(repository), "Hello, ", "Good morning, ")
        wait_for_text(log, '"Good morning, ')
    finally:
        os.killpg(child.pid, signal.SIGINT)
        code = child.wait(20)
    assert code == 130
    assert "Traceback" not in log.read_text(encoding="utf-8")
    assert not (repository.root / "build-output").exists()


def test_watch_is_for_the_work_tree(repository: Repository) -> None:
    """Neither a package nor `--json` fits to `--watch`."""
    for word in ("some.nupkg", "--json"):
        done = repository.verb("run", word, "--watch", "--event", EVENT)
        assert done.code == 2
        assert_said(done.err)


@pytest.mark.slow
def test_a_package_runs_on_its_own_runtime(fresh: Fresh, tmp_path: Path) -> None:
    """Python and boto3 are those that the package was built for, not those of today's settings."""
    repository = fresh()
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    other = "3.12" if minor != "3.12" else "3.13"
    fake = tmp_path / "bin" / f"python{other}"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *_base_executable*) printf "{other}\\n$0\\n" ;;'
        f' *) exec "{PYTHON}" "$@" ;; esac\n'
    )
    fake.chmod(0o755)
    machine = {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
    handler = "import boto3\n\n\ndef handle(event, context):\n    return boto3.__name__\n"
    repository.write(handler_of(repository), handler)
    today = f'runtime = "{RUNTIME}"'
    repository.edit("pyproject.toml", "requires-python", "# requires-python")
    repository.edit("pyproject.toml", today, f'runtime = "python{other}"\nboto3 = "runtime"')
    package = repository.must("package", "--json", extra=machine).document["package"]
    own = f'runtime = "python{minor}"\nboto3 = "bundled"'
    repository.edit("pyproject.toml", f'runtime = "python{other}"\nboto3 = "runtime"', own)
    done = repository.must("run", package, "--event", EVENT, "--json", extra=machine)
    assert done.document["invocations"][0]["answer"] == "boto3"
    assert "warning" not in done.err
