"""The pages of wording hold what some test says, and nothing of tests that are gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.repositories import ROOT
from tests.words import PAGES, messages

FOLDERS = [page for page in sorted(PAGES.glob("*.txt")) if (ROOT / "tests" / page.stem).is_dir()]


@pytest.mark.parametrize("page", FOLDERS, ids=lambda page: page.stem)
def test_every_title_is_a_tests_name(page: Path) -> None:
    """A renamed or removed test leaves no message behind."""
    tests = {
        f"{file.stem.removeprefix('test_')}: {name.replace('_', ' ')}"
        for file in (ROOT / "tests" / page.stem).glob("test_*.py")
        for name in re.findall(r"^def test_(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    titles = {re.split(r" [\[(]", title)[0] for title in messages(page)}
    assert titles - tests == set()
