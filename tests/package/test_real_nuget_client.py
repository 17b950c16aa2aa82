"""What the real client packs and installs, compared with ours."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import Source
from pipeline.package.contents import list_package
from pipeline.package.nupkg import pack
from pipeline.package.nuspec import parse
from pipeline.zip.globs import FileEntry, select, select_all
from pipeline.zip.reader import check_members
from pipeline.zip.writer import compress, store

Nuget = Callable[..., "subprocess.CompletedProcess[str]"]

METADATA = """
    <id>Acme.Sample</id><version>$version$</version><authors>Zoë</authors>
    <description>Costs $$5</description><tags>one two</tags>
    <releaseNotes>line one
line two</releaseNotes>
"""
NAMES = (
    *("a.txt", "noext", "lib/noext", "with space/a b+c.txt", "archive.tar.gz", "UPPER.TXT"),
    *("100%.txt", "a%20b.txt", "it's [1] {2} #3.txt", "é/ü.ñ", "semi;colon,comma=eq.t", "a&b.c&d"),
    *("x.odd ext", "~tilde!(1)@$.x", "pack/package.json", "rels/x.xml", ".hidden", "日本.txt"),
    *(".config/app.json", "deep/" * 8 + "leaf.py", "dots..in..name.md", "1.2.3"),
)
TREE = (
    *("a.txt", "b.txt", "B2.TXT", "noext", "d/b.txt", "d/c.md", "d/e/f.txt", "d/e/g/h.txt"),
    *("dx/ab.txt", "sp ace/p+q.txt", "foo/da/b.txt", "foo/a/b.txt", "br[1]/q.txt", "pc%20/x.txt"),
    *("Case/Up.Txt", "z/inner.zip", "z/b-x.md", "z/e/e", "aa/a", "d/e.txt", "z/two.dots.txt"),
)
SEGMENTS = (
    *("*", "**", "d", "a.txt", "b.txt", "?.txt", "*.txt", "e", "*e", "d*", "g", "*.md", "?"),
    *("foo", "*o", "a", "da", "b?txt", "*.TXT", "h*", "**.txt", "d**", "x?", "z", "*a*", "**e"),
    *("?x*", "f.txt", "br[1]", "sp ace", "noext", "p+?.*", "??.txt", "*.*"),
)
# The real client matches these on absolute paths: none may match the folder of the test itself.
FLOATING = (
    *("**/*.txt", "**/*.md", "**.txt;**/h*", "**/b.txt", "**/g/*", "**/foo/**", "**/dx/?b.*"),
    *("**/sp ace/**;*.txt", "**/?.txt", "**b?txt", "**/d/e/*"),
)
SURPRISES = (
    *(FileEntry("**"), FileEntry("**/b.txt"), FileEntry("d/"), FileEntry("*a/b.txt")),
    *(FileEntry("d/b.txt", "k/z.txt"), FileEntry("d/b.txt", "k/z.md"), FileEntry("noext", "k")),
    *(FileEntry("D/B.TXT".lower()), FileEntry("d/B.TXT"), FileEntry("./d/*"), FileEntry("d/*.no")),
    *(FileEntry("**", "", "**/*.txt"), FileEntry("**", "", "*.txt;d/**"), FileEntry("d**/*.txt")),
    *(FileEntry("d/**", "", "d/"), FileEntry("br[1]/*"), FileEntry("pc%20/*"), FileEntry("d/e*")),
)


def grow(root: Path, names: tuple[str, ...]) -> None:
    """Make files whose content is their own name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")


def write_nuspec(path: Path, entries: list[FileEntry]) -> None:
    """Write a nuspec with the sample metadata and the given files."""
    files = "".join(
        f"<file src={quoteattr(item.src)} target={quoteattr(item.target)}"
        + (f" exclude={quoteattr(item.exclude)}" if item.exclude else "")
        + " />\n"
        for item in entries
    )
    text = f"<package><metadata>{METADATA}</metadata>\n<files>\n{files}</files></package>"
    path.write_text(text, encoding="utf-8")


