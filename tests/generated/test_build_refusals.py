"""What stops a build, and that nothing half-written is left of it."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest

from tests.generated.repository import RUNTIME, Repository
from tests.repositories import git
from tests.wheels import write_wheel
from tests.words import assert_said, assert_wording

ACCESS_KEY = "AKIA" + "Q3X7ZJ2MWP5TKD4R"


def failed(
    repository: Repository, where: str, extra: dict[str, str] | None = None
) -> dict[str, str]:
    """Package, expect a known error at `where`, and nothing left of it; return the error."""
    done = repository.verb("package", "--build-number", "7", "--json", extra=extra)
    assert done.code == 1, done
    assert "Traceback" not in done.err
    error: dict[str, str] = done.document["error"]
    assert error["where"].startswith(where), error
    assert repository.output() == []
    return error


def refused(repository: Repository, title: str, where: str) -> None:
    """Expect the same, in the words that were reviewed below that title."""
    error = failed(repository, where)
    text = f"{error['where']}: {error['what']}\n{error['then']}"
    names = {re.escape(str(repository.root)): "REPOSITORY", r"\d+ more\b": "N more"}
    assert_wording("refused-builds", title, text, names)


def wheel(folder: Path, name: str, platform: str) -> str:
    """Write an empty wheel for a platform and return its hash."""
    return write_wheel(folder, name, {f"{name}.py": b""}, platform=platform)


def source(folder: Path, name: str) -> str:
    """Write an empty source distribution and return its hash."""
    path = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
        member = tarfile.TarInfo(f"{name}-1.0/PKG-INFO")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_failing_test(repository: Repository) -> None:
    """A failing test stops the build before anything is packaged, and shows which it was."""
    repository.write("tests/test_wrong.py", "def test_wrong():\n    assert 1 == 2\n")
    done = repository.verb("build", "--build-number", "7", "--json")
    error = done.document["error"]
    assert (done.code, error["where"]) == (1, "test")
    assert "test_wrong" in error["what"]
    assert "assert 1 == 2" in error["what"]
    assert repository.output() == ["tests.xml"]


@pytest.mark.parametrize("kind", ["wheel for another platform", "source only"])
def test_a_dependency_without_a_fitting_wheel(
    repository: Repository, tmp_path: Path, kind: str
) -> None:
    """A locked package that has no wheel for the function's platform is named."""
    name = "windowsonly" if kind.startswith("wheel") else "sourceonly"
    digest = wheel(tmp_path, name, "win32") if name == "windowsonly" else source(tmp_path, name)
    repository.edit("pyproject.toml", "dependencies = []", f'dependencies = ["{name}"]')
    repository.write("requirements/function.txt", f"{name}==1.0 --hash=sha256:{digest}\n")
    index = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(tmp_path)}
    error = failed(repository, "restore requirements/function.txt", index)
    assert name in error["what"]


def test_a_lock_that_does_not_fit(repository: Repository) -> None:
    """A dependency that is asked for but not locked is named, with the verb that locks it."""
    repository.edit("pyproject.toml", "dependencies = []", 'dependencies = ["Left_Pad>=1"]')
    refused(repository, "a lock that does not fit", "requirements/function.txt")


def test_a_lock_without_hashes(repository: Repository) -> None:
    """A lock somebody wrote by hand, without hashes, is not installed."""
    repository.edit("pyproject.toml", "dependencies = []", 'dependencies = ["six"]')
    repository.write("requirements/function.txt", "six==1.17.0\n")
    refused(repository, "a lock without hashes", "requirements/function.txt")


@pytest.mark.parametrize(
    "path", ["src/{}/notes.txt", "environment/notes.txt", "scripts/hooks_deploy.py"]
)
def test_secrets(repository: Repository, path: str) -> None:
    """A secret in the function, in what the nuspec adds or in a hook stops the build by name."""
    path = path.format(repository.module())
    repository.write(path, f"# one\n# {ACCESS_KEY}\n")
    git(repository.root, "add", path)
    refused(repository, f"a secret in {path}", "package")


def test_a_secret_among_the_settings(repository: Repository) -> None:
    """What build.json carries is looked at as well, and named by its key."""
    table = f'[tool.pipeline.function.tags]\nowner = "{ACCESS_KEY}"\n'
    repository.edit(
        "pyproject.toml", "[tool.pipeline.function]\n", f"{table}[tool.pipeline.function]\n"
    )
    refused(repository, "a secret among the settings", "package")


def test_an_allowed_secret(repository: Repository) -> None:
    """A file that is named with a reason travels; a reason that allows nothing is a warning."""
    path = f"src/{repository.module()}/notes.txt"
    repository.write(path, ACCESS_KEY)
    allow = f'[tool.pipeline.secrets.allow]\n"{path}" = "revoked"\n"src/gone" = "old"\n'
    repository.edit(
        "pyproject.toml", "[tool.pipeline.function]\n", f"{allow}[tool.pipeline.function]\n"
    )
    git(repository.root, "add", path)
    done = repository.verb("package", "--build-number", "7")
    assert done.code == 0, done
    warnings = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert_said("\n".join(warnings))
    assert path not in done.err


