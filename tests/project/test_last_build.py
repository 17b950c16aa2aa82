"""The pointer to the last build: it leads to a package in the repository, or is none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from pipeline.verbs.last_build import LATEST_NAME, Latest, last_build

GOOD = Latest("2.0.7", "build-output/2.0.7/a.nupkg", "00", "00", None, tested=True, verified=False)


@pytest.mark.parametrize(
    "change",
    [
        {"package": "../a.nupkg"},
        {"package": "build-output/../../a.nupkg"},
        {"package": "{outside}"},
        {"package": "a\0b"},
        {"package": 7},
        {"version": "../2.0.7"},
        {"version": ""},
        {"verified": "yes"},
        {"tested": 1},
        {"why_not": None},
    ],
)
def test_a_pointer_that_leads_elsewhere_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    """A path that leaves the repository, and anything of another type: nothing was built here."""
    root = tmp_path / "root"
    for package in (root / GOOD.package, tmp_path / "a.nupkg"):
        package.parent.mkdir(parents=True, exist_ok=True)
        package.touch()
    change = {
        key: str(tmp_path / "a.nupkg") if value == "{outside}" else value
        for key, value in change.items()
    }
    pointer = root / "build-output" / LATEST_NAME
    pointer.write_text(json.dumps(dataclasses.asdict(GOOD)), encoding="utf-8")
    assert last_build(root) == GOOD
    pointer.write_text(json.dumps(dataclasses.asdict(GOOD) | change), encoding="utf-8")
    assert last_build(root) is None


@pytest.mark.parametrize("data", [b"[" * 200_000, b"[]", b"\xff", b'{"a": NaN}'])
def test_a_pointer_that_is_no_document_is_none(tmp_path: Path, data: bytes) -> None:
    """Whatever lies there, a verb says that nothing was built, and no more."""
    (tmp_path / "build-output").mkdir()
    (tmp_path / "build-output" / LATEST_NAME).write_bytes(data)
    assert last_build(tmp_path) is None
