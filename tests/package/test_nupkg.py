"""Packages: written with all parts, read from anywhere, unpacked as Octopus does."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.core.manifest import Source
from pipeline.package.contents import Package, list_package
from pipeline.package.nupkg import pack
from pipeline.package.nuspec import parse
from pipeline.zip.reader import read_member
from pipeline.zip.writer import STORED, Member, compress, store, write_zip

from tests.words import assert_said, refused

SPEC = (
    b"<package><metadata><id>Acme.Sample</id><version>2.0.7</version><authors>a &amp; b</authors>"
    b"<description>d</description></metadata></package>"
)
CONTENTS = {
    "deploy.py": b"print('hi')\n" * 9,
    "lib/no ext": b"x",
    "a+b/c.tar.gz": bytes(300),
    "function.zip": b"PK" * 50,
    "odd.e x t": b"y",
    "LICENSE": b"mit",
}


def sample(path: Path, contents: dict[str, bytes] | None = None) -> Path:
    """Pack the sample files."""
    files = {
        name: store(data) if name == "function.zip" else compress(data)
        for name, data in (CONTENTS if contents is None else contents).items()
    }
    pack(parse(SPEC, "x"), files, path, source=Source("c0ffee", None, None))
    return path


def plain_zip(path: Path, *files: tuple[str, bytes]) -> Path:
    """Write any zip under a package's name."""
    write_zip(path, [Member(name, 0o644, compress(data)) for name, data in files])
    return path


def test_all_five_parts_are_there(tmp_path: Path) -> None:
    """Relationships lead to nuspec and properties; each file has a declared content type."""
    with zipfile.ZipFile(sample(tmp_path / "a.nupkg")) as package:
        names = package.namelist()
        relationships = package.read("_rels/.rels").decode()
        types = package.read("[Content_Types].xml").decode()
    assert len(names) == len(CONTENTS) + 4
    properties = next(name for name in names if name.endswith(".psmdcp"))
    assert 'Target="/Acme.Sample.nuspec"' in relationships
    assert f'Target="/{properties}"' in relationships
    for extension in ("gz", "nuspec", "psmdcp", "py", "rels", "zip"):
        assert types.count(f'<Default Extension="{extension}"') == 1
    for name in ("/LICENSE", "/lib/no%20ext", "/odd.e%20x%20t"):
        assert f'<Override PartName="{name}"' in types
    assert "a%2Bb/c.tar.gz" in names


def test_the_bytes_depend_on_the_contents_alone(tmp_path: Path) -> None:
    """Shuffled files give the same package; the bytes are pinned for every machine."""
    first = sample(tmp_path / "a.nupkg").read_bytes()
    second = sample(tmp_path / "b.nupkg", dict(reversed(CONTENTS.items()))).read_bytes()
    assert first == second
    assert (
        hashlib.sha256(first).hexdigest()
        == "f7dfd5e54aa40ff4b611ceeee31ddda9d026533eaa6b678f915c627bd654e85a"
    )


def test_reading_gives_back_what_was_packed(tmp_path: Path) -> None:
    """Names are decoded, parts are told from content, function.zip stays stored."""
    listing = list_package(sample(tmp_path / "a.nupkg"))
    found = {name: read_member(listing.archive, entry) for name, entry in listing.files.items()}
    assert found == CONTENTS
    assert (listing.nuspec.id, listing.nuspec.text("authors")) == ("Acme.Sample", "a & b")
    assert len(listing.archive.entries) == len(CONTENTS) + 4
    assert listing.files["function.zip"].method == STORED
    (repository,) = listing.nuspec.metadata.below("repository")
    assert repository.attribute("commit") == "c0ffee"


def test_a_package_without_opc_parts_is_read(tmp_path: Path) -> None:
    """A nuspec at the root is enough."""
    path = plain_zip(tmp_path / "a.nupkg", ("x.NUSPEC", SPEC), ("a%20b.txt", b"1"))
    listing = list_package(path)
    assert [*listing.files] == ["a b.txt"]
    assert [entry.name for entry in listing.archive.entries] == ["a%20b.txt", "x.NUSPEC"]


HOSTILE: tuple[list[tuple[str, bytes]], ...] = (
    [("a.txt", b"")],
    [("in/a.nuspec", SPEC)],
    [("a.nuspec", SPEC), ("b.nuspec", SPEC)],
    [("a.nuspec", SPEC), ("B%2enuspec", SPEC)],
    [("a.nuspec", SPEC), ("_rels/.rels", b""), ("_rels/%2Erels", b"")],
    [("a.nuspec", SPEC), ("%2e%2e%2fx", b"")],
    [("a.nuspec", SPEC), ("%2Fetc%2Fpasswd", b"")],
    [("a.nuspec", SPEC), ("a%5Cb", b"")],
    [("a.nuspec", SPEC), ("%FF", b"")],
    [("a.nuspec", SPEC), ("a%62", b""), ("ab", b"")],
    [("a.nuspec", b"<!DOCTYPE a []>" + SPEC)],
    [("a.nuspec", b"not xml")],
)


def test_hostile_packages_are_refused(tmp_path: Path) -> None:
    """Names are checked again once decoded, and nothing is unpacked."""
    said: list[str] = []
    for files in HOSTILE:
        path = plain_zip(tmp_path / "a.nupkg", *files)
        with refused(None, PipelineError, said=said):
            Package.open(path).unpack_like_octopus(tmp_path / "out")
        assert list(tmp_path.iterdir()) == [path]
    assert_said("\n".join(said))


def test_names_that_a_reader_would_lose_are_refused(tmp_path: Path) -> None:
    """Better an error while packing than a file that is missing at the other end."""
    said: list[str] = []
    for name in (
        "[content_types].xml",
        "_rels/x",
        "package/a.txt",
        "package.json",
        "deep/other.nuspec",
        "a./b",
        "../b",
        "Acme.Sample.NUSPEC",
    ):
        with refused("FOLDER/a.nupkg", PipelineError, said=said):
            sample(tmp_path / "a.nupkg", {name: b"x"})
    assert list(tmp_path.iterdir()) == []
    assert_said("\n".join(said))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Neither wins in silence."""
    files = {"a b": store(b"1"), "A b": store(b"2")}
    with refused("FOLDER/a.nupkg", PipelineError):
        pack(parse(SPEC, "x"), files, tmp_path / "a.nupkg")


def test_an_empty_package_is_refused(tmp_path: Path) -> None:
    """As NuGet does."""
    with refused("FOLDER/a.nupkg", PipelineError):
        sample(tmp_path / "a.nupkg", {})


def test_unpacking_has_octopus_losses(tmp_path: Path) -> None:
    """Parts, nuspecs and checksum files are gone, names decoded, modes lost."""
    path = tmp_path / "a.nupkg"
    files = {
        "a.nuspec": SPEC,
        "in/b.nuspec": SPEC,
        "a.nupkg.sha512": b"",
        "_rels/.rels": b"",
        "package/services/metadata/x": b"",
        "[Content_Types].xml": b"",
        "run.sh": b"#!",
        "a%20b/c%2B.txt": b"c",
    }
    write_zip(path, [Member(name, 0o755, store(data)) for name, data in files.items()])
    Package.open(path).unpack_like_octopus(tmp_path / "out")
    found = sorted((tmp_path / "out").rglob("*"))
    names = [item.relative_to(tmp_path / "out").as_posix() for item in found if item.is_file()]
    assert names == ["a b/c+.txt", "run.sh"]
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o777 == 0o644
