"""The settings: what a good file means, and what every mistake in one is answered with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import doctor
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.deploy.traffic import Rollout, Strategy, Thresholds
from pipeline.project.project import TEST_FOLDERS, Bundling, Environment, Project

from tests.project.values_support import SETTINGS, write_settings
from tests.words import assert_said, refused

FUNCTION = "tool.pipeline.function"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a good project, whose environments a test may replace."""
    return Project.load(write_settings(tmp_path_factory.mktemp("project")))


def refuses(folder: Path, old: str, new: str, where: str, said: list[str]) -> None:
    """Expect an error at that place for the good settings with one thing changed."""
    assert SETTINGS.count(old) == 1, old
    with refused(f"pyproject.toml {where}", PipelineError, said=said):
        Project.load(write_settings(folder, SETTINGS.replace(old, new)))


@pytest.mark.parametrize(
    ("began", "now"), [("python3.13", "nodejs24.x"), ("nodejs24.x", "python3.14")]
)
def test_a_repositorys_language_is_for_good(tmp_path: Path, began: str, now: str) -> None:
    """Said at once: what else does not fit, from the lock to the tests, would be riddles."""
    settings = SETTINGS.replace("python3.13", now).replace(">=3.13", ">=3.14")
    folder = write_settings(tmp_path, settings)
    (folder / doctor.ANSWERS).write_text(f"runtime: {began}\n", encoding="utf-8")
    with refused(f"pyproject.toml [{FUNCTION}] runtime", PipelineError):
        Project.load(folder)


def test_good_settings_become_a_value(tmp_path: Path) -> None:
    """Every key arrives where the code reads it."""
    project = Project.load(write_settings(tmp_path))
    assert project.root == tmp_path.resolve()
    assert (project.name, project.package_id) == ("orders", "Acme.Orders")
    assert project.base_version == (2, 0)
    assert project.version_strategy == "GitTag"
    assert project.release_branches == ("main", "master")
    assert project.dependencies == ("boto3>=1.40",)
    assert project.test_dependencies == ("pytest>=8",)
    assert project.function.runtime.name == "python3.13"
    assert project.function.environment == {"QUEUE": "#{Orders.Queue}"}
    assert [environment.name for environment in project.environments] == ["CI", "Production"]
    assert project.environments[0].permanent
    assert project.environments[0].place() == {"account": "123456789012", "region": "eu-west-1"}
    role = "arn:aws:iam::123456789012:role/deploy"
    assert project.environments[1].place() == {"role": role, "external_id": "shared"}


@pytest.mark.parametrize(
    ("line", "exclude", "advice"),
    [
        ('exclude = ["*/docs/**"]', ("*/docs/**",), ""),
        ("leave-out-tests = true", TEST_FOLDERS, 'write exclude = ["*/**/tests/**", '),
        ("leave-out-tests = false", (), "remove the line"),
    ],
)
def test_an_old_setting_is_still_read(
    tmp_path: Path, line: str, exclude: tuple[str, ...], advice: str
) -> None:
    """With one line that says what to write instead."""
    text = SETTINGS.replace(f"[{FUNCTION}]\n", f"[{FUNCTION}]\n{line}\n")
    project = Project.load(write_settings(tmp_path, text))
    assert project.function.exclude == exclude
    assert [advice in said for said in project.advice] == [True] * bool(advice)


def test_an_allowed_secret_needs_a_reason(tmp_path: Path) -> None:
    """Who reads the settings must see why a file may travel."""
    table = "\n[tool.pipeline.secrets.allow]\n"
    loaded = Project.load(write_settings(tmp_path, f'{SETTINGS}{table}"src/a.pem" = "a test\'s"\n'))
    assert loaded.secrets_allowed == {"src/a.pem": "a test's"}
    with refused("pyproject.toml [tool.pipeline.secrets] allow.src/a.pem", PipelineError):
        Project.load(write_settings(tmp_path, f'{SETTINGS}{table}"src/a.pem" = " "\n'))


