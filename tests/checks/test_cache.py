"""What lies in a cache is used only while it is what was put there."""

from __future__ import annotations

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from pipeline.core.errors import PipelineError
from pipeline.edge.cache import clear, is_whole_folder, keep, seal_folder, sealed
from pipeline.edge.files import new_folder, sweep
from pipeline.edge.machine import Machine
from pipeline.edge.uv import Installation, Uv
from pipeline.function.engine import Restored
from pipeline.function.python import restore as wheels
from pipeline.project.project import TEST_FOLDERS, Project

from tests.wheels import hash_in_record
from tests.words import refused

LOCK = "".join(f"{name}==1.0 --hash=sha256:{'0' * 64}\n" for name in ("boto3", "six", "tool"))
SETTINGS = """\
[project]
name = "x"
dependencies = ["boto3", "tool"]
[tool.pipeline]
package-id = "X"
base-version = "1.0"
version-strategy = "GitTag"
[tool.pipeline.function]
name = "X"
runtime = "python3.13"
architecture = "arm64"
handler = "app.handle"
"""


class _Index(Uv):
    """A uv whose index holds three packages, and that counts what it installs."""

    tool_asks: ClassVar[str] = ""

    def install(self, arguments: Any, *, where: str, copies: bool = False) -> Installation:
        """Write the packages as uv would."""
        del where, copies
        folder = Path(arguments[arguments.index("--target") + 1])
        for name, requires in (("boto3", "six"), ("six", ""), ("tool", self.tool_asks)):
            files = {
                f"{name}/__init__.py": f"name = {name!r}\n" * 50,
                f"{name}/tests/test_it.py": "",
                f"{name}-1.0.dist-info/METADATA": f"Name: {name}\nVersion: 1.0\n"
                + (f"Requires-Dist: {requires}\n" if requires else ""),
            }
            files |= self.more() if name == "tool" else {}
            rows = [f"{path},{hash_in_record(text.encode())},\n" for path, text in files.items()]
            record = f"{name}-1.0.dist-info/RECORD"
            for path, text in {**files, record: "".join([*rows, f"{record},,\n"])}.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8")
        with (self.program.parent / "installed").open("a", encoding="utf-8") as log:
            log.write("once\n")
        return Installation(
            from_cache=True, versions=dict.fromkeys(("boto3", "six", "tool"), "1.0")
        )

    def more(self) -> dict[str, str]:
        """Return what else the wheel of `tool` brings."""
        return {}


def restore(project: Project, uv: Uv, cache: Path, tools: bytes, *warn: Any) -> Restored:
    """Restore on a machine that has nothing but uv."""
    machine = cast("Machine", SimpleNamespace(uv=uv))
    return wheels.restore(project, machine, cache, tools, *warn)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project whose lock names three packages."""
    root = tmp_path / "repository"
    (root / "requirements").mkdir(parents=True)
    (root / "requirements" / "function.txt").write_text(LOCK, encoding="utf-8")
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    return Project.load(root)


def _file(tmp_path: Path) -> Path:
    """Return the dependency zip on disk."""
    (found,) = (tmp_path / "cache").glob("*.zip")
    return found


def _installs(tmp_path: Path) -> int:
    return (tmp_path / "installed").read_text(encoding="utf-8").count("once")


def test_a_dependency_zip_is_made_once(project: Project, tmp_path: Path) -> None:
    """The second build takes the first one's zip, and what was read of it."""
    uv = _Index(tmp_path / "uv", {})
    first = restore(project, uv, tmp_path / "cache", b"")
    second = restore(project, uv, tmp_path / "cache", b"")
    assert second == replace(first, from_cache=True)
    assert _installs(tmp_path) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "no seal", "other seal", "empty seal"])
