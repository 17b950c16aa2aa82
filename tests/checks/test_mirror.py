"""A folder that follows an archive: always what a fresh unpacking would give."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.zip.mirror import mirror
from pipeline.zip.reader import open_archive
from pipeline.zip.writer import Member, store, write_zip

from tests.checks.checks_support import zip_of
from tests.words import refused

Files = dict[str, tuple[bytes, int]]

_NAMES = st.sampled_from(["a", "b.py", "d", "d/a", "d/e/f", "d/e/g", "h/i"])
_CONTENT = st.tuples(st.binary(max_size=3), st.sampled_from([0o644, 0o755]))


def _mirror(folder: Path, files: Mapping[str, bytes]) -> int:
    return mirror(zip_of(folder.with_name("source.zip"), files), folder)


def _content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _possible(files: Files) -> Files:
    """Leave out the file `d` where there is a folder `d`."""
    is_folder = any(name.startswith("d/") for name in files)
    return {name: file for name, file in files.items() if not (is_folder and name == "d")}


def _modes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777
        for path in (folder, *folder.rglob("*"))
    }


@settings(max_examples=50, deadline=None)
@given(
    versions=st.lists(st.dictionaries(_NAMES, _CONTENT).map(_possible), min_size=1, max_size=4),
    read_only=st.booleans(),
)
def test_it_is_always_equal(versions: list[Files], *, read_only: bool) -> None:
    """Whatever came, went or changed: names, bytes and modes are those of the last archive."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, path = Path(scratch, "mirror"), Path(scratch, "source.zip")
        for files in versions:
            write_zip(
                path, [Member(name, mode, store(data)) for name, (data, mode) in files.items()]
            )
            mirror(open_archive(path), folder, read_only=read_only)
            assert _content(folder) == {name: data for name, (data, _) in files.items()}
            assert all(any(path.iterdir()) for path in folder.rglob("*") if path.is_dir())
            modes = _modes(folder)
            for name, (_, mode) in files.items():
                assert modes.pop(name) == mode & 0o555
            # What is left are the folders.
            assert {bool(mode & 0o222) for mode in modes.values()} == {not read_only}
            assert mirror(open_archive(path), folder, read_only=read_only) == 0


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    """A second archive that changes one file costs one file; compiled, the others stay valid."""
    files = {f"f{number}": b"x" for number in range(20)}
    folder = tmp_path / "m"
    assert _mirror(folder, files) == 20
    same, other = (folder / "f2").stat(), (folder / "f3").stat()
    assert _mirror(folder, {**files, "f3": b"y"}) == 1
    assert (folder / "f2").stat() == same
    # Python knows a compiled module by its source's size and second.
    assert int((folder / "f3").stat().st_mtime) != int(other.st_mtime)


def test_damage_heals(tmp_path: Path) -> None:
    """A file that was cut off, edited, replaced by a link, or added is put right."""
    files = {"cut": b"long enough", "edited": b"abc", "link": b"target", "d/whole": b"1"}
    folder = tmp_path / "m"
    _mirror(folder, files)
    for name in ("cut", "edited", "link"):
        (folder / name).unlink()
    (folder / "cut").write_bytes(b"long")
    (folder / "edited").write_bytes(b"xyz")
    (folder / "link").symlink_to(tmp_path)
    (folder / "added").write_bytes(b"")
    (folder / "d" / "e").mkdir()
    assert _mirror(folder, files) == 3
    assert _content(folder) == files
    assert not (folder / "link").is_symlink()
    assert tmp_path.is_dir()


def test_it_recovers_from_an_archive_that_is_not_sound(tmp_path: Path) -> None:
    """A damaged archive is refused, and the next one is there whole."""
    folder, path = tmp_path / "m", tmp_path / "damaged.zip"
    write_zip(path, [Member("a", 0o644, store(b"damaged"))])
    path.write_bytes(path.read_bytes().replace(b"damaged", b"dimaged"))
    with refused("FOLDER/damaged.zip", PipelineError):
        mirror(open_archive(path), folder)
    assert _mirror(folder, {"a": b"damaged", "d/b": b""}) == 2
    assert _content(folder) == {"a": b"damaged", "d/b": b""}


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """What cannot be written is an error that names the path."""
    (tmp_path / "m").write_bytes(b"")
    with refused("FOLDER/m", PipelineError):
        _mirror(tmp_path / "m", {"a": b""})
