"""What a verb writes, and where: terminals, pipes, build servers, programs."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.generated.repository import Repository, environment

COLOUR = re.compile(r"\x1b\[[0-9;]*?(?:3[0-7]|9[0-7]|38;)[0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SERVICE_MESSAGE = re.compile(r"##teamcity\[(\w+) ?(.*)\]\Z")


def on_a_terminal(repository: Repository, *words: str, **extra: str) -> str:
    """Run a verb on a terminal and return what it shows."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        repository.command(*words),
        cwd=repository.root,
        env=environment({"TERM": "xterm-256color", "COLUMNS": "120", **extra}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer has closed a terminal
            part = b""
        if not part:
            break
        shown += part
    os.close(ours)
    assert child.wait() == 0, shown.decode()
    return shown.decode()


def lines(text: str) -> list[str]:
    """Return the lines without control sequences, times and versions."""
    plain = CONTROL.sub("", text).replace("\r", "\n").splitlines()
    return [re.sub(r" *\d+\.\d s\b", "", line).rstrip() for line in plain if line.strip()]


def messages(out: str) -> list[tuple[str, str]]:
    """Return the service messages as (name, rest)."""
    found = (SERVICE_MESSAGE.match(line) for line in out.splitlines())
    return [(match[1], match[2]) for match in found if match]


def values(found: list[tuple[str, str]], name: str) -> list[str]:
    """Return what follows the name in the service messages of that name."""
    return [rest for message, rest in found if message == name]


def attribute(rest: str, name: str) -> str:
    """Return an attribute of a service message."""
    match = re.search(rf"\b{name}='([^']*)'", rest)
    assert match, f"no {name} in {rest}"
    return match[1]


def is_balanced(found: list[tuple[str, str]]) -> bool:
    """Tell whether every block that was opened is closed, in order."""
    stack: list[str] = []
    for message, rest in found:
        if message == "blockOpened":
            stack.append(attribute(rest, "name"))
        elif message == "blockClosed" and (not stack or stack.pop() != attribute(rest, "name")):
            return False
    return not stack


@pytest.mark.slow
def test_the_same_words_with_and_without_colour(repository: Repository) -> None:
    """A terminal gets colours, one with NO_COLOR none, a pipe no control sequence at all."""
    plain = repository.must("package", "--build-number", "7")
    assert plain.out == ""
    assert "\x1b" not in plain.err
    coloured = on_a_terminal(repository, "package", "--build-number", "7")
    assert COLOUR.search(coloured)
    uncoloured = on_a_terminal(repository, "package", "--build-number", "7", NO_COLOR="1")
    assert not COLOUR.search(uncoloured)
    wanted = [line for line in lines(plain.err) if "function.zip" not in line]
    for shown in (coloured, uncoloured):
        assert not [line for line in wanted if line not in lines(shown)]


def test_a_dumb_terminal_gets_plain_lines(repository: Repository) -> None:
    """A terminal that cannot move its cursor gets what a pipe gets."""
    assert "\x1b" not in on_a_terminal(repository, "package", "--build-number", "7", TERM="dumb")


def test_teamcity(repository: Repository) -> None:
    """On TeamCity all lines go to standard output, with its messages for everything it can show."""
    extra = {"TEAMCITY_VERSION": "2025.07", "BUILD_NUMBER": "12"}
    done = repository.must("build", extra=extra)
    assert done.err == ""
    found = messages(done.out)
    assert is_balanced(found)
    blocks = [attribute(rest, "name") for rest in values(found, "blockOpened")]
    assert [name for name in blocks if name != "check"] == ["restore", "test", "package", "verify"]
    assert values(found, "buildNumber") == ["'1.0.12'"]
    (results,) = values(found, "importData")
    assert attribute(results, "type") == "junit"
    assert Path(attribute(results, "path")).is_file()
    (package,) = (Path(rest.strip("'")) for rest in values(found, "publishArtifacts"))
    assert package == repository.root / repository.latest()["package"]


def test_teamcity_sees_why_a_build_failed(repository: Repository) -> None:
    """A failing test closes its block, leaves its results to be imported, and is the problem."""
    repository.write("tests/test_wrong.py", "def test_wrong():\n    assert 1 == 2\n")
    extra = {"TEAMCITY_VERSION": "2025.07", "BUILD_NUMBER": "12"}
    done = repository.verb("build", extra=extra)
    assert (done.code, done.err) == (1, "")
    found = messages(done.out)
    assert is_balanced(found)
    (results,) = values(found, "importData")
    assert "test_wrong" in Path(attribute(results, "path")).read_text(encoding="utf-8")
    (problem,) = values(found, "buildProblem")
    assert "the tests failed" in attribute(problem, "description").replace("|'", "")
    assert not values(found, "publishArtifacts")


def test_a_tests_output_is_no_message_on_a_build_server(repository: Repository) -> None:
    """What pytest prints with `-s` is shown there and steers nothing; elsewhere it is pytest's."""
    said = "##teamcity[buildStatus text='hacked'] \\x1b[2J"
    code = f'def test_says():\n    print("{said}")\n'
    repository.write("tests/test_says.py", code)
    extra = {"TEAMCITY_VERSION": "2025.07", "BUILD_NUMBER": "12"}
    done = repository.must("test", "-s", "-k", "says", extra=extra)
    assert "# #teamcity[buildStatus text='hacked'] \\x1b[2J" in done.out
    assert "1 passed" in done.out
    assert not values(messages(done.out), "buildStatus")
    assert "\x1b[2J" in repository.must("test", "-s", "-k", "says").out


def test_other_build_servers_get_plain_lines(repository: Repository) -> None:
    """On a build server without a printer of its own the lines go to standard output."""
    done = repository.must("package", extra={"JENKINS_URL": "j", "BUILD_NUMBER": "13"})
    assert done.err == ""
    assert " 1.0.13 " in done.out
    assert "##teamcity" not in done.out


def test_github_actions(repository: Repository, tmp_path: Path) -> None:
    """Groups and the error's annotation in the log; outputs and a summary in GitHub's files."""
    outputs, summary = tmp_path / "outputs", tmp_path / "summary"
    extra = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_NUMBER": "14"}
    extra |= {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary)}
    done = repository.must("package", extra=extra)
    assert done.err == ""
    opened, closed = done.out.count("::group::"), done.out.count("::endgroup::")
    assert opened == closed > 0
    assert "version<<END\n1.0.14\nEND\n" in outputs.read_text(encoding="utf-8")
    assert str(repository.root / repository.latest()["package"]) in outputs.read_text()
    assert summary.read_text(encoding="utf-8").startswith("### 1.0.14\n")
    failed = repository.verb("deploy", "nowhere", extra=extra)
    assert failed.code != 0
    assert "::error title=" in failed.out


