"""The render matrix: what every repository that the template makes has in common."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from pipeline.project.project import Project
from pipeline.project.runtimes import ARCHITECTURES, RUNTIMES

from tests.repositories import (
    NEWER_THAN_ANY_RELEASE,
    Render,
    git,
    refused_by_windows,
)
from tests.template.answers import (
    ANSWERS_FILE,
    COMBINATIONS,
    MODULE,
    QUESTIONS,
    SERVERS,
    WITH_BUCKET,
    expected_files,
    is_ours,
    label,
    language_in,
)

_NUSPEC = "{http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd}"

# A render with the library takes a second, without it a moment: one of each language has it.
_WHOLE = (COMBINATIONS[2], COMBINATIONS[5])


@dataclass(frozen=True)
class Made:
    """A render at `root`: of what, and what was answered."""

    root: Path
    template: Path
    answers: Mapping[str, Any]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Its files' bytes by their paths."""
        return _files(self.root)


@pytest.fixture(
    scope="module",
    params=[*product(COMBINATIONS, [False]), *product(_WHOLE, [True])],
    ids=lambda made: label(made[0]) + made[1] * " with the library",
)
def made(
    request: pytest.FixtureRequest, template_clone: Path, functions_alone: Path,
    render: Render, render_function: Render,
) -> Made:  # fmt: skip
    """Return each render."""
    answers, whole = request.param
    if whole:
        return Made(render(**answers), template_clone, answers)
    return Made(render_function(**answers), functions_alone, answers)


