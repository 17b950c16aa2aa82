"""`push` as its users run it: which feed, which key, what it says, and how it ends."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.project.project import Project

from tests.feeds.push_support import PASSWORD, built, repository, run_push
from tests.project.values_support import SETTINGS, write_settings
from tests.standins.loopback import Loopback
from tests.standins.nuget_v2 import KEY, NugetV2Feed
from tests.standins.nuget_v3 import NugetV3Feed
from tests.standins.octopus_server import KEY as OCTOPUS_KEY
from tests.standins.octopus_server import OctopusServer
from tests.words import assert_said, refused

NAME = "Acme.Greeter.2.0.7.nupkg"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository whose feed is a folder in it, with a package beside it."""
    made = repository(tmp_path / "greeter", '\n[tool.pipeline.push]\nfeed = "the feed"\n')
    built(made, tmp_path / NAME)
    return made


def test_a_package_is_pushed_to_the_projects_feed(root: Path) -> None:
    """A folder of pyproject.toml is relative to the repository; again is a success."""
    (root / "the feed").mkdir()
    first = run_push(root, f"../{NAME}", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == {
        "package_id": "Acme.Greeter",
        "version": "2.0.7",
        "feed": str(root / "the feed"),
        "sent": True,
    }
    assert [path.name for path in (root / "the feed").iterdir()] == [NAME]
    again = run_push(root, f"../{NAME}")
    assert again.returncode == 0
    assert again.stdout == ""
    assert_said(again.stderr)


def test_another_package_under_the_version_is_a_conflict(root: Path) -> None:
    """Exit code 4, and nothing is replaced."""
    (root / "the feed").mkdir()
    (root / "the feed" / NAME.lower()).write_bytes(b"another")
    done = run_push(root, f"../{NAME}", "--skip-duplicate")
    assert done.returncode == 4
    assert_said(done.stderr)
    assert [path.name for path in (root / "the feed").iterdir()] == [NAME.lower()]


def test_a_damaged_package_is_not_pushed(root: Path) -> None:
    """A member that does not hold what its headers say is found before anything is sent."""
    (root / "the feed").mkdir()
    package = root.parent / NAME
    package.write_bytes(package.read_bytes().replace(b"return event", b"return evil!"))
    done = run_push(root, f"../{NAME}")
    assert done.returncode == 1
    assert_said(done.stderr)
    assert list((root / "the feed").iterdir()) == []


def test_an_id_that_leads_out_of_the_folder_is_refused(root: Path) -> None:
    """The file's name is made of id and version: both are checked where they are read."""
    (root / "the feed").mkdir()
    with zipfile.ZipFile(root.parent / "evil.nupkg", "w") as package:
        spec = "<package><metadata><id>../../x</id><version>1.0</version></metadata></package>"
        package.writestr("a.nuspec", spec)
    before = {*root.parent.rglob("*")}
    done = run_push(root, "../evil.nupkg")
    assert done.returncode == 1
    assert_said(done.stderr)
    assert {*root.parent.rglob("*")} == before


def test_a_folder_that_is_not_there_is_not_made(root: Path) -> None:
    """It may be a share that is not mounted."""
    done = run_push(root, f"../{NAME}")
    assert done.returncode == 1
    assert_said(done.stderr)
    assert not (root / "the feed").exists()


def test_a_key_comes_from_the_environment(root: Path, v3: NugetV3Feed, v3_server: Loopback) -> None:
    """And is seen nowhere."""
    url = f"{v3_server.url}/v3/index.json"
    done = run_push(root, f"../{NAME}", f"--feed={url}", environ={"NUGET_API_KEY": KEY})
    assert done.returncode == 0, done.stderr
    assert len(v3.packages) == 1
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("words", [("--nuget-api-key", "-"), ("--nuget-api-key=-",)])
def test_a_key_comes_from_standard_input(
    root: Path, v2: NugetV2Feed, v2_server: Loopback, words: tuple[str, ...]
) -> None:
    """Without a warning."""
    url = f"{v2_server.url}/nuget"
    done = run_push(root, f"../{NAME}", "--feed", url, *words, stdin=f"{KEY}\n")
    assert done.returncode == 0, done.stderr
    assert len(v2.packages) == 1
    assert "warning" not in done.stderr


def test_a_key_on_the_command_line_is_taken_with_a_warning(
    root: Path, v2: NugetV2Feed, v2_server: Loopback
) -> None:
    """And masked, although the environment does not hold it."""
    url = f"{v2_server.url}/nuget?key={KEY}"
    done = run_push(root, f"../{NAME}", "--feed", url, "--nuget-api-key", KEY)
    assert done.stderr.startswith("warning: ")
    assert KEY not in done.stderr + done.stdout
    assert v2.packages == {}
    v2_server.surprises.clear()


def test_no_line_on_standard_input_is_wrong_usage(root: Path) -> None:
    """Rather than a push without a key."""
    done = run_push(root, f"../{NAME}", "--nuget-api-key", "-")
    assert done.returncode == 2
    assert "NUGET_API_KEY" in done.stderr


def test_the_built_in_feed_gets_package_and_build_information(root: Path) -> None:
    """By the space's name, below a path; a second time changes nothing."""
    with OctopusServer(base="/octo") as server:
        space = server.add_space("The Lambdas")
        environ = {
            "OCTOPUS_URL": f"{server.url}/",
            "OCTOPUS_API_KEY": OCTOPUS_KEY,
            "OCTOPUS_SPACE": "the lambdas",
        }
        done = run_push(root, f"../{NAME}", "--feed", "octopus", environ=environ)
        assert done.returncode == 0, done.stderr
        assert list(space.packages) == ["packages-Acme.Greeter.2.0.7"]
        assert space.files["packages-Acme.Greeter.2.0.7"] == (root.parent / NAME).read_bytes()
        (information,) = space.build_information.values()
        assert [commit["Comment"] for commit in information["Commits"]] == ["Fourth", "Third"]
        assert PASSWORD not in json.dumps(information)
        again = run_push(root, f"../{NAME}", "--feed", "octopus", environ=environ)
        assert again.returncode == 0, again.stderr
        assert_said(again.stderr)
        assert OCTOPUS_KEY not in done.stderr + again.stderr
        assert server.unknown == []


def test_octopus_hears_of_a_package_in_another_feed(root: Path) -> None:
    """Build information goes along wherever the package goes; its failure is a warning."""
    (root / "the feed").mkdir()
    with OctopusServer() as server:
        environ = {"OCTOPUS_URL": server.url, "OCTOPUS_API_KEY": OCTOPUS_KEY}
        assert run_push(root, f"../{NAME}", environ=environ).returncode == 0
        assert len(server.space.build_information) == 1
        done = run_push(root, f"../{NAME}", environ={**environ, "OCTOPUS_API_KEY": "API-WRONG"})
    assert done.returncode == 0
    assert_said(done.stderr)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--feed", "octopus"), 1),
        (("--feed", "ftp://host/feed"), 2),
        (("--feed", "http://[bad/index.json"), 2),
        (("--feed", "http://host:port/index.json"), 2),
        (("nothing.nupkg",), 1),
    ],
)
def test_what_cannot_be_pushed_to_is_named(root: Path, words: tuple[str, ...], code: int) -> None:
    """With what to do, and never with a traceback."""
    names = () if "nothing.nupkg" in words else (f"../{NAME}",)
    done = run_push(root, *names, *words)
    assert done.returncode == code, done.stderr
    assert_said(done.stderr)


def test_the_feed_is_a_setting(tmp_path: Path) -> None:
    """Octopus's built-in one unless a project says otherwise; a misspelt key is named."""
    assert Project.load(write_settings(tmp_path)).feed == "octopus"
    text = '\n[tool.pipeline.push]\nfeed = "https://feed.example/index.json"\n'
    assert Project.load(write_settings(tmp_path, SETTINGS + text)).feed.endswith("index.json")
    with refused("pyproject.toml [tool.pipeline.push] fed", PipelineError):
        Project.load(write_settings(tmp_path, SETTINGS + '\n[tool.pipeline.push]\nfed = "x"\n'))
