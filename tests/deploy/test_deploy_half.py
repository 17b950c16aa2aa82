"""What lands in a package runs on nothing but Python 3.10 and itself."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.package.aws_client import DISTRIBUTIONS, SERVICES, client_files
from pipeline.package.library import deploy_half

from tests.deploy.deploy_support import SCRIPTS
from tests.tools import python_of
from tests.words import refused

# Standard library names newer than Python 3.10.
_TOO_NEW = {"tomllib", "StrEnum", "Self", "ExceptionGroup", "assert_never", "Never", "UTC"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh folder with the deploy half and the client."""
    root = tmp_path_factory.mktemp("fresh folder")
    files = deploy_half(SCRIPTS) + [(f"client/{name}", data) for name, data in client_files()]
    for name, data in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def in_a_bare_python(python: str, folder: Path, code: str) -> str:
    """Run code with only the folder and its client on the path."""
    start = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(folder / 'client')!r}]\n"
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-W", "error", "-c", start + code],
        capture_output=True, text=True, check=False, env={},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_of_the_deploy_half_imports(folder: Path, python: str) -> None:
    """Each module imports in a bare Python, without third-party modules."""
    paths = [Path(name).with_suffix("") for name, _ in deploy_half(SCRIPTS)]
    names = [".".join(path.parts) for path in paths if path.parts[0] == "pipeline"]
    names = [name.removesuffix(".__init__") for name in names]
    code = (
        "import importlib, json\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps([n for n in sys.modules if n.split('.')[0] in ('boto3', 'botocore')]))\n"
    )
    assert json.loads(in_a_bare_python(python, folder, code)) == []


def test_the_client_makes_every_service(folder: Path) -> None:
    """A client of each service is made from the trimmed folder, waiters and paginators included."""
    code = (
        "import boto3, json\n"
        "session = boto3.session.Session('k', 's', region_name='eu-west-1')\n"
        f"made = [session.client(name) for name in {SERVICES!r}]\n"
        "assert boto3.__file__.startswith(sys.path[1]), boto3.__file__\n"
        "print(json.dumps([len(c.meta.service_model.operation_names) for c in made]))\n"
        "made[1].get_waiter('function_updated_v2')\n"
        "made[1].get_paginator('list_functions')\n"
        "made[2].generate_presigned_url('get_object', Params={'Bucket': 'b', 'Key': 'k'})\n"
    )
    made = json.loads(in_a_bare_python(str(python_of("3.10")), folder, code))
    assert all(count > 5 for count in made)


def test_the_deploy_half_uses_nothing_newer_than_python_3_10() -> None:
    """No module names what came later, in syntax or in names."""
    for name, data in deploy_half(SCRIPTS):
        tree = ast.parse(data, feature_version=(3, 10))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert not names & _TOO_NEW, name


def test_the_deploy_half_does_not_know_local() -> None:
    """Endpoint and credentials arrive from outside: no file that lands in a package says so."""
    files = dict(deploy_half(SCRIPTS))
    del files["pipeline/__init__.py"]  # the list of all folders
    assert [name for name, data in files.items() if b"local" in data.lower()] == []


def test_line_ends_do_not_depend_on_the_checkout(tmp_path: Path) -> None:
    """A checkout with CRLF gives the same bytes, and the hooks file may be missing."""
    for name, data in deploy_half(SCRIPTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data.replace(b"\n", b"\r\n"))
    assert deploy_half(tmp_path) == deploy_half(SCRIPTS)
    (tmp_path / "hooks_deploy.py").unlink()
    assert "hooks_deploy.py" not in dict(deploy_half(tmp_path))


def test_a_missing_file_of_ours_is_named(tmp_path: Path) -> None:
    """A repository without a file of ours is told which one."""
    with refused("FOLDER/deploy.py", PipelineError):
        deploy_half(tmp_path)


def test_the_client_is_small_and_complete() -> None:
    """Sorted and unique, under 6 MB, with licences, without bytecode, tests and other services."""
    files = client_files()
    names = [name for name, _ in files]
    assert names == sorted(set(names))
    assert sum(len(data) for _, data in files) < 6_000_000
    services = {name.split("/")[2] for name in names if name.startswith("botocore/data/")}
    assert {service for service in services if not service.endswith(".json")} == set(SERVICES)
    assert not [n for n in names if n.endswith(".pyc") or "/tests/" in n or "examples" in n]
    for distribution in DISTRIBUTIONS:
        prefix = distribution.replace("-", "_") + "-"
        assert any(n.startswith(prefix) and "LICENSE" in n for n in names), distribution


def test_another_version_than_the_locked_one_is_named() -> None:
    """What travels is what the lock says, not what happens to be installed."""
    with refused("AWS client", PipelineError):
        client_files({"six": "0.1"})
