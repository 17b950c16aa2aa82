"""The stand-in against Octopus's own client: what ours is tested on is what theirs accepts."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.octopus.conftest import TYPESCRIPT
from tests.octopus.octopus_support import package_file
from tests.standins.octopus_server import KEY, OctopusServer
from tests.standins.octopus_state import State
from tests.standins.octopus_steps import script_step
from tests.tools import tool


@pytest.mark.parametrize("base", ["", "/octo"])
def test_the_official_client_walks_through_the_stand_in(
    base: str, node_modules: Path, tmp_path: Path
) -> None:
    """Environment, push, build information, release, deploy, wait, delete: its code, unchanged."""
    with OctopusServer(State(time.monotonic), base=base) as server:
        space = server.add_space("Second Space")
        server.add_project("Orders", script_step("Acme.Orders"), space=space)
        package = package_file(tmp_path, "Acme.Orders", "2.0.7")
        words = [str(node_modules), server.url, KEY, space.name, str(package)]
        done = subprocess.run(
            [tool("node"), TYPESCRIPT / "walk.mjs", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert server.unknown == []
    told = json.loads(done.stdout)
    assert told["environment"]["Name"] == "Test-1"
    assert [item["Version"] for item in told["pushed"]] == ["2.0.7"]
    assert "already exists" in told["again"]
    assert told["release"] == told["same"]
    assert told["stored"]["SelectedPackages"][0]["Version"] == "2.0.7"
    assert told["task"]["State"] == "Success"
    assert told["details"]["ActivityLogs"][0]["Children"][0]["Name"] == "Step 1: Deploy"
    assert "unpacked" in told["raw"]
    assert told["left"] == []
    assert [info["VcsCommitNumber"] for info in space.build_information.values()] == ["abc"]
