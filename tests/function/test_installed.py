"""What uv hands out of its cache is packed only when it is what the wheels brought."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import bootstrap
import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.uv import Installation, Uv
from pipeline.function.python.install import install, own_folder

from tests.repositories import ROOT
from tests.wheels import hash_in_record, write_wheel
from tests.words import UV_SAYS, refused

FILES = {"pkg/__init__.py": b"good = True\n", "pkg/data.txt": b"data"}


class Index:
    """A folder of wheels, a uv whose cache is empty at first, and what it installs from there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.lock: list[str] = []
        self.site = folder / "site"
        settings = {
            "UV_NO_INDEX": "1", "UV_FIND_LINKS": folder.as_uri(),
            "UV_CACHE_DIR": str(folder / "cache"),
        }  # fmt: skip
        program = bootstrap.find_uv(ROOT, "requirements/dev.txt")
        self.uv = Uv(program, {**os.environ, **settings})

    def add(self, name: str, files: dict[str, bytes], record: dict[str, str] | None = None) -> None:
        """Put a wheel there and into the lock."""
        digest = write_wheel(self.folder, name, files, record=record)
        self.lock.append(f"{name}==1.0 --hash=sha256:{digest}\n")

    def install(self, *, whole: bool = True) -> Installation:
        """Install the lock, as a restore does, or as the tests' environment when not `whole`."""
        lock = self.folder / "lock.txt"
        lock.write_text("".join(self.lock), encoding="utf-8")
        make = partial(own_folder, self.site)
        words: list[str | Path] = ["--no-deps", "-r", lock]
        return install(self.uv, words, make, where="restore", whole=whole, copies=False)

    def kept(self) -> Path:
        """Return the folder of `pkg` in uv's cache."""
        (found,) = self.folder.glob("cache/archive-v0/*/pkg")
        return found


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Return an index with one wheel, which was installed before."""
    made = Index(tmp_path)
    made.add("pkg", FILES)
    assert made.install().versions == {"pkg": "1.0"}
    return made


def _edit(kept: Path) -> None:
    with (kept / "__init__.py").open("ab") as file:
        file.write(b"good = False\n")


def _add(kept: Path) -> None:
    (kept / "more.py").write_bytes(b"")


def _add_beside(kept: Path) -> None:
    (kept.parent / "sitecustomize.py").write_bytes(b"")


def _remove(kept: Path) -> None:
    (kept / "data.txt").unlink()


def _remove_all(kept: Path) -> None:
    shutil.rmtree(kept.parent)
    kept.parent.mkdir()


def _forget_a_row(kept: Path) -> None:
    record = kept.parent / "pkg-1.0.dist-info" / "RECORD"
    record.write_text(
        "".join(line for line in record.open() if "data" not in line), encoding="utf-8"
    )


@pytest.mark.parametrize("damage", [_edit, _add, _add_beside, _remove, _remove_all, _forget_a_row])
def test_what_is_damaged_in_uvs_cache_heals(index: Index, damage: Callable[[Path], None]) -> None:
    """It is fetched once more; what is installed, then and later, is what the wheel brings."""
    damage(index.kept())
    for _ in range(2):
        assert index.install().versions == {"pkg": "1.0"}
        found = {path.relative_to(index.site).as_posix() for path in index.site.rglob("*.*")}
        assert {name for name in found if "dist-info" not in name} == {*FILES, ".lock"}
        assert (index.site / "pkg/__init__.py").read_bytes() == FILES["pkg/__init__.py"]


def test_what_cannot_be_fetched_again_is_refused(index: Index) -> None:
    """Nothing damaged is used; the message says what it was, and what was in the way."""

    class Vanishing(Uv):
        def forget(self, packages: Iterable[str]) -> None:
            super().forget(packages)
            (index.folder / "pkg-1.0-py3-none-any.whl").unlink()

    _edit(index.kept())
    index.uv = Vanishing(index.uv.program, index.uv.environ)
    with refused("restore", PipelineError, UV_SAYS):
        index.install()


@pytest.mark.parametrize(
    "digest", [hash_in_record(b"other"), "", "md5=1B2M2Y8AsgTpgAmY7PhCfg", "sha256", "sha256="]
)
def test_a_wheel_that_lies_about_itself(tmp_path: Path, digest: str) -> None:
    """Fetching it again does not help; the file and the wheel are named."""
    index = Index(tmp_path)
    index.add("pkg", FILES, {"pkg/data.txt": digest})
    with refused("restore", PipelineError):
        index.install()


def test_a_file_of_two_wheels(index: Index) -> None:
    """The same bytes are no matter; with others, which is there would be luck.

    Where nothing is packed that matters for code alone.
    """
    index.add("second", {"pkg/data.txt": FILES["pkg/data.txt"]})
    assert index.install().versions == {"pkg": "1.0", "second": "1.0"}
    index.add("third", {"pkg/data.txt": b"other"})
    with refused("restore", PipelineError):
        index.install()
    assert len(index.install(whole=False).versions) == 3
    index.add("fourth", {"pkg/__init__.py": b"other"})
    with refused("restore", PipelineError):
        index.install(whole=False)


def test_a_distribution_that_is_not_there(tmp_path: Path) -> None:
    """What uv names and what is in the folder must be the same."""

    class Half(Uv):
        def install(self, arguments: object, **how: object) -> Installation:
            del arguments, how
            return Installation(from_cache=True, versions={"gone": "1.0"})

        def forget(self, packages: object, **how: object) -> None:
            del packages, how

    make = partial(own_folder, tmp_path / "site")
    with refused("restore", PipelineError):
        install(Half(tmp_path, {}), [], make, where="restore")


def test_the_users_settings_count_and_those_of_the_folders_above_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `uv.toml`, project or `.venv` above the temporary folder neither counts nor runs."""
    index = Index(tmp_path / "home")
    index.add("pkg", FILES)
    nowhere = "find-links = ['http://127.0.0.1:9/']\n"
    written = {
        "home/uv/uv.toml": f"no-index = true\nfind-links = ['{index.folder.as_uri()}']\n",
        "uv.toml": nowhere,
        "pyproject.toml": f"[project]\nname = 'x'\nversion = '1'\n[tool.uv]\n{nowhere}",
        ".venv/pyvenv.cfg": "home = /usr/bin\nversion_info = 3.13.0\n",
        ".venv/bin/python": f"#!/bin/sh\ntouch '{tmp_path}/ran'\nexit 1\n",
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / ".venv/bin/python").chmod(0o755)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    settings = {"XDG_CONFIG_HOME": str(tmp_path / "home"), "UV_CACHE_DIR": str(tmp_path / "cache")}
    uv = replace(index.uv, environ={**os.environ, **settings})
    uv.lock(["pkg"], ["--python-version", "3.11", "--output-file", tmp_path / "lock.txt"])
    uv.install(
        ["--target", tmp_path / "site", "-r", tmp_path / "lock.txt"], where="restore", copies=True
    )
    assert (tmp_path / "site" / "pkg" / "data.txt").is_file()
    assert not (tmp_path / "ran").exists()
