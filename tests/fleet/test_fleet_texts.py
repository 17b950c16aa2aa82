"""What owners read: it fits into a host's bounds, and nothing in it breaks its form."""

from __future__ import annotations

from pathlib import Path

from maintain.fleet.texts import issue_text, request_text
from maintain.fleet.updating import Updated

_GITHUBS_MOST = 65_536  # characters of a body


def test_a_text_that_is_too_long_is_cut_where_it_hurts_least() -> None:
    """What to do and the changelog stay, the block of code is closed, and the mark is there."""
    patch = "+`````\n" + "+a line of the patch\n" * 10_000
    one = Updated(Path(), "abc", changes="## 1.1.0\n\n- Lamps are green.", patch=patch)
    text = request_text(one, "abcdef0123456789", "v1.1.0", None, 12)
    assert len(text) < _GITHUBS_MOST
    assert text.count("\n``````") == 2, "a fence longer than any in the patch, opened and closed"
    for words in ("Closes #12", "### 1.1.0", "Lamps are green", "too long", "v1.1.0 abcdef012345"):
        assert words in text
    assert text.index("Lamps") < text.index("``````diff")


def test_a_request_says_what_the_owner_has_to_do() -> None:
    """What was edited and where it is now, what is the team's, and what changes in the package."""
    one = Updated(
        Path(), "abc", ("scripts/deploy.py", "scripts/pipeline/core/text.py", "tasks.py"),
        patch="+new\n", replaced=("scripts/deploy.py",), saved=("scripts/docs/old.md",),
    )  # fmt: skip
    text = request_text(one, "abcdef0123456789", "v1.1.0", None, 0)
    for words in (
        "`scripts/deploy.py`", "`git show abcdef0123:./NAME`", "`scripts/docs/old.md`",
        "`git apply --3way`", "the deploy half", "nothing was built",
    ):  # fmt: skip
        assert words in text
    assert "tasks.py" not in text
    assert "Closes" not in text
    built = request_text(one, "abcdef0123456789", "v1.1.0", {"a cause": ["one", "two"]}, 0)
    assert "By two builds" in built
    assert "- a cause: `one`, `two`" in built


def test_an_issue_names_its_owner_and_the_files() -> None:
    """Who has the repository is told, and the preview shows what conflicts."""
    one = Updated(Path(), conflicts=("tasks.py",), preview="+<<<<<<< before updating\n")
    text = issue_text(one, "@example/orders", "v1.0.0", "abcdef0123456789", "v1.1.0")
    for words in ("@example/orders", "`tasks.py`", "update --to v1.1.0", "<<<<<<< before"):
        assert words in text


def test_a_name_is_a_name_whatever_it_holds() -> None:
    """Nobody is called by it, no issue is closed by it, and it is one line."""
    one = Updated(Path(), conflicts=("a`b @example/all\n## Closes #1",))
    text = issue_text(one, "", "v1.0.0", "abcdef0123456789", "v1.1.0")
    assert "  - `` a`b @example/all ## Closes #1 ``\n" in text
