"""`inspect` on hostile and damaged packages: refused in one message, and nothing is written."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import MANIFEST_NAME
from pipeline.package.contents import Package
from pipeline.package.statement import STATEMENT_NAME
from pipeline.verbs.inspect import inspect_package

from tests.package.provenance_support import (
    SPEC,
    contents,
    manifest_of,
    packed,
)
from tests.verbs import run_verb
from tests.words import refused


def _raw_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)


def _patched(name: bytes, at: int, value: bytes) -> Callable[[Path], None]:
    """Return a change of the central directory's record of a name, `at` bytes into it."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        start = data.rindex(name) - 46 + at
        data[start : start + len(value)] = value
        path.write_bytes(data)

    return change


def _both_say(name: bytes, size: int) -> Callable[[Path], None]:
    """Return a change of a member's plain size, in both of its headers."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        for start in (data.index(name) - 30 + 22, data.rindex(name) - 46 + 24):
            data[start : start + 4] = struct.pack("<I", size)
        path.write_bytes(data)

    return change


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _nothing(path: Path) -> None:
    assert path.is_file()


_OURS = ("A.nuspec", SPEC % b"")
_ENTITY = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
HOSTILE = {
    "traversal": ([_OURS, ("../../evil.py", b"x")], _nothing, "out of its folder"),
    "encoded traversal": ([_OURS, ("%2e%2e/evil.py", b"x")], _nothing, "out of its folder"),
    "absolute": ([_OURS, ("/etc/evil", b"x")], _nothing, "absolute"),
    "drive": ([_OURS, ("C:/evil", b"x")], _nothing, "absolute"),
    "duplicates": ([_OURS, ("a.txt", b"x"), ("A.txt", b"y")], _nothing, "clash"),
    "bomb by ratio": ([_OURS, ("a.bin", bytes(8 << 20))], _nothing, "zip bomb"),
    "bomb by size": (
        [_OURS, ("a.bin", b"ab")],
        _patched(b"a.bin", 24, struct.pack("<I", 0xFFFFFFF0)),
        "bytes",
    ),
    "lying size": (
        [_OURS, ("a.bin", b"abc" * 100)],
        _patched(b"a.bin", 24, struct.pack("<I", 299)),
        "disagrees",
    ),
    "bomb behind a small size": (
        [_OURS, ("a.bin", bytes(100_000_000))],
        _both_say(b"a.bin", 900_000),
        "does not hold 900000 bytes",
    ),
    "lying nuspec": (
        [("A.nuspec", SPEC % b"<authors>a</authors>")],
        _patched(b"A.nuspec", 16, b"\0\0\0\0"),
        "disagrees",
    ),
    "two nuspecs": ([_OURS, ("B.nuspec", SPEC % b"")], _nothing, "A.nuspec, B.nuspec"),
    "no nuspec": ([("a.txt", b"x")], _nothing, "has none"),
    "external entity": ([("A.nuspec", _ENTITY + SPEC % b"&b;")], _nothing, "document type"),
    "no central directory": ([_OURS], _cut, "a.nupkg"),
    "damaged central directory": ([_OURS], _patched(b"A.nuspec", 0, b"XX"), "central directory"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_package_is_refused_and_nothing_is_written(tmp_path: Path, kind: str) -> None:
    """One message without a traceback, exit code 1, and no file anywhere beside it."""
    files, change, said = HOSTILE[kind]
    path = tmp_path / "in" / "a.nupkg"
    path.parent.mkdir()
    _raw_zip(path, files)
    change(path)
    with refused(None, PipelineError) as caught:
        inspect_package(path)
    assert said in str(caught.value)
    assert [item.name for item in tmp_path.rglob("*") if item.is_file()] == ["a.nupkg"]


def test_a_bomb_in_the_function_zip_is_refused(tmp_path: Path) -> None:
    """The zip inside is looked at like the one around it."""
    path = tmp_path / "function.zip"
    _raw_zip(path, [("table.bin", bytes(100_000_000))])
    _both_say(b"table.bin", 900_000)(path)
    files = contents()
    files["function.zip"] = path.read_bytes()
    files[MANIFEST_NAME] = manifest_of(files["function.zip"]).to_json()
    with refused("FOLDER/a.nupkg function.zip", PipelineError):
        inspect_package(packed(tmp_path / "a.nupkg", files))


@pytest.mark.parametrize("kind", ["traversal", "bomb by ratio", "external entity"])
def test_the_verb_refuses_hostile_packages(tmp_path: Path, kind: str) -> None:
    """The command says what is wrong; with --json that is the document."""
    files, change, said = HOSTILE[kind]
    _raw_zip(tmp_path / "a.nupkg", files)
    change(tmp_path / "a.nupkg")
    plain = run_verb(tmp_path, "inspect", "a.nupkg")
    assert (plain.returncode, plain.stdout) == (1, "")
    assert said in plain.stderr
    assert "Traceback" not in plain.stderr
    checked = run_verb(tmp_path, "inspect", "a.nupkg", "--json")
    assert checked.returncode == 1
    assert said in json.loads(checked.stdout)["error"]["what"]
    assert [item.name for item in tmp_path.iterdir()] == ["a.nupkg"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a package."""
    return packed(tmp_path_factory.mktemp("good") / "a.nupkg").read_bytes()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.booleans())
def test_damage_is_refused_or_found(
    tmp_path: Path, good: bytes, dice: random.Random, at_the_end: bool
) -> None:
    """Whatever bytes differ: a known error, or a package whose files are those it names."""
    bad = bytearray(good)
    # Most headers are at the end; flips elsewhere mostly hit compressed bytes.
    start = max(0, len(bad) - 900) if at_the_end else 0
    for _ in range(dice.randint(1, 4)):
        bad[dice.randrange(start, len(bad))] ^= 1 << dice.randrange(8)
    path = tmp_path / "a.nupkg"
    path.write_bytes(bad)
    with suppress(PipelineError):
        found = inspect_package(path)
        assert found.lines()
        assert json.dumps(found.document(), ensure_ascii=False).encode()
        assert found.mismatches or _held(bytes(bad)) == _held(good)


# Any character: JSON's escapes can spell half of a surrogate pair too.
_TEXT = st.text(st.characters())
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_odd_documents_never_end_in_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    """Any JSON in any place of the package's documents: shown, or known to be wrong."""
    files = contents()
    name = data.draw(st.sampled_from([MANIFEST_NAME, "sbom.cdx.json", "provenance.json"]))
    document = json.loads(files[name])
    place = document
    while data.draw(st.booleans()) and isinstance(place, (dict, list)) and place:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()) or not isinstance(place[key], (dict, list)):
            place[key] = data.draw(_JSON)
            break
        place = place[key]
    files[name] = json.dumps(document).encode()
    path = packed(tmp_path / "a.nupkg", files)
    try:
        Package.open(path)
    except PipelineError:
        # One of ours whose manifest says something else than its bytes is refused by every verb.
        assert name == MANIFEST_NAME
        return
    found = inspect_package(path)
    assert all(line.isprintable() for line in found.lines())
    assert json.dumps(found.document(), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _held(package: bytes) -> dict[str, bytes]:
    """Return the files of a package but the statement, which names no digest of its own."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = {name for name in archive.namelist() if name != STATEMENT_NAME}
        return {name: archive.read(name) for name in names}