def test_a_strategy_may_be_written_in_any_case(tmp_path: Path) -> None:
    """The file's spelling becomes the original's."""
    text = SETTINGS.replace('"GitTag"', '"gittag"')
    assert Project.load(write_settings(tmp_path, text)).version_strategy == "GitTag"


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    """The error names file, table and key, repeats the value, and says what to write."""
    said: list[str] = []
    for old, new, where in (
        ('name = "orders"', "", "[project] name"),
        ('package-id = "Acme.Orders"', "", "[tool.pipeline] package-id"),
        ('package-id = "Acme.Orders"', 'package-id = ""', "[tool.pipeline] package-id"),
        ('"2.0"', '"2"', "[tool.pipeline] base-version"),
        ('"2.0"', '"2.0.0"', "[tool.pipeline] base-version"),
        ('"2.0"', '"02.0"', "[tool.pipeline] base-version"),
        ('"2.0"', '"9999999999.0"', "[tool.pipeline] base-version"),
        ('"2.0"', "2.0", "[tool.pipeline] base-version"),
        ('"GitTag"', '"CalVer"', "[tool.pipeline] version-strategy"),
        ('"GitTag"', '"GitTag"\ntag-prefix = "a*"', "[tool.pipeline] tag-prefix"),
        ('"python3.13"', '"python2.7"', f"[{FUNCTION}] runtime"),
        ('"arm64"', '"arm"', f"[{FUNCTION}] architecture"),
        ('"orders.handler.handle"', '"handle"', f"[{FUNCTION}] handler"),
        ('"orders.handler.handle"', '"a.b c"', f"[{FUNCTION}] handler"),
        ('"#{Orders.Queue}"', "5", f"[{FUNCTION}] environment.QUEUE"),
        ('["boto3>=1.40"]', '"boto3"', "[project] dependencies"),
        (
            'account = "123456789012"',
            "account = 123456789012",
            "[tool.pipeline.environments.CI] account",
        ),
        (
            'permanent = true\nregion = "eu-west-1"',
            'permanent = "yes"',
            "[tool.pipeline.environments.CI] permanent",
        ),
    ):
        refuses(tmp_path, old, new, where, said)
    assert_said("\n".join(said))


def test_an_unknown_key_gets_a_suggestion(tmp_path: Path) -> None:
    """A misspelt key is refused, with the one that was probably meant, else with all there are."""
    said: list[str] = []
    for old, new, where in (
        ("package-id", "package_id = 1\npackage-id", "[tool.pipeline] package_id"),
        ("handler =", 'handlers = ""\nhandler =', f"[{FUNCTION}] handlers"),
        (
            'region = "eu-west-1"',
            'regions = "eu-west-1"',
            "[tool.pipeline.environments.CI] regions",
        ),
        ("package-id", "octpus = {}\npackage-id", "[tool.pipeline] octpus"),
        ("package-id", "pushh = {}\npackage-id", "[tool.pipeline] pushh"),
        ("architecture =", "zzz = 1\narchitecture =", f"[{FUNCTION}] zzz"),
    ):
        refuses(tmp_path, old, new, where, said)
    assert_said("\n".join(said))


NODE = SETTINGS.replace('"python3.13"', '"nodejs24.x"').replace("orders.handler.", "index.")


def test_a_function_in_node_is_bundled_unless_it_says_not(tmp_path: Path) -> None:
    """The settings of the bundle arrive together, and the SDK's under its own name."""
    function = Project.load(write_settings(tmp_path, NODE)).function
    assert (function.bundling, function.boto3) == (Bundling(), "bundled")
    name = 'name = "Orders"'
    more = 'minify = true\nsource-map = false\nexternal = ["sharp"]\naws-sdk = "runtime"'
    text = NODE.replace(name, f"{name}\n{more}")
    function = Project.load(write_settings(tmp_path, text)).function
    assert function.bundling == Bundling(minify=True, source_map=False, external=("sharp",))
    assert function.boto3 == "runtime"
    text = NODE.replace(name, f"{name}\nbundle = false")
    assert Project.load(write_settings(tmp_path, text)).function.bundling is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [(SETTINGS, "bundle = false"), (SETTINGS, 'aws-sdk = "runtime"'), (NODE, 'boto3 = "runtime"')],
)
def test_a_setting_of_another_language_is_refused(tmp_path: Path, settings: str, key: str) -> None:
    """What would have no effect is named, and not taken."""
    name = 'name = "Orders"'
    text = settings.replace(name, f"{name}\n{key}")
    with pytest.raises(PipelineError, match="no such setting") as error:
        Project.load(write_settings(tmp_path, text))
    assert error.value.where.endswith(key.partition(" ")[0])


