"""What of a `package-lock.json` a function needs, and which locks are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Reporter
from pipeline.edge.machine import Machine
from pipeline.function.handler import FunctionFiles
from pipeline.function.node.bundle import handler_file, module_of
from pipeline.function.node.engine import ENGINE
from pipeline.function.node.packages import (
    LOCK,
    PACKAGE,
    Packages,
    Platform,
    dependencies_of,
    distributions_of,
    name_of,
    read_package,
)
from pipeline.project.project import Project

from tests.repositories import Render
from tests.template.answers import KINDS, WITH_BUCKET
from tests.words import assert_said

ARM = Platform.of_lambda("arm64")
_HASH = "sha512-" + "A" * 86 + "=="


def _locked(packages: dict[str, dict[str, Any]], **asked: Any) -> tuple[bytes, bytes]:
    """Return `package.json` and a lock of it; each package has a version and a hash."""
    entries = {
        f"node_modules/{path}": {"version": "1.0.0", "integrity": _HASH, **entry}
        for path, entry in packages.items()
    }
    lock = {"lockfileVersion": 3, "packages": {"": asked, **entries}}
    return json.dumps(asked).encode(), json.dumps(lock).encode()


def _names(packages: Packages, platform: Platform = ARM, **how: Any) -> list[str]:
    return [path.removeprefix("node_modules/") for path in packages.reached(platform, **how)]


def test_what_is_reached_is_what_node_would_find() -> None:
    """A package's own folder comes before those above; tests' and builds' packages do not count."""
    packages = Packages.of(
        *_locked(
            {
                "a": {"dependencies": {"b": "^2", "@s/c": "1"}},
                "a/node_modules/b": {"version": "2.0.0", "dependencies": {"d": "1"}},
                "b": {},
                "@s/c": {"peerDependencies": {"b": "1", "absent": "1"}},
                "d": {"dependencies": {"a": "1"}},
                "test-only": {"dev": True},
            },
            dependencies={"a": "1"},
            devDependencies={"test-only": "1"},
        )
    )
    assert _names(packages) == ["@s/c", "a", "a/node_modules/b", "b", "d"]
    assert _names(packages, stop=lambda name: name.startswith("@s/")) == [
        "a",
        "a/node_modules/b",
        "d",
    ]
    found = dependencies_of(packages.reached(ARM))
    assert [(item.name, item.version) for item in found if item.name == "b"] == [
        ("b", "1.0.0"),
        ("b", "2.0.0"),
    ]
    assert found[0].hashes == ("sha512:" + "0" * 128,)
    assert {"b@1.0.0", "b@2.0.0"} <= distributions_of(packages.reached(ARM)).keys()
    assert name_of("node_modules/a/node_modules/@s/c") == "@s/c"


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        (ARM, ["arm", "sharp"]),
        (Platform.of_lambda("x86_64"), ["sharp", "x64"]),
        (Platform("linux", "x64", "musl"), ["musl", "sharp"]),
        (Platform("darwin", "arm64"), ["not-linux", "sharp"]),
    ],
    ids=["arm64", "x86_64", "musl", "macOS"],
)
def test_only_what_fits_the_platform(platform: Platform, expected: list[str]) -> None:
    """Of packages for many systems those that fit are taken, whatever npm has installed."""
    every = {
        "arm": {"os": ["linux"], "cpu": ["arm64"], "libc": ["glibc"]},
        "x64": {"os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]},
        "musl": {"os": ["linux"], "cpu": ["x64"], "libc": ["musl"]},
        "not-linux": {"os": ["!linux"]},
        "missing-helper": {"os": ["win32"]},
    }
    packages = Packages.of(
        *_locked(
            {"sharp": {"optionalDependencies": dict.fromkeys(every, "1")}, **every},
            dependencies={"sharp": "1"},
        )
    )
    assert _names(packages, platform) == expected
    assert platform.options[:2] == (f"--os={platform.os}", f"--cpu={platform.cpu}")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"link": True}, "a is a link"),
        ({"resolved": "git+ssh://git@example.invalid/a.git#1"}, "not from a registry"),
        ({"resolved": "file:../a.tgz"}, "not from a registry"),
        ({"resolved": "https://registry.example.invalid/a.tgz"}, "holds an address"),
        ({"integrity": "sha1-AAAA"}, "no sha512"),
        ({"version": ""}, "no sha512 or no version"),
        ({"version": "", "inBundle": True, "integrity": ""}, "no sha512 or no version"),
    ],
)
def test_what_a_lock_may_not_hold(entry: dict[str, Any], said: str) -> None:
    """A package that is not a registry's, with version and hash, is refused by name."""
    with pytest.raises(PipelineError, match=said) as error:
        Packages.of(*_locked({"a": entry}, dependencies={"a": "1"}))
    assert (error.value.where, bool(error.value.then)) == (LOCK, True)


