"""The page of settings against what is read: by table, in both directions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.project.project import Project

from tests.project.values_support import SETTINGS, write_settings
from tests.repositories import ROOT

DOCS = ROOT / "template" / "scripts" / "docs"
_NODE = SETTINGS.replace("python3.13", "nodejs22.x")
_HEADING = re.compile(r"^## `\[(tool\.pipeline[^\]]*)\]`\n", re.MULTILINE)


def tables() -> dict[str, str]:
    """Return the page's sections by the table that they are about."""
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    return {
        name: body.partition("\n## ")[0] for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def listed(section: str) -> set[str]:
    """Return the keys in the first column of a section's table."""
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


def known(folder: Path, table: str, settings: str) -> set[str]:
    """Return the keys that a table may have, as a refusal names them."""
    header = f"[{table.replace('NAME', 'CI')}]\n"
    if header not in settings:
        settings += f"\n{header}"
    text = settings.replace(header, f"{header}zzzzzzzz = 1\n")
    with pytest.raises(PipelineError, match="there is no such setting") as caught:
        Project.load(write_settings(folder, text))
    return set(re.findall(r"[a-z0-9-]+", caught.value.then.removeprefix("Known are")))


def headed(table: str) -> set[str]:
    """Return the keys of a table that are tables themselves, with a section of their own."""
    below = (name.removeprefix(f"{table}.") for name in tables() if name.startswith(f"{table}."))
    return {name.partition(".")[0] for name in below}


@pytest.mark.parametrize("table", tables())
def test_a_table_of_the_page_has_the_settings_that_are_read(tmp_path: Path, table: str) -> None:
    """Each key of it has its line, and no line is about a key that would be refused."""
    read = known(tmp_path, table, SETTINGS) | known(tmp_path, table, _NODE)
    assert listed(tables()[table]) | headed(table) == read


def test_every_table_is_on_the_page() -> None:
    """What the tables above do not lead to, nobody would find."""
    names = {name.removeprefix("tool.pipeline").strip(".") for name in tables()}
    assert names == {"", "function", "environments.NAME", "octopus", "push", "secrets"}


def test_the_page_on_node_has_the_settings_of_a_function_in_node(tmp_path: Path) -> None:
    """Those that only such a function has, each with its line, and no others but `exclude`."""
    page = (DOCS / "node.md").read_text(encoding="utf-8")
    section = page.partition("## Settings in")[2].partition("\n## ")[0]
    own = known(tmp_path, "tool.pipeline.function", _NODE)
    own -= known(tmp_path, "tool.pipeline.function", SETTINGS)
    assert listed(section) == own | {"exclude"}
