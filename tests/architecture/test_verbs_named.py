"""What messages, docs and build files tell people to run: verbs that there are, in one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.cli.program import shapes
from pipeline.tasks import namespace

from maintain import verbs
from tests.architecture.library import repository_files
from tests.repositories import ROOT

USERS = set(shapes(namespace(ROOT)))
MAINTAINERS = set(shapes(verbs.namespace(ROOT)))
_NAMED = re.compile(r"\bpython3 tasks\.py +([a-z][\w.]*\*?)")
_OTHER_SPELLING = re.compile(
    rf"\binvoke (?:{'|'.join(sorted(USERS | {'env', '--list'}))})(?![\w-])"
)


def named(text: str) -> list[str]:
    """Return the verbs that a text tells to run."""
    return [word.rstrip(".") for word in _NAMED.findall(text)]


def texts() -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every file here that a person may read, but for this one."""
    for path in repository_files():
        if path != Path(__file__) and path.suffix not in (".lock", ".txt", ".json"):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_only_verbs_that_there_are_are_named() -> None:
    """A generated repository's files name its own; the others may name the maintainers' too."""
    wrong = []
    for name, text in texts():
        known = USERS if name.startswith("template/") else USERS | MAINTAINERS
        wrong += [
            f"{name}: {verb}"
            for verb in named(text)
            if verb not in known and not (verb.endswith(".*") and f"{verb[:-1]}list" in known)
        ]
    assert wrong == []


def test_there_is_one_spelling() -> None:
    """`python3 tasks.py VERB` works everywhere, so that is what is said."""
    wrong = [
        f"{name}: {found[0]}" for name, text in texts() if (found := _OTHER_SPELLING.search(text))
    ]
    assert wrong == []


def test_the_readme_lists_every_verb_and_no_others() -> None:
    """The template's page has each verb of a generated repository in its table."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| verb |")[2]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert {words.split()[0] for cell in cells for words in cell.split("`")[1::2]} == USERS


def test_pages_that_a_generated_repository_names_are_there() -> None:
    """Or the text says that they are the template's."""
    page = re.compile(r"(?<!template's )(?<![\w/])((?:scripts/)?docs/[\w-]+\.md)(?! of the)")
    wrong = [
        f"{name}: {found}"
        for name, text in texts()
        if name.startswith("template/")
        for found in page.findall(text)
        if not [*(ROOT / "template").glob(f"{found}*")]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Run `python3 tasks.py doctor --fix`.", ["doctor"]),
        ("python3 tasks.py env.list", ["env.list"]),
        ("Use python3 tasks.py env.*, or python3 tasks.py build.", ["env.*", "build"]),
        ("python3 tasks.py --list, python3 tasks.py VERB", []),
    ],
)
def test_a_verb_is_seen(text: str, expected: list[str]) -> None:
    """The pattern finds what it is for."""
    assert named(text) == expected
