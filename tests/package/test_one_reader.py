"""Every verb opens a package through one reader: what one refuses, all refuse, and alike."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest
from pipeline.core.errors import NotTheSame, PipelineError
from pipeline.core.events import Reporter
from pipeline.deploy.aws_session import Connection, Credentials
from pipeline.deploy.main import deploy
from pipeline.deploy.worker import WorkerContext
from pipeline.edge.machine import Machine
from pipeline.feeds.compare import compare_file
from pipeline.feeds.feed import SAME
from pipeline.octopus.client import Access
from pipeline.package.contents import Package
from pipeline.project.project import Project
from pipeline.verbs.deploy_here import DeployOptions, deploy_package
from pipeline.verbs.inspect import inspect_package
from pipeline.verbs.push import PushOptions, push
from pipeline.verbs.release import OctopusOptions, release
from pipeline.verbs.run import run_packaged
from pipeline.verbs.verify import verify
from pipeline.zip.member_names import first_clash
from pipeline.zip.reader import open_archive, read_member

from tests.deploy.deploy_support import octopus_variables
from tests.package.crafted_zips import Crafted, craft, moved
from tests.package.damaged_packages import FLIPS, FUNCTION, MANIFEST, Damaged, changed, damaged
from tests.package.provenance_support import packed
from tests.project.values_support import machine, write_settings
from tests.repositories import ROOT
from tests.words import refused

LOCK = ROOT / "template" / "scripts" / "requirements-local.txt"


class Reached(Exception):  # noqa: N818 - no error
    """A verb took the package, and went on to what this test leaves out."""


def stops(*_: object) -> NoReturn:
    """Stand for the tool that a verb asks for next."""
    raise Reached


def no_connection(credentials: Credentials, place: Mapping[str, str]) -> Connection:
    """Stand for AWS, which a deploy asks once it has taken the package."""
    raise Reached(credentials, place)


@dataclasses.dataclass(frozen=True)
class Verbs:
    """All verbs that take a package, in a repository of their own beside the packages."""

    project: Project
    machine: Machine
    good: Path
    feed: Path
    reporter: Reporter

    def all(self) -> dict[str, Callable[[Path], object]]:
        """Return each by its name."""
        return {
            "inspect": inspect_package,
            "push": self.push,
            "run": self.run,
            "deploy": self.deploy,
            "verify": self.verify,
            "release": self.release,
        }

    def push(self, path: Path) -> None:
        """Push to a folder."""
        options = PushOptions(feed=str(self.feed))
        push(self.project, path, options, {}, self.reporter)

    def run(self, path: Path) -> None:
        """Run, as far as the runtime's Python."""
        run_packaged(self.project, path, [b"{}"], self.machine, self.reporter)

    def deploy(self, path: Path) -> None:
        """Open a package as `deploy` does, and unpack it."""
        options = DeployOptions("CI", dry_run=True)
        deploy_package(
            self.project, Package.open(path), options, Credentials("k", "s"),
            self.machine.environ, self.reporter,
        )  # fmt: skip

    def verify(self, path: Path) -> None:
        """Verify, as far as the commit; a package that no commit makes is not the same."""
        try:
            verify(str(path), self.machine, self.reporter)
        except NotTheSame as error:
            raise PipelineError(error.where, error.what, error.then) from error
        except PipelineError as error:
            if "no .git here" in error.what:
                raise Reached from error
            raise

    def release(self, path: Path) -> None:
        """Release, as far as Octopus."""
        options = OctopusOptions(Access("", ""))
        try:
            release(self.project, str(path), options, self.machine, self.reporter)
        except PipelineError as error:
            if error.where == "Octopus":
                raise Reached from error
            raise


