"""The pre-flight check as a part of `build` and `package`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.generated.conftest import Fresh
from tests.generated.repository import RUNTIME, Repository
from tests.generated.test_build import package_of
from tests.repositories import Render, git
from tests.wheels import write_wheel

_TABLE = "[tool.pipeline.function]\n"


def test_every_reason_at_once(repository: Repository) -> None:
    """Settings, scripts, compiled files and the handler are told in one error; nothing is left."""
    module = repository.module()
    repository.edit(
        "pyproject.toml",
        "[tool.pipeline.function.environment]\n",
        '[tool.pipeline.function.tags]\n"aws:team" = "a\\u0001"\n'
        '[tool.pipeline.function.environment]\nAWS_REGION = "x"\nB = "y"\nNULL = "a\\u0000b"\n'
        f'GOOD = "#{{if X}}y#{{/if}}"\nLONG = "{"x" * 4200}"\n',
    )
    repository.edit("pyproject.toml", '\ndescription = "', f'\ndescription = "{"x" * 300}')
    repository.edit("pyproject.toml", f'{_TABLE}name = "', f'{_TABLE}name = "{"x" * 60}')
    repository.write(f"src/{module}/handler.py", "import nowhere_at_all\n")
    repository.write(f"src/{module}/fast.so", "MZ" + "\0" * 58 + "@\0\0\0PE\0\0")
    repository.write("extra/PreDeploy.ps1", "Write-Host '#{Secret}'\n")
    repository.write("extra/helper.py", "# Octopus leaves #{This} alone\n")
    repository.edit(
        repository.nuspec(), "  </files>", '    <file src="extra/**" target="" />\n  </files>'
    )
    repository.commit()
    repository.refused(1, "check", "package")
    assert repository.output() == []


@pytest.mark.slow
def test_every_reason_of_an_import_at_once(repository: Repository) -> None:
    """Where the handler is imported, variables that nobody can set do not hide the rest."""
    module = repository.module()
    repository.edit(
        "pyproject.toml",
        "[tool.pipeline.function.environment]\n",
        '[tool.pipeline.function.environment]\n"A=B" = "x"\nGOOD = "#{if X}y#{/if}"\n',
    )
    repository.write(f"src/{module}/handler.py", "handle = len('five')\n")
    for test in repository.root.glob("tests/test_*.py"):
        test.unlink()
    repository.write("tests/test_nothing.py", "def test_it():\n    pass\n")
    repository.commit()
    repository.refused(1, "check", "build")


@pytest.mark.slow
def test_the_world_is_a_warning(repository: Repository) -> None:
    """A module that finds no server while it is imported is built; what it raised is told."""
    module = repository.module()
    source = "import socket\n\nsocket.create_connection(('127.0.0.1', 1))\n\n"
    path = repository.root / "src" / module / "handler.py"
    path.write_text(source + path.read_text(encoding="utf-8").replace("from __future__", "# "))
    for test in repository.root.glob("tests/test_*.py"):
        test.unlink()
    repository.write("tests/test_nothing.py", "def test_it():\n    pass\n")
    repository.commit()
    done = repository.must("build").err
    assert "unzipped, handler found, not imported " in done
    assert f"not imported: src/{module}/handler.py:3: ConnectionRefusedError: " in done


def test_a_handler_is_read_with_the_functions_python(repository: Repository) -> None:
    """`package` asks the function's Python where this one is another, and says when there is none.

    A handler that git does not know is told from one that is missing.
    """
    module = repository.module()
    repository.edit("pyproject.toml", f'runtime = "{RUNTIME}"', 'runtime = "python3.14"')
    repository.write(
        f"src/{module}/handler.py", "def handle(event, context):\n    return\nreturn\n"
    )
    repository.commit()
    assert "not read: there is no Python 3.14 here" in repository.must("package").err
    memory = repository.root / ".pipeline" / "cache" / "python-3.14.json"
    memory.write_text(json.dumps(sys.executable), encoding="utf-8")
    repository.refused(1, "check", "package", "--force")
    git(repository.root, "rm", "-q", "--cached", f"src/{module}/handler.py")
    repository.refused(1, "check", "package", "--force")


@pytest.mark.slow
def test_a_table_of_zeros_is_no_bomb(repository: Repository, tmp_path: Path) -> None:
    """What packs very well is built, looked at and run like anything else."""
    module = repository.module()
    (repository.root / "src" / module / "table.bin").write_bytes(bytes(3_000_000))
    repository.commit()
    repository.must("build")
    assert "2.9 MB unzipped" in repository.must("inspect", str(package_of(repository))).out
    event = tmp_path / "event.json"
    event.write_text("{}", encoding="utf-8")
    repository.must("run", "--event", str(event))


@pytest.mark.slow
def test_a_function_over_the_limit(repository: Repository, tmp_path: Path) -> None:
    """Lambda counts what comes out, and so do we; the handler is looked for all the same."""
    module = repository.module()
    digest = write_wheel(tmp_path, "large", {"large/table.bin": bytes(270_000_000)})
    repository.edit("pyproject.toml", "dependencies = []", 'dependencies = ["large"]')
    repository.write("requirements/function.txt", f"large==1.0 --hash=sha256:{digest}\n")
    repository.edit(f"src/{module}/handler.py", "def handle(", "def handel(")
    index = {"UV_FIND_LINKS": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "cache")}
    done = repository.verb("package", extra=index)
    for path in (tmp_path / "cache", *tmp_path.glob("*.whl")):  # pytest would keep them for a while
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "1. the function is 257.5 MB unzipped, Lambda takes 250 MB; largest are" in done.err
    assert "large 257.5 MB" in done.err
    assert "handler.py defines no handle" in done.err


def test_a_large_environment_is_told_by_environment(repository: Repository) -> None:
    """A value that only one environment makes too long is counted there."""
    repository.edit(
        "pyproject.toml",
        "[tool.pipeline.function.environment]\n",
        '[tool.pipeline.function.environment]\nTEXT_1 = "#{Text}"\n',
    )
    text = (repository.root / "pyproject.toml").read_text(encoding="utf-8")
    names = [
        line.removeprefix("[tool.pipeline.environments.").rstrip("]")
        for line in text.splitlines()
        if line.startswith("[tool.pipeline.environments.")
    ]
    longest = "x" * 4096
    repository.write(
        "pyproject.toml",
        f'{text}\n[tool.pipeline.environments.{names[-1]}.variables]\nText = "{longest}"\n',
    )
    repository.commit()
    repository.refused(1, "check", "package")


@pytest.mark.slow
def test_the_runtimes_boto3(render: Render, fresh: Fresh, tmp_path: Path) -> None:
    """With `boto3 = "runtime"` the zip has none, and tests, check and `run` still find one."""
    repository = fresh()
    module = repository.module()
    repository.edit("pyproject.toml", "dependencies = []", 'dependencies = ["boto3>=1.40"]')
    repository.edit("pyproject.toml", _TABLE, f'{_TABLE}boto3 = "runtime"\n')
    lock = render(function_kind="s3-event") / "requirements" / "function.txt"
    repository.write("requirements/function.txt", lock.read_text(encoding="utf-8"))
    source = "import boto3\ndef handle(event, context):\n    return boto3.__version__\n"
    repository.write(f"src/{module}/handler.py", source)
    for test in repository.root.glob("tests/test_*.py"):
        test.unlink()
    repository.write(
        "tests/test_handler.py",
        f"from {module}.handler import handle\ndef test_it():\n    assert handle(1, 2)\n",
    )
    repository.commit()
    done = repository.must("build")
    assert "boto3 1.44.5 of requirements/function.txt stands for the runtime's" in done.err
    folder = package_of(repository).parent
    with zipfile.ZipFile(folder / "function.zip") as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {module}
    manifest = json.loads((folder / "build.json").read_text(encoding="utf-8"))
    bill = json.loads((folder / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert manifest["dependencies"] == []
    parts = {item["properties"][0]["value"] for item in bill["components"]}
    assert parts == {"client"}
    event = tmp_path / "event.json"
    event.write_text("{}", encoding="utf-8")
    ran = repository.must("run", "--event", str(event), "--json")
    assert ran.document["invocations"][0]["answer"] == "1.44.5"


def test_unchanged_builds_do_not_load_the_runtime(repository: Repository) -> None:
    """What runs functions is imported by a check only: unchanged builds stay quick."""
    code = (
        "import sys; sys.path.insert(0, 'scripts'); import pipeline.verbs.build;"
        "print([name for name in sys.modules if name.startswith('pipeline.local')])"
    )
    python = repository.root / ".venv" / "bin" / "python"
    program = str(python) if python.exists() else sys.executable
    done = subprocess.run(
        [program, "-c", code], cwd=repository.root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
