"""What every test starts from: an isolated machine, and the working tree's template."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.repositories import ROOT, Render, copy_template, copy_work_tree, git

_FOREIGN = (
    "AWS_",
    "AGENT_",
    "BUILD_",
    "CI",
    "COPIER_",
    "GIT_",
    "GITHUB_",
    "GITLAB_",
    "JENKINS_",
    "NUGET_",
    "OCTOPUS_",
    "PIPELINE_",
    "SYSTEM_",
    "TEAMCITY_",
    "TF_BUILD",
)
# The same examples at each run, however slow the machine is; `--hypothesis-profile=explore` looks
# for new ones, and prints how to repeat what it finds.
settings.register_profile("suite", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("suite")
# Makes a folder unless it is made: from its name and a function that fills it to its path.
MadeOnce = Callable[[str, Callable[[Path], object]], Path]
_NETWORK = {"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY"}


# What thousands of tests and their imports take up stays until the end: looking through it again
# and again for what can be thrown away would be a fifth of the work.
gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what the tests make, and at nothing before it."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def isolated_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests a home, a git identity and an environment of their own.

    A developer's git hooks, signing keys, AWS profiles, build server variables or proxies must
    neither change what a test sees nor be reached by it. Only download caches are kept: they
    hold no settings, and without them every run would fetch the tooling again.
    """
    home = tmp_path_factory.mktemp("home")
    config = home / ".gitconfig"
    config.write_text(
        "[user]\n\tname = Test\n\temail = test@example.invalid\n"
        "[init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n",
        encoding="utf-8",
    )
    real_home = Path.home()
    with pytest.MonkeyPatch.context() as environment:
        for name in os.environ:
            if name.upper().startswith(_FOREIGN) or name.upper() in _NETWORK:
                environment.delenv(name)
        for name, folder in (("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")):
            environment.setenv(name, os.environ.get(name, str(real_home / ".cache" / folder)))
        kept = os.environ.get("NPM_CONFIG_CACHE", str(real_home / ".npm"))
        environment.setenv("NPM_CONFIG_CACHE", kept)
        # The uv that the locks name, by its hash: else every run would begin with its 20 MB.
        fetched = Path(os.environ.get("XDG_CACHE_HOME", real_home / ".cache")) / "copier-lambda"
        if fetched.is_dir():
            (home / ".cache").mkdir()
            (home / ".cache" / "copier-lambda").symlink_to(fetched)
        for name in ("HOME", "USERPROFILE"):
            environment.setenv(name, str(home))
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            environment.delenv(name, raising=False)
        environment.setenv("GIT_CONFIG_GLOBAL", str(config))
        environment.setenv("GIT_CONFIG_NOSYSTEM", "1")
        environment.setenv("GIT_TERMINAL_PROMPT", "0")
        # Who has no credentials is to have none, and not to wait for a machine in the cloud.
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        # Each process that a test starts would compile the library anew.
        environment.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Return what makes a folder that all of xdist's workers share: one makes it, the rest wait."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    (folder / "shared by all").mkdir(exist_ok=True)

    def made(name: str, make: Callable[[Path], object]) -> Path:
        found = folder / "shared by all" / name
        with found.with_name(f"{name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # What is there now: another worker may have written while this one waited.
            if not os.fstat(lock.fileno()).st_size:
                # What one left that failed halfway would make the next fail for another reason.
                shutil.rmtree(found, ignore_errors=True)
                make(found)
                lock.write("made")
        return found

    return made


@pytest.fixture(scope="session")
def template_clone(made_once: MadeOnce) -> Path:
    """Return a tagged git repository with the working tree's template, committed or not.

    Without it copier would test the last release instead of what is being changed. It has what an
    update reads and no more, in one pack: it is cloned again and again.
    """

    def make(clone: Path) -> None:
        copy_work_tree(clone, "copier.yml", "template", "CHANGELOG.md")
        git(clone, "repack", "-a", "-d", "--quiet")

    return made_once("copier-lambda", make)


def _rendering(source: Path, made_once: MadeOnce, what: str) -> Render:
    def _render(**answers: Any) -> Path:
        key = hashlib.sha256(repr(sorted(answers.items())).encode()).hexdigest()[:16]
        return made_once(f"{what} {key}", lambda folder: copy_template(source, folder, answers))

    return _render


@pytest.fixture(scope="session")
def render(template_clone: Path, made_once: MadeOnce) -> Render:
    """Return a function from answers to a render. Renders are shared: only read them."""
    return _rendering(template_clone, made_once, "a repository")


@pytest.fixture(scope="session")
def questions_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template without function and library: a render takes a moment, not a second."""
    template = ROOT / "template"
    folder = tmp_path_factory.mktemp("questions")
    shutil.copy2(ROOT / "copier.yml", folder)
    (folder / "template" / "src").mkdir(parents=True)
    for path in [*template.glob("*.jinja"), *template.glob("src/*.jinja")]:
        shutil.copy2(path, folder / path.relative_to(ROOT))
    return folder


@pytest.fixture(scope="session")
def functions_alone(made_once: MadeOnce) -> Path:
    """Return the template without the library, which is the same files whatever is answered."""

    def make(source: Path) -> None:
        ignored = shutil.ignore_patterns("scripts", "__pycache__", ".*_cache")
        shutil.copytree(ROOT / "template", source / "template", ignore=ignored)
        shutil.copy2(ROOT / "copier.yml", source)

    return made_once("functions alone", make)


@pytest.fixture(scope="session")
def render_function(functions_alone: Path, made_once: MadeOnce) -> Render:
    """Return a function from answers to a render without the library: made in a moment."""
    return _rendering(functions_alone, made_once, "a function")
