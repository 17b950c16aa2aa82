"""`doctor`: what somebody did to a repository's files is named, and healed from the release."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import doctor
import pytest
import yaml
from pipeline.checks.ours import refuse_changed_files
from pipeline.core.errors import Conflict, NotTheSame
from pipeline.project.buildserver import BuildServer

from tests.repositories import ROOT, Render, commit_all, git
from tests.template.answers import EMPTY, SERVERS
from tests.tools import python_of
from tests.words import assert_said

_TODAY = "2026-11-26"
_TEXT = "scripts/pipeline/core/text.py"
# In what it says.
_NAMES = {r"[0-9a-f]{64}": "SHA256", r"\b\d+ (more|found)\b": r"N \1"}
_MARKERS = "<<<<<<< before\na\n=======\nb\n>>>>>>> after\n"


@pytest.fixture(scope="module")
def _shared(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor") / "a repository"
    shutil.copytree(render(**EMPTY), folder)
    git(folder, "init", "--quiet")
    commit_all(folder, "Generated")
    git(folder, "tag", "start")
    return folder


@pytest.fixture
def repository(_shared: Path) -> Path:
    """Return a committed repository with TeamCity's file, on a path with spaces."""
    git(_shared, "reset", "--quiet", "--hard", "start")
    git(_shared, "clean", "--quiet", "-ffdx")
    return _shared


def _edit(repository: Path) -> str:
    with (repository / _TEXT).open("a", encoding="utf-8") as file:
        file.write("def broken(:\n")
    return _TEXT


def _delete(repository: Path) -> str:
    (repository / "scripts" / "deploy.py").unlink()
    return "scripts/deploy.py"


def _crlf(repository: Path) -> str:
    path = repository / _TEXT
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return _TEXT


def _file_for_folder(repository: Path) -> str:
    shutil.rmtree(repository / "scripts" / "pipeline" / "zip")
    (repository / "scripts" / "pipeline" / "zip").write_text("", encoding="utf-8")
    return "scripts/pipeline/zip/reader.py"


def _folder_for_file(repository: Path) -> str:
    (repository / _TEXT).unlink()
    (repository / _TEXT).mkdir()
    return _TEXT


def _folder_with_files_for_file(repository: Path) -> str:
    _folder_for_file(repository)
    (repository / _TEXT / "more.py").write_text("", encoding="utf-8")
    return _TEXT


def _link_for_file(repository: Path) -> str:
    (repository / _TEXT).unlink()
    (repository / _TEXT).symlink_to(repository / "README.md")
    return _TEXT


def _link_for_folder(repository: Path) -> str:
    """Whose files are the template's, today."""
    folder = repository / "scripts" / "pipeline" / "zip"
    (repository / ".pipeline").mkdir()
    folder.rename(repository / ".pipeline" / "elsewhere")
    folder.symlink_to(repository / ".pipeline" / "elsewhere")
    return "scripts/pipeline/zip/reader.py"


def _conflict(repository: Path) -> str:
    """Leave what a merge leaves: markers, and an index with both sides."""
    (repository / _TEXT).write_text(_MARKERS, encoding="utf-8")
    blob = git(repository, "hash-object", "-w", _TEXT).strip()
    stages = "".join(f"100644 {blob} {number}\t{_TEXT}\n" for number in (1, 2, 3))
    git(repository, "update-index", "--force-remove", _TEXT)
    subprocess.run(
        ["git", "update-index", "--index-info"], cwd=repository, input=stages.encode(), check=True
    )
    return _TEXT


def _extra(repository: Path) -> str:
    (repository / "scripts" / "pipeline" / "core" / "more.py").write_text("1", encoding="utf-8")
    return "scripts/pipeline/core/more.py"


def _manifest(repository: Path) -> str:
    """Hide an edit: whoever edits our file can edit the MANIFEST too."""
    before = doctor._digest(repository / _TEXT)
    _edit(repository)
    _replaced(repository / doctor.MANIFEST, before, doctor._digest(repository / _TEXT))
    return doctor.MANIFEST


def _folder_deleted(repository: Path) -> str:
    shutil.rmtree(repository / "scripts" / "pipeline" / "deploy")
    return "scripts/pipeline/deploy/apply.py"


def _server(repository: Path) -> str:
    (repository / SERVERS["teamcity"]).write_text("// ours no more\n", encoding="utf-8")
    return SERVERS["teamcity"]