def test_a_damaged_dependency_zip_is_made_again(
    project: Project, tmp_path: Path, damage: str
) -> None:
    """A zip that is not what was sealed is never used; the new one has the same bytes."""
    uv = _Index(tmp_path / "uv", {})
    first = restore(project, uv, tmp_path / "cache", b"")
    path = _file(tmp_path)
    whole = path.read_bytes()
    seal_file = path.with_name(f"{path.name}.sha256")
    match damage:
        case "cut":
            path.write_bytes(whole[:-1])
        case "flip":
            path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        case "no seal":
            seal_file.unlink()
        case "other seal":
            seal_file.write_text("0" * 64, encoding="ascii")
        case _:
            seal_file.write_bytes(b"")
    again = restore(project, uv, tmp_path / "cache", b"")
    assert path.read_bytes() == again.zip == first.zip == whole
    assert _installs(tmp_path) == 2


def test_settings_have_zips_of_their_own(project: Project, tmp_path: Path) -> None:
    """Each setting that decides what is left out has its own zip in the cache."""
    uv = _Index(tmp_path / "uv", {})
    base = project.function
    functions = [
        base,
        replace(base, boto3="runtime"),
        replace(base, exclude=TEST_FOLDERS),
        replace(base, boto3="runtime", exclude=TEST_FOLDERS),
    ]
    made = [
        restore(replace(project, function=function), uv, tmp_path / "cache", b"")
        for function in functions
    ]
    held = [set(zipped.installed.distributions) for zipped in made]
    assert held == [{"boto3", "six", "tool"}, {"tool"}, {"boto3", "six", "tool"}, {"tool"}]
    with_tests = [any("/tests/" in name for name in zipped.files) for zipped in made]
    assert with_tests == [True, True, False, False]


@pytest.mark.parametrize(
    ("dependencies", "asks", "what"),
    [
        (("boto3",), "", "nothing in pyproject.toml leads to what is locked: tool"),
        (("boto3", "tool"), "six>=2", "tool asks for six>=2, and 1.0 is locked"),
        (("boto3", "tool"), "typing-extensions; python_version < '3.14'", "none of it is locked"),
        (("boto3", "tool"), "typing-extensions; python_version < '3.13'", ""),
        (("boto3", "tool"), "colorama; sys_platform == 'win32'", ""),
        (("boto3", "tool"), "other; extra == 'more'", ""),
        (("boto3", "tool[more]"), "other; extra == 'more'", "none of it is locked"),
        (("boto3", "tool"), "six>=0.*; platform_machine == 'aarch64'", ""),
    ],
)
def test_a_lock_that_does_not_fit_is_refused(
    project: Project, tmp_path: Path, dependencies: tuple[str, ...], asks: str, what: str
) -> None:
    """What is installed is what the requirements lead to on Lambda, and nothing else."""

    class _Asking(_Index):
        tool_asks = asks

    # A zip that was made before the requirements changed is no way around.
    restore(project, _Index(tmp_path / "uv", {}), tmp_path / "cache", b"before")
    changed, uv = replace(project, dependencies=dependencies), _Asking(tmp_path / "uv", {})
    tools = b"now" if asks else b"before"
    if not what:
        assert restore(changed, uv, tmp_path / "cache", tools).installed.locked == 3
        return
    with refused("requirements/function.txt", PipelineError):
        restore(changed, uv, tmp_path / "cache", tools)


def test_what_a_function_may_ask_about_its_packages(project: Project, tmp_path: Path) -> None:
    """Versions, requirements, entry points, and which package brings which module."""
    entry_points = "tool-1.0.dist-info/entry_points.txt"

    class _Entered(_Index):
        def more(self) -> dict[str, str]:
            return {entry_points: "[a.group]\nx = tool:x\n", "bin/t": "#!python"}

    made = restore(project, _Entered(tmp_path / "uv", {}), tmp_path / "cache", b"")
    with zipfile.ZipFile(io.BytesIO(made.zip)) as archive:
        archive.extractall(tmp_path / "task")
    found = {item.name: item for item in distributions(path=[str(tmp_path / "task")])}
    assert {name: item.version for name, item in found.items()} == dict.fromkeys(found, "1.0")
    assert found["boto3"].requires == ["six"]
    (entry,) = found["tool"].entry_points
    assert (entry.group, entry.name, entry.value) == ("a.group", "x", "tool:x")
    files = {str(file) for file in found["tool"].files or ()}
    assert files == {name for name in made.files if name.startswith("tool")}


