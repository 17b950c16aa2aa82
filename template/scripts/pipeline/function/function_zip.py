"""The Python engine: locked dependencies and tracked files become the function zip."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..core.errors import PipelineError
from ..core.manifest import ZipFacts
from ..edge.cache import Sealed, seal, sealed
from ..edge.files import unwritable
from ..edge.locks import exclusive
from ..edge.uv import Uv
from ..project.project import FROM_RUNTIME, Project
from ..zip.globs import path_matcher
from ..zip.reader import OUR_LIMITS, Archive, open_archive
from ..zip.writer import (
    Block,
    Listed,
    Member,
    block_of,
    compress,
    directory_of,
    listed,
    write_zip,
)
from .python.exclude import sdk_files
from .python.install import Place, install, is_launcher, own_folder
from .python.installed import Brought, brought
from .python.lock import check_lock, locked, read_lock

FUNCTION_LOCK = "requirements/function.txt"
_EXECUTABLE, _PLAIN = 0o755, 0o644
# What differs between two installations of the same wheels.
_LEFT_OUT = re.compile(
    r"(^\.lock$|(^|/)__pycache__/|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$)"
)


@dataclass(frozen=True)
class Restored:
    """The dependencies for the function's platform, deflated once: the bytes of a dependency zip.

    `packages` counts those of the lock, `brought` is what was installed for this platform.
    """

    zip: bytes
    brought: Brought
    packages: int
    from_cache: bool

    @cached_property
    def block(self) -> Block:
        """What a function zip begins with."""
        return block_of(self.zip)

    @cached_property
    def files(self) -> Mapping[str, Listed]:
        """The files by name."""
        return listed(self.block.directory)

    @property
    def archive(self) -> Archive:
        """The dependency zip, to look into."""
        return open_archive(self.zip, OUR_LIMITS, where="dependency zip")


@dataclass(frozen=True)
class FunctionZip:
    """A function zip on disk, its members that are no dependencies' in `own`.

    `changed` tells how many of all members differ from the last build's, None without one.
    """

    path: Path
    facts: ZipFacts
    own: tuple[Member, ...]
    changed: int | None


def restore(
    project: Project,
    uv: Callable[[], Uv],
    cache: Path,
    tools: bytes,
    warn: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Return the dependency zip of the project's lock, making it unless `cache` holds it whole.

    Binary wheels only, for the function's Python and platform; `tools` stands for the versions
    of what makes the zip. `uv` is asked for where something has to be installed, and `warn` is
    told then of settings that had no effect. Raises PipelineError naming a package that has no
    fitting wheel, or one that is not what it should be.
    """
    text = read_lock(project.root, FUNCTION_LOCK)
    check_lock(FUNCTION_LOCK, text, project.dependencies)
    target = cache / f"{_key(project, text, tools)}.zip"
    packages = len(locked(text))
    if whole := sealed(target):
        return Restored(whole.data, brought(whole, cache), packages, from_cache=True)
    with exclusive(cache / "dependencies.lock", lambda: None):
        from_cache, whole = True, sealed(target)
        if whole is None:
            from_cache, whole = _make(project, uv(), target, packages, warn)
        return Restored(whole.data, brought(whole, cache), packages, from_cache)


def _make(
    project: Project, uv: Uv, target: Path, packages: int, warn: Callable[[str], None]
) -> tuple[bool, Sealed]:
    cache = target.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".site.") as scratch:
            folder = Path(scratch) / "site"
            from_cache = not packages or _install(project, uv, folder)
            digest = write_zip(target, _members(folder, project, warn))
            seal(target, digest)
            return from_cache, Sealed(target.read_bytes(), digest)
    except OSError as error:
        raise unwritable(cache, error) from error