def packed_by_client(nuget: Nuget, root: Path, *properties: str) -> set[str]:
    """Pack X.nuspec in `root` with the real client; give the names that our strict reader finds."""
    done = nuget(
        *("pack", "X.nuspec", "-BasePath", ".", "-Version", "1.2.3-beta1", "-OutputDirectory"),
        *("..", "-NoPackageAnalysis", *properties),
        cwd=root,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listing = list_package(root.parent / "Acme.Sample.1.2.3-beta1.nupkg")
    check_members(listing.archive)
    return {*listing.files}


def accepted(entries: list[FileEntry]) -> tuple[list[FileEntry], set[str]]:
    """Keep the entries that we take, each below a folder of its own; give all their targets."""
    kept: list[FileEntry] = []
    targets: set[str] = set()
    for item in entries:
        numbered = FileEntry(item.src, f"{len(kept):03d}/{item.target or 'q'}", item.exclude)
        try:
            found = {target for _, target in select_all(TREE, [numbered])}
        except PipelineError:
            continue
        kept.append(numbered)
        targets |= found
    return kept, targets


def invented(dice: random.Random) -> FileEntry:
    """Make up a `<file>` element."""

    def path(most: int) -> str:
        return "/".join(dice.choice(SEGMENTS) for _ in range(dice.randint(1, most)))

    src = dice.choice([dice.choice(TREE), path(4), path(3), path(2) + "/"])
    target = dice.choice(["", "", "k", "k/l", "k.txt", "k/q.md"])
    exclude = dice.choice(["", "", path(3), f"{path(1)};{path(2)}", dice.choice(FLOATING)])
    return FileEntry(src, target, exclude)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_globs_take_what_the_real_client_takes(nuget: Nuget, tmp_path: Path, seed: int) -> None:
    """Every pattern we accept selects the same files under the same names in the real client."""
    root = tmp_path / "root"
    grow(root, TREE)
    dice = random.Random(seed)  # noqa: S311
    entries, expected = accepted([*SURPRISES, *(invented(dice) for _ in range(400))])
    write_nuspec(root / "X.nuspec", entries)
    assert packed_by_client(nuget, root) == expected
    assert len(entries) > 200
    assert len(expected) > 200


@pytest.mark.slow
@pytest.mark.parametrize("src", ["no/*.txt", "n?.txt", "d?/b.txt", "D/*.txt", "d"])
def test_what_we_refuse_as_missing_the_real_client_refuses(
    nuget: Nuget, tmp_path: Path, src: str
) -> None:
    """A missing folder or literal file is an error in both."""
    root = tmp_path / "root"
    grow(root, TREE)
    write_nuspec(root / "X.nuspec", [FileEntry("a.txt"), FileEntry(src, "k")])
    with pytest.raises(PipelineError):
        select(TREE, FileEntry(src, "k"))
    assert nuget("pack", "X.nuspec", "-BasePath", ".", cwd=root).returncode == 1


def test_the_real_client_packs_the_same_set(nuget: Nuget, tmp_path: Path) -> None:
    """From one nuspec with tokens, renames, exclusions and a staged folder: the same names."""
    root = tmp_path / "root"
    staged = ("stage/deploy.py", "stage/function.zip", "stage/pipeline/a.py", "stage/lib/noext")
    grow(root, (*TREE, *staged))
    entries = [
        FileEntry("$stage$/**"),
        FileEntry("d/**", "docs", "**/*.md"),
        FileEntry("z/b-x.md", "README.md"),
        FileEntry("sp ace/*", "extra"),
    ]
    write_nuspec(root / "X.nuspec", entries)
    tokens = {"version": "1.2.3-beta1", "stage": "stage"}
    nuspec = parse((root / "X.nuspec").read_bytes(), "X.nuspec", tokens)
    pairs = select_all((*TREE, *staged), nuspec.files)
    files = {target: compress((root / source).read_bytes()) for source, target in pairs}
    pack(nuspec, files, tmp_path / "ours.nupkg")
    ours = {*list_package(tmp_path / "ours.nupkg").files}
    assert ours == packed_by_client(nuget, root, "-Properties", "stage=stage")
    assert {"deploy.py", "pipeline/a.py", "docs/e/g/h.txt", "README.md", "extra/p+q.txt"} <= ours


def test_the_real_client_installs_every_byte_we_pack(nuget: Nuget, tmp_path: Path) -> None:
    """`nuget install` gives back all files of our package: odd names, stored and compressed."""
    feed = tmp_path / "feed"
    feed.mkdir()
    # Mono's own packing code breaks on these, its reading does not.
    metadata = METADATA.replace("Zoë", "Zoë &amp; Co").replace("$$5", "$$5 &lt;really&gt;")
    spec = f"<package><metadata>{metadata}</metadata></package>".encode()
    nuspec = parse(spec, "X.nuspec", {"version": "1.2.3-beta1"})
    contents = {name: (name * 50).encode() for name in NAMES}
    contents["function.zip"] = bytes(range(256)) * 40
    files = {name: compress(data) for name, data in contents.items()}
    files["function.zip"] = store(contents["function.zip"])
    source = Source("0" * 40, "main", None)
    pack(nuspec, files, feed / "Acme.Sample.1.2.3-beta1.nupkg", source=source)
    done = nuget(
        *("install", "Acme.Sample", "-Version", "1.2.3-beta1", "-Source", feed),
        *("-OutputDirectory", tmp_path / "installed", "-NoCache"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    root = tmp_path / "installed" / "Acme.Sample.1.2.3-beta1"
    installed = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix not in {".nupkg", ".nuspec"}
    }
    assert installed == contents
