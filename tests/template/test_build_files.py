"""The build servers' files: they parse, build with our one command, and give nothing away."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repositories import ROOT
from tests.template.answers import QUESTIONS, SERVERS

COMMAND = re.compile(r"python3 tasks\.py build \\?\$PIPELINE_ARGUMENTS")
YAML = ("github", "gitlab", "azure")


def text_of(server: str) -> str:
    """Return the build file of a server as the template has it."""
    first, _, rest = SERVERS[server].partition("/")
    name = f"{{% if '{server}' in build_servers %}}{first}{{% endif %}}"
    return (ROOT / "template" / name / rest).read_text(encoding="utf-8")


def parsed(server: str) -> Any:
    """Return a YAML build file as data; PyYAML reads `on` as true."""
    return yaml.safe_load(text_of(server))


def scripts(node: Any) -> Iterator[str]:
    """Yield every shell script in a YAML build file."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "bash", "inlineScript"):
                yield value
            elif key in ("script", "before_script") and isinstance(value, list):
                yield "\n".join(value)
            else:
                yield from scripts(value)
    elif isinstance(node, list):
        for value in node:
            yield from scripts(value)


def test_every_server_that_is_offered_has_a_file() -> None:
    """The question's choices are the files there are."""
    assert set(QUESTIONS["build_servers"]["choices"].values()) == set(SERVERS)
    assert all(text_of(server) for server in SERVERS)


@pytest.mark.parametrize("server", SERVERS)
def test_every_server_runs_the_one_command(server: str) -> None:
    """Each builds with `python3 tasks.py build` and the arguments that a person gave.

    And each reaps environments, at night.
    """
    text = text_of(server)
    assert len(COMMAND.findall(text)) == 1
    assert text.count("python3 tasks.py env.reap") == 1
    assert text.count("tasks.py") == 2


