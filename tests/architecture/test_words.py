"""What no file here may hold: addresses of indexes, one machine's paths, odd names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.library import repository_files
from tests.repositories import ROOT, refused_by_windows

# Written in parts, so that this file does not contain what it looks for.
_REGISTRIES = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|crates|rubygems|conda|anaconda|dockerhub)\.(?:org|com|io)\b"
    r"|\b(?:www|api)\.nuget\."
    r"org\b"
)
_MACHINE = re.compile(
    r"(?<![\w.$}/-])/(?:root|work|home/[a-z]+|Users/[A-Za-z]+|tmp/[a-z]+|var/tmp/[a-z]+)/[\w.]"
)
_LOCK = re.compile(r"requirements[^/]*\.txt$|requirements/[^/]+\.(?:txt|in|jinja)$|\.lock$")


def names() -> list[str]:
    """Return the repository's files by path."""
    return [path.relative_to(ROOT).as_posix() for path in repository_files()]


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Return `file:line: text` for every line that the pattern is found in."""
    return [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {line.strip()[:120]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_every_file_is_text_with_unix_line_ends() -> None:
    """UTF-8 without a byte order mark, LF, and a line end at the end."""
    wrong = []
    for path in repository_files():
        data = path.read_bytes()
        data.decode("utf-8")
        if b"\r" in data or data.startswith(b"\xef\xbb\xbf") or data[-1:] not in (b"\n", b""):
            wrong.append(path.relative_to(ROOT).as_posix())
    assert wrong == []


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is decided by the machine's settings alone."""
    assert lines_with(_REGISTRIES, list(repository_files())) == []


def test_no_file_holds_a_path_of_the_machine_it_was_written_on() -> None:
    """What works only in one home folder does not work."""
    assert lines_with(_MACHINE, list(repository_files())) == []


def test_locks_hold_no_addresses() -> None:
    """Names, versions and hashes only, in all locks and in what they are made from."""
    locks = [ROOT / name for name in names() if _LOCK.search(name)]
    assert len(locks) >= 5
    assert lines_with(re.compile(r"https?://|--(?:extra-)?index-url|--find-links"), locks) == []


def test_windows_takes_every_file_name() -> None:
    """No reserved characters or device names, nothing that differs in case only."""
    assert refused_by_windows(names()) == []


@pytest.mark.parametrize("path", ["root/x", "home/me/x", "Users/Me/x", "tmp/scratch/x"])
def test_a_path_of_a_machine_is_seen(path: str) -> None:
    """The pattern finds what it is for, and not the same words inside another path."""
    assert _MACHINE.search(f"folder = '/{path}'")
    assert not _MACHINE.search(f"folder = 'elsewhere/{path}'")


@pytest.mark.parametrize("name", ["a:b", "nul", "CON.txt", "trailing.", "trailing ", 'say "x"'])
def test_a_name_that_windows_refuses_is_seen(name: str) -> None:
    """Wherever it stands in a path, and what differs from another one in case only."""
    assert refused_by_windows([f"a/{name}/b", "a/b", "A/B"]) == [f"a/{name}/b", "a/b", "A/B"]
