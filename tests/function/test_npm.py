"""npm as a process: what it is told, what it may know, and where a Node is found."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.nodes import find_node
from pipeline.edge.npm import Npm, integrity_of, read_settings

_NODE = Path(sys.executable)
_TELL = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open('told', 'w'))"


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_npm_learns_its_settings_and_the_tokens_they_name(tmp_path: Path) -> None:
    """It gets its own variables and those that `.npmrc` refers to, no other secret."""
    environ = {
        "PATH": os.environ["PATH"],
        "NPM_CONFIG_REGISTRY": "http://registry.example.invalid",
        "OUR_SETTING": "for npm",
        "OCTOPUS_API_KEY": "not for npm",
    }
    settings = "//registry.example.invalid/:_authToken=${OUR_SETTING}\n"
    Npm(_NODE, (_NODE, "-c", _TELL), environ, settings).run(["ci"], tmp_path, where="here")
    words, told = json.loads((tmp_path / "told").read_text(encoding="utf-8"))
    assert words[0] == "ci"
    assert "--ignore-scripts" in words
    assert told["OUR_SETTING"] == "for npm"
    assert told["NPM_CONFIG_REGISTRY"] == environ["NPM_CONFIG_REGISTRY"]
    assert "OCTOPUS_API_KEY" not in told
    assert (tmp_path / ".npmrc").read_text(encoding="utf-8") == settings


def test_npms_own_reason_is_what_is_said(tmp_path: Path) -> None:
    """Its decorations go, its reason stays, and a network that is not there has its way out."""
    said = "npm error code ENOTFOUND\nnpm error network request to nowhere failed"
    fail = f"import sys; sys.exit({said!r})"
    with pytest.raises(PipelineError, match="request to nowhere failed") as error:
        Npm(_NODE, (_NODE, "-c", fail), os.environ).run(["ci"], tmp_path, where="restore")
    assert "npm error" not in error.value.what
    assert "network" in error.value.then


def test_what_no_registry_has_is_told_in_one_sentence(tmp_path: Path) -> None:
    """The codes before npm's lines and its advice for others go; what to do is said."""
    said = (
        "npm error code E404\nnpm error 404 Not Found - GET https://registry.example.invalid/a\n"
        "npm error 404\nnpm error 404  The requested resource 'a@^1' could not be found.\n"
        "npm error 404 Note that you can also install from a\n"
        "npm error 404 tarball, folder, http url, or git url.\n"
        "npm error A complete log of this run can be found in: /a/log"
    )
    fail = f"import sys; sys.exit({said!r})"
    with pytest.raises(PipelineError) as error:
        Npm(_NODE, (_NODE, "-c", fail), os.environ).run(["install"], tmp_path, where="lock")
    address = "https://registry.example.invalid/a"
    wanted = f"E404 Not Found - GET {address} The requested resource 'a@^1' could not be found."
    assert error.value.what == wanted
    assert "registry" in error.value.then


def test_a_version_that_is_newer_than_the_cache_is_asked_for(tmp_path: Path) -> None:
    """What a colleague locked today is not in a list of versions of last week."""
    stale = "sys.argv[1:3] == ['ci', '--prefer-offline'] and sys.exit('npm error code ETARGET')"
    words = (_NODE, "-c", f"import sys; {stale}; print(sys.argv[1:3])")
    done = Npm(_NODE, words, os.environ).run(["ci", "--prefer-offline"], tmp_path, where="restore")
    assert done.stdout.startswith("['ci', '--no-audit'")


def test_a_package_that_is_another_one_is_refused() -> None:
    """What a registry gives is compared with the hash that is locked."""
    pack = "open('a-1.tgz', 'wb').write(b'other bytes')"
    with pytest.raises(PipelineError, match="not the one") as error:
        Npm(_NODE, (_NODE, "-c", pack), os.environ).fetch("a", "1", integrity_of(b"the bytes"))
    assert error.value.where == "fetch a@1"


@pytest.mark.parametrize(
    "line",
    ["//host/:_authToken=npm_abc", "_auth = YWJj", "//host/:_password=abc", " _authToken=a${B}"],
)
def test_a_token_in_plain_is_refused(tmp_path: Path, line: str) -> None:
    """`.npmrc` is in the repository: a token there is named by its line, and never shown."""
    (tmp_path / ".npmrc").write_text(f"fund=false\n{line}\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="in plain") as error:
        read_settings(tmp_path)
    assert error.value.where == ".npmrc:2"
    assert "abc" not in str(error.value)


def test_a_token_by_name_is_fine(tmp_path: Path) -> None:
    """A reference to a variable is no secret, and there need be no settings at all."""
    assert read_settings(tmp_path) == ""
    (tmp_path / ".npmrc").write_text("//host/:_authToken=${TOKEN}\n", encoding="utf-8")
    assert "TOKEN" in read_settings(tmp_path)


def test_a_node_of_the_major_is_found(tmp_path: Path) -> None:
    """PATH comes first if its Node fits, then version managers', the newest of the major."""
    on_path = _program(tmp_path / "bin" / "node", "echo v22.12.0")
    nvm = tmp_path / ".nvm" / "versions" / "node"
    for version in ("v24.9.1", "v24.10.0", "v20.19.0"):
        _program(nvm / version / "bin" / "node", f"echo {version}")
    _program(tmp_path / "volta" / "tools" / "image" / "node" / "18.20.0" / "bin" / "node", "exit 1")
    environ = {
        "PATH": str(on_path.parent),
        "HOME": str(tmp_path),
        "VOLTA_HOME": str(tmp_path / "volta"),
    }
    assert find_node("22", environ) == on_path
    assert find_node("24", environ) == nvm / "v24.10.0" / "bin" / "node"
    assert find_node("18", environ) is None


def test_a_minor_that_our_npm_does_not_run_on_is_as_good_as_none(tmp_path: Path) -> None:
    """Npm asks for 22.9 or newer."""
    old = _program(tmp_path / "bin" / "node", "echo v22.8.0")
    assert find_node("22", {"PATH": str(old.parent), "HOME": str(tmp_path)}) is None