@pytest.mark.parametrize("server", YAML)
def test_scripts_are_shell(server: str, tmp_path: Path) -> None:
    """Bash can read every script of a YAML build file, and nothing is pasted into one."""
    found = list(scripts(parsed(server)))
    assert found
    for script in found:
        assert "${{" not in script
        (tmp_path / "script").write_text(script, encoding="utf-8")
        done = subprocess.run(
            ["bash", "-n", tmp_path / "script"], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""


def test_jenkins_script_is_shell(tmp_path: Path) -> None:
    """The shell in the Jenkinsfile, as Groovy hands it over, writes the profile it is meant to."""
    (found,) = re.findall(r"sh '''(.*?)'''", text_of("jenkins"), re.DOTALL)
    script = found.replace("\\\n", "").replace("\\\\", "\\")
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\necho "$@"\ncat "$AWS_CONFIG_FILE"\n', encoding="utf-8")
    python.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AWS_ROLE_ARN": "arn:role"}
    environ |= {"AWS_TOKEN_FILE": "/t", "PIPELINE_ARGUMENTS": "--prerelease-tag *"}
    done = subprocess.run(
        ["sh", "-e", "-c", script], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == (
        "tasks.py build --prerelease-tag *\n"
        "[profile pipeline]\nrole_arn = arn:role\nweb_identity_token_file = /t\n"
    )
    environ["REAP"] = "true"
    done = subprocess.run(
        ["sh", "-e", "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("tasks.py env.reap\n[profile pipeline]\n")
    del environ["AWS_ROLE_ARN"]
    done = subprocess.run(
        ["sh", "-e", "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""


def test_teamcitys_script_gets_no_text_of_others(tmp_path: Path) -> None:
    """Arguments and branches are in its environment: what looks like shell is an argument."""
    text = text_of("teamcity")
    found, _ = re.findall(r'scriptContent = "(.*)"$', text, re.MULTILINE)
    assert "%" not in found
    assert '"env.PIPELINE_ARGUMENTS", "%pipeline.arguments%"' in text
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    given = "--prerelease-tag *; touch $(id) `id` && x"
    done = subprocess.run(
        ["sh", "-c", found.replace("\\n", "\n").replace("\\$", "$")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PIPELINE_ARGUMENTS": given},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (f"tasks.py build {given}\n", "")


def test_teamcity_needs_no_branch_specification() -> None:
    """A parameter that only such a VCS root has would leave the build without an agent."""
    references = set(re.findall(r"%([^%\s]+)%", re.sub(r"//.*", "", text_of("teamcity"))))
    assert references == {"build.counter", "pipeline.arguments"}
    assert "settingsRoot.paramRefs.buildVcsBranch" in text_of("teamcity")


def test_gitlab_exchanges_its_token(tmp_path: Path) -> None:
    """With a role, the job's token and a profile are in a folder that nobody else reads."""
    (script,) = parsed("gitlab")[".job"]["before_script"]
    environ = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    environ |= {"AWS_ROLE_ARN": "arn:role", "AWS_ID_TOKEN": "token%s"}
    command = ["sh", "-e", "-c", f'{script}\ncat "$AWS_CONFIG_FILE"']
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "token").read_text(encoding="utf-8") == "token%s"
    assert done.stdout.splitlines() == [
        "[profile pipeline]",
        "role_arn = arn:role",
        f"web_identity_token_file = {folder / 'token'}",
    ]


def test_azure_drops_what_is_not_defined(tmp_path: Path) -> None:
    """A secret that Azure left unfilled is no key; one that it filled is."""
    script = list(scripts(parsed("azure")))[-1]
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\necho "${NUGET_API_KEY-none} $OCTOPUS_API_KEY $@"\n')
    python.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "NUGET_API_KEY": "$(NUGET_API_KEY)"}
    environ |= {"OCTOPUS_API_KEY": "API-KEY", "PIPELINE_ARGUMENTS": " "}
    command = ["bash", "--noprofile", "--norc", "-e", "-c", script]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("none API-KEY tasks.py build\n", "")
    environ["BUILD_CRONSCHEDULE_DISPLAYNAME"] = parsed("azure")["schedules"][0]["displayName"]
    for url, said in ("", ""), ("https://octopus", "none API-KEY tasks.py env.reap\n"):
        there = {**environ, "OCTOPUS_URL": url, "AWS_ACCESS_KEY_ID": "$(AWS_ACCESS_KEY_ID)"}
        done = subprocess.run(command, env=there, capture_output=True, text=True, check=True)
        assert done.stdout == said


def test_github_gives_the_job_little_and_pins_its_actions() -> None:
    """The contents to read, tokens for AWS and Sigstore, none left in .git; actions by commit."""
    workflow = parsed("github")
    job = workflow["jobs"]["build"]
    assert workflow["permissions"] == {}
    asked = {"contents": "read", "id-token": "write", "attestations": "write"}
    assert job["permissions"] == asked
    steps = job["steps"]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert len(actions) == 7
    assert [action for action in actions if not re.search(r"@[0-9a-f]{40}\Z", action)] == []
    assert all(re.search(rf"{action} # v\d", text_of("github")) for action in actions)
    nightly = workflow["jobs"]["reap"]
    assert nightly["permissions"] == {"contents": "read", "id-token": "write"}
    assert {step["uses"] for step in nightly["steps"] if "uses" in step} < set(actions)
    # The one is for all but the night, the other for the night alone.
    assert job["if"] == "github.event_name != 'schedule'"
    assert nightly["if"].startswith("github.event_name == 'schedule' && ")
    assert steps[0]["with"] == {"fetch-depth": 0, "persist-credentials": False}
    # A run that waits is dropped for a newer one of its group: no push may do that to a deploy.
    group = "build-${{ github.ref }}-${{ github.event_name }}"
    assert workflow["concurrency"] == {"group": group}
    secret = [step for step in steps if "secrets." in str(step)]
    assert [step.get("name") for step in secret] == ["Build"]


def test_history_is_whole() -> None:
    """Each server fetches all commits and tags."""
    assert parsed("gitlab")["variables"]["GIT_DEPTH"] == "0"
    azure = parsed("azure")["jobs"][0]["steps"][0]
    assert (azure["fetchDepth"], azure["fetchTags"]) == ("0", "true")
    assert parsed("github")["jobs"]["build"]["steps"][0]["with"]["fetch-depth"] == 0


def test_azure_gets_texts() -> None:
    """The schema that editors and linters have, azure-pipelines-vscode's, knows no others."""

    def values(node: Any) -> Iterator[Any]:
        if isinstance(node, (dict, list)):
            for inner in node.values() if isinstance(node, dict) else node:
                yield from values(inner)
        else:
            yield node

    assert [value for value in values(parsed("azure")) if not isinstance(value, str)] == []


def test_azure_gets_no_anchors() -> None:
    """Azure reads YAML without anchors and aliases."""
    tokens = yaml.scan(text_of("azure"), Loader=yaml.SafeLoader)
    assert not [token for token in tokens if isinstance(token, (yaml.AnchorToken, yaml.AliasToken))]


@pytest.mark.parametrize("server", SERVERS)
def test_no_project_is_in_a_build_file(server: str) -> None:
    """Nothing of an answer, and no key: the same file serves everybody."""
    text = text_of(server)
    assert "{%" not in text
    assert not re.search(r"(?i)elb|logs processor|API-[A-Z0-9]{8}|AKIA", text)
    assert not re.search(r"(?i)set -[a-z]*x|printenv|\benv\s*\|", text)


def test_gitlab_builds_or_reaps() -> None:
    """Each pipeline has one of the two jobs: a schedule says with REAP that it is the other."""
    jobs = parsed("gitlab")
    assert jobs["build"]["rules"] == [{"if": '$REAP != "true"'}]
    assert jobs["reap"]["rules"] == [{"if": '$REAP == "true"'}]
    assert jobs["build"]["extends"] == jobs["reap"]["extends"] == ".job"
