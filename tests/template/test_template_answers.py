"""What may be answered: hostile text comes out right, what a service refuses is refused."""

from __future__ import annotations

import contextlib
import shutil
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import copier
import doctor
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.project.project import Project

from tests.repositories import commit_all, copy_template, git
from tests.template.answers import ANSWERS_FILE, QUESTIONS

_HOSTILE = "Ünï \"quoted\" 'single' \\n {{ project_name }} {% raw %} <b>&amp;</b> ]]> 日本 😀 `x` |"
_TEXTS = ("project_name", "description", "authors", "octopus_space", "octopus_project")

free_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


def _answered(questions: Path, tmp: pytest.TempPathFactory, **answers: Any) -> Path:
    return copy_template(questions, tmp.mktemp("answered") / "repository", answers)


def _recorded(repository: Path) -> dict[str, Any]:
    text = (repository / ANSWERS_FILE).read_text(encoding="utf-8")
    recorded: dict[str, Any] = yaml.safe_load(text)
    return recorded


def _nuspec_texts(repository: Path) -> dict[str, str]:
    (nuspec,) = (repository / "src").glob("*.nuspec")
    tree = ET.fromstring(nuspec.read_bytes())  # noqa: S314
    return {element.tag.rpartition("}")[2]: element.text or "" for element in tree.iter()}


def _assert_carried(repository: Path, answers: dict[str, str]) -> None:
    document = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    pipeline = document["tool"]["pipeline"]
    recorded = _recorded(repository)
    assert {name: recorded[name] for name in answers} == answers
    known = doctor.answers(repository)
    assert {name: known[name] for name in answers} == answers
    assert Project.load(repository).function.description == recorded["description"]
    assert pipeline["octopus"]["space"] == recorded["octopus_space"]
    assert pipeline["octopus"]["project"] == recorded["octopus_project"]
    assert pipeline["function"]["environment"]["LOG_APPLICATION"] == recorded["project_name"]
    nuspec = _nuspec_texts(repository)
    assert nuspec["authors"] == recorded["authors"]
    assert nuspec["description"] == recorded["description"]


