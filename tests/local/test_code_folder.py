"""The folder that follows a function zip: always what a fresh unpacking would give."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.archive.zipwriter import Member, store, write_zip
from pipeline.errors import PipelineError
from pipeline.local.function_code import CodeFolder, remove_function, unpack_function

Files = dict[str, tuple[bytes, int]]

_NAMES = st.sampled_from(["a.py", "b", "b/c.py", "b/d/e.py", "b/d/f", "g/h.py"])
_CONTENT = st.tuples(st.sampled_from([b"", b"1", b"2", b"longer"]), st.sampled_from([0o644, 0o755]))


def _zip(path: Path, files: Files) -> Path:
    write_zip(path, [Member(name, mode, store(data)) for name, (data, mode) in files.items()])
    return path


def _possible(files: Files) -> Files:
    """Leave out the file `b` where there is a folder `b`."""
    is_folder = any(name.startswith("b/") for name in files)
    return {name: file for name, file in files.items() if not (is_folder and name == "b")}


def _listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in (folder, *folder.rglob("*"))
    }


@settings(max_examples=25)
@given(st.lists(st.dictionaries(_NAMES, _CONTENT, min_size=1).map(_possible), max_size=5))
def test_it_is_always_what_a_fresh_unpacking_gives(versions: list[Files]) -> None:
    """Whatever came, went or changed: names, bytes and modes are those of the last zip alone."""
    with tempfile.TemporaryDirectory() as scratch:
        code, fresh = CodeFolder(Path(scratch, "task")), Path(scratch, "fresh")
        for files in versions:
            path = _zip(Path(scratch, "function.zip"), files)
            code.update(path)
            unpack_function(path, fresh)
            assert _listing(code.path) == _listing(fresh)
            remove_function(fresh)
        code.remove()
        assert not code.path.exists()


def test_what_did_not_change_stays_compiled(tmp_path: Path) -> None:
    """A module that is the same keeps its time, so that Python need not compile it again."""
    code = CodeFolder(tmp_path / "task")
    code.update(_zip(tmp_path / "1.zip", {"a.py": (b"A = 1", 0o644), "b.py": (b"B = 1", 0o644)}))
    same, other = (code.path / "a.py").stat(), (code.path / "b.py").stat()
    code.update(_zip(tmp_path / "2.zip", {"a.py": (b"A = 1", 0o644), "b.py": (b"B = 2", 0o644)}))
    assert (code.path / "a.py").stat() == same
    assert int((code.path / "b.py").stat().st_mtime) != int(other.st_mtime)


def test_it_recovers_from_an_archive_that_is_not_sound(tmp_path: Path) -> None:
    """A damaged zip is refused, and the next one is unpacked whole."""
    code = CodeFolder(tmp_path / "task")
    good = _zip(tmp_path / "good.zip", {"a.py": (b"A = 1", 0o644)})
    damaged = _zip(tmp_path / "damaged.zip", {"a.py": (b"A = 2", 0o644)})
    damaged.write_bytes(damaged.read_bytes().replace(b"A = 2", b"A = 3"))
    code.update(good)
    with pytest.raises(PipelineError, match="checksum"):
        code.update(damaged)
    code.update(good)
    assert (code.path / "a.py").read_bytes() == b"A = 1"
