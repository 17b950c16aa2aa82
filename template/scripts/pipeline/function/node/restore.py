"""Restoring: npm installs what is locked, and the lock decides what of it is packaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import PipelineError
from ...edge.machine import Machine
from ...edge.npm import read_settings
from ...project.project import FROM_RUNTIME, Function, Project
from ...runtime.function_code import LocalRuntime
from ..compiled import compiled_files
from ..dependency_zip import deflated, excluded, kept, pack
from ..engine import Installed, Restored
from .install import modules, this_platform
from .packages import (
    LOCK,
    MODULES,
    PACKAGE,
    Packages,
    Platform,
    dependencies_of,
    distributions_of,
    name_of,
)

_COMPILED = ".node"
# In the runtime, and what only that is made of.
SDK = ("@aws-sdk/", "@smithy/", "@aws-crypto/")


def is_of_sdk(name: str) -> bool:
    """Tell whether Lambda's runtime brings a package."""
    return name.startswith(SDK)


def restore(
    project: Project,
    machine: Machine,
    cache: Path,
    tools: bytes,
    warn: Callable[[str], None],
    here: LocalRuntime | None = None,
) -> Restored:
    """Return the packages that lie beside the function's own files in its zip.

    Those are all that it needs, or, where it is bundled, only what cannot be made part of a file.
    """
    packages, function = Packages.read(project.root), project.function
    if project.dependencies:
        what = f"a function in Node has its packages in {PACKAGE}"
        then = "Move them there, and remove the line."
        raise PipelineError("pyproject.toml [project] dependencies", what, then)
    read_settings(project.root)  # which refuses a token in plain, whether npm is needed or not
    platform = this_platform() if here else Platform.of_lambda(function.architecture)
    settings = (function.bundling, function.boto3, function.exclude)
    make = partial(_make, packages, platform, function, machine, warn)
    return kept(cache, (packages.package, packages.lock, platform, settings, tools), make)


def _make(
    packages: Packages, platform: Platform, function: Function, machine: Machine,
    warn: Callable[[str], None], target: Path,
) -> Restored:  # fmt: skip
    found = packages.reached(platform, stop=_stop(function))
    wanted = _install_for(found, platform)
    folder = modules(packages, wanted, machine, function.runtime.version)
    _refuse_unbuilt(folder, found, warn)
    outside = dict(sorted(_outside(folder, found, function, packages, platform).items()))
    below = f"{MODULES}/"
    files = {name.removeprefix(below): path for at in outside for name, path in _files(folder, at)}
    gone = excluded(files, function.exclude, warn)
    chosen = {below + name: files[name] for name in sorted(files.keys() - gone)}
    members = deflated(chosen, LOCK)
    inside = found if function.bundling else outside
    installed = Installed(
        distributions_of(inside),
        compiled_files(members),
        dependencies_of(inside),
        packages.locked,
        tuple(outside) if function.bundling else (),
    )
    # npm has its own cache, of which it says nothing.
    return pack(target, members, installed, from_cache=False)


def _stop(function: Function) -> Callable[[str], bool]:
    """Return what tells which packages the runtime brings, and nobody else has to."""
    return is_of_sdk if function.boto3 == FROM_RUNTIME else lambda _: False


def _install_for(found: Mapping[str, Mapping[str, Any]], platform: Platform) -> Platform:
    """Return what to install for: this machine, where the packages are the same on every one."""
    special = any(entry.get(key) for entry in found.values() for key in ("os", "cpu", "libc"))
    return platform if special else this_platform()


def _outside(
    folder: Path,
    found: Mapping[str, Mapping[str, Any]],
    function: Function,
    packages: Packages,
    platform: Platform,
) -> Mapping[str, Mapping[str, Any]]:
    """Return the packages that are packaged as they are."""
    if function.bundling is None:
        return found
    named = set(function.bundling.external)
    start = [
        path
        for path, entry in found.items()
        if name_of(path) in named
        or any(entry.get(key) for key in ("os", "cpu", "libc"))
        or any(name.endswith(_COMPILED) for name, _ in _files(folder, path))
    ]
    # Who needs a package with compiled files looks for it in its own folder.
    whole = {path: found[path] for path in start}
    return {**whole, **packages.reached(platform, start, _stop(function))}


def _files(folder: Path, at: str) -> Iterator[tuple[str, Path]]:
    """Yield a package's own files: `node_modules` in its folder holds other ones."""
    top = folder / at
    for base, folders, files in os.walk(top):
        if Path(base) == top and MODULES in folders:
            folders.remove(MODULES)
        for name in files:
            path = Path(base, name)
            yield path.relative_to(folder).as_posix(), path


def _refuse_unbuilt(
    folder: Path, found: Mapping[str, Mapping[str, Any]], warn: Callable[[str], None]
) -> None:
    """Refuse a package that would be compiled by a script: what that makes is nowhere locked."""
    for path, entry in found.items():
        if not entry.get("hasInstallScript"):
            continue
        names = [name for name, _ in _files(folder, path)]
        package = f"{name_of(path)} {entry['version']}"
        if f"{path}/binding.gyp" not in names:
            warn(f"{package} has an install script, which is never run")
        elif not any(name.endswith(_COMPILED) for name in names):
            raise PipelineError(
                f"restore {LOCK}",
                f"{package} is compiled, or fetched, by a script when it is installed; none is run",
                "Take a package that brings compiled files for Linux, like sharp or better-sqlite3 "
                "from 13 on, or put what it makes into src.",
            )