@pytest.mark.parametrize(
    ("hostile", "kind"),
    [
        (_edit, "changed"), (_delete, "missing"), (_crlf, "line-ends"), (_extra, "extra"),
        (_file_for_folder, "missing"), (_folder_for_file, "changed"), (_manifest, "changed"),
        (_server, "changed"), (_folder_with_files_for_file, "changed"),
        (_link_for_file, "changed"), (_link_for_folder, "missing"), (_conflict, "conflict"),
        (_folder_deleted, "missing"),
    ],
)  # fmt: skip
def test_a_hostile_edit_is_named_and_healed(
    repository: Path, capsys: pytest.CaptureFixture[str], hostile: Callable[[Path], str], kind: str
) -> None:
    """It is named; `--fix` brings ours back and touches nothing else; edits need `--yes`."""
    assert doctor.main([], repository) == 0
    path = hostile(repository)
    (repository / "README.md").write_text("The team's.\n", encoding="utf-8")
    capsys.readouterr()
    doctor.main([], repository)
    assert_said(capsys.readouterr().out, _NAMES)
    assert doctor.main(["--json"], repository) == (4 if kind == "conflict" else 3)
    found = json.loads(capsys.readouterr().out)["findings"]
    assert (kind, path) in {(one["kind"], one["path"]) for one in found}

    for_folder = hostile in (_file_for_folder, _link_for_folder)
    unasked = 0 if kind in ("missing", "line-ends") and not for_folder else 2
    assert doctor.main(["--fix"], repository) == unasked
    assert doctor.main(["--fix", "--yes"], repository) == 0
    assert git(repository, "status", "--porcelain").split() == ["M", "README.md"]
    kept = [*(repository / ".pipeline").rglob("replaced/*/*")]
    assert bool(kept) is (kind != "missing" or for_folder)


def test_what_a_merge_left_is_found_wherever_it_lies(repository: Path) -> None:
    """Markers, and `.rej` files that git ignores; a build refuses them with exit code 4."""
    (repository / "src" / "notes.txt").write_text(_MARKERS, encoding="utf-8")
    (repository / ".gitignore").write_text("*.rej\n", encoding="utf-8")
    (repository / "tasks.py.rej").write_text("", encoding="utf-8")
    assert doctor.main([], repository) == 4
    names = {one.path for one in doctor.conflicts(repository)}
    assert names == {"src/notes.txt", "tasks.py.rej"}
    with pytest.raises(Conflict):
        _build(repository, BuildServer())


def _build(repository: Path, server: BuildServer) -> list[str]:
    warnings: list[str] = []
    now = datetime(2026, 11, 26, tzinfo=UTC)
    refuse_changed_files(repository, server, now, warnings.append)
    return warnings


def test_a_build_server_refuses_changed_files_but_recorded_ones(repository: Path) -> None:
    """A developer is warned. An entry allows those bytes at that path until its date is over."""
    server = BuildServer(name="TeamCity")
    assert _build(repository, server) == []
    _edit(repository)
    assert len(_build(repository, BuildServer())) == 1
    with pytest.raises(NotTheSame):
        _build(repository, server)
    (one,) = doctor.ours(repository, _TODAY)
    entry = f'[[change]]\npath = "{one.path}"\nsha256 = "{one.sha256}"\nreason = "proxy"\n'
    allowed = repository / doctor.ALLOWED
    allowed.write_text(f"{entry}expires = 2026-11-26\n", encoding="utf-8")
    assert _build(repository, server) == []
    for wrong in (entry, f"{entry}expires = 2026-11-25\n", "[[change]\n"):
        allowed.write_text(wrong, encoding="utf-8")
        with pytest.raises(NotTheSame):
            _build(repository, server)