def _key(project: Project, lock: str, tools: bytes) -> str:
    """Return what names a dependency zip: a digest of everything that decides its bytes."""
    function = project.function
    asked = project.dependencies if function.boto3 == FROM_RUNTIME else ()
    facts = (
        function.runtime.platform(function.architecture), function.runtime.python, lock,
        function.boto3, asked, function.exclude, tools,
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _install(project: Project, uv: Uv, folder: Path) -> bool:
    runtime, architecture = project.function.runtime, project.function.architecture
    wanted: list[str | Path] = ["--python-platform", runtime.platform(architecture)]
    wanted += ["--python-version", runtime.python, "--only-binary", ":all:", "--no-deps"]
    return install(
        uv,
        [*wanted, "-r", project.root / FUNCTION_LOCK],
        Place(lambda: own_folder(folder), copies=False),
        cwd=project.root,
        where=f"restore {FUNCTION_LOCK} for {runtime.name} on {architecture}",
    ).from_cache


def make_function_zip(
    own: Iterable[tuple[str, bool, bytes]],
    restored: Restored,
    target: Path,
    last: Path | None = None,
) -> FunctionZip:
    """Write the function zip: the function's own files and, copied as they are, the dependencies.

    `own` holds (name in the zip, executable, bytes). A name that a dependency has too is refused.
    The dependencies come first, as one block.
    """
    members = []
    for name, executable, data in own:
        if name in restored.files:
            raise PipelineError(
                f"src/{name}",
                "a dependency has a file of the same name, one would hide the other",
                "Rename the file.",
            )
        mode = _EXECUTABLE if executable else _PLAIN
        members.append(Member(name, mode, compress(data)))
    digest = write_zip(target, members, restored.block)
    files = {member.name: Listed(member.payload.crc, member.payload.size) for member in members}
    facts = ZipFacts(
        sha256=digest,
        code_sha256=base64.b64encode(bytes.fromhex(digest)).decode(),
        size=target.stat().st_size,
        unzipped_size=sum(file.size for file in (*restored.files.values(), *files.values())),
        files=len(restored.files) + len(files),
    )
    return FunctionZip(target, facts, tuple(members), _count_changes(files, restored, last))


def _members(folder: Path, project: Project, warn: Callable[[str], None]) -> list[Member]:
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() or path.is_symlink()
    }
    function = project.function
    left_out = sdk_files(folder, project.dependencies) if function.boto3 == FROM_RUNTIME else ()
    names = [name for name in files if name not in left_out and not _LEFT_OUT.search(name)]
    excluded = _excluded(names, function.exclude, warn)
    members = []
    for name in (name for name in names if name not in excluded):
        path = files[name]
        if path.is_symlink():
            raise PipelineError(
                FUNCTION_LOCK, f"a dependency brings the link {name}", "Lambda takes no links."
            )
        data = path.read_bytes()
        if not is_launcher(name, data):
            mode = _EXECUTABLE if path.stat().st_mode & 0o111 else _PLAIN
            members.append(Member(name, mode, compress(data)))
    return members


def _excluded(
    names: Iterable[str], globs: Iterable[str], warn: Callable[[str], None]
) -> frozenset[str]:
    """Return the names that a glob means, but nothing of a `.dist-info` folder.

    What is installed is told by those: to the bill of materials, and to the function itself.
    """
    code = [name for name in names if not name.partition("/")[0].endswith(".dist-info")]
    found: set[str] = set()
    for glob in globs:
        taken = set(filter(path_matcher(glob), code))
        if not taken:
            warn(f"[tool.pipeline.function] exclude: {glob!r} matches no file of a dependency")
        found |= taken
    return frozenset(found)


def _count_changes(own: Mapping[str, Listed], restored: Restored, last: Path | None) -> int | None:
    if last is None:
        return None
    try:
        before, same = directory_of(last), restored.block.directory
        if before.startswith(same):
            return _differences(own, listed(before[len(same) :]))
        return _differences({**restored.files, **own}, listed(before))
    except (OSError, struct.error, UnicodeDecodeError):
        # A damaged last build is no reason against a new one.
        return None


def _differences(now: Mapping[str, Listed], before: Mapping[str, Listed]) -> int:
    return sum(now.get(name) != before.get(name) for name in now.keys() | before.keys())
