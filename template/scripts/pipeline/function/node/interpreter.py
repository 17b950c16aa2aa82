"""What stands for a managed Node runtime here: a Node, and AWS's own runtime client.

The client is one file of JavaScript and a compiled one, which few machines can build; ours in
JavaScript, `runtime/start.mjs`, stands for that.
"""

from __future__ import annotations

import json
from pathlib import Path

from ...core.events import Reporter
from ...edge.cache import kept_folder
from ...edge.machine import Machine
from ...project.project import FROM_RUNTIME, Function
from ...runtime.function_code import LocalRuntime
from .install import modules, node_of, npm, this_platform, tool, write_files
from .packages import LOCK, MODULES, Packages

_START = Path(__file__).parents[2] / "runtime" / "start.mjs"
# AWS's client in its package: of version 4, and of those before.
_CLIENT = ("index.mjs", "dist/index.mjs")


def local_runtime(function: Function, machine: Machine, reporter: Reporter) -> LocalRuntime:
    """Return the runtime's Node with AWS's runtime client for it, installed when first needed.

    A function that has its AWS SDK from the runtime gets the packages of its lock.
    """
    version = function.runtime.version
    extra: tuple[Path, ...] = ()
    if function.boto3 == FROM_RUNTIME:
        reporter.line(f"  the AWS SDK of {LOCK} stands for the runtime's")
        packages = Packages.read(machine.root)
        extra = (modules(packages, this_platform(), machine, version) / MODULES,)
    client = _runtime_client(function.runtime.name, version, machine)
    return LocalRuntime(node_of(version, machine), client, version, extra, language="node")


def _runtime_client(runtime: str, version: str, machine: Machine) -> Path:
    """Return a folder with AWS's client as `index.mjs`, and beside it what starts it."""
    theirs, ours = tool(machine.root, runtime), _START.read_bytes()

    def fill(folder: Path) -> None:
        package = npm(machine, version).fetch(**theirs)
        client = next(package[name] for name in _CLIENT if name in package)
        write_files(folder, {"index.mjs": client, _START.name: ours})

    made_from = json.dumps(theirs) + ours.decode()
    return kept_folder(machine.cache, "node-client", made_from, fill)