@pytest.fixture
def verbs(tmp_path: Path) -> Verbs:
    """Return the verbs; nothing outside this machine is reached."""
    root = tmp_path / "repository"
    (root / "scripts").mkdir(parents=True)
    (root / "scripts" / LOCK.name).write_bytes(LOCK.read_bytes())
    (root / "requirements").mkdir()
    (root / "requirements" / "function.txt").touch()
    project = Project.load(write_settings(root))
    (tmp_path / "feed").mkdir()
    (tmp_path / "in").mkdir()
    here = dataclasses.replace(machine(root, {"PATH": "/usr/bin:/bin"}), uv_program=stops)
    good = packed(tmp_path / "in" / "good.nupkg")
    return Verbs(project, here, good, tmp_path / "feed", Reporter(lambda _: None, lambda: 0.0))


def verdict(verb: Callable[[Path], object], path: Path) -> str:
    """Return what a verb has against a package; empty when it takes it."""
    try:
        verb(path)
    except Reached:
        return ""
    except PipelineError as error:
        return f"exit code {error.exit_code}: {error.what}"
    return ""


@pytest.fixture(scope="module")
def all_damaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Damaged]]:
    """Return the damaged packages by kind."""
    good = packed(tmp_path_factory.mktemp("good") / "good.nupkg")
    found: dict[str, list[Damaged]] = {}
    for one in damaged(good.read_bytes()):
        found.setdefault(one.kind, []).append(one)
    return found


KINDS = (
    *("flip", "gap", "cut", "twice", "header", "name", "nuspec", "manifest", "function.zip"),
    *("gap in function.zip", "cut in function.zip", "flip in function.zip"),
)


