"""Provenance in a real build: in every package, and signed where there is a key."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from pipeline.archive.package import Package
from pipeline.edge.machine import Machine
from pipeline.engines.keys import load_verifier
from pipeline.errors import PipelineError
from pipeline.report.events import Artifact, Event, Finished, Reporter
from pipeline.values.project import Project
from pipeline.verbs.build import BuildOptions, build
from pipeline.verbs.proof import prove
from pipeline.verbs.sign import SIGNING_KEY, bundle_of
from pipeline.verbs.verify import verify_package

from tests.provenance.provenance_support import private_pem, public_pem
from tests.repositories import Render, commit_all, git

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@dataclass
class Place:
    """A repository to build in; `environ` is the process environment that its builds see."""

    root: Path
    cache: Path
    environ: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def machine(self) -> Machine:
        """The machine: always the same moment, and no tooling but what the tests have."""
        return Machine(
            root=self.root,
            cache_folder=lambda: self.cache,
            environ=self.environ,
            now=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC),
            seconds=lambda: 0.0,
            # The function imports nothing, so nothing is installed.
            uv_program=lambda: Path("never run"),
            tooling=lambda _name: None,
        )

    def build(self) -> Path:
        """Package, and return the path of the package."""
        self.events.clear()
        options = BuildOptions(only_package=True)
        reporter = Reporter(self.events.append)
        outcome = build(Project.load(self.root), options, self.machine, reporter)
        return outcome.latest.package_path(self.root)


@pytest.fixture(scope="module")
def committed(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed repository with an empty function. Only clone it."""
    folder = tmp_path_factory.mktemp("committed") / "repository"
    shutil.copytree(render(function_kind="empty"), folder)
    git(folder, "init", "--quiet")
    commit_all(folder, "Generated")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache that all places share; deflating the client takes a second."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(committed: Path, cache: Path, tmp_path: Path) -> Callable[[str], Place]:
    """Return a function that makes a clone of its own under a name."""

    def make(name: str) -> Place:
        git(tmp_path, "clone", "--quiet", str(committed), name)
        return Place(tmp_path / name, cache)

    return make


def test_a_key_signs_and_changes_no_byte_of_the_package(place: Callable[[str], Place]) -> None:
    """Two clones, one with a key: the same package, and an attestation beside one of them."""
    plain, signing = place("plain"), place("the signing one")
    signing.environ[SIGNING_KEY] = private_pem(KEY).decode()
    unsigned, signed = plain.build(), signing.build()
    assert unsigned.read_bytes() == signed.read_bytes()
    assert not bundle_of(unsigned).exists()
    assert Artifact(str(bundle_of(signed))) in signing.events
    proof = prove(Package.open(signed), load_verifier(public_pem(KEY), "key"))
    assert proof.mismatches == []
    assert verify_package(signed, signing.machine, Reporter(signing.events.append)).source.commit


def test_the_statement_names_every_file_and_no_host(place: Callable[[str], Place]) -> None:
    """Script, library, client and extras are subjects; user, host, folder and day are not told."""
    here = place("here")
    contents = Package.open(here.build())
    data = contents.data("provenance.json")
    assert data is not None
    named = {item["name"] for item in json.loads(data)["subject"]}
    nuspec = f"{contents.listing.nuspec.id}.nuspec"
    assert named == {*contents.listing.files, nuspec} - {"provenance.json"}
    assert {"deploy.py", "function.zip", "pipeline/errors.py"} <= named
    text = data.decode()
    for fact in (str(here.root), socket.gethostname(), f"/{getpass.getuser()}/", "2026-"):
        assert fact not in text


def test_an_unchanged_build_is_signed_once_there_is_a_key(place: Callable[[str], Place]) -> None:
    """The package is reused as it is; only the attestation is new."""
    here = place("here")
    package = here.build()
    before = package.read_bytes()
    here.environ[SIGNING_KEY] = private_pem(KEY).decode()
    assert here.build() == package
    assert package.read_bytes() == before
    assert bundle_of(package).is_file()
    assert any(isinstance(event, Finished) and event.stage == "sign" for event in here.events)


def test_a_key_that_cannot_be_used_ends_the_build_at_once(place: Callable[[str], Place]) -> None:
    """Nothing is built that could be taken for a signed package."""
    here = place("here")
    here.environ[SIGNING_KEY] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    with pytest.raises(PipelineError, match=SIGNING_KEY):
        here.build()
    assert not (here.root / "build-output").exists()
