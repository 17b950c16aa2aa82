"""Git objects that nobody's checkout would take: the reader refuses them, and stays in step."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError

from maintain.fleet.objects import MOST, MissingObjectError, objects
from tests.repositories import git


def _written(folder: Path, kind: str, data: bytes) -> str:
    words = ["git", "hash-object", "--literally", "-w", "-t", kind, "--stdin"]
    done = subprocess.run(words, cwd=folder, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def _tree(folder: Path, *entries: tuple[str, str, str]) -> str:
    data = b"".join(
        f"{mode} {name}\0".encode() + bytes.fromhex(blob) for mode, name, blob in entries
    )
    return _written(folder, "tree", data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a bare repository."""
    git(tmp_path, "init", "--quiet", "--bare", "bare")
    return tmp_path / "bare"


def test_what_no_checkout_takes_is_refused(folder: Path) -> None:
    """Names that lead elsewhere, names twice, and trees that stand for billions of files."""
    blob = _written(folder, "blob", b"a")
    foul = [_tree(folder, ("100644", name, blob)) for name in ("..", ".git", "a/b", ".GIT", "")]
    foul.append(_tree(folder, ("100644", "a", blob), ("100644", "a", blob)))
    tree = _tree(folder, *(("100644", str(at), blob) for at in range(10)))
    for _ in range(9):
        tree = _tree(folder, *(("40000", str(at), tree) for at in range(10)))
    foul.append(tree)
    for _ in range(80):
        tree = _tree(folder, ("40000", "deep", tree))
    with objects(folder, "a", os.environ) as found:
        for one in [*foul, tree]:
            with pytest.raises(PipelineError) as refusal:
                found.files(one)
            assert refusal.value.where == "a"
            assert not isinstance(refusal.value, MissingObjectError)
        fine = _tree(folder, ("100755", "run", blob), ("120000", "link", blob))
        files = found.files(fine)
    assert [(name, entry.is_regular) for name, entry in files.items()] == [
        ("run", True), ("link", False),
    ]  # fmt: skip


def test_a_reader_stays_in_step(folder: Path) -> None:
    """After a huge object, one that is missing, and a name that git does not understand."""
    blob, huge = _written(folder, "blob", b"a\n"), _written(folder, "blob", b"\0" * (MOST + 1))
    with objects(folder, "a", os.environ) as found:
        assert found.read(huge) == b""
        assert found.find("--help") is None
        assert found.find("a\nb") is None
        assert found.find("not there") is None
        with pytest.raises(MissingObjectError):
            found.read("0" * 40)
        with pytest.raises(MissingObjectError):
            found.files("0" * 40)
        assert found.read(blob) == b"a\n"
