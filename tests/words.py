"""What messages say, in pages that are reviewed as texts; tests assert class, place and exit code.

A page is `tests/wording/NAME.txt`: for each message a title between equal signs, then its lines.
Most are `FOLDER.txt`, of a folder of tests, with each test's name for a title. `WRITE_WORDING=1`
with `-n 0` writes what is said now; the difference is what to review.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from pipeline.core.errors import PipelineError

from tests.repositories import ROOT

PAGES = Path(__file__).with_name("wording")
_TITLE = re.compile(r"^== (.+) ==\n", re.MULTILINE)
_TEMPORARY = re.escape(tempfile.gettempdir())
# What differs from run to run, and what stands for it.
_NAMES = {
    rf"{_TEMPORARY}/(pytest-of-[^/]+/pytest-\d+/(popen-gw\d+/)?[^/\s'\":]+|tmp\w{{8}}\b)": "FOLDER",
    re.escape(str(ROOT)): "ROOT",
    r"(?<=127\.0\.0\.1:)\d{4,}": "PORT",
    r"(?m) \d+\.\d s$": "",
    r"(.)\1{99,}": r"\1...",
    r"\b[A-Za-z0-9+/]{43}=": "SHA256",
    r"Remote end closed connection without response|Connection reset by peer|Broken pipe": (
        "THE CONNECTION BREAKS"
    ),
}
# The words of others, which a new version of them may change.
UV_SAYS = {r"No solution found .+": "WHAT UV SAYS"}
OPENSSL_SAYS = {r"\[(SSL|X509): .+": "WHAT OPENSSL SAYS"}
_said: Counter[str] = Counter()

Error = TypeVar("Error", bound=PipelineError)


@contextmanager
def refused(
    where: str | None,
    kind: type[Error],
    names: Mapping[str, str] | None = None,
    said: list[str] | None = None,
) -> Iterator[pytest.ExceptionInfo[Error]]:
    """Expect an error of that very class, which has its exit code, at that place, in these words.

    `names` has patterns of what differs from run to run, and what stands for each, here and in
    `where`. With None for `where` each case has a place of its own, which begins the page's line.
    With a list in `said` the words are added to it, for a test that compares those of many cases.
    """
    with pytest.raises(kind) as caught:
        yield caught
    assert type(caught.value) is kind
    if where is not None:
        assert _steady(caught.value.where, names) == where
    if said is None:
        assert_said(str(caught.value), names)
    else:
        said.append(_lines(str(caught.value), names))


def assert_said(text: str, names: Mapping[str, str] | None = None) -> None:
    """Compare a text with its folder's page, below the name of the test that runs.

    Cases of a test stand there by themselves where they say something else than its first one.
    """
    page, test, case = _place()
    said = messages(PAGES / f"{page}.txt").get(test)
    same = said == _lines(text, names) or (said is None and os.environ.get("WRITE_WORDING"))
    assert_wording(page, test if same else f"{test} {case}".strip(), text, names)


def assert_wording(page: str, title: str, text: str, names: Mapping[str, str] | None) -> None:
    """Compare a message with its page, with a name for what differs from run to run.

    `names` has patterns, and what stands for each in the page.
    """
    text = _lines(text, names)
    path = PAGES / f"{page}.txt"
    said = messages(path)
    if os.environ.get("WRITE_WORDING"):
        said[title] = text
        blocks = (f"== {key} ==\n{value}" for key, value in sorted(said.items()))
        path.write_text("\n".join(blocks), encoding="utf-8")
    assert said.get(title) == text, f"{path.name}: review it, then run with WRITE_WORDING=1 -n 0"


def messages(page: Path) -> dict[str, str]:
    """Return a page's messages by their titles."""
    _, *parts = _TITLE.split(page.read_text(encoding="utf-8")) if page.exists() else ("",)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {title: text.strip("\n") + "\n" for title, text in pairs}


def _place() -> tuple[str, str, str]:
    """Return page, test as `FILE: its name`, and case: `[ID]`, and a number from the second text.

    pytest tells which test runs as `tests/FOLDER/test_FILE.py::test_NAME[ID] (call)`.
    """
    running = os.environ["PYTEST_CURRENT_TEST"]
    path, _, test = running.rpartition(" (")[0].partition("::test_")
    _, page, file = path.split("/")
    name, *case = test.partition("[")
    _said[running] += 1
    number = f" ({_said[running]})" if _said[running] > 1 else ""
    file = file.removeprefix("test_").removesuffix(".py")
    return page, f"{file}: {name.replace('_', ' ')}", f"{''.join(case)}{number}".strip()


def _lines(text: str, names: Mapping[str, str] | None) -> str:
    return "".join(f"{line.rstrip()}\n" for line in _steady(text, names).strip().splitlines())


def _steady(text: str, names: Mapping[str, str] | None) -> str:
    for pattern, name in {**(names or {}), **_NAMES}.items():
        text = re.sub(pattern, name, text)
    return text
