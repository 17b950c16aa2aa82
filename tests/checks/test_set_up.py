"""What the set-up takes from the user's caches: uv, and what uv keeps."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import bootstrap
import pytest

from tests.repositories import ROOT
from tests.wheels import write_wheel

PROGRAM = b"#!/bin/sh\necho the real one\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository whose lock names a uv that lies in a folder, and an empty cache."""
    index, root = tmp_path / "index", tmp_path / "repository"
    index.mkdir()
    (root / "scripts").mkdir(parents=True)
    digest = write_wheel(index, "uv", {"uv-1.0.data/scripts/uv": PROGRAM})
    lock = f"six==1.0 \\\n    --hash=sha256:{'1' * 64}\nuv==1.0 \\\n    --hash=sha256:{digest}\n"
    (root / bootstrap.LOCKS["build"]).write_text(lock, encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return root


@pytest.mark.slow
def test_it_is_fetched_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is fetched, and nothing but wheel and program is left."""
    program = bootstrap.find_uv(root)
    assert program.read_bytes() == PROGRAM
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert bootstrap.find_uv(root) == program
    assert {path.name for path in program.parent.iterdir()} == {"uv", "uv.whl", "fetch.lock"}


def _edit(program: Path) -> None:
    program.write_bytes(b"#!/bin/sh\necho another\n")


def _edit_both(program: Path) -> None:
    _edit(program)
    program.unlink()
    folder = program.parents[1]
    write_wheel(folder, "uv", {"uv-1.0.data/scripts/uv": b"another"})
    (folder / "uv-1.0-py3-none-any.whl").replace(program.with_name("uv.whl"))
    program.write_bytes(b"another")
    program.chmod(0o755)


def _lose_the_wheel(program: Path) -> None:
    program.with_name("uv.whl").unlink()


def _leave_half(program: Path) -> None:
    program.unlink()
    (program.parent / "fetching").mkdir()
    (program.parent / "fetching" / "uv-0.9-py3-none-any.whl").write_bytes(b"half")


@pytest.mark.slow
def test_what_is_not_the_locks_is_fetched_again(root: Path) -> None:
    """Whatever came with a cache from elsewhere, or was left by a killed process."""
    program = bootstrap.find_uv(root)
    for damage in (_edit, _edit_both, _lose_the_wheel, _leave_half):
        damage(program)
        assert bootstrap.find_uv(root).read_bytes() == PROGRAM, damage.__name__
        assert not (program.parent / "fetching").exists()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository whose lock names a wheel beside it and the real uv, with no cache."""
    root, lock = tmp_path / "repository", bootstrap.LOCKS["build"]
    (root / "scripts").mkdir(parents=True)
    digest = write_wheel(tmp_path, "tiny", {"tiny.py": b"good = True\n"})
    uv = (ROOT / "template" / lock).read_text(encoding="utf-8").partition("\nuv==")[2]
    (root / lock).write_text(f"tiny==1.0 --hash=sha256:{digest}\nuv=={uv}", encoding="utf-8")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return root


@pytest.mark.parametrize("name", ["uv.toml", "pyproject.toml"])
def test_the_repositorys_own_index_counts(tiny: Path, name: str) -> None:
    """None of a folder above, even if that takes the repository for its member; nothing else."""
    above = "[tool.uv]\nrequired-version = '==0.0.1'\n[tool.uv.workspace]\nmembers = ['*']\n"
    (tiny.parent / "pyproject.toml").write_text(above)
    index = tiny.parent / "index.html"
    index.write_text('<a href="tiny-1.0-py3-none-any.whl">tiny</a>', encoding="utf-8")
    tables = {
        "pyproject.toml": "[project]\nname = 'x'\nversion = '1'\n[tool.uv]\n",
        "uv.toml": "",
    }
    (tiny / "pyproject.toml").write_text(f"{tables['pyproject.toml']}offline = 'wrong'\n")
    own = "no-index = true\nfind-links = ['{index}']\nconstraint-dependencies = ['tiny<2']\n"
    (tiny / name).write_text(tables[name] + own.format(index=index.as_uri()))
    bootstrap.ensure(tiny, "build")
    assert [*tiny.glob(".venv/lib/python*/site-packages/tiny.py")]


def test_the_index_settings_of_a_repository_are_handed_on(tmp_path: Path) -> None:
    """Every form that uv has for them; a broken file is handed on for uv to say so."""
    text = """
        index-strategy = 'unsafe-best-match'
        allow-insecure-host = []
        required-version = '==0.0.1'
        [[index]]
        name = 'ours'
        url = 'https://é.example/"simple"'
        default = true
        [[index]]
        url = 'https://b.example'
        ignore-error-codes = [403]
        cache-control = {api = 'x'}
    """
    (tmp_path / "uv.toml").write_text(text, encoding="utf-8")
    handed_on = tomllib.loads(bootstrap.uv_settings(tmp_path))
    assert {**handed_on, "required-version": "==0.0.1"} == tomllib.loads(text)
    (tmp_path / "uv.toml").write_text("index-url = 'http")
    assert bootstrap.uv_settings(tmp_path) == "index-url = 'http"
    (tmp_path / "uv.toml").unlink()
    for text in ("tool = 1", "[tool]\nuv = 'index'", "[tool]\n", "[tool.uv", "[tool.uv]\n"):
        (tmp_path / "pyproject.toml").write_text(text)
        assert bootstrap.uv_settings(tmp_path) == ""


def test_what_is_damaged_in_uvs_cache_does_not_stay_in_venv(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is fetched again; and .venv has copies, so nobody edits the cache by editing them."""
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))

    def installed() -> Path:
        shutil.rmtree(tiny / ".venv", ignore_errors=True)
        bootstrap.ensure(tiny, "build")
        (found,) = tiny.glob(".venv/lib/python*/site-packages/tiny.py")
        return found

    assert installed().stat().st_nlink == 1
    (kept,) = tmp_path.glob("cache/archive-v0/*/tiny.py")
    kept.write_bytes(b"good = False\n")
    assert installed().read_bytes() == b"good = True\n"
