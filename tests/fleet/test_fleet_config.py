"""fleet.toml: what it may say, and what is said of a mistake in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError

from maintain.fleet.clones import git_environment
from maintain.fleet.config import Host, Repository, read_fleet

_HEAD = '[fleet]\ntemplate = "https://github.com/example/copier-lambda.git"\n'


def _write(folder: Path, text: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_repositories_and_the_host(tmp_path: Path) -> None:
    """A repository has a ring and an owner, its name comes from its address, GitHub is known."""
    text = f"""{_HEAD}
[host]
kind = "github"
token = "FLEET_TOKEN"
[[repository]]
url = "git@github.com:example/orders.git"
ring = "canary"
owner = "@example/orders"
[[repository]]
name = "Bills"
url = "https://github.com/example/bills"
folder = "functions/bills/"
"""
    fleet = read_fleet(_write(tmp_path, text), {})
    assert fleet.repositories == (
        Repository("orders", "git@github.com:example/orders.git", "canary", "@example/orders"),
        Repository("Bills", "https://github.com/example/bills", folder="functions/bills"),
    )
    assert [one.slug for one in fleet.repositories] == ["example/orders", "example/bills"]
    assert fleet.host.web == "https://github.com/"
    assert fleet.updates == ("fleet/update-*", "renovate/*copier-lambda*")
    assert fleet.only(("Bills",)).repositories == fleet.repositories[1:]


@pytest.mark.parametrize(
    ("kind", "pages", "words"),
    [
        (
            "github",
            (
                '[{"full_name": "org/a", "clone_url": "https://github.com/org/a.git"}, '
                '{"full_name": "org/old", "archived": true, "clone_url": "https://github.com/org/old.git"}]\n[{'
                '"full_name": "org/own", "clone_url": "https://github.com/Org/own.git"}]'
            ),
            ("gh", "api", "--paginate", "orgs/org/repos?per_page=100"),
        ),
        (
            "gitlab",
            (
                '[{"path_with_namespace": "org/a", "http_url_to_repo": "https://gitlab.com/org/a.git"}]'
                '[{"path_with_namespace": "org/own", "http_url_to_repo": "https://gitlab.com/org/own"}]'
            ),
            ("glab", "api", "--paginate"),
        ),
    ],
)
def test_an_organisation(tmp_path: Path, kind: str, pages: str, words: tuple[str, ...]) -> None:
    """Its pages are one list, without what is archived; what the file names itself is as there."""
    asked = []

    def ask(command: tuple[str, ...], variables: Mapping[str, str]) -> str:
        asked.append((command[: len(words)], variables["GITLAB_TOKEN"]))
        return pages

    server = f"https://{kind}.com"
    text = f"""{_HEAD}
[host]
kind = "{kind}"
token = "T"
[organisation]
name = "org"
[[repository]]
url = "{server}/org/own"
ring = "canary"
"""
    fleet = read_fleet(_write(tmp_path, text), {"T": "secret"}, ask)
    assert asked == [(words, "secret")]
    assert fleet.repositories == (
        Repository("own", f"{server}/org/own", "canary"),
        Repository("a", f"{server}/org/a.git", is_listed=False),
    )


def test_gh_gets_the_token_and_no_other_secret(tmp_path: Path) -> None:
    """The real child sees the host, the token under gh's name, and nothing it has no need of."""
    program = tmp_path / "gh"
    program.write_text(
        '#!/bin/sh\necho "[{\\"full_name\\": \\"org/$GH_HOST-$GH_TOKEN-$AWS_SECRET_ACCESS_KEY\\",'
        ' \\"clone_url\\": \\"https://git.example.com/org/a\\"}]"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    text = f'{_HEAD}[host]\nkind = "github"\napi = "https://git.example.com/api/v3"\ntoken = "T"\n'
    path = _write(tmp_path, f'{text}[organisation]\nname = "org"\n')
    environ = {"PATH": str(tmp_path), "T": "secret", "AWS_SECRET_ACCESS_KEY": "x"}
    with pytest.MonkeyPatch.context() as here:
        # The system looks a program up on this process's own PATH.
        here.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
        (one,) = read_fleet(path, environ).repositories
    assert one.name == "git.example.com-secret-"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[fleet]\ntemplate = "../here"', "[fleet] template"),
        (f"{_HEAD}rign = 1", "[fleet] rign"),
        (f'{_HEAD}[hosts]\nkind = "github"', "hosts"),
        (f'{_HEAD}[host]\nkind = "github"\ntoken = "ghp_abcdef"', "[host] token"),
        (f'{_HEAD}[[repository]]\nurl = "https://me:secret@example.com/a"', "[repository 1] url"),
        (f'{_HEAD}[[repository]]\nurl = "/a"\nring = "late"', "[repository 1] ring"),
        (f'{_HEAD}[[repository]]\nurl = "/a"\n[[repository]]\nurl = "/b/a"', "a"),
        (f'{_HEAD}[organisation]\nname = "org"', "[organisation] name"),
    ],
)
def test_mistakes_name_their_place(tmp_path: Path, text: str, where: str) -> None:
    """A mistake is an error with the table and the key, and never shows what may be a secret."""
    with pytest.raises(PipelineError) as refusal:
        read_fleet(_write(tmp_path, text), {})
    assert refusal.value.where == f"fleet.toml {where}"
    assert "secret" not in str(refusal.value)
    assert "ghp_" not in str(refusal.value)


def test_the_token_is_in_variables_only(tmp_path: Path) -> None:
    """Git logs in to the host alone, and a variable of another program does not get to it."""
    text = f'{_HEAD}[host]\nkind = "gitlab"\napi = "https://git.example.com/api/v4"\ntoken = "T"\n'
    host = read_fleet(_write(tmp_path, text), {}).host
    env = git_environment(host, {"T": "s3cret", "AWS_SECRET_ACCESS_KEY": "x", "PATH": "/bin"})
    words = base64.b64encode(b"oauth2:s3cret").decode()
    assert env["GIT_CONFIG_KEY_0"] == "http.https://git.example.com/.extraHeader"
    assert env["GIT_CONFIG_VALUE_0"] == f"Authorization: Basic {words}"
    assert "s3cret" not in json.dumps(env)
    assert "AWS_SECRET_ACCESS_KEY" not in env


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("https://git.example.com/a/b", True),
        ("https://Git.example.com:443/a/b", True),
        ("https://other.example.com/a/b", False),
        ("https://git.example.com.evil.com/a/b", False),
        ("git@git.example.com:a/b.git", True),
        ("ssh://git@ssh.example.com:2222/a/b", True),
        ("git@work:a/b", True),
        ("git@gitlab.com:a/b", False),
        ("/srv/git@work/b.git", False),
        ("file:///srv/b", False),
    ],
)
def test_a_host_has_what_is_at_its_address(url: str, is_here: bool) -> None:
    """What has the same slug elsewhere is somebody else's."""
    host = Host("gitlab", "https://git.example.com/api/v4", "FLEET_TOKEN")
    assert host.has(Repository("b", url)) == is_here