def test_a_sound_package_is_taken_by_all(verbs: Verbs) -> None:
    """So a refusal of the others is no accident."""
    for name, verb in verbs.all().items():
        assert verdict(verb, verbs.good) == "", name
    assert [path.name for path in verbs.feed.iterdir()] == ["Acme.Sample.2.0.7.nupkg"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_one_verb_refuses_all_refuse(
    verbs: Verbs,
    all_damaged: dict[str, list[Damaged]],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the same words, with exit code 1, without a trace, and with nothing written anywhere."""
    assert all_damaged.keys() == {*KINDS}
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    path = tmp_path / "in" / "bad.nupkg"
    before = tree(tmp_path)
    for bad in all_damaged[kind]:
        path.write_bytes(bad.data)
        said = {name: verdict(verb, path) for name, verb in verbs.all().items()}
        assert len({*said.values()}) == 1, (bad.what, said)
        if said["inspect"]:
            assert said["inspect"].startswith("exit code 1: ")
            assert len(said["inspect"]) < 1_000
            assert tree(tmp_path) - {path} == before, bad.what
            candidate = Package.open(verbs.good)
            assert compare_file(candidate, path) != SAME
        else:
            assert kind in FLIPS, bad.what
            assert held(path) == held(verbs.good), bad.what
            empty(verbs.feed)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if FUNCTION in kind] + ["manifest"])
def test_the_half_on_a_worker_ends_in_no_trace_either(
    all_damaged: dict[str, list[Damaged]], kind: str, tmp_path: Path
) -> None:
    """It has only what Octopus unpacked: manifest and function zip are looked at again there."""
    given = {"octopusvariables": octopus_variables()}
    context = WorkerContext.from_globals(given, {})
    taken = []
    for bad in all_damaged[kind]:
        with zipfile.ZipFile(io.BytesIO(bad.data)) as archive:
            for name in (MANIFEST, FUNCTION):
                (tmp_path / name).unlink(missing_ok=True)
                if name in archive.namelist():
                    (tmp_path / name).write_bytes(archive.read(name))
        try:
            deploy(tmp_path, context, Reporter(lambda _: None, lambda: 0.0), connect=no_connection)
        except Reached:
            taken.append(bad.what)
        except PipelineError:
            continue
    if kind == FUNCTION:
        # Only the manifest's hash is looked at there, so that a fitting one is all it takes.
        known = [bad.what for bad in all_damaged[kind] if "known to the manifest" in bad.what]
        assert taken == known
    if kind == "manifest":
        # The numbers of files and of their bytes are counted where the zip is read as a whole,
        # and there is no nuspec any more to compare with.
        assert [what for what in taken if "files" not in what and "unzipped" not in what] == [
            "('package_id',) 'Acme.Other'",
            "('version',) '2.0.8'",
        ]


def tree(folder: Path) -> set[Path]:
    """Return everything that is in a folder; what the verbs may keep in their cache is left out."""
    return {path for path in folder.rglob("*") if "cache" not in path.parts}


def files_of(path: Path) -> dict[str, bytes]:
    """Return the files in a package."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def held(path: Path) -> dict[str, bytes]:
    """Return what a package brings: its files, and those in its function zip."""
    files = files_of(path)
    with zipfile.ZipFile(io.BytesIO(files.pop(FUNCTION))) as function:
        inside = {f"in {name}": function.read(name) for name in function.namelist()}
    del files[MANIFEST]  # it is one that fits the changed bytes
    return files | inside


def empty(folder: Path) -> None:
    """Remove what was pushed."""
    for path in folder.iterdir():
        path.unlink()


def test_a_package_of_others_is_shown_and_pushed_and_nothing_else(
    verbs: Verbs, tmp_path: Path
) -> None:
    """It has no manifest; a file of that name that is none is told of."""
    path = tmp_path / "in" / "theirs.nupkg"
    for manifest in (None, b'{"schema": 1}', b"\0", b"[" * 100_000):
        bad = changed(changed(verbs.good.read_bytes(), FUNCTION, None), MANIFEST, manifest)
        path.write_bytes(bad)
        assert bool(inspect_package(path).contents.note) is (manifest is not None)
        found = {name: bool(verdict(verb, path)) for name, verb in verbs.all().items()}
        refusing = {"run", "deploy", "verify", "release"}
        assert {name for name, refused in found.items() if refused} == refusing
        empty(verbs.feed)


def test_what_streaming_writers_put_behind_a_file_is_read(verbs: Verbs, tmp_path: Path) -> None:
    """Sizes that follow the bytes, with their mark and without, are no gap."""
    path = tmp_path / "in" / "streamed.nupkg"
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files_of(verbs.good).items():
            archive.writestr(name, data)
    path.write_bytes(pipe.getvalue())
    assert b"PK\7\x08" in pipe.getvalue()
    for name, verb in verbs.all().items():
        assert verdict(verb, path) == "", name


class Pipe(io.BytesIO):
    """A file that cannot be gone back in."""

    def seekable(self) -> bool:
        """Say so."""
        return False

    def seek(self, *_: int) -> int:
        """Refuse."""
        raise io.UnsupportedOperation

    def tell(self) -> int:
        """Refuse."""
        raise io.UnsupportedOperation


def test_a_member_with_unmarked_sizes_behind_it_is_read() -> None:
    """The mark came into the format later; some writers leave it out."""
    marked = streamed(b"PK\7\x08")
    bare = streamed(b"")
    assert len(marked) == len(bare) + 4
    for data in (marked, bare):
        archive = open_archive(data)
        assert read_member(archive, archive.entries[0]) == Crafted().data


def streamed(mark: bytes) -> bytes:
    """Return a zip of one file whose sizes follow it."""
    data = craft(Crafted(flags=8))
    return moved(data, 1, mark + data[14:26])


def test_thousands_of_nested_names_are_refused_at_once() -> None:
    """Not after half a minute: the time grows with the size of what is read, and no faster."""
    deep = craft(*(Crafted(b"a/" * n + b"b", b"", 0) for n in range(1, 2_000)))
    with refused("zip", PipelineError):
        open_archive(deep)
    names = [f"{'a/' * (number % 60)}{number}" for number in range(50_000)]
    assert first_clash(names) is None
    assert first_clash([*names, "a/a"]) == ("a/a", "a/a/2")
