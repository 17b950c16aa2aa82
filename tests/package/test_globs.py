"""NuGet's globs; `test_real_nuget_client.py` compares them with the client itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.zip.globs import FileEntry, dropped_by_clients, path_matcher, select, select_all

from tests.words import assert_said, refused

FILES = ("LICENSE", "a.txt", "d/b.txt", "d/c.md", "d/e/f.txt", "d/.env", "x/My.nuspec")
PATTERN = st.text(st.sampled_from("ab*?./\\d"), min_size=1, max_size=8)
PATHS = st.lists(
    st.from_regex(r"[ab.d]{1,3}(/[ab.d]{1,3}){0,3}", fullmatch=True), max_size=8, unique=True
)


@pytest.mark.parametrize(
    ("entry", "pairs"),
    [
        (FileEntry("d/*.txt"), {"d/b.txt": "b.txt"}),
        (FileEntry("d\\*.TXT", "to\\here"), {"d/b.txt": "to/here/b.txt"}),
        (FileEntry("d/**/*.txt", "t"), {"d/b.txt": "t/b.txt", "d/e/f.txt": "t/e/f.txt"}),
        (FileEntry("d/e/", "t/"), {"d/e/f.txt": "t/f.txt"}),
        (FileEntry("**.md"), {"d/c.md": "d/c.md"}),
        (FileEntry("?.txt"), {"a.txt": "a.txt"}),
        (FileEntry("a.txt", "new.TXT"), {"a.txt": "new.TXT"}),
        (FileEntry("a.txt", "folder.d"), {"a.txt": "folder.d/a.txt"}),
        (FileEntry("LICENSE", "doc"), {"LICENSE": "doc"}),
        (FileEntry("LICENSE", "doc/"), {"LICENSE": "doc/LICENSE"}),
        (FileEntry("d/**", "", "**/.env;d/*.md;d/e/**"), {"d/b.txt": "b.txt"}),
        (FileEntry("d/*.nothing"), {}),
    ],
)
def test_a_pattern_selects_and_places(entry: FileEntry, pairs: dict[str, str]) -> None:
    """Wildcards, folders, renames and exclusions follow NuGet's rules."""
    assert dict(select(FILES, entry)) == pairs


MISTAKES = (
    FileEntry("nope.txt"),
    FileEntry("a.txt", "", "*.txt"),
    FileEntry("nope/**"),
    FileEntry("D/*.txt"),
    FileEntry("../a.txt"),
    FileEntry("/a.txt"),
    FileEntry("C:\\a.txt"),
    FileEntry("./"),
    FileEntry("d/.**"),
    FileEntry("a.txt", "../up"),
    FileEntry("a.txt", "/root"),
)


def test_mistakes_are_errors() -> None:
    """Each message names the element and what is wrong with it."""
    said: list[str] = []
    for entry in MISTAKES:
        with refused(f'<file src="{entry.src}">', PipelineError, said=said):
            select(FILES, entry)
    assert_said("\n".join(said))


def test_what_clients_drop_silently_is_an_error() -> None:
    """Dot-files, nuspecs and packages are never lost without a word."""
    said: list[str] = []
    for src in ("d/**", "d/.env", "x/*"):
        with refused(f'<file src="{src}">', PipelineError, said=said):
            select(FILES, FileEntry(src))
    assert_said("\n".join(said))


def test_the_advice_against_dropped_files_works() -> None:
    """The `exclude` that the message proposes removes the file."""
    with refused('<file src="d/**">', PipelineError) as caught:
        select(FILES, FileEntry("d/**"))
    exclude = caught.value.then.partition('exclude="')[2].partition('"')[0]
    assert [source for source, _ in select(FILES, FileEntry("d/**", "", exclude))] == [
        *("d/b.txt", "d/c.md", "d/e/f.txt")
    ]


def test_two_files_with_one_target_are_an_error() -> None:
    """The message names both files and both elements; case does not make a difference."""
    entries = [FileEntry("a.txt", "t"), FileEntry("d/b.txt", "T/A.txt")]
    with refused("nuspec <files>", PipelineError):
        select_all(FILES, entries)


def test_all_entries_together_are_sorted_by_target() -> None:
    """The order of elements and files does not show."""
    entries = [FileEntry("d/*.txt", "z"), FileEntry("a.txt"), FileEntry("d/c.md", "b")]
    expected = [("a.txt", "a.txt"), ("d/c.md", "b/c.md"), ("d/b.txt", "z/b.txt")]
    assert select_all(FILES, entries) == expected
    assert select_all(FILES[::-1], entries[::-1]) == expected


@settings(max_examples=100)
@given(PATHS, PATTERN, PATTERN | st.just(""), PATTERN | st.just(""))
def test_any_pattern_selects_given_files_or_says_why(
    files: list[str], src: str, target: str, exclude: str
) -> None:
    """Only files that were given come out, each once, none that a client would drop."""
    try:
        pairs = select(files, FileEntry(src, target, exclude))
    except PipelineError:
        return
    sources = [source for source, _ in pairs]
    assert sources == [name for name in files if name in set(sources)]
    assert not any(map(dropped_by_clients, sources))
    assert all(not name.startswith("/") and ".." not in name.split("/") for _, name in pairs)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*/**/tests/**", "p/tests/a.py", True),
        ("*/**/tests/**", "p/q/r/tests/d/a.csv", True),
        ("*/**/tests/**", "tests/a.py", False),
        ("*/**/tests/**", "p/contests/a.py", False),
        ("**/tests/**", "tests/a.py", True),
        ("**/tests/**", "p/contests/a.py", False),
        ("p/tests/", "p/tests/q/a.py", True),
        ("p/tests", "p/tests/a.py", False),
        ("p/*.pyi", "p/a.pyi", True),
        ("p/*.pyi", "p/q/a.pyi", False),
        ("p/*.pyi", "P/a.pyi", False),
        ("p/?.py", "p//.py", False),
        ("**", "any/thing", True),
    ],
)
def test_a_glob_of_our_settings(pattern: str, path: str, expected: bool) -> None:
    """Folders count whole, whatever they are called, and nothing reaches over a slash but `**`."""
    assert path_matcher(pattern)(path) is expected
