"""Links between pages: what they name is there, here and in a generated repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.library import repository_files
from tests.repositories import ROOT

_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)[^)\s]*\)")
# A page that a message or another page names by its path from the repository's root.
_PAGE = re.compile(r"(?<![\w./-])((?:scripts/)?docs/[\w/-]+\.md)")
_PAGES = [path for path in repository_files() if path.name.endswith((".md", ".md.jinja"))]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file; a page that repositories get names one that they get too."""
    top = ROOT / "template" if page.is_relative_to(ROOT / "template") else ROOT
    found = [(page.parent / link).resolve() for link in _LINK.findall(page.read_text("utf-8"))]
    assert [path for path in found if not (path.exists() and path.is_relative_to(top))] == []


def test_pages_that_a_repository_names_are_in_it() -> None:
    """What a message or a file of a generated repository refers to has travelled with it."""
    template = ROOT / "template"
    named = [
        (path.relative_to(ROOT).as_posix(), page)
        for path in repository_files()
        if path.is_relative_to(template)
        for page in _PAGE.findall(path.read_text(encoding="utf-8"))
    ]
    assert [(path, page) for path, page in named if not (template / page).is_file()] == []