def test_secrets_are_masked(repository: Repository) -> None:
    """A secret that comes back in a message is not shown."""
    repository.write(
        "scripts/hooks_build.py",
        "def before_build(stage):\n    raise ValueError('is hunter2hunter2')\n",
    )
    done = repository.verb("build", "--json", extra={"OCTOPUS_API_KEY": "hunter2hunter2"})
    assert done.code == 1
    assert "hunter2" not in done.err + done.out


def test_a_password_in_an_address_is_masked(repository: Repository) -> None:
    """In every spelling, whether the address is Octopus's, a feed's or a proxy's."""
    code = """\
import base64
def before_build(stage):
    url = 'https://me:hunter%202%2Ftwo@octopus.example/x'
    sent = base64.b64encode(b'me:hunter 2/two')
    raise ValueError([sent, 'hunter 2/two', 'hunter%202%2Ftwo', url])
"""
    repository.write("scripts/hooks_build.py", code)
    url = "https://me:hunter%202%2Ftwo@octopus.example"
    for name in ("OCTOPUS_URL", "https_proxy", "SOME_FEED"):
        done = repository.verb("build", "--json", extra={name: url})
        assert done.code == 1
        assert not re.search("hunter|two|bWU6", done.err + done.out), done.err + done.out
        assert "octopus.example" in done.out
