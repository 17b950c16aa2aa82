"""`[tool.pipeline.octopus]`: what a good table means, and what a wrong one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.project.project import OctopusSettings

from tests.octopus.octopus_support import project_in
from tests.words import refused


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", OctopusSettings(project="Orders")),
        ('worker = "cloud-region"\n', OctopusSettings(project="Orders")),
        ('worker = "machine:My Box"\n', OctopusSettings(project="Orders", machine="My Box")),
        (
            'space = "Two"\nworker-pool = "Linux"\n',
            OctopusSettings("Two", "Orders", pool="Linux"),
        ),
    ],
)
def test_settings_become_a_value(tmp_path: Path, text: str, settings: OctopusSettings) -> None:
    """A cloud region is the default; a machine is named after the colon."""
    assert project_in(tmp_path, text).octopus == settings


@pytest.mark.parametrize("worker", ["machine:", "machine", "tentacle", ""])
def test_another_worker_is_refused(tmp_path: Path, worker: str) -> None:
    """The error names the key and both kinds."""
    with refused("pyproject.toml [tool.pipeline.octopus] worker", PipelineError):
        project_in(tmp_path, f'worker = "{worker}"\n')


def test_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    """It must not be silently without effect."""
    with refused("pyproject.toml [tool.pipeline.octopus] projet", PipelineError):
        project_in(tmp_path, 'projet = "Orders"\n')
