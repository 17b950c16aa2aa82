"""Scripts at a package's root that Octopus would run, or change before it runs them."""

from __future__ import annotations

import pytest
from pipeline.checks.root_scripts import is_stage, script_reasons

from tests.repositories import ROOT
from tests.words import assert_said


@pytest.mark.parametrize("stem", ["Deploy", "deploy", "PreDeploy", "POSTDEPLOY", "DeployFailed"])
def test_scripts_that_octopus_would_run(stem: str) -> None:
    """A script of any stage in any language and any case is refused by name."""
    names = [f"{stem}.{extension}" for extension in ("sh", "ps1", "csx", "PY")]
    assert all(map(is_stage, names))
    reasons = [script_reasons({"deploy.py": b"", name: b""}) for name in names]
    assert_said("\n".join(reason for (reason,) in reasons))


def test_scripts_that_it_leaves_alone() -> None:
    """Ours, other names, other endings, and whatever lies in a folder."""
    names = [
        "deploy.py",
        "hooks_deploy.py",
        "tools/deploy.sh",
        "deploy.txt",
        "deploy",
        "redeploy.sh",
    ]
    assert script_reasons({"deploy.py": b""}) == []
    assert [name for name in names if is_stage(name)] == ["deploy.py"]


def test_a_package_without_our_script() -> None:
    """Without deploy.py at the root there is nothing that Octopus could run."""
    (reason,) = script_reasons({})
    assert_said(reason)


def test_text_that_octopus_would_replace() -> None:
    """A variable in a script's source is told with its line."""
    source = b"one\n# two\n$x = '#{Some.Name}'\n"
    (reason,) = script_reasons({"deploy.py": source})
    assert_said(reason)


def test_our_own_script_is_safe() -> None:
    """Nothing in the deploy script, and in the hooks beside it, looks like a variable."""
    scripts = ROOT / "template" / "scripts"
    for name in ("deploy.py", "hooks_deploy.py"):
        assert script_reasons({"deploy.py": (scripts / name).read_bytes()}) == []