def test_a_value_where_a_table_belongs_is_named(tmp_path: Path) -> None:
    """A file of another shape is an error with a place, not a bug with a traceback."""
    said: list[str] = []
    for text, where in (
        ("project = 1", "[project]"),
        ("tool = 1", "[tool]"),
        ("[tool]\npipeline = 1", "[tool.pipeline]"),
        ("dependency-groups = 1", "[dependency-groups]"),
    ):
        with refused(f"pyproject.toml {where}", PipelineError, said=said):
            Project.load(write_settings(tmp_path, text))
    assert_said("\n".join(said))


@pytest.mark.parametrize("text", ["x =\n", "a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    """The parser's own words, with line and column, are passed on."""
    with pytest.raises(PipelineError) as error:
        Project.load(write_settings(tmp_path, text))
    assert error.value.where == "pyproject.toml"
    assert "line" in error.value.what


def test_control_characters_are_refused(tmp_path: Path) -> None:
    """No process, no XML and no API takes them; the key is named.

    In a variable or a tag they are among the reasons of the check.
    """
    said: list[str] = []
    for old, new, where in (
        ("QUEUE =", '"Q\\u0000" =', f"[{FUNCTION}] environment"),
        ('"Takes orders"', '"Takes\\u001b[2J orders"', f"[{FUNCTION}] description"),
        ('"Acme.Orders"', '"Acme\\u007f"', "[tool.pipeline] package-id"),
        ('["pytest>=8"]', '["pytest>=8\\u0000"]', "[dependency-groups] test"),
        (".Production]", '."Prod\\u0000"]', "[tool.pipeline] environments"),
    ):
        refuses(tmp_path, old, new, where, said)
    assert_said("\n".join(said))


def test_lines_and_tabs_are_text(tmp_path: Path) -> None:
    """A variable may hold a certificate, or a table."""
    text = SETTINGS.replace('"#{Orders.Queue}"', '"a\\n\\tb\\r\\n"')
    function = Project.load(write_settings(tmp_path, text)).function
    assert function.environment == {"QUEUE": "a\n\tb\r\n"}


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "UTF-32"])
def test_a_byte_order_mark_is_named(tmp_path: Path, encoding: str) -> None:
    """Ours could read on, but pytest and others read the file too, and call line 1 wrong."""
    marked = SETTINGS.encode(encoding.replace("UTF-8", "utf-8-sig"))
    (tmp_path / "pyproject.toml").write_bytes(marked)
    with refused("pyproject.toml", PipelineError):
        Project.load(tmp_path)


def test_another_encoding_names_its_line(tmp_path: Path) -> None:
    """What an editor of the nineties writes is found."""
    text = SETTINGS.replace("Takes orders", "Für Züge").encode("latin-1")
    (tmp_path / "pyproject.toml").write_bytes(text)
    with refused("pyproject.toml:18", PipelineError):
        Project.load(tmp_path)


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        (">=3.13", True), (">=3.13.2", True), ("==3.13.*", True), ("<=3.13", True),
        (">=3.14", False), ("<3.13", False), ("~=3.12.1", False), ("3.13", False),
    ],
)  # fmt: skip
def test_the_runtime_is_a_python_that_the_project_takes(
    tmp_path: Path, asked: str, fits: bool
) -> None:
    """Whoever changes one of the two is told of the other."""
    text = SETTINGS.replace("[project]\n", f'[project]\nrequires-python = "{asked}"\n')
    write_settings(tmp_path, text)
    if fits:
        assert Project.load(tmp_path).function.runtime.version == "3.13"
        return
    with refused("pyproject.toml [project] requires-python", PipelineError):
        Project.load(tmp_path)


