"""A fleet made by hand: a template with two releases, and repositories by one `git fast-import`.

Each repository is a bare one of a few small files that borrows its objects from a common one.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maintain.manifest import write_manifest
from tests.repositories import NEWER_THAN_ANY_RELEASE, commit_all, copy_template, git

OLD, NEW = "v1.0.0", "v1.1.0"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
# What a file is to become: other bytes, nothing, or a link.
Edit = bytes | None | Callable[[bytes], bytes]
LINK = b"../a link to nowhere"


def template_with_releases(clone: Path, folder: Path) -> Path:
    """Clone the working tree's template into `folder`, and release it twice.

    Of the library a few modules stay: its size only costs time.
    """
    git(folder.parent, "clone", "--quiet", str(clone), str(folder))
    git(folder, "tag", "--delete", NEWER_THAN_ANY_RELEASE)
    for path in (folder / "template" / "scripts" / "pipeline").iterdir():
        if path.is_dir() and path.name != "core":
            shutil.rmtree(path)
    write_manifest(folder)
    commit_all(folder, f"Release {OLD}")
    git(folder, "tag", OLD)
    (folder / "template" / "scripts" / "pipeline" / "new.py").write_text('"""New."""\n', "utf-8")
    page = folder / "template" / "scripts" / "docs" / "updating.md"
    page.write_text(page.read_text("utf-8") + "\nMore.\n", "utf-8")
    write_manifest(folder)
    commit_all(folder, f"Release {NEW}")
    git(folder, "tag", NEW)
    return folder


@dataclass
class Fleet:
    """Repositories below `folder`, made from the template's renders when all are known."""

    template: Path
    folder: Path
    renders: dict[str, dict[str, tuple[str, bytes]]] = field(default_factory=dict)
    _stream: list[bytes] = field(default_factory=list)
    _marks: dict[str, int] = field(default_factory=dict)
    _branches: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def render(self, release: str, made: Path) -> None:
        """Take a render of a release as the first commit that repositories start from."""
        files = {
            path.relative_to(made).as_posix(): (
                "100755" if path.stat().st_mode & 0o100 else "100644",
                path.read_bytes(),
            )
            for path in sorted(made.rglob("*"))
            if path.is_file()
        }
        self.renders[release] = files
        self._commit(f"refs/heads/base-{release}", timedelta(days=400))
        self._marks[release] = len(self._marks) + 1
        for name, (mode, data) in files.items():
            self._file(mode, name, data)

    def add(
        self, name: str, edits: Mapping[str, Edit] | None = None, *, release: str = NEW,
        days: float = 1, branch: str = "main", other: str = "", folder: str = "",
    ) -> Path:  # fmt: skip
        """Add a repository whose newest commit is some days old; return where it will be.

        `other` is a branch beside that has the new release, `folder` where in it all is.
        """
        self._commit(f"refs/heads/{name}", timedelta(days=days), release, fresh=bool(folder))
        for path, (mode, data) in self.renders[release].items() if folder else ():
            self._file(mode, f"{folder}/{path}", data)
        for path, edit in (edits or {}).items():
            mode, before = self.renders[release].get(path, ("100644", b""))
            after = edit(before) if callable(edit) else edit
            if after is None:
                self._stream.append(f"D {path}\n".encode())
            else:
                self._file("120000" if after.startswith(LINK) else mode, path, after)
        self._branches[name] = [(branch, name)]
        if other:
            self._commit(f"refs/heads/{name}-update", timedelta(days=days / 2), NEW)
            self._branches[name].append((other, f"{name}-update"))
        return self.folder / f"{name}.git"

    def write(self) -> None:
        """Write all repositories."""
        common = self.folder / "objects of all"
        git(self.folder, "init", "--quiet", "--bare", str(common))
        subprocess.run(
            ["git", "fast-import", "--quiet"], cwd=common, input=b"".join(self._stream), check=True
        )
        shown = git(common, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)")
        commits = dict(line.rsplit(" ", 1) for line in shown.splitlines())
        for name, branches in self._branches.items():
            path = self.folder / f"{name}.git"
            for part in ("objects/info", "refs/heads"):
                (path / part).mkdir(parents=True)
            (path / "objects/info/alternates").write_text(f"{common}/objects\n", "utf-8")
            (path / "HEAD").write_text(f"ref: refs/heads/{branches[0][0]}\n", "utf-8")
            (path / "config").write_text("[core]\n\tbare = true\n", "utf-8")
            refs = [f"{commits[at]} refs/heads/{branch}\n" for branch, at in branches]
            (path / "packed-refs").write_text("".join(refs), "utf-8")

    def _commit(self, ref: str, ago: timedelta, base: str = "", *, fresh: bool = False) -> None:
        time = int((NOW - ago).timestamp())
        start = f"from :{self._marks[base]}\n" if base and not fresh else ""
        mark = "" if base else f"mark :{len(self._marks) + 1}\n"
        self._stream.append(
            f"commit {ref}\n{mark}committer Somebody <somebody@example.com> {time} +0000\n"
            f"data 0\n{start}".encode()
        )

    def _file(self, mode: str, name: str, data: bytes) -> None:
        head = f'M {mode} inline "{name}"\ndata {len(data)}\n'.encode()
        self._stream += [head, data, b"\n"]


def fleet_of(template: Path, folder: Path) -> Fleet:
    """Return a fleet that is still empty, with a render of each release to start from."""
    folder.mkdir()
    fleet = Fleet(template, folder)
    for release in (OLD, NEW):
        made = copy_template(template, folder / release, {"function_kind": "empty"}, release)
        fleet.render(release, made)
    return fleet