def test_a_link_in_the_source(repository: Repository) -> None:
    """A link below `src` is refused: Lambda takes plain files."""
    path = repository.root / "src" / repository.module() / "link.py"
    path.symlink_to("handler.py")
    git(repository.root, "add", "--all")
    refused(repository, "a link in the source", f"src/{repository.module()}/link.py")


@pytest.mark.parametrize("kind", ["two nuspecs", "a renamed nuspec", "an untracked nuspec"])
def test_another_nuspec(repository: Repository, kind: str) -> None:
    """Which nuspec counts is said by package-id alone, and there is one."""
    nuspec, other = repository.nuspec(), "src/Another.Id.nuspec"
    if kind == "two nuspecs":
        repository.write(other, (repository.root / nuspec).read_text(encoding="utf-8"))
        git(repository.root, "add", other)
    else:
        words = ["mv", nuspec, other] if kind == "a renamed nuspec" else ["rm", "--cached", nuspec]
        git(repository.root, *words)
    refused(repository, kind, nuspec)


@pytest.mark.parametrize("stage", ["before_build", "after_package"])
def test_a_hook_that_raises(repository: Repository, stage: str) -> None:
    """A hook's exception stops the build, with file, stage, line and what it said."""
    text = f"def {stage}(stage):\n    x = 1\n    raise ValueError('out of cheese')\n"
    repository.write("scripts/hooks_build.py", text)
    refused(repository, f"a hook that raises, {stage}", "scripts/hooks_build.py:3")


def test_a_hook_that_exits(repository: Repository) -> None:
    """A hook cannot end a build halfway as if it had succeeded."""
    repository.write(
        "scripts/hooks_build.py", "import sys\n\n\ndef before_build(stage):\n    sys.exit(0)\n"
    )
    refused(repository, "a hook that exits", "scripts/hooks_build.py:5")


def test_a_hook_with_a_syntax_error(repository: Repository) -> None:
    """Hooks that cannot be imported are named with their line."""
    repository.write("scripts/hooks_build.py", "import os\n\n\ndef before_build(stage)\n")
    refused(repository, "a hook with a syntax error", "scripts/hooks_build.py:4")


def test_a_hook_that_no_worker_can_read(repository: Repository) -> None:
    """A syntax error in a deploy hook is named when it is packed, not on the worker."""
    repository.write("scripts/hooks_deploy.py", "import os\n\ndef before_deploy(stage:\n")
    refused(repository, "a deploy hook with a syntax error", "scripts/hooks_deploy.py:3")


def test_a_smoke_test_that_is_none(repository: Repository) -> None:
    """An event alone says nothing of its answer, and would be found on a worker only."""
    repository.write("tests/events/smoke.json", '{"name": "Lambda"}\n')
    refused(repository, "a smoke test that is none", "tests/events/smoke.json")


@pytest.mark.parametrize("path", ["scripts/hooks_build.py", "src/{}/handler.py"])
def test_python_in_another_encoding(repository: Repository, path: str) -> None:
    """A source that PowerShell wrote is refused by its encoding, before anything reads it."""
    path = path.format(repository.module())
    repository.write(path, "")
    (repository.root / path).write_text("HANDLER = 1\n", encoding="utf-16")
    refused(repository, f"UTF-16 in {path}", path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</metadata>", "</metadat>"),
        *(
            pytest.param(old, new, marks=pytest.mark.slow)
            for old, new in (
                ("<id>ELB.Logs.Processor</id>", "<id>Another.Id</id>"),
                ("$version$", "$nonsense$"),
                ("$version$", "1.2.3"),
                ('src="$stage$/**"', 'src="$stage$/**" exclude="**/build.json"'),
                ('src="$stage$/**"', 'src="$stage$/**" exclude="**/*.py"'),
                ('src="$stage$/**" target=""', 'src="$stage$/**" target="app"'),
                ('src="environment/**"', 'src="../**"'),
            )
        ),
    ],
)
def test_a_wrong_nuspec(repository: Repository, old: str, new: str) -> None:
    """A nuspec that cannot be read, or does not fit, is named with what is wrong in it."""
    repository.edit(repository.nuspec(), old, new)
    refused(repository, f"a nuspec with {new}", repository.nuspec())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('base-version = "1.0"', 'base-version = "1"'),
        ('handler = "', 'handler = "1 2'),
        (f'runtime = "{RUNTIME}"', 'runtime = "python2.7"'),
        ("[tool.pipeline]\n", "[tool.pipeline]\nnonsense = 1\n"),
        ("[tool.pipeline]\n", "[tool.pipeline\n"),
    ],
)
def test_wrong_settings(repository: Repository, old: str, new: str) -> None:
    """A mistake in pyproject.toml is named with its file and key."""
    repository.edit("pyproject.toml", old, new)
    refused(repository, f"settings with {new.strip()}".replace("\n", " "), "pyproject.toml")


def test_a_broken_stack(repository: Repository) -> None:
    """It is named with its line by the build that packs it."""
    repository.write("environment/stack.yaml", "Resources:\n  Topic: Type: AWS::SNS::Topic\n")
    refused(repository, "a broken stack", "check")


def test_flags_of_a_deployment_need_one(repository: Repository) -> None:
    """Those that were typed are named, and nothing is built."""
    repository.refused(2, "build", "build", "--octopus-project-prefix", "Elb")
    repository.refused(2, "build", "build", "--environments", "CI", "--git-ref", "main")
    assert repository.output() == []