def grouped(folder: Path, text: str) -> tuple[str, ...]:
    """Return the tests' requirements for these dependency groups."""
    settings = SETTINGS.replace('test = ["pytest>=8"]', text)
    return Project.load(write_settings(folder, settings)).test_dependencies


def test_groups_include_groups(tmp_path: Path) -> None:
    """At any depth, whatever way the names are spelt, each requirement once."""
    text = """
test = ["pytest>=8", {include-group = "Lint_Tools"}, {include-group = "more"}]
lint-tools = ["ruff", {include-group = "more"}]
more = ["ruff", "mypy; python_version > '3.11'"]
unused = [{include-group = "missing"}]
also-unused = []
Also_Unused = []
"""
    expected = ("pytest>=8", "ruff", 'mypy; python_version > "3.11"')
    assert grouped(tmp_path, text) == expected
    assert grouped(tmp_path, "other = []") == ()


@pytest.mark.parametrize(
    "line",
    [
        "requests=2.0",
        "requests >= two",
        "",
        "tool @ file:///home/me/tool",
        "tool @ git+https://git.example.com/tool.git",
        "./libs/tool",
        "-e tool",
        "libs\\\\tool",
    ],
)
def test_a_requirement_that_no_lock_can_hold(tmp_path: Path, line: str) -> None:
    """Its place, the requirement and a way out are named, wherever it is written."""
    said: list[str] = []
    for old, where in (
        ('dependencies = ["boto3>=1.40"]', "[project] dependencies"),
        ('test = ["pytest>=8"]', "[dependency-groups] test"),
    ):
        text = SETTINGS.replace(old, f'{old.partition(" ")[0]} = ["{line}"]')
        with refused(f"pyproject.toml {where}", PipelineError, said=said):
            Project.load(write_settings(tmp_path, text))
    assert said[0].replace("[project] dependencies", "[dependency-groups] test") == said[1]
    assert_said(said[0])