def test_globs_leave_out_files_of_dependencies(project: Project, tmp_path: Path) -> None:
    """What they match goes but what says what is installed; one without effect is named."""
    globs = ("six/**", "tool/tests/", "*.dist-info/**", "*/Tests/**", "**/METADATA", "")
    chosen = replace(project, function=replace(project.function, exclude=globs))
    said: list[str] = []
    made = restore(chosen, _Index(tmp_path / "uv", {}), tmp_path / "cache", b"", said.append)
    assert set(made.files) == {
        "boto3/__init__.py", "boto3/tests/test_it.py", "tool/__init__.py",
        *(
            f"{name}-1.0.dist-info/{file}"
            for name in ("boto3", "six", "tool") for file in ("METADATA", "RECORD")
        ),
    }  # fmt: skip
    assert set(made.installed.distributions) == {"boto3", "six", "tool"}
    assert [line.split("'")[1] for line in said] == list(globs[2:])


def test_a_cache_that_cannot_be_written(project: Project, tmp_path: Path) -> None:
    """A file where the cache should be is an error that names it."""
    (tmp_path / "cache").write_bytes(b"")
    with refused("FOLDER/cache/dependencies.lock", PipelineError):
        restore(project, _Index(tmp_path / "uv", {}), tmp_path / "cache", b"")


def test_several_at_once(project: Project, tmp_path: Path) -> None:
    """Whoever fills one cache at the same time gets the same whole zip, made once."""
    uv = _Index(tmp_path / "uv", {})

    def make(_: int) -> bytes:
        return restore(project, uv, tmp_path / "cache", b"").zip

    with ThreadPoolExecutor(8) as pool:
        zips = set(pool.map(make, range(16)))
    assert zips == {_file(tmp_path).read_bytes()}
    assert _installs(tmp_path) == 1


def test_seals(tmp_path: Path) -> None:
    """A file is given back with its digest while it is what was sealed."""
    file = tmp_path / "file"
    assert sealed(file) is None
    file.write_bytes(b"content")
    assert sealed(file) is None
    keep(file, b"content")
    assert sealed(file) == (b"content", hashlib.sha256(b"content").hexdigest())
    file.write_bytes(b"other")
    assert sealed(file) is None
    file.unlink()
    assert sealed(file) is None


@pytest.mark.parametrize("memory", [b"", b"{}", b"[]", b'{"distributions": {}, "binaries": 3}'])
def test_what_was_read_of_the_dependencies_heals(
    project: Project, tmp_path: Path, memory: bytes
) -> None:
    """What somebody has edited there is read anew and put right."""
    uv, cache = _Index(tmp_path / "uv", {}), tmp_path / "cache"
    first = restore(project, uv, cache, b"").installed
    assert first.distributions["tool"].version == "1.0"
    (remembered,) = cache.glob("*.json")
    good = remembered.read_bytes()
    remembered.write_bytes(memory)
    assert restore(project, uv, cache, b"").installed == first
    assert remembered.read_bytes() == good