def _replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_else_is_wrong_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers that do not fit, an address with a password, credentials, a lock that lacks one."""
    answers, project = repository / doctor.ANSWERS, repository / "pyproject.toml"
    source = doctor.answers(repository)["_src_path"]
    _replaced(answers, source, "https://me:hunter2hunter2@example.com/template.git")
    _replaced(project, 'architecture = "arm64"', 'architecture = "x86_64"')
    _replaced(project, "dependencies = []", 'dependencies = ["requests>=2"]')
    (repository / SERVERS["teamcity"]).unlink()
    key = "AKIA" + "Q3X7ZJ2MWP5TKD4R"
    (repository / "src" / "notes.txt").write_text(f"\n{key}\n", encoding="utf-8")
    found = doctor.examine(repository, _TODAY)
    assert sorted((one.kind, one.path) for one in found) == [
        ("answers", doctor.ANSWERS), ("credential", doctor.ANSWERS),
        ("credential", "src/notes.txt"), ("lock", "requirements/function.txt"),
        ("missing", SERVERS["teamcity"]),
    ]  # fmt: skip
    doctor.main([], repository)
    shown = capsys.readouterr().out
    assert (key in shown, "hunter2" in shown) == (False, False)
    assert_said(shown, _NAMES)
    _replaced(answers, "https://me:hunter2hunter2@example.com/template.git", "../template")
    assert "address" in {one.kind for one in doctor.examine(repository, _TODAY)}


@pytest.mark.parametrize("value", ["a" * 70 + " \ufeff b  c" * 9, "\x07\x1f\U0001f600\\", "\xa0'"])
def test_answers_are_read_as_they_were_written(tmp_path: Path, value: str) -> None:
    """Also what YAML escapes, and breaks into lines."""
    text = yaml.safe_dump({"before": value, "last": "x"}, allow_unicode=True)
    (tmp_path / doctor.ANSWERS).write_text(text, encoding="utf-8")
    assert doctor.answers(tmp_path) == {"before": value, "last": "x"}


def test_a_lock_has_the_version_that_is_asked_for(repository: Path) -> None:
    """However it is written: an index has 1.17 as 1.17.0."""
    lock = repository / "requirements" / "function.txt"
    lock.write_text(f"six==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    project = repository / "pyproject.toml"
    _replaced(project, "dependencies = []", 'dependencies = ["six==1.17"]')
    assert doctor.examine(repository, _TODAY) == []
    _replaced(project, "six==1.17", "six==1.16")
    assert [one.path for one in doctor.examine(repository, _TODAY)] == ["requirements/function.txt"]


def test_a_lock_of_npm_fits_its_package(
    render_function: Render, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What package.json asks for is locked as it asks for it, with a hash, and nothing else is."""
    folder = tmp_path / "node"
    shutil.copytree(render_function(function_kind="s3-event", runtime="nodejs24.x"), folder)
    package, lock = folder / "package.json", folder / "package-lock.json"

    def named() -> list[str]:
        found = doctor.examine(folder, _TODAY)
        return [one.path for one in found if one.kind == "lock"]

    assert named() == []
    asked, locked = json.loads(package.read_bytes()), json.loads(lock.read_bytes())
    del locked["packages"]["node_modules/esbuild"]["integrity"]
    lock.write_text(json.dumps(locked), encoding="utf-8")
    asked["dependencies"] = {"@aws-sdk/client-s3": "^4", "left-pad": "1"}
    package.write_text(json.dumps(asked), encoding="utf-8")
    assert named() == [lock.name] * 3
    doctor.main([], folder)
    lines = capsys.readouterr().out.splitlines()
    assert_said("\n".join(line for line in lines if line.startswith("  lock")))
    asked["dependencies"] = {}
    package.write_text(json.dumps(asked), encoding="utf-8")
    assert named() == [lock.name] * 2
    package.write_text("[]", encoding="utf-8")
    assert named() == [lock.name]
    lock.unlink()
    assert named() == [lock.name]
    package.write_text("{", encoding="utf-8")
    assert named() == [package.name]


def test_too_old_a_python_is_named(repository: Path) -> None:
    """It can read the file, and says all that needs no TOML."""
    _edit(repository)
    script = repository / "scripts" / "doctor.py"
    done = subprocess.run(
        [python_of("3.10"), script, "--json"], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["findings"]
    assert [one["path"] for one in found] == [_TEXT, "python3"]
    assert done.returncode == 3


def test_a_look_imports_little(repository: Path) -> None:
    """It is to end in a moment: what takes long to import is for those who need it."""
    slow = {"bootstrap", "json", "pipeline", "shutil", "tempfile", "zipfile"}
    look = (
        "import sys; sys.path.append('scripts'); import doctor;"
        f"doctor.main([], doctor.Path({str(repository)!r}));"
        f"print({slow} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", look],
        cwd=ROOT / "template", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["doctor: nothing found", "set()"]


def test_without_git(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, not a trace."""
    monkeypatch.setenv("PATH", "")
    assert [one.path for one in doctor.examine(repository, _TODAY)] == ["git"]
    assert doctor.main(["--fix"], repository) == 1
    source = str(doctor.answers(repository)["_src_path"])
    assert_said(capsys.readouterr().err, {re.escape(source): "TEMPLATE"})


def test_against_the_template(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that the MANIFEST was made to hide is found; so is a template nobody trusts."""
    monkeypatch.delenv(doctor.ADDRESSES, raising=False)
    assert doctor.main(["--against-template"], repository) == 2
    monkeypatch.setenv(doctor.ADDRESSES, "https://example.com/other")
    assert doctor.main(["--against-template"], repository) == 3
    monkeypatch.setenv(doctor.ADDRESSES, str(doctor.answers(repository)["_src_path"]))
    assert doctor.main(["--against-template"], repository) == 0
    _manifest(repository)
    assert doctor.main(["--against-template"], repository) == 3


def test_it_stands_alone() -> None:
    """Python 3.9 can read it, and it imports the standard library only; servers are all known."""
    source = (ROOT / "template" / "scripts" / "doctor.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 9))
    assert "from pipeline" not in source
    assert "import bootstrap" not in source
    assert {server: path for path, server in doctor.SERVERS.items()} == SERVERS


def test_a_conflict_is_its_three_lines_in_order() -> None:
    """Lines of underlining are none, nor are other lines before; many beginnings cost no time."""
    conflict = _MARKERS.encode()
    assert doctor.has_markers(b"=======\n>>>>>>> x\n" + conflict.replace(b"\n", b"\r\n"))
    for line in (b"<<<<<<< before\n", b"=======\n", b">>>>>>> after\n"):
        assert not doctor.has_markers(conflict.replace(line, b""))
    assert not doctor.has_markers(b"Title\n=======\n>>>>>>> quoted\n")
    # A pattern for all of it would look for an end once from each beginning: hours.
    assert not doctor.has_markers(b"<<<<<<< \n" * 200_000)
