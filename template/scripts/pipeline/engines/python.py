"""The Python engine: locked dependencies and tracked files become the function zip."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..archive.zipreader import open_archive, raw_members
from ..archive.zipwriter import Member, compress, write_zip
from ..edge.uv import Uv
from ..errors import PipelineError
from ..values.manifest import ZipFacts
from ..values.project import Project
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
    """The dependencies for the function's platform, deflated once: the path of a dependency zip."""

    path: Path
    packages: int
    from_cache: bool


@dataclass(frozen=True)
class FunctionZip:
    """A function zip on disk, and how many of its members differ from the last build's."""

    path: Path
    facts: ZipFacts
    changed: int | None


def restore(project: Project, uv: Uv, cache: Path, tools: bytes) -> Restored:
    """Return the dependency zip of the project's lock, making it unless `cache` holds it.

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
    runtime, architecture = project.function.runtime, project.function.architecture
    platform = runtime.platform(architecture)
    facts = f"{platform}\n{runtime.python}\n{text}".encode() + tools
    target = cache / f"{hashlib.sha256(facts).hexdigest()[:32]}.zip"
    packages = len(locked(text))
    if target.is_file():
        return Restored(target, packages, from_cache=True)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        folder = Path(scratch) / "site"
        folder.mkdir()
        place: list[str | Path] = ["--target", folder, "--python-platform", platform]
        place += ["--python-version", runtime.python]
        from_cache = not packages or uv.install(
            [*place, "--only-binary", ":all:", "--no-deps", "-r", file],
            cwd=project.root,
            where=f"restore {FUNCTION_LOCK} for {runtime.name} on {architecture}",
        )
        write_zip(target, _members(folder))
    return Restored(target, packages, from_cache)


def make_function_zip(
    own: Iterable[tuple[str, bool, Path]],
    restored: Restored,
    target: Path,
    last: Path | None,
) -> FunctionZip:
    """Write the function zip: the function's own files and, copied as they are, the dependencies.

    `own` holds (name in the zip, executable, file). A name that a dependency has too is refused.
    """
    archive = open_archive(restored.path)
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


def _members(folder: Path) -> list[Member]:
    members = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if _LEFT_OUT.search(name) or path.is_dir():
            continue
        if path.is_symlink():
            raise PipelineError(
                FUNCTION_LOCK, f"a dependency brings the link {name}", "Lambda takes no links."
            )
        mode = _EXECUTABLE if path.stat().st_mode & 0o111 else _PLAIN
        members.append(Member(name, mode, compress(path.read_bytes())))
    return members


def _count_changes(members: Sequence[Member], last: Path | None) -> int | None:
    if last is None or not last.is_file():
        return None
    before = {entry.name: entry.crc for entry in open_archive(last).entries}
    now = {member.name: member.payload.crc for member in members}
    return sum(before.get(name) != crc for name, crc in now.items()) + len(
        before.keys() - now.keys()
    )
