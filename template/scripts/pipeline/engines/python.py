"""The Python engine: locked dependencies and tracked files become the function zip."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..archive.zipreader import Archive, open_archive, raw_members
from ..archive.zipwriter import Member, compress, write_zip
from ..edge.cache import seal, sealed
from ..edge.files import alone, sweep, unwritable
from ..edge.uv import Uv
from ..errors import PipelineError
from ..values.manifest import ZipFacts
from ..values.project import FROM_RUNTIME, Project
from .left_out import files_of_tests, sdk_files
from .lock import check_lock, locked

__all__ = ["FUNCTION_LOCK", "FunctionZip", "Restored", "make_function_zip", "restore"]

FUNCTION_LOCK = "requirements/function.txt"
_EXECUTABLE, _PLAIN = 0o755, 0o644
# What differs between two installations of the same wheels. `bin` holds scripts that uv
# writes with this machine's interpreter in their first line; Lambda never runs them.
_LEFT_OUT = re.compile(
    r"(^bin/|^\.lock$|(^|/)__pycache__/|\.py[co]$|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$)"
)


@dataclass(frozen=True)
class Restored:
    """The dependencies for the function's platform, deflated once, as an opened dependency zip.

    `sha256` is that of its bytes, checked just now.
    """

    archive: Archive
    packages: int
    from_cache: bool
    sha256: str


@dataclass(frozen=True)
class FunctionZip:
    """A function zip on disk, and how many of its members differ from the last build's."""

    path: Path
    facts: ZipFacts
    changed: int | None


def restore(project: Project, uv: Uv, cache: Path, tools: bytes) -> Restored:
    """Return the dependency zip of the project's lock, making it unless `cache` holds it whole.

    Binary wheels only, for the function's Python and platform; `tools` stands for the versions
    of what makes the zip. Raises PipelineError naming a package that has no fitting wheel.
    """
    file = project.root / FUNCTION_LOCK
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise PipelineError(
            FUNCTION_LOCK, f"cannot be read: {error.strerror}", "Run `invoke lock`."
        ) from error
    check_lock(FUNCTION_LOCK, text, project.dependencies)
    target = cache / f"{_key(project, text, tools)}.zip"
    packages = len(locked(text))
    if digest := sealed(target):
        return Restored(open_archive(target), packages, from_cache=True, sha256=digest)
    with alone(cache / "dependencies.lock", lambda: None):
        if digest := sealed(target):
            return Restored(open_archive(target), packages, from_cache=True, sha256=digest)
        from_cache = _make(project, uv, target, packages)
        digest = seal(target)
        return Restored(open_archive(target), packages, from_cache, digest)


def _make(project: Project, uv: Uv, target: Path, packages: int) -> bool:
    cache = target.parent
    try:
        sweep(cache)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".site.") as scratch:
            folder = Path(scratch) / "site"
            folder.mkdir()
            from_cache = not packages or _install(project, uv, folder)
            write_zip(target, _members(folder, project))
    except OSError as error:
        raise unwritable(cache, error) from error
    return from_cache


def _key(project: Project, lock: str, tools: bytes) -> str:
    """Return what names a dependency zip: a digest of everything that decides its bytes."""
    function = project.function
    asked = project.dependencies if function.boto3 == FROM_RUNTIME else ()
    facts = (
        function.runtime.platform(function.architecture), function.runtime.python, lock,
        function.boto3, asked, function.leave_out_tests, tools,
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _install(project: Project, uv: Uv, folder: Path) -> bool:
    runtime, architecture = project.function.runtime, project.function.architecture
    place: list[str | Path] = ["--target", folder]
    place += ["--python-platform", runtime.platform(architecture)]
    place += ["--python-version", runtime.python]
    return uv.install(
        [*place, "--only-binary", ":all:", "--no-deps", "-r", project.root / FUNCTION_LOCK],
        cwd=project.root,
        where=f"restore {FUNCTION_LOCK} for {runtime.name} on {architecture}",
    )


def make_function_zip(
    own: Iterable[tuple[str, bool, Path]],
    restored: Restored,
    target: Path,
    last: Path | None,
) -> FunctionZip:
    """Write the function zip: the function's own files and, copied as they are, the dependencies.

    `own` holds (name in the zip, executable, file). A name that a dependency has too is refused.
    """
    archive = restored.archive
    members = [
        Member(entry.name, entry.mode & 0o777, raw)
        for entry, raw in zip(archive.entries, raw_members(archive, archive.entries), strict=True)
    ]
    taken = {member.name for member in members}
    for name, executable, file in own:
        if name in taken:
            raise PipelineError(
                f"src/{name}",
                "a dependency has a file of the same name, one would hide the other",
                "Rename the file.",
            )
        members.append(
            Member(name, _EXECUTABLE if executable else _PLAIN, compress(file.read_bytes()))
        )
    write_zip(target, members)
    data = target.read_bytes()
    digest = hashlib.sha256(data).digest()
    facts = ZipFacts(
        sha256=digest.hex(),
        code_sha256=base64.b64encode(digest).decode(),
        size=len(data),
        unzipped_size=sum(member.payload.size for member in members),
        files=len(members),
    )
    return FunctionZip(target, facts, _count_changes(members, last))


def _members(folder: Path, project: Project) -> list[Member]:
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() or path.is_symlink()
    }
    function = project.function
    left_out = sdk_files(folder, project.dependencies) if function.boto3 == FROM_RUNTIME else ()
    names = [name for name in files if name not in left_out and not _LEFT_OUT.search(name)]
    tests = files_of_tests(folder, names) if function.leave_out_tests else ()
    members = []
    for name in names:
        path = files[name]
        if path.is_symlink():
            raise PipelineError(
                FUNCTION_LOCK, f"a dependency brings the link {name}", "Lambda takes no links."
            )
        if name not in tests:
            mode = _EXECUTABLE if path.stat().st_mode & 0o111 else _PLAIN
            members.append(Member(name, mode, compress(path.read_bytes())))
    return members


def _count_changes(members: Sequence[Member], last: Path | None) -> int | None:
    if last is None or not last.is_file():
        return None
    try:
        before = {entry.name: entry.crc for entry in open_archive(last).entries}
    except PipelineError:
        # A damaged last build is no reason against a new one.
        return None
    now = {member.name: member.payload.crc for member in members}
    return sum(before.get(name) != crc for name, crc in now.items()) + len(
        before.keys() - now.keys()
    )
