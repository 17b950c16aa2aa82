"""What README.md of a fresh repository says to run does what is said there, for every kind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.generated.repository import (
    PYTHON,
    Repository,
    environment,
    set_up_child,
    wait_for_text,
)
from tests.repositories import Render
from tests.template.answers import KINDS

COMMAND = re.compile(
    r"(?:^|`|\()(python3 t[\w/]+\.py [^`#\n)]*|python3 tests/\w+\.py)", re.MULTILINE
)
PLACEHOLDER = re.compile(r"\b(?:VERB|[A-Z]{4,})\b|--list")
# What goes on until Ctrl-C, and what is seen of it before; by the words it has.
ENDLESS = {"--watch": "1 answered", "--follow": " took ", "logstash.py": "Ctrl-C ends this"}
# What needs an Octopus Server or an account, and what is said where there is none.
ELSEWHERE = {
    "--deploy": "OCTOPUS_URL",
    " ci": "credentials",
    "env.create CI": "credentials",
    "status": "credentials",
}


def commands(readme: str) -> list[str]:
    """Return what a README says to run, in its order, and last what ends things."""
    found = [command.strip() for command in COMMAND.findall(readme)]
    found = [command for command in dict.fromkeys(found) if not PLACEHOLDER.search(command)]
    last = ("local.stop", "clean")  # in this order: the embedded AWS holds what `clean` removes
    return sorted(found, key=lambda command: [command.endswith(word) for word in last[::-1]])


@pytest.fixture(params=KINDS)
def kind(
    request: pytest.FixtureRequest, unused: Repository, render: Render, tmp_path: Path
) -> Repository:
    """Return a fresh repository of a kind, with the `.venv` and the caches of another."""
    made = unused.copy(tmp_path / "a repository")
    for path in made.root.iterdir():
        if path.name not in (".venv", ".pipeline"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(render(function_kind=request.param), made.root, dirs_exist_ok=True)
    if request.param == "elb-logs":
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        made.edit("pyproject.toml", '"Logstash.Port" = "5000"', f'"Logstash.Port" = "{port}"')
    made.start_here()
    return made


@pytest.mark.slow
def test_every_command_of_the_readme_works(kind: Repository, tmp_path: Path) -> None:
    """As printed, and one after the other; what needs more than this machine says what."""
    readme = (kind.root / "README.md").read_text(encoding="utf-8")
    found = commands(readme)
    assert len(found) > 12, found
    try:
        with ExitStack() as running:
            for number, command in enumerate(found):
                words = command.split()[2:]  # none for what is no verb
                if endless := [text for word, text in ENDLESS.items() if word in command]:
                    end = _start(kind, command, endless[0], tmp_path / f"{number}.log")
                    # What others need stays until the end.
                    end() if words else running.callback(end)
                    continue
                done = kind.verb(*words)
                expected = [text for word, text in ELSEWHERE.items() if word in command]
                said = f"{command}: {done.code}\n{done.out}{done.err}"
                assert done.code == (1 if expected else 0), said
                assert all(text in done.err for text in expected), said
                # The kind's own tests are among what a build runs.
                assert "skipped" not in done.err, said
    finally:
        kind.verb("local.stop")


def _start(repository: Repository, command: str, text: str, log: Path) -> Callable[[], None]:
    """Start what is endless, wait until it says a text, and return what ends it."""
    with log.open("wb") as file:
        child = subprocess.Popen(
            [str(PYTHON), *command.split()[1:]],
            cwd=repository.root,
            env=environment(repository.extra),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            process_group=0,
            preexec_fn=set_up_child,  # noqa: PLW1509 - no thread of ours runs here
        )

    def interrupt() -> None:
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(60) in (0, 130), command

    wait_for_text(log, text)
    return interrupt


def test_the_commands_of_a_readme_are_found() -> None:
    """In blocks, in tables and in sentences; not those with a name to fill in."""
    text = "```\npython3 tasks.py build   # all\n```\n| `python3 tasks.py run --event x` |\n"
    text += 'so `python3 tests/logstash.py`, `eval "$(python3 tasks.py local.env)"`;\n'
    text += "`python3 tasks.py deploy ENVIRONMENT`, `python3 tasks.py --list`\n"
    assert commands(text) == [
        "python3 tasks.py build",
        "python3 tasks.py run --event x",
        "python3 tests/logstash.py",
        "python3 tasks.py local.env",
    ]
