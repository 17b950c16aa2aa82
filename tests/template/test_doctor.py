"""`doctor`: what somebody did to a repository's files is named, and healed from the release."""

from __future__ import annotations

import ast
import json
import shutil
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
from tests.template.answers import SERVERS

_TODAY = "2026-11-26"
_TEXT = "scripts/pipeline/core/text.py"
_MARKERS = "<<<<<<< before\na\n=======\nb\n>>>>>>> after\n"


@pytest.fixture
def repository(render: Render, tmp_path: Path) -> Path:
    """Return a committed repository with TeamCity's file, on a path with spaces."""
    folder = tmp_path / "a repository"
    shutil.copytree(render(function_kind="empty", build_servers=["teamcity"]), folder)
    git(folder, "init", "--quiet")
    commit_all(folder, "Generated")
    return folder


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


def _extra(repository: Path) -> str:
    (repository / "scripts" / "pipeline" / "core" / "more.py").write_text("1", encoding="utf-8")
    return "scripts/pipeline/core/more.py"


def _manifest(repository: Path) -> str:
    """Hide an edit: whoever edits our file can edit the MANIFEST too."""
    path = repository / doctor.MANIFEST
    path.write_text(path.read_text(encoding="utf-8").replace("a", "b"), encoding="utf-8")
    return doctor.MANIFEST


def _server(repository: Path) -> str:
    (repository / SERVERS["teamcity"]).write_text("// ours no more\n", encoding="utf-8")
    return SERVERS["teamcity"]


@pytest.mark.parametrize(
    ("hostile", "kind"),
    [
        (_edit, "changed"), (_delete, "missing"), (_crlf, "line-ends"), (_extra, "extra"),
        (_file_for_folder, "missing"), (_folder_for_file, "changed"), (_manifest, "changed"),
        (_server, "changed"),
    ],
)  # fmt: skip
def test_a_hostile_edit_is_named_and_healed(
    repository: Path, capsys: pytest.CaptureFixture[str], hostile: Callable[[Path], str], kind: str
) -> None:
    """Exit 3 names it; `--fix` brings ours back and touches nothing else; edits need `--yes`."""
    assert doctor.main([], repository) == 0
    path = hostile(repository)
    (repository / "README.md").write_text("The team's.\n", encoding="utf-8")
    capsys.readouterr()
    assert doctor.main(["--json"], repository) == 3
    found = json.loads(capsys.readouterr().out)["findings"]
    assert (kind, path) in {(one["kind"], one["path"]) for one in found}

    unasked = 2 if kind in ("changed", "extra") or hostile is _file_for_folder else 0
    assert doctor.main(["--fix"], repository) == unasked
    assert doctor.main(["--fix", "--yes"], repository) == 0
    assert git(repository, "status", "--porcelain").split() == ["M", "README.md"]
    kept = [*(repository / ".pipeline").rglob("replaced/*/*")]
    assert bool(kept) is (kind != "missing" or hostile is _file_for_folder)


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


def test_what_else_is_wrong_is_named(repository: Path) -> None:
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
    assert not any(key in one.what or "hunter2" in one.what for one in found)
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


def test_without_git(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, not a trace."""
    monkeypatch.setenv("PATH", "")
    assert [one.path for one in doctor.examine(repository, _TODAY)] == ["git"]
    assert doctor.main(["--fix"], repository) == 1
    assert "git: No such file" in capsys.readouterr().err


def test_against_the_template(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that the MANIFEST was made to hide is found; so is a template nobody trusts."""
    monkeypatch.delenv(doctor.ADDRESSES, raising=False)
    assert doctor.main(["--against-template"], repository) == 2
    monkeypatch.setenv(doctor.ADDRESSES, "https://example.com/other")
    assert doctor.main(["--against-template"], repository) == 3
    monkeypatch.setenv(doctor.ADDRESSES, str(doctor.answers(repository)["_src_path"]))
    assert doctor.main(["--against-template"], repository) == 0
    before = doctor._digest(repository / _TEXT)
    _edit(repository)
    _replaced(repository / doctor.MANIFEST, before, doctor._digest(repository / _TEXT))
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
