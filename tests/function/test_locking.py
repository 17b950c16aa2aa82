"""Locking: what uv warns of reaches the user, and what it refuses has its place and a way out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bootstrap
import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Event, Reporter, Warned
from pipeline.edge.machine import Machine
from pipeline.function.python.locking import write_locks
from pipeline.project.project import Project

from tests.project import values_support
from tests.project.values_support import SETTINGS, write_settings
from tests.repositories import ROOT
from tests.wheels import write_wheel
from tests.words import UV_SAYS, refused


class Workshop:
    """A repository, and an index in a folder: `web` has pages, of which one yanks `old`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[Event] = []
        for name, platform in (("good", "any"), ("old", "any"), ("narrow", "win_amd64")):
            page = folder / "index" / name / "index.html"
            page.parent.mkdir(parents=True)
            digest = write_wheel(page.parent, name, {f"{name}.py": b""}, platform=platform)
            yanked = ' data-yanked="it was broken"' if name == "old" else ""
            file = f"{name}-1.0-py3-none-{platform}.whl"
            page.write_text(f'<a href="{file}#sha256={digest}"{yanked}>{file}</a>')

    def lock(self, dependencies: Sequence[str], tests: Sequence[str] = ()) -> None:
        """Lock what a project asks for."""
        project = Project.load(write_settings(self.folder, SETTINGS))
        project = replace(project, dependencies=tuple(dependencies), test_dependencies=tuple(tests))
        (self.folder / "requirements").mkdir(exist_ok=True)
        write_locks(project, None, self.machine, Reporter(self.said.append, lambda: 0.0))

    @property
    def machine(self) -> Machine:
        """A machine with this index and an empty cache."""
        environ = {
            **os.environ,
            "UV_DEFAULT_INDEX": (self.folder / "index").as_uri(),
            "UV_CACHE_DIR": str(self.folder / "uv"),
        }
        made = values_support.machine(self.folder, environ)
        program = bootstrap.find_uv(ROOT, "requirements/dev.txt")
        return replace(made, uv_program=lambda: program)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Return a repository with an index of three packages."""
    return Workshop(tmp_path)


def test_a_yanked_release_is_told(workshop: Workshop) -> None:
    """Its lock is written, with a warning that names the file, the release and the reason."""
    workshop.lock(["good", "old==1.0"])
    (said,) = [str(event) for event in workshop.said if "yanked" in str(event)]
    for word in ("requirements/function.txt", "old==1.0", "it was broken"):
        assert word in said
    assert "old==1.0" in (workshop.folder / "requirements/function.txt").read_text(encoding="utf-8")


def test_no_dependencies_are_nothing_to_warn_of(workshop: Workshop) -> None:
    """The scratch files of uv are no news with each lock of a function that has none."""
    workshop.lock([], ["good"])
    assert not [event for event in workshop.said if isinstance(event, Warned)]


@pytest.mark.parametrize(
    ("dependencies", "tests", "where"),
    [
        (["good", "narrow>=1"], [], "[project] dependencies: narrow>=1"),
        (["good>=2"], [], "[project] dependencies: good>=2"),
        (["good"], ["Good<1"], "[dependency-groups] test: Good<1"),
        (["misspelt"], [], "[project] dependencies: misspelt"),
    ],
)
def test_what_cannot_be_locked_has_its_place(
    workshop: Workshop, dependencies: Sequence[str], tests: Sequence[str], where: str
) -> None:
    """The requirement in `pyproject.toml`, and what to do; the lock stays as it was."""
    with refused(f"pyproject.toml {where}", PipelineError, UV_SAYS):
        workshop.lock(dependencies, tests)