@pytest.mark.parametrize(
    "wanted",
    ["file:../a", "link:a", "../a", "github:someone/a", "someone/a#v1", "workspace:*",
     "git+ssh://git@example.invalid/a.git", "https://example.invalid/a.tgz"],
)  # fmt: skip
def test_what_is_not_a_registrys_is_refused_before_npm_looks(tmp_path: Path, wanted: str) -> None:
    """The package and its place are named, not what git or the network said of it."""
    fine = {"b": "^1.2.3 || ~2.x", "c": "npm:@scope/other@>=1 <2", "d": "latest", "e": "*", "f": ""}
    asked = {"dependencies": fine, "devDependencies": {"a": wanted}}
    (tmp_path / PACKAGE).write_text(json.dumps(asked), encoding="utf-8")
    with pytest.raises(PipelineError, match=r"^package.json: a is to come from") as error:
        read_package(tmp_path)
    assert wanted in error.value.what
    (tmp_path / PACKAGE).write_text(json.dumps({"dependencies": fine}), encoding="utf-8")
    assert read_package(tmp_path)


def test_a_package_inside_another_is_covered_by_its_hash() -> None:
    """What is bundled in a package has no hash of its own."""
    locked = _locked({"a": {}, "a/node_modules/b": {"inBundle": True, "integrity": ""}})
    assert Packages.of(*locked).locked == 2


@pytest.mark.parametrize(
    ("packages", "said"),
    [({}, "a, which package.json needs, is missing"), ({"a": {"os": ["win32"]}}, "other machines")],
)
def test_what_is_needed_has_to_be_there(packages: dict[str, Any], said: str) -> None:
    """A package that is needed and not locked, or not for Lambda, is named with who needs it."""
    with pytest.raises(PipelineError, match=said):
        Packages.of(*_locked(packages, dependencies={"a": "1"})).reached(ARM)


def test_a_lock_of_another_package_json(tmp_path: Path) -> None:
    """What was changed and not locked is found before anything is fetched."""
    package, lock = _locked({"a": {}}, dependencies={"a": "1"})
    (tmp_path / PACKAGE).write_bytes(package.replace(b'"1"', b'"2"'))
    with pytest.raises(PipelineError, match="cannot be read"):
        Packages.read(tmp_path)
    (tmp_path / LOCK).write_bytes(lock)
    with pytest.raises(PipelineError, match="dependencies differ") as error:
        Packages.read(tmp_path)
    assert "tasks.py lock" in error.value.then
    (tmp_path / PACKAGE).write_bytes(package)
    assert Packages.read(tmp_path).locked == 1


@pytest.mark.parametrize("kind", KINDS)
def test_new_repositories_begin_with_a_lock_that_fits(render_function: Render, kind: str) -> None:
    """Their lock is of their package.json, and has esbuild for every system."""
    packages = Packages.read(render_function(function_kind=kind, runtime="nodejs24.x"))
    assert "node_modules/@esbuild/darwin-arm64" in packages.entries
    found = {*packages.reached(ARM), *packages.reached(Platform.of_lambda("x86_64"))}
    assert ("node_modules/@aws-sdk/client-s3" in found) == (kind in WITH_BUCKET)
    assert not any("esbuild" in path for path in found)


@pytest.mark.parametrize(
    ("handler", "file"),
    [
        ("index.handler", "index.mjs"),
        ("a/b/other.object.handler", "a/b/other.cjs"),
        ("both.handler", "both.js"),
        ("plain.handler", "plain"),
        ("typed.handler", ""),
        ("a/missing.handler", ""),
    ],
)
def test_the_handlers_file_by_lambdas_rules(handler: str, file: str) -> None:
    """The last part is cut at its first dot; endings are tried in Lambda's order, never `.ts`."""
    names = ["index.mjs", "a/b/other.cjs", "both.mjs", "both.js", "plain", "typed.ts"]
    assert handler_file(names, handler) == file


def test_a_missing_handler_is_named_by_the_file_that_lambda_looks_for(
    render_function: Render,
) -> None:
    """It is the part before the first dot; what follows is a name in the module."""
    loaded = Project.load(render_function(function_kind="empty", runtime="nodejs24.x"))
    project = replace(loaded, function=replace(loaded.function, handler="a/other.object.handler"))
    files = FunctionFiles(Path("function.zip"), (), (), {})
    found = ENGINE.check_handler(
        project, files, lambda _: b"", cast("Machine", None), cast("Reporter", None), imports=False
    )
    assert_said(found.reason)


def test_a_nested_name_stays_whole() -> None:
    """What follows the first dot is looked up in the module, part after part."""
    assert module_of("a.b/index.one.two") == ("a.b/index", "one.two")
