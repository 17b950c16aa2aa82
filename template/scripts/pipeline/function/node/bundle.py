"""The handler's file, and bundling: all that it imports as one file made by the locked esbuild."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import PipelineError
from ...core.text import few
from ...edge.machine import Machine
from ...edge.shell import run, scrubbed
from ...project.project import FROM_RUNTIME, Bundling, Function
from ...project.sources import SOURCE
from ..engine import Own, Restored, ZipFile
from .install import modules, this_platform, write_files
from .packages import MODULES, PACKAGE, Packages, dependencies_of, name_of
from .restore import SDK

LICENCES = "THIRD-PARTY-LICENSES.txt"
# What a handler's file may be written as, in the order in which it is looked for.
_SOURCES = (".mjs", ".js", ".cjs", ".mts", ".ts", ".cts")
# What Lambda takes, in the order in which it looks; TypeScript is never run by it.
_ENDINGS = ("", ".js", ".mjs", ".cjs")
_TYPESCRIPT = (".ts", ".mts", ".cts", ".tsx", "tsconfig.json")
_LICENCE = re.compile(r"(?i)(licen[cs]e|copying|notice)([-.][\w.-]*)?\Z")
# In a module there is no `require`, which packages in the older format call, AWS's SDK too; a name
# of our own keeps it apart from one in the function's code.
_REQUIRE = (
    'import{createRequire as __createRequire}from"node:module";'
    "globalThis.require??=__createRequire(import.meta.url);"
)
_MODULE = (
    "--format=esm",
    f"--banner:js={_REQUIRE}",
    "--define:__dirname=import.meta.dirname",
    "--define:__filename=import.meta.filename",
    "--main-fields=module,main",
)
_META = "meta.json"
_BUNDLE = (
    "--bundle",
    "--platform=node",
    "--preserve-symlinks",
    "--allow-overwrite",
    "--log-level=error",
    "--color=false",
    f"--metafile={_META}",
)


def module_of(handler: str) -> tuple[str, str]:
    """Return the module's path and the name in it: the last part is cut at its first dot."""
    folder, slash, last = handler.rpartition("/")
    stem, _, name = last.partition(".")
    return folder + slash + stem, name


def handler_file(names: Collection[str], handler: str) -> str:
    """Return which of a function's files the handler is in; empty if none."""
    module, _ = module_of(handler)
    return next((module + ending for ending in _ENDINGS if module + ending in names), "")


def bundle(
    function: Function,
    bundling: Bundling,
    files: Sequence[ZipFile],
    beside: Mapping[str, bytes],
    restored: Restored,
    machine: Machine,
) -> Own:
    """Return the function's files with the handler's one as a bundle, and what went into it.

    The other files stay, but for TypeScript and those in the bundle. `beside` are files that say
    how. Raises PipelineError with what esbuild says.
    """
    packages = Packages.read(machine.root)
    installed = modules(packages, this_platform(), machine, function.runtime.version)
    names = {name for name, _, _ in files}
    entry = _entry(function.handler, names)
    is_module = _is_module(entry, packages)
    out = module_of(function.handler)[0] + (".mjs" if is_module else ".cjs")
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        folder = Path(scratch)
        own = {f"{SOURCE}/{name}": data for name, _, data in files}
        write_files(folder, {**own, **beside})
        (folder / MODULES).symlink_to(installed / MODULES, target_is_directory=True)
        # Beside the source: the paths in a map are relative to it.
        words: list[str | Path] = [
            _program(installed),
            f"{SOURCE}/{entry}",
            f"--outfile={SOURCE}/{out}",
        ]
        words += [*_BUNDLE, f"--target=node{function.runtime.version}"]
        words += _MODULE if is_module else ["--format=cjs"]
        words += ["--minify"] if bundling.minify else []
        words += ["--sourcemap", "--sources-content=false"] if bundling.source_map else []
        words += [f"--external:{name}" for name in _external(function, bundling, restored)]
        _run(words, folder, entry, machine.environ)
        meta = json.loads((folder / _META).read_bytes())
        made = [
            (name.removeprefix(f"{SOURCE}/"), False, (folder / name).read_bytes())
            for name in sorted(meta["outputs"])
        ]
    inputs = frozenset(meta["inputs"])
    inside = packages.owners(inputs)
    if inside:
        made.append((LICENCES, False, _licences(installed, inside)))
    kept = [
        file
        for file in files
        if f"{SOURCE}/{file[0]}" not in inputs and not file[0].endswith(_TYPESCRIPT)
    ]
    if taken := {name for name, _, _ in kept} & {name for name, _, _ in made}:
        what = f"the bundle of {entry} would take its place"
        raise PipelineError(f"{SOURCE}/{few(taken)}", what, "Rename it.")
    outside = {path: packages.entries[path] for path in restored.installed.outside}
    return Own([*kept, *made], dependencies_of({**inside, **outside}))


def _entry(handler: str, names: Iterable[str]) -> str:
    stem = module_of(handler)[0]
    found = next((stem + ending for ending in _SOURCES if stem + ending in names), "")
    if not found:
        what = f"the handler {handler} is missing: there is no {stem}{_SOURCES[0]} below {SOURCE}"
        then = f"Endings may be {', '.join(_SOURCES)}; git has to track the file."
        raise PipelineError("pyproject.toml [tool.pipeline.function] handler", what, then)
    return found


def _is_module(entry: str, packages: Packages) -> bool:
    """Tell whether a file is an ES module, as Node does; TypeScript is one unless it says not."""
    ending = Path(entry).suffix
    return ending in (".mjs", ".mts", ".ts") or (
        ending == ".js" and packages.asked.get("type") == "module"
    )


def _external(function: Function, bundling: Bundling, restored: Restored) -> list[str]:
    sdk = [f"{scope}*" for scope in SDK] if function.boto3 == FROM_RUNTIME else []
    return sorted({*bundling.external, *map(name_of, restored.installed.outside), *sdk})


def _program(installed: Path) -> Path:
    """Return the program in the package that esbuild has for this machine."""
    place = this_platform()
    folder = installed / MODULES / "@esbuild" / f"{place.os}-{place.cpu}"
    for name in ("bin/esbuild", "esbuild.exe"):
        if (folder / name).is_file():
            return folder / name
    raise PipelineError(
        PACKAGE,
        f"the function is bundled, and no esbuild for {place.os} {place.cpu} is locked",
        'Add "esbuild" to devDependencies and run `python3 tasks.py lock`, or write '
        "bundle = false in [tool.pipeline.function].",
    )


def _run(words: Sequence[str | Path], folder: Path, entry: str, environ: Mapping[str, str]) -> None:
    try:
        run(words, cwd=folder, env=scrubbed(environ), where=f"bundle {SOURCE}/{entry}")
    except PipelineError as error:
        then = "Correct that; or lock the package, or name it in external or set bundle = false."
        raise PipelineError(error.where, f"esbuild: {error.then or error.what}", then) from error


def _licences(installed: Path, inside: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the licences of packages, each text once: a bundle has lost them."""
    names: dict[str, list[str]] = {}
    for path, entry in inside.items():
        texts = [
            file.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").strip()
            for file in sorted((installed / path).iterdir())
            if file.is_file() and _LICENCE.match(file.name)
        ]
        for text in texts or [f"{entry.get('license', 'no licence')}, without a text of it"]:
            names.setdefault(text, []).append(name_of(path))
    rule = "-" * 72
    parts = [f"{', '.join(sorted({*owners}))}\n\n{text}\n" for text, owners in names.items()]
    return f"\n{rule}\n\n".join(parts).encode()
