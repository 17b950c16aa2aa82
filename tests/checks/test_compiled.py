"""Compiled files against the function's runtime and architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pipeline.function.compiled import (
    compiled_files,
    compiled_reasons,
    owner,
)
from pipeline.function.elf import Binary
from pipeline.project.runtimes import Runtime, runtime_named
from pipeline.zip.reader import members_of

from tests.checks.checks_support import ARM64, PE, elf, zip_of
from tests.words import assert_said

OLD, NEW = (runtime_named(name, where="test") for name in ("python3.11", "python3.13"))
GOOD = Binary("arm64", (2, 17))


def _reasons(
    files: Mapping[str, Binary], runtime: Runtime = NEW, own: frozenset[str] = frozenset()
) -> list[str]:
    return compiled_reasons(files, runtime, "arm64", own)


@pytest.mark.parametrize(
    ("name", "binary", "runtime", "said"),
    [
        ("p/a.so", Binary("x86_64"), NEW, "is for x86_64, the function runs on Linux arm64"),
        ("p/a.so", Binary("Windows"), NEW, "is for Windows, the function runs on"),
        (
            "p/a.so.1.2",
            Binary("x86_64"),
            NEW,
            "is for x86_64, the function runs on Linux arm64",
        ),
        ("p/a.so", Binary("macOS"), NEW, "is for macOS, the function runs on"),
        ("p/a.so", Binary("", problem="its headers are damaged"), NEW, "headers are damaged"),
        ("p/a.so", Binary("arm64", (2, 27)), OLD, "needs glibc 2.27, python3.11 has 2.26"),
        ("p/a.so", Binary("arm64", (2, 35)), NEW, "needs glibc 2.35, python3.13 has 2.34"),
        ("p/a.cpython-312-aarch64-linux-gnu.so", GOOD, NEW, "is for another Python (cp312)"),
        ("p/a.cpython-313t-aarch64-linux-gnu.so", GOOD, NEW, "is for another Python (cp313t)"),
        ("p/a.pypy311-pp73-aarch64-linux-gnu.so", GOOD, NEW, "is for another Python (pypy311)"),
        ("p/a.cpython-313-aarch64-linux-musl.so", GOOD, NEW, "is for musl, Lambda has glibc"),
    ],
)
def test_what_the_runtime_cannot_load(
    name: str, binary: Binary, runtime: Runtime, said: str
) -> None:
    """Each cause is told with the package and the file."""
    (reason,) = _reasons({name: binary}, runtime)
    assert reason.startswith(f"p: {name} ")
    assert said in reason


_MODULE = "node_modules/@s/native/prebuilds/"
_NODE = runtime_named("nodejs24.x", where="test")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("linux-arm64/a.node", "linux-x64/a.node", "linux-arm64/a.musl.node"), ""),
        (
            ("linux-x64/a.node", "win32-x64/a.node"),
            "is for x86_64, the function runs on Linux arm64",
        ),
        (("linux-arm64/a.musl.node",), "is for musl, Lambda has glibc"),
    ],
    ids=["one fits", "none of the machine", "none of the libc"],
)
def test_a_package_of_node_needs_one_that_fits(files: tuple[str, ...], said: str) -> None:
    """It brings a file for each system, and chooses one when it is loaded."""
    kinds = {"linux-arm64": GOOD, "linux-x64": Binary("x86_64"), "win32-x64": Binary("Windows")}
    found = {_MODULE + name: kinds[name.partition("/")[0]] for name in files}
    reasons = _reasons(found, _NODE)
    assert bool(reasons) == bool(said)
    assert not said or (reasons[0].startswith("@s/native: ") and said in "".join(reasons))
    assert owner("node_modules/a/node_modules/b/c.node") == "b"


@pytest.mark.parametrize(
    ("name", "runtime", "glibc"),
    [
        ("p/a.cpython-313-aarch64-linux-gnu.so", NEW, (2, 34)),
        ("p/a.cpython-311-aarch64-linux-gnu.so", OLD, (2, 26)),
        ("p/a.abi3.so", NEW, (2, 17)),
        ("p.libs/libfoo-1234.so.6", NEW, (2, 28)),
    ],
)
def test_what_it_can_load(name: str, runtime: Runtime, glibc: tuple[int, int]) -> None:
    """The runtime's own tag, the stable interface, plain libraries, and the floor itself."""
    assert _reasons({name: Binary("arm64", glibc)}, runtime) == []


def test_a_package_is_told_once() -> None:
    """Thirty files of one package with one cause are one reason that counts them."""
    files = {f"numpy/core/m{number:02}.so": Binary("x86_64") for number in range(30)}
    files["numpy.libs/libblas.so.3"] = Binary("x86_64")
    (reason,) = _reasons(files)
    assert_said(reason)


def test_own_files_are_told_as_ours() -> None:
    """A file of the repository is named by where it lies there, with another remedy."""
    (reason,) = _reasons({"app/fast.so": Binary("Windows")}, own=frozenset(["app/fast.so"]))
    assert_said(reason)


def test_helpers_for_others_are_no_reason() -> None:
    """A wheel for every platform brings programs and libraries for each; ours would be mistakes."""
    helpers = {
        "selenium/macos/selenium-manager": Binary("macOS"),
        "selenium/linux/selenium-manager": Binary("x86_64"),
        "fast/_c.pyd": Binary("Windows"),
        "fast/_c.dylib": Binary("macOS"),
        "fast/_c.cpython-313-darwin.so": Binary("macOS"),
        "client/lib-amd64.so": Binary("x86_64"),
        "client/lib-arm64.so": GOOD,
        "client/lib-x86.so": Binary("x86 with 32 bits"),
    }
    assert _reasons(helpers) == []
    for name in helpers.keys() - {"client/lib-arm64.so"}:
        assert len(_reasons({name: helpers[name]}, own=frozenset([name]))) == 1
    damaged = {**helpers, "client/other.so": Binary("", problem="its headers are damaged")}
    (reason,) = _reasons(damaged)
    assert_said(reason)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("numpy/core/x.py", "numpy"),
        ("numpy.libs/libblas.so", "numpy"),
        ("numpy-2.3.1.dist-info/METADATA", "numpy"),
        ("six.py", "six"),
        ("_cffi_backend.cpython-313-aarch64-linux-gnu.so", "_cffi_backend"),
    ],
)
def test_the_owner_of_a_file(name: str, expected: str) -> None:
    """Libraries, metadata and single modules count to their package."""
    assert owner(name) == expected


def test_only_compiled_files_are_found(tmp_path: Path) -> None:
    """Names do not matter, the bytes do; launchers for Windows are data and left alone."""
    archive = zip_of(
        tmp_path / "function.zip",
        {
            "a/lib.so.6": elf(ARM64, ["GLIBC_2.17"]),
            "a/tool": elf(),
            "a/windows.pyd": PE,
            "setuptools/cli-64.exe": PE,
            "a/elf.py": elf(),
            "a/empty": b"",
            "a/text.cfg": b"MZ",
        },
    )
    found = compiled_files(members_of(archive))
    assert found == {
        "a/lib.so.6": GOOD,
        "a/tool": Binary("x86_64"),
        "a/windows.pyd": Binary("Windows"),
    }
