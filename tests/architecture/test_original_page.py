"""The page about the original: whole, and every test that it names is there."""

from __future__ import annotations

import re

from pipeline.tasks import namespace

from tests.architecture.library import repository_files
from tests.repositories import ROOT

PAGE = (ROOT / "docs" / "from-the-original.md").read_text(encoding="utf-8")
PARAMETERS = {
    "-deploy", "-octopusServerUrl", "-octopusApiKey", "-component",
    "-commaSeparatedDeploymentEnvironments", "-projects", "-buildNumber", "-prerelease",
    "-prereleaseTag",
}  # fmt: skip


def _section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_parameter_of_the_original_build_has_its_row() -> None:
    """The table names each once, and only flags that `build` has."""
    rows = _section("Parameters of `build.ps1`").splitlines()
    assert {row.split("`")[1] for row in rows if row.startswith("| `")} == PARAMETERS
    flags = {argument.name for argument in namespace(ROOT)["build"].get_arguments()}
    named = re.findall(r"--([a-z][a-z-]+)", "\n".join(rows))
    assert named
    assert [flag for flag in named if flag.replace("-", "_") not in flags] == []


def test_every_defect_has_tests_that_are_there() -> None:
    """Sixteen rows, each with at least one test of this repository or of the generated one."""
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", _section("The defects"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 17))
    tests = {
        name
        for path in repository_files()
        if path.name.startswith("test_")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for number, cell in rows:
        named = re.findall(r"`(test_\w+)`", cell)
        assert named, number
        assert [name for name in named if name not in tests] == []
