"""Compiled files in a function zip: whether Lambda's machine, libc and Python can load them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Container, Iterable, Mapping

from ..project.runtimes import Runtime
from ..zip.writer import DEFLATED, Member, plain
from .elf import START, Binary, is_binary, read_binary

# Never compiled, and nearly all there is; the others are looked at whatever their names are.
_TEXT = (".py", ".pyi", ".json", ".gz", ".txt", ".typed", ".js", ".mjs", ".cjs", ".ts", ".map")
# Where packages of Node lie, each with files for every system that it knows.
_MODULES = re.compile(r"(?:.*/)?node_modules/((?:@[^/]+/)?[^/]+)/")
# Launchers that setuptools and others carry as data: no Linux would ever start them.
_WINDOWS_PROGRAM = ".exe"
_TAGGED = re.compile(r"\.(cpython-\d\d+[a-z]*|pypy\d*)-[\w-]+\.so\Z")
# What Linux's Python and Node load, and what the loader looks for.
_LOADED = re.compile(r"(?<!-darwin)\.so(\.\d+)*\Z|\.node\Z")
_MUSL = re.compile(r"-linux-musl[\w]*\.so\Z|\bmusl\b.*\.node\Z")


def compiled_files(members: Iterable[Member]) -> dict[str, Binary]:
    """Return what the compiled files among members were made for, by name."""
    found = {}
    for member in members:
        if member.name.endswith((*_TEXT, _WINDOWS_PROGRAM)):
            continue
        raw = member.payload
        start = raw.data[:START]
        if raw.method == DEFLATED:
            start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw.data, START)
        if is_binary(start) and (binary := read_binary(plain(raw))):
            found[member.name] = binary
    return found


def compiled_reasons(
    files: Mapping[str, Binary], runtime: Runtime, architecture: str, own: Container[str]
) -> list[str]:
    """Return why the runtime could not load some of `files`, a reason for each package and cause.

    `own` holds the names of the repository's own files. Others come in wheels for the function's
    platform or for every one, and the latter bring helpers for systems and machines that are
    not the function's: those are taken for helpers that Python would not load, and where a
    package has one that fits.
    """
    causes = {name: _cause(name, one, runtime, architecture) for name, one in sorted(files.items())}
    fitting = {owner(name) for name, binary in files.items() if binary.machine == architecture}
    # A package of Node chooses one of its files when it is loaded.
    chosen = {owner(name) for name, cause in causes.items() if _MODULES.match(name) and not cause}
    grouped: dict[tuple[str, str], list[str]] = {}
    for name, cause in causes.items():
        elsewhere = files[name].machine != architecture and not files[name].problem
        helper = elsewhere and (owner(name) in fitting or not _LOADED.search(name))
        if cause and (name in own or not (helper or owner(name) in chosen)):
            grouped.setdefault((owner(name, own), cause), []).append(name)
    return [
        f"{package}: {names[0]}{_more(names)} {cause}; take {_remedy(package)}"
        for (package, cause), names in grouped.items()
    ]


def owner(name: str, own: Container[str] = ()) -> str:
    """Return what a person calls the part of the function zip that a file belongs to."""
    if name in own:
        return f"src/{name.partition('/')[0]}"
    if package := _MODULES.match(name):
        return package[1]
    top = name.partition("/")[0]
    return re.sub(r"(\.libs|-[^-]*\.dist-info|\.py|(\.[\w-]+)?\.so)\Z", "", top)


def _cause(name: str, binary: Binary, runtime: Runtime, architecture: str) -> str:
    if binary.problem:
        return f"cannot be loaded: {binary.problem}"
    if binary.machine != architecture:
        return f"is for {binary.machine}, the function runs on Linux {architecture}"
    found = _TAGGED.search(name)
    if found and (tag := found[1].replace("cpython-", "cp")) != runtime.python_tag:
        return f"is for another Python ({tag}), {runtime.name} does not see it"
    if _MUSL.search(name):
        return "is for musl, Lambda has glibc"
    if binary.glibc > runtime.glibc:
        needs, has = (".".join(map(str, version)) for version in (binary.glibc, runtime.glibc))
        return f"needs glibc {needs}, {runtime.name} has {has}"
    return ""


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _remedy(package: str) -> str:
    if package.startswith("src/"):
        return "it out of src, or build it for the function's platform"
    return "another version of it, or another runtime or architecture in pyproject.toml"