def _files(root: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def _computed_or_asked(*, asked: bool) -> dict[str, Any]:
    questions = {name: q for name, q in QUESTIONS.items() if not name.startswith("_")}
    return {name: q for name, q in questions.items() if (q.get("when", True) is True) is asked}


def test_has_the_expected_files_and_no_others(made: Made) -> None:
    """A render has each file of the template whose conditions hold, and nothing else.

    Those of zone ours are the template's own bytes, whatever was answered.
    """
    sources = expected_files(made.template, made.answers)
    assert sorted(made.files) == sorted(sources)
    ours = {path: content for path, content in made.files.items() if is_ours(path)}
    assert ours == {path: sources[path].read_bytes() for path in ours}
    chosen = {SERVERS[server] for server in made.answers["build_servers"]}
    assert {path for path in ours if not path.startswith("scripts/")} == chosen


def test_top_level_is_what_the_readme_describes(made: Made) -> None:
    """A repository's first level holds these names; build servers' files by answer only."""
    expected = {".editorconfig", ".gitattributes", ".gitignore", ".vscode", ANSWERS_FILE}
    expected |= {"CHANGELOG.md", "README.md", "renovate.json"}
    expected |= {"environment", "pyproject.toml", "src"}
    node = {".npmrc", "package.json", "package-lock.json"}
    expected |= node if language_in(made.answers) == "node" else {"requirements"}
    expected |= {"tasks.py", "tests"}
    expected |= {SERVERS[server].split("/")[0] for server in made.answers["build_servers"]}
    assert {path.name for path in made.root.iterdir()} - {"scripts"} == expected


def test_names_and_line_ends_work_on_windows_too(made: Made) -> None:
    """Each name can be checked out on Windows, and no text has a carriage return."""
    assert refused_by_windows(sorted(made.files)) == []
    assert [name for name, content in made.files.items() if b"\r" in content] == []


def test_settings_say_what_was_answered(made: Made) -> None:
    """The pipeline reads the rendered pyproject.toml and finds the answers in it."""
    project, answers = Project.load(made.root), made.answers
    assert project.function.runtime.name == answers["runtime"]
    assert project.function.architecture == answers["architecture"]
    is_node = language_in(answers) == "node"
    handler = "index.handler" if is_node else f"{MODULE}.handler.handle"
    assert project.function.handler == handler
    assert project.package_id == "ELB.Logs.Processor"
    assert project.base_version == (1, 0)
    permanent = [environment.name for environment in project.environments if environment.permanent]
    assert permanent == ["CI", "Staging", "Production"]
    needs_nothing = is_node or answers["function_kind"] not in WITH_BUCKET
    assert project.dependencies == (() if needs_nothing else ("boto3>=1.40",))
    assert project.test_dependencies == (() if is_node else ("pytest>=8",))


def test_answers_file_holds_exactly_the_answers(made: Made, template_clone: Path) -> None:
    """Every asked question is recorded, nothing computed is, and the version is the template's."""
    recorded = yaml.safe_load(made.files[ANSWERS_FILE])
    # Only git tells a version.
    release = NEWER_THAN_ANY_RELEASE if made.template == template_clone else None
    assert recorded.pop("_commit", None) == release
    assert recorded.pop("_src_path")
    assert set(recorded) == set(_computed_or_asked(asked=True))
    assert {name: recorded[name] for name in made.answers} == made.answers


def test_nuspec_packs_the_stage_and_the_environment(made: Made) -> None:
    """The nuspec has NuGet's required metadata and names the staged folder and environment."""
    (nuspec,) = (made.root / "src").glob("*.nuspec")
    root = ET.fromstring(nuspec.read_bytes())  # noqa: S314
    metadata = {child.tag: child.text for child in root.iterfind(f"{_NUSPEC}metadata/*")}
    assert metadata[f"{_NUSPEC}id"] == nuspec.stem == "ELB.Logs.Processor"
    assert metadata[f"{_NUSPEC}version"] == "$version$"
    assert metadata[f"{_NUSPEC}authors"] == "ELB Logs Processor team"
    assert metadata[f"{_NUSPEC}description"]
    files = [(file.get("src"), file.get("target")) for file in root.iter(f"{_NUSPEC}file")]
    assert files == [("$stage$/**", ""), ("environment/**", "environment")]


def test_function_reads_the_variables_that_a_deploy_sets(render_function: Render) -> None:
    """The ELB function takes the settings' variables as filled in for the embedded AWS."""
    repository = render_function(**COMBINATIONS[0])
    function = Project.load(repository).function
    local = Project.load(repository).environment("local").variables
    known = {**local, "Octopus.Environment.Name": "local"}
    filled = {
        name: re.sub(r"#\{(.*?)\}", lambda variable: known[variable[1]], value)
        for name, value in function.environment.items()
    }
    code = repository / "src" / MODULE / "settings.py"
    settings = runpy.run_path(str(code), run_name="settings")["Settings"].from_environment(filled)
    assert (settings.host, settings.port, settings.tls) == ("127.0.0.1", 5000, False)
    assert (settings.environment, settings.application) == ("local", "ELB Logs Processor")
    assert [name for name in filled if f'"{name}"' not in code.read_text(encoding="utf-8")] == []


def test_git_commits_a_fresh_render_whole(made: Made, tmp_path: Path) -> None:
    """Neither .gitignore nor .gitattributes keeps or changes a file of a fresh render."""
    # Git's own folder lies elsewhere: nothing is written into what is shared.
    where = (f"--git-dir={tmp_path}/git", f"--work-tree={made.root}")
    git(made.root, *where, "init", "--quiet")
    git(made.root, *where, "add", "--all")
    committed = tmp_path / "checked out"
    git(made.root, *where, "checkout-index", "--all", f"--prefix={committed}/")
    assert _files(committed) == made.files


def test_ours_is_never_rendered(template_clone: Path) -> None:
    """No file of zone ours has a suffix or a name of which copier would make something else."""
    answers = {"function_kind": "empty", "build_servers": list(SERVERS)}
    sources = expected_files(template_clone, answers)
    assert [path for path in sources if is_ours(path) and sources[path].suffix == ".jinja"] == []
    library = (template_clone / "template" / "scripts").rglob("*")
    assert [path for path in library if "{" in path.name] == []


def test_renovate_leaves_alone_what_comes_otherwise(render: Render) -> None:
    """Its configuration names each file of ours and each lock, and not what the team requires."""
    root = render(**COMBINATIONS[2])
    ignored = json.loads((root / "renovate.json").read_text(encoding="utf-8"))["ignorePaths"]
    paths = [path.removesuffix("/**") for path in ignored]
    ours = [*filter(is_ours, _files(root)), *SERVERS.values(), "requirements/function.txt"]
    assert [name for name in ours if not name.startswith(tuple(paths))] == []
    assert not {"pyproject.toml", ANSWERS_FILE} & set(paths)


def test_choices_are_the_librarys() -> None:
    """The questions offer the library's architectures, and the runtimes that get patches."""
    offered = [runtime.name for runtime in RUNTIMES if runtime.deprecated_on >= date(2027, 1, 1)]
    assert QUESTIONS["runtime"]["choices"] == offered
    assert set(QUESTIONS["architecture"]["choices"].values()) == set(ARCHITECTURES)


def test_template_needs_no_trust() -> None:
    """The template declares nothing that copier asks trust for (every render here is untrusted)."""
    needs_trust = {"_tasks", "_jinja_extensions", "_migrations", "_external_data"}
    assert needs_trust.isdisjoint(QUESTIONS)
    assert QUESTIONS["_envops"] == {"undefined": "jinja2.StrictUndefined"}


def test_every_question_says_where_its_answer_goes_and_fits_a_terminal() -> None:
    """Each help names a file or folder of the repository; 80 columns hold its lines and choices."""
    places = re.compile(r"pyproject\.toml|README\.md|nuspec|\bsrc\b|\.teamcity|CODEOWNERS")
    asked = _computed_or_asked(asked=True)
    assert [name for name, question in asked.items() if not places.search(question["help"])] == []
    # Copier writes a sign, two columns wide, before a help, and a cursor before a choice.
    texts = [[question["help"], *question.get("choices", ())] for question in asked.values()]
    shown = [f"   {text}" for each in texts for text in each]
    shown += [text for name, text in QUESTIONS.items() if name.startswith("_message")]
    assert [line for text in shown for line in text.splitlines() if len(line) > 79] == []
    computed = ["ascii_name", "environment_names", "handler", "language", "module_name"]
    computed += ["node_kind", "python_kind"]
    assert sorted(_computed_or_asked(asked=False)) == computed


def test_tools_read_the_settings(render_function: Render) -> None:
    """pyproject.toml has what other tools want: a normalised name, a version, requires-python."""
    text = (render_function(**COMBINATIONS[0]) / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    assert project["name"] == "elb-logs-processor"
    assert project["version"] == "0"
    assert project["requires-python"] == ">=3.13"