def test_sealed_folders(tmp_path: Path) -> None:
    """A folder is whole while its files' names and sizes are those it was sealed with."""
    target = tmp_path / "folder"
    assert not is_whole_folder(target)
    with new_folder(target) as part:
        (part / "pkg").mkdir()
        (part / "pkg" / "a.py").write_bytes(b"1")
        seal_folder(part, target)
    assert is_whole_folder(target)
    (target / "pkg" / "__pycache__").mkdir()
    (target / "pkg" / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    assert is_whole_folder(target)
    (target / "pkg" / "a.py").write_bytes(b"")
    assert not is_whole_folder(target)
    (target / "pkg" / "a.py").unlink()
    assert not is_whole_folder(target)


def test_clearing(tmp_path: Path) -> None:
    """Everything goes, locks, read-only files and links too; links' targets stay."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"12345")
    cache = tmp_path / "cache"
    (cache / "folder").mkdir(parents=True)
    (cache / "folder" / "a").write_bytes(b"123")
    (cache / "folder" / "a").chmod(0o444)
    (cache / "b").write_bytes(b"1234")
    (cache / "link").symlink_to(outside)
    (cache / "x.lock").write_bytes(b"")
    files, size = clear(cache)
    assert files == 4
    assert size >= 7
    assert not [*cache.iterdir()]
    assert (outside / "kept").is_file()
    assert clear(tmp_path / "nowhere") == (0, 0)


def test_leftovers_are_swept(tmp_path: Path) -> None:
    """What a killed process left goes; what looks like anything else stays."""
    left = [".2.0.7.abcdefgh", ".latest.json.x1_y2z38"]
    kept = [".gitignore", ".gitkeep", "2.0.7", "latest.json", ".a.short"]
    (tmp_path / left[0]).mkdir()
    (tmp_path / left[0] / "half.nupkg").write_bytes(b"PK")
    (tmp_path / left[1]).write_bytes(b"{")
    (tmp_path / ".function.zip.abcdefgh.part").write_bytes(b"PK")
    for name in kept:
        (tmp_path / name).write_bytes(b"")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    sweep(tmp_path / "nowhere")


@pytest.mark.parametrize("remembered", ['"/nowhere/python3.99"', "{}", "", '"/"', "3"])
def test_a_vanished_python_is_looked_for_again(tmp_path: Path, remembered: str) -> None:
    """The memory of an interpreter is used only while it leads to a program."""
    programs = tmp_path / "bin"
    programs.mkdir()
    python = programs / "python3.99"
    python.write_text(f"#!/bin/sh\necho 3.99\necho {python}\n", encoding="utf-8")
    python.chmod(0o755)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "python-3.99.json").write_text(remembered, encoding="utf-8")
    machine = _machine(tmp_path, {"PATH": f"{programs}:/bin:/usr/bin", "HOME": str(tmp_path)})
    assert machine.python("3.99") == python
    python.unlink()
    assert machine.python("3.99") is None


def _machine(root: Path, environ: dict[str, str]) -> Machine:
    def never(*_: Any) -> Any:
        raise AssertionError

    return Machine(root, lambda: root / "cache", environ, never, never, never, never)


def test_what_a_wheel_brings_stays(project: Project, tmp_path: Path) -> None:
    """Only what differs between two machines goes: launchers with a Python's path, caches."""

    class _More(_Index):
        def more(self) -> dict[str, str]:
            return {name: data.decode() for name, data in brings.items()}

    kept = {
        "bin/__init__.py": b"",
        "bin/tool": b"\x7fELF program",
        "bin/tool.sh": b"#!/bin/sh\nexec tool\n",
        "bin/tool.py": b"#!/usr/bin/env python3\n",
        "tool/secret.pyc": b"sourceless",
        "tool/bin/run": b"#!/here/bin/python3\n",
    }
    gone = {
        "bin/one": b"#!/here/.venv/bin/python3\nimport one\n",
        "bin/two": b"#!/bin/sh\n'''exec' '/a long path/bin/python' \"$0\" \"$@\"\n",
        "tool/__pycache__/tool.cpython-313.pyc": b"compiled",
    }
    brings = {**kept, **gone}
    files = restore(project, _More(tmp_path / "uv", {}), tmp_path / "cache", b"").files
    assert kept.keys() <= files.keys()
    assert not gone.keys() & files.keys()
