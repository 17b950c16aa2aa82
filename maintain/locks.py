"""The tooling locks, and the locks that a new repository starts with."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import bootstrap
from jinja2 import Template
from pipeline.core.events import Reporter
from pipeline.edge.files import write_whole
from pipeline.edge.machine import Machine
from pipeline.edge.uv import Uv
from pipeline.function.node.install import npm
from pipeline.function.node.locking import lock_of
from pipeline.function.python.hash_lock import pick, with_wheels
from pipeline.package.aws_client import DISTRIBUTIONS

_SCRIPTS = "template/scripts/requirements-{}.txt"
# Later ones are locked to fit the earlier ones: all of them share one .venv.
_ORDER = ("build", "local", "check", "update", "dev")
# An environment of its own, with another client of AWS.
_ALONE = "ministack"
_OLDEST_PYTHON = "3.11"
FUNCTION_LOCK = "template/{% if language == 'python' %}requirements{% endif %}/function.txt.jinja"
_NODES = ("20", "22", "24")
_PACKAGE = "template/{% if language == 'node' %}package.json{% endif %}.jinja"
_PACKAGE_LOCK = "template/{% if language == 'node' %}package-lock.json{% endif %}.jinja"
# Kinds of function that begin without an AWS client, as Jinja writes the list.
_WITHOUT_CLIENT = ["empty", "sqs-queue"]
_NAME = "{{ module_name | replace('_', '-') }}"


def write_locks(machine: Machine, reporter: Reporter, *, upgrade: bool) -> None:
    """Compile requirements/*.in: universal, with hashes, without addresses."""
    uv = Uv(bootstrap.find_uv(machine.root, "requirements/dev.txt"), machine.environ)
    done: list[Path] = []
    for name in (*_ORDER, _ALONE):
        here = f"requirements/{name}.txt" if name in {"dev", _ALONE} else _SCRIPTS.format(name)
        target = machine.root / here
        with reporter.stage("lock") as stage, tempfile.TemporaryDirectory() as scratch:
            kept = Path(scratch) / "lock.txt"
            kept.write_bytes(b"" if upgrade or not target.is_file() else target.read_bytes())
            arguments: list[str | Path] = [
                "--python-version",
                _OLDEST_PYTHON,
                "--output-file",
                kept,
            ]
            for constraint in done if name != _ALONE else ():
                arguments += ["--constraint", constraint]
            source = machine.root / "requirements" / f"{name}.in"
            uv.lock([f"-r {source}"], arguments)
            text = kept.read_text(encoding="utf-8")
            if name == "build":
                text = _with_client(text, uv, Path(scratch))
                # A new function starts with the same boto3, unless it needs none.
                condition = f"{{% if function_kind not in {_WITHOUT_CLIENT} -%}}\n"
                client = condition + pick(text, DISTRIBUTIONS)
                write_whole(machine.root / FUNCTION_LOCK, f"{client}{{% endif -%}}\n".encode())
            write_whole(target, text.encode())
            stage.text = target.relative_to(machine.root).as_posix()
        done.append(target)
    for version in _NODES:
        with reporter.stage("lock") as stage:
            target = machine.root / _SCRIPTS.format(f"node{version}")
            source = machine.root / "requirements" / f"node{version}.in"
            uv.lock([f"-r {source}"], ["--python-version", _OLDEST_PYTHON, "--output-file", target])
            stage.text = target.relative_to(machine.root).as_posix()


def write_package_lock(machine: Machine, reporter: Reporter, *, upgrade: bool) -> None:
    """Write the locks that functions in Node start with: an empty one's, and the others'."""
    with reporter.stage("lock") as stage:
        target = machine.root / _PACKAGE_LOCK
        source = (machine.root / _PACKAGE).read_text(encoding="utf-8")
        runner = npm(replace(machine, root=machine.root / "template"), _NODES[-1])
        locks = []
        for kind in ("empty", "s3-event"):
            values = {"module_name": "function", "function_kind": kind}
            asked = Template(source, keep_trailing_newline=True).render(values)
            before = ""
            if target.is_file() and not upgrade:
                before = Template(target.read_text(encoding="utf-8")).render(values)
            text = lock_of(asked.encode(), before.encode(), ("install",), runner).decode()
            locks.append(text.replace('"name": "function"', f'"name": "{_NAME}"').rstrip())
        first, *others = locks
        parts = (
            f"{{% if function_kind in {_WITHOUT_CLIENT} -%}}",
            first,
            "{%- else -%}",
            *others,
            "{%- endif %}",
        )
        text = "".join(f"{part}\n" for part in parts)
        write_whole(target, text.encode())
        stage.text = _PACKAGE_LOCK


def _with_client(text: str, uv: Uv, scratch: Path) -> str:
    """Say in the lock which wheels the AWS client comes from: every machine takes the same."""
    wheels = scratch / "pylock.toml"
    arguments: list[str | Path] = ["--python-version", _OLDEST_PYTHON, "--no-deps"]
    arguments += ["--format", "pylock.toml", "--output-file", wheels]
    uv.resolve(pick(text, DISTRIBUTIONS).splitlines(), arguments)
    return with_wheels(text, wheels.read_text(encoding="utf-8"))