def test_a_bad_group_is_named(tmp_path: Path) -> None:
    """Circles, unknown groups, and what is no group at all."""
    circle = 'test = [{include-group = "a"}]\na = [{include-group = "B"}]\nb = '
    said: list[str] = []
    for text in (
        'test = [{include-group = "test"}]',
        circle + '[{include-group = "A"}]',
        'test = [{include-group = "lint"}]',
        'test = [{include-group = "a"}]\na = "ruff"',
        'test = [{include-group = "a"}]\na = ["ruff", "=1"]',
        'test = ["x", 5]',
        'test = [{include-groups = "a"}]',
        'test = [{include-group = ["a"]}]',
        "test = []\nTest = []",
    ):
        with refused("pyproject.toml [dependency-groups] test", PipelineError, said=said):
            grouped(tmp_path, text)
    assert_said("\n".join(said))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says in which folder it was looked for."""
    with pytest.raises(PipelineError) as error:
        Project.load(tmp_path)
    assert str(tmp_path) in error.value.what


def test_what_only_aws_refuses_is_left_to_the_check(tmp_path: Path) -> None:
    """A build says it with all other reasons; until then the tests can be run."""
    text = SETTINGS.replace('"Orders"', f'"{"x" * 99}"').replace("Takes", "x" * 257)
    function = Project.load(write_settings(tmp_path, text)).function
    assert (len(function.name), len(function.description)) == (99, 264)


def test_environments_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    """Case does not matter where people type them; `local` is always the embedded AWS."""
    said: list[str] = []
    for name in ("ci", "Local"):
        old, new = (f"[tool.pipeline.environments.{each}]" for each in ("Production", name))
        refuses(tmp_path, old, new, "[tool.pipeline.environments]", said)
    assert_said("\n".join(said))


@pytest.mark.parametrize("typed", ["production", "PRODUCTION", "Production", "pRODUCTION"])
def test_an_environment_is_found_in_any_case(tmp_path: Path, typed: str) -> None:
    """What people type becomes the declared spelling."""
    assert Project.load(write_settings(tmp_path)).environment(typed).name == "Production"


@pytest.mark.parametrize("typed", ["local", "LOCAL"])
def test_local_needs_no_declaration(tmp_path: Path, typed: str) -> None:
    """The embedded AWS is always there: not permanent, no account, figures of calls at once."""
    local = Project.load(write_settings(tmp_path)).environment(typed)
    assert local.is_local
    assert local.name == "local"
    assert (local.permanent, local.variables) == (False, {})
    assert local.place() == {"metric-delay": "0s"}


def test_local_may_have_variables(tmp_path: Path) -> None:
    """A declaration of `local` adds to it and does not make it a place in AWS."""
    text = SETTINGS + '[tool.pipeline.environments.local.variables]\n"Orders.Queue" = "q"\n'
    local = Project.load(write_settings(tmp_path, text)).environment("Local")
    assert local.is_local
    assert (local.variables, local.place()) == ({"Orders.Queue": "q"}, {"metric-delay": "0s"})


def test_traffic_of_an_environment_travels_as_it_is_written(tmp_path: Path) -> None:
    """Strategy, alarms and thresholds are in the place that a package carries."""
    text = SETTINGS + (
        '[tool.pipeline.environments.Canary]\nstrategy = "canary:5:20m"\nalarms = ["a, b", "c"]\n'
        'thresholds = { errors = "0.5%", p99 = "2s", calls = "100" }\n'
    )
    place = Project.load(write_settings(tmp_path, text)).environment("Canary").place()
    rollout = Rollout.read(place)
    assert rollout == Rollout(
        Strategy(5, 1200), ("a, b", "c"), Thresholds(errors=0.005, p99=2000, calls=100)
    )


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ('strategy = "canary"', "strategy"),
        ('strategy = "canary:0:5m"', "strategy"),
        ('strategy = "canary:100:5m"', "strategy"),
        ('strategy = "canary:10:25h"', "strategy"),
        ('strategy = "linear:10:5m"', "strategy"),
        ('alarms = [" "]', "alarms"),
        ('alarms = "red"', "alarms"),
        ('thresholds = { errors = "1" }', "thresholds.errors"),
        ('thresholds = { p99 = "2000" }', "thresholds.p99"),
        ('thresholds = { calls = "19" }', "thresholds.calls"),
        ('thresholds = { latency = "2s" }', "thresholds.latency"),
        ('metric-delay = "soon"', "metric-delay"),
    ],
)
def test_mistakes_about_traffic_are_named_by_table_and_key(
    tmp_path: Path, line: str, at: str
) -> None:
    """They are found when pyproject.toml is read, not on a worker."""
    text = f"{SETTINGS}[tool.pipeline.environments.Canary]\n{line}\n"
    with pytest.raises(PipelineError) as error:
        Project.load(write_settings(tmp_path, text))
    assert error.value.where == f"pyproject.toml [tool.pipeline.environments.Canary] {at}"


def test_an_unknown_environment_names_the_declared_ones(tmp_path: Path) -> None:
    """The error lists them and says where a new one is declared."""
    with refused("environment", PipelineError):
        Project.load(write_settings(tmp_path)).environment("Stagging")


@given(st.lists(st.text("abcXYZ", min_size=1), min_size=1, unique_by=str.lower), st.data())
def test_case_never_matters(project: Project, declared: list[str], data: st.DataObject) -> None:
    """Any spelling of any declared name gives that name back."""
    name = data.draw(st.sampled_from(declared))
    changed = replace(project, environments=tuple(map(Environment, declared)))
    assert changed.environment(name.swapcase()).name == name


def test_an_unknown_environment_is_told_each_declared_one_once(project: Project) -> None:
    """`local` is always known, and is not named twice when it is declared as well."""
    changed = replace(project, environments=(Environment("CI"), Environment("local")))
    with refused("environment", PipelineError):
        changed.environment("prod")