def test_hostile_text_comes_out_right(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Quotes, backslashes, markup, braces and emoji reach TOML, XML and Markdown as they are."""
    answers = dict.fromkeys(_TEXTS, _HOSTILE)
    repository = _answered(questions_alone, tmp_path_factory, **answers)
    _assert_carried(repository, answers)
    title = (repository / "README.md").read_text(encoding="utf-8").splitlines()[0]
    assert title.startswith(
        "# Ünï \"quoted\" 'single' \\\\n {{ project\\_name }} {% raw %} \\<b\\>"
    )


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(_TEXTS, free_text)))
@settings(max_examples=30)
def test_any_text_is_carried_or_refused(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory, answers: dict[str, str]
) -> None:
    """Whatever is typed is either refused by name of its question or comes out as it went in."""
    try:
        repository = _answered(questions_alone, tmp_path_factory, **answers)
    except ValueError as error:
        assert str(error).startswith("Validation error for question '")  # noqa: PT017
    else:
        _assert_carried(repository, answers)


@given(st.from_regex(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\s#]{1,100}", fullmatch=True))
@settings(max_examples=15)
def test_names_proposed_from_any_project_name_are_accepted(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """From any project name, the proposed names pass every check of the pipeline."""
    repository = _answered(questions_alone, tmp_path_factory, project_name="x" + name + " y")
    project = Project.load(repository)
    module, _, _ = project.function.handler.partition(".")
    assert module.isidentifier()
    assert "_" in module


@pytest.mark.parametrize(
    ("name", "function", "package"),
    [
        ("Ünïcødé 注文", "Unicode", "Unicode"),
        ("Gro\u0308ße STRASSE", "GrosseStrasse", "Grosse.STRASSE"),
        ("Ærø to ŁÓDŹ", "AeroToLodz", "Aero.to.LODZ"),
        ("注文", "Function", "Function"),
        ("2nd try", "NdTry", "2nd.try"),
        ("con", "Con", "Function.con"),
        ("Com1 logs", "Com1Logs", "Function.Com1.logs"),
    ],
)
def test_names_are_proposed_in_ascii(
    questions_alone: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    function: str,
    package: str,
) -> None:
    """Latin letters lose their accents, others are left out; Windows can have the nuspec's file."""
    project = Project.load(_answered(questions_alone, tmp_path_factory, project_name=name))
    assert (project.function.name, project.package_id) == (function, package)


@pytest.mark.parametrize(
    ("function", "module"),
    [
        ("ElbLogsProcessor", "elb_logs_processor"),
        ("ELBLogs", "elb_logs"),
        ("S3ToKafka2", "s3_to_kafka2"),
        ("orders-v2", "orders_v2"),
        ("Json", "json_function"),
        ("class", "class_function"),
        ("Con", "con_function"),
        ("A-", "a_function"),
    ],
)
def test_module_is_named_after_the_function(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory, function: str, module: str
) -> None:
    """The module is the function's name in snake case, and never hides a module it may import."""
    repository = _answered(questions_alone, tmp_path_factory, function_name=function)
    assert Project.load(repository).function.handler == f"{module}.handler.handle"


# The values of each question, which are all answered at once: the first ones, the second ones, ...
_ACCEPTED: dict[str, list[Any]] = {
    "package_id": ["A", "x" * 100, "_a-b.c_D9", "Console.Nuller"],
    "function_name": ["f" * 53, "A-"],
    "base_version": ["0.0", "12.345"],
    "region": ["us-gov-west-1", "ap-southeast-2", "eusc-de-east-1"],
    "permanent_environments": ["CI", " CI ,Prod-2 "],
    "description": ["d" * 256],
    "authors": ["A, B"],
    "code_owner": ["@team/platform lead@example.com"],
    "octopus_space": ["x" * 200],
    "octopus_project": ["#{not a variable here}"],
    "build_servers": [[], ["teamcity", "github", "gitlab", "jenkins", "azure"]],
}


@pytest.mark.parametrize("number", range(max(map(len, _ACCEPTED.values()))))
def test_accepts_the_edges(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory, number: int
) -> None:
    """What AWS, NuGet and Octopus still take is accepted, recorded, and read by the pipeline."""
    answers = {name: values[number % len(values)] for name, values in _ACCEPTED.items()}
    repository = _answered(questions_alone, tmp_path_factory, **answers)
    recorded = _recorded(repository)
    assert {name: recorded[name] for name in answers} == answers
    Project.load(repository)


_REFUSED = [
    ("project_name", " "),
    ("project_name", "two\nlines"),
    ("project_name", " padded"),
    ("project_name", "x" * 101),
    ("project_name", "a #{Variable}"),
    ("package_id", ""),
    ("package_id", "x" * 101),
    ("package_id", "a..b"),
    ("package_id", ".a"),
    ("package_id", "a."),
    ("package_id", "a b"),
    ("package_id", "Größe"),
    ("package_id", "a\n"),
    ("package_id", "../a"),
    ("package_id", "con.Logs"),
    ("function_name", ""),
    ("function_name", "f" * 54),
    ("function_name", "a_b"),
    ("function_name", "2fast"),
    ("function_name", "a b"),
    ("function_name", "é"),
    ("function_name", "a\n"),
    ("base_version", "1"),
    ("base_version", "1.0.0"),
    ("base_version", "01.0"),
    ("base_version", "1.0-x"),
    ("base_version", "1.1234567890"),
    ("region", "Ireland"),
    ("region", "eu-west-1a"),
    ("region", "eu-west-1\n"),
    ("permanent_environments", ""),
    ("permanent_environments", "CI,,Staging"),
    ("permanent_environments", "CI, ci"),
    ("permanent_environments", "CI, Local"),
    ("permanent_environments", "2nd"),
    ("permanent_environments", "Pre Production"),
    ("permanent_environments", "C_I"),
    ("permanent_environments", "e" * 51),
    ("description", " "),
    ("description", "d" * 257),
    ("description", "for $id$"),
    ("description", "tab\there"),
    ("description", "#{Octopus}"),
    ("authors", ","),
    ("authors", "a$b$"),
    ("code_owner", "team/platform"),
    ("code_owner", "@team #x"),
    ("octopus_space", ""),
    ("octopus_space", "x" * 201),
    ("octopus_project", "x\x85y"),
    ("octopus_project", "x "),
    ("runtime", "python3.10"),
    ("architecture", "arm"),
    ("function_kind", "kinesis"),
    ("build_servers", ["hudson"]),
]


@pytest.mark.parametrize(("question", "answer"), _REFUSED, ids=str)
def test_refuses_what_a_service_would(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory, question: str, answer: Any
) -> None:
    """What AWS, NuGet, Octopus or Windows refuses is refused at once, in one line of a terminal."""
    with pytest.raises(ValueError, match=rf"'{question}': .|\AInvalid choice") as refused:
        _answered(questions_alone, tmp_path_factory, **{question: answer})
    # Below a question copier shows one line, cut at the terminal's width; a choice is only picked.
    assert len(str(refused.value)) <= 80 or "choices" in QUESTIONS[question]


@pytest.mark.parametrize("length", [10, 40, 50])
def test_name_fits_with_the_longest_environment(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    """Exactly 64 characters with the longest environment are accepted, 65 are refused."""
    environments = f"CI, {'e' * length}"
    fits = {"permanent_environments": environments, "function_name": "f" * (63 - length)}
    Project.load(_answered(questions_alone, tmp_path_factory, **fits))
    with pytest.raises(ValueError, match=f"At most {63 - length} characters"):
        _answered(
            questions_alone, tmp_path_factory, **{**fits, "function_name": "f" * (64 - length)}
        )


@pytest.mark.parametrize("length", [1, 30, 50])
def test_proposed_name_fits_beside_any_environment(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    """The proposed function name is cut so that the longest environment's name fits."""
    answers = {"permanent_environments": "e" * length, "project_name": "word " * 19 + "end"}
    project = Project.load(_answered(questions_alone, tmp_path_factory, **answers))
    assert len(project.function.name) == 63 - max(length, len("local"))


def test_a_template_is_found_again_from_everywhere(
    questions_alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is recorded whole; `update` and `doctor` run in another folder."""
    monkeypatch.chdir(questions_alone.parent)
    repository = copy_template(Path(questions_alone.name), tmp_path / "repository", {})
    assert _recorded(repository)["_src_path"] == str(questions_alone)
    assert "address" not in {one.kind for one in doctor.examine(repository, "2026-11-26")}
    template = shutil.copytree(questions_alone, tmp_path / "template")
    git(template, "init", "--quiet")
    commit_all(template, "Only questions")
    address = f"git+file://{template}"
    copier.run_copy(address, tmp_path / "other", defaults=True, quiet=True)
    assert _recorded(tmp_path / "other")["_src_path"] == address


def test_every_validator_is_proven() -> None:
    """Each question with a validator has at least one answer above that it refuses."""
    checked = {name for name, question in QUESTIONS.items() if "validator" in question}
    assert checked - {name for name, _ in _REFUSED} == set()


def test_a_language_beside_another_ones_runtime_is_refused(
    questions_alone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Copier takes an answer to what is not asked; half of the files would be in another one."""
    with pytest.raises(ValueError, match="The runtime decides the language"):
        _answered(questions_alone, tmp_path_factory, language="node")
    _answered(questions_alone, tmp_path_factory, language="node", runtime="nodejs24.x")


def test_what_comes_next_begins_in_the_new_folder(
    questions_alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever copies the commands of the end must not make a git repository where they stand."""
    for folder, first in (("a folder", 'cd "a folder"'), (".", "git init --initial-branch main")):
        with contextlib.chdir(tmp_path):
            copier.run_copy(str(questions_alone), folder, defaults=True, pretend=True)
        after = capsys.readouterr().err.partition(" Next:\n")[2]
        assert after.split("\n")[1].strip().startswith(first)
