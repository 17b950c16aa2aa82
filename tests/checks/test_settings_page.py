"""The page of settings against the code that reads them."""

from __future__ import annotations

import re

from tests.repositories import ROOT

_READ = re.compile(
    r'\b(?:table|pipeline|push)\.(?:text|texts|choice|flag|mapping|tables?)\(\s*"([^"]+)"'
)


def test_every_setting_is_on_the_page() -> None:
    """Each key that is read from `[tool.pipeline]` and the tables in it has its line."""
    reader = ROOT / "template" / "scripts" / "pipeline" / "project" / "project.py"
    page = (ROOT / "template" / "scripts" / "docs" / "settings.md").read_text(encoding="utf-8")
    listed = {
        key
        for line in page.splitlines()
        if line.startswith(("| `", "## `["))
        for key in re.findall(r"[a-z0-9-]+", line.split("|")[1] if "|" in line else line)
    }
    read = set(_READ.findall(reader.read_text("utf-8")))
    assert len(read) > 15
    assert read <= listed
