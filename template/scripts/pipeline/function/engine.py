"""What a language brings to a function. Outside of this folder nobody asks which one it is.

A language is a folder here whose module `engine` has an `ENGINE`, rows in the table of runtimes,
and files of the template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ..core.events import Reporter
from ..core.manifest import Dependency
from ..core.text import counted
from ..edge.machine import Machine
from ..project.project import Function, Project
from ..project.runtimes import Runtime
from ..project.tables import normal
from ..runtime.function_code import LocalRuntime
from ..zip.writer import Block, Listed, block_of, read_directory
from .elf import Binary
from .handler import FunctionFiles, HandlerCheck

# A file of the function zip: its name there, whether it is executable, its bytes.
ZipFile = tuple[str, bool, bytes]


@dataclass(frozen=True)
class Distribution:
    """A package that lies in a zip, with the licence it declares.

    `tags` say which file of an index it came from; for Python those of a wheel's name.
    """

    version: str
    licence: str
    tags: tuple[str, ...] = ()


def distribution_of(item: Dependency, found: Mapping[str, Distribution]) -> Distribution:
    """Return a locked dependency's among those of an `Installed`."""
    return found.get(f"{item.name}@{item.version}") or found[normal(item.name)]


@dataclass(frozen=True)
class Installed:
    """What lies in a dependency zip: packages by normalised name, compiled files by path.

    Where there may be several versions of a package, they go by `name@version`. `dependencies` are
    those of the `locked` packages of the lock that were installed. Where own files become a
    bundle, `outside` are the packages beside it, by their places in the lock.
    """

    distributions: Mapping[str, Distribution]
    binaries: Mapping[str, Binary]
    dependencies: tuple[Dependency, ...]
    locked: int
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restored:
    """The dependencies for the function's platform, as the bytes of a dependency zip."""

    zip: bytes
    installed: Installed
    from_cache: bool

    @cached_property
    def block(self) -> Block:
        """What a function zip begins with."""
        return block_of(self.zip)

    @cached_property
    def files(self) -> Mapping[str, Listed]:
        """The files by name."""
        return read_directory(self.block.directory)


@dataclass(frozen=True)
class Own:
    """The function's own files as they are in the zip, and the dependencies of that zip."""

    files: Sequence[ZipFile]
    dependencies: tuple[Dependency, ...]


# Tests of what was deployed: a build leaves them out, each deployment through Octopus runs them.
POST_DEPLOYMENT = "tests/post_deployment"
NO_TESTS = 5  # pytest's exit code when it collected none


@dataclass(frozen=True)
class TestRequest:
    """Which tests to run: those `after_deployment`, or all others unless `arguments` name some.

    A JUnit report goes to `results`. With `scratch` nothing is written anywhere else.
    """

    results: Path
    arguments: tuple[str, ...] = ()
    after_deployment: bool = False
    scratch: Path | None = None


@dataclass(frozen=True)
class TestCommand:
    """How to run them, and what to know of the runtime. It ends with NO_TESTS without any."""

    words: tuple[str | Path, ...]
    note: str


@dataclass(frozen=True)
class Linter:
    """A program that looks for faults without running anything; it ends with 0 where it has none.

    `name` is the stage's, `good` what is said when nothing was found.
    """

    name: str
    words: tuple[str | Path, ...]
    good: str


@dataclass(frozen=True)
class LockChange:
    """How one lock file changed: `added`, `removed` and `moved` name packages."""

    file: str
    packages: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]

    @classmethod
    def between(
        cls, file: str, old: Mapping[str, str], new: Mapping[str, str],
        name_of: Callable[[str], str] = str,
    ) -> LockChange:  # fmt: skip
        """Return how versions by a key have changed; `name_of` gives the package of a key."""
        return cls(
            file,
            packages=len(new),
            added=tuple(sorted(map(name_of, new.keys() - old.keys()))),
            removed=tuple(sorted(map(name_of, old.keys() - new.keys()))),
            moved=tuple(
                f"{name_of(key)} {old[key]} -> {version}"
                for key, version in sorted(new.items())
                if old.get(key, version) != version
            ),
        )

    def __str__(self) -> str:
        parts = [f"+{name}" for name in self.added] + [f"-{name}" for name in self.removed]
        parts += self.moved
        changes = f": {', '.join(parts)}" if parts else ", nothing changed"
        return f"{counted(self.packages, 'package')}{changes}"


class Engine(Protocol):
    """A language. `locks` are the files that its packages are locked in, by path.

    `beside` are files that say, where they are there, how those below `src` are taken.
    `ecosystem` is the type of its packages in package URLs, like `pypi`.
    """

    locks: tuple[str, ...]
    beside: tuple[str, ...] = ()
    ecosystem: str

    def restore(
        self,
        project: Project,
        machine: Machine,
        cache: Path,
        tools: bytes,
        warn: Callable[[str], None],
        here: LocalRuntime | None = None,
    ) -> Restored:
        """Return the locked dependencies for Lambda, made unless `cache` holds them whole.

        They are for this machine where `here` is what runs functions on it. `tools` stands for the
        versions of what makes the zip; `warn` is told of settings that had no effect. Raises
        PipelineError for a package that does not fit or is not as locked.
        """
        ...

    def own_files(
        self,
        function: Function,
        files: Sequence[ZipFile],
        beside: Mapping[str, bytes],
        restored: Restored,
        machine: Machine,
    ) -> Own:
        """Return what the function's own files are in the zip: as they are, unless bundled."""
        del function, beside, machine
        return Own(files, restored.installed.dependencies)

    def handler_file(self, names: Collection[str], handler: str) -> str:
        """Return which of these files of a function zip the handler is in; empty if it is none."""
        ...

    def check_handler(
        self,
        project: Project,
        files: FunctionFiles,
        read: Callable[[str], bytes],
        machine: Machine,
        reporter: Reporter,
        *,
        imports: bool,
    ) -> HandlerCheck:
        """Look for the handler in the source, of which `read` gives the repository's files.

        With `imports` it is imported as well, in a process of its own.
        """
        ...

    def runtime(self, function: Function, machine: Machine, reporter: Reporter) -> LocalRuntime:
        """Return what stands for the managed runtime here, installed when first needed.

        Another version than the runtime's is warned of.
        """
        ...

    def tests(
        self, project: Project, request: TestRequest, machine: Machine, reporter: Reporter
    ) -> AbstractContextManager[TestCommand]:
        """Give how the tests are run, with exactly what is locked as long as the block lasts."""
        ...

    def linters(
        self, project: Project, machine: Machine, reporter: Reporter, *, fix: bool
    ) -> AbstractContextManager[tuple[Linter, ...]]:
        """Give what checks the language's files; with `fix` those correct what they can."""
        ...

    def lock(
        self,
        project: Project,
        upgrade: Sequence[str] | None,
        machine: Machine,
        reporter: Reporter,
    ) -> tuple[LockChange, ...]:
        """Write the locks; `upgrade` is None to keep what fits, empty for all, or packages."""
        ...


def engine_for(runtime: Runtime) -> Engine:
    """Return the engine of a runtime's language."""
    return cast("Engine", import_module(f".{runtime.language}.engine", __package__).ENGINE)
