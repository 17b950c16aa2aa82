"""The settings: what a good file means, and what every mistake in one is answered with."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.project.project import TEST_FOLDERS, Bundling, Environment, Project

from tests.project.values_support import SETTINGS, write_settings

FUNCTION = "tool.pipeline.function"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a good project, whose environments a test may replace."""
    return Project.load(write_settings(tmp_path_factory.mktemp("project")))


def refused(folder: Path, old: str, new: str) -> PipelineError:
    """Return the error for the good settings with one thing changed."""
    assert SETTINGS.count(old) == 1, old
    with pytest.raises(PipelineError) as error:
        Project.load(write_settings(folder, SETTINGS.replace(old, new)))
    assert error.value.exit_code == 1
    assert error.value.where.startswith("pyproject.toml")
    assert error.value.then
    return error.value


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
    with pytest.raises(PipelineError, match=r"\[tool.pipeline.secrets\] allow.src/a.pem"):
        Project.load(write_settings(tmp_path, f'{SETTINGS}{table}"src/a.pem" = " "\n'))


def test_a_strategy_may_be_written_in_any_case(tmp_path: Path) -> None:
    """The file's spelling becomes the original's."""
    text = SETTINGS.replace('"GitTag"', '"gittag"')
    assert Project.load(write_settings(tmp_path, text)).version_strategy == "GitTag"


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ('name = "orders"', "", "[project] name", "is missing"),
        ('package-id = "Acme.Orders"', "", "[tool.pipeline] package-id", "is missing"),
        ('package-id = "Acme.Orders"', 'package-id = ""', "[tool.pipeline] package-id", "''"),
        ('"2.0"', '"2"', "[tool.pipeline] base-version", "'2'"),
        ('"2.0"', '"2.0.0"', "[tool.pipeline] base-version", "'2.0.0'"),
        ('"2.0"', '"02.0"', "[tool.pipeline] base-version", "'02.0'"),
        ('"2.0"', '"9999999999.0"', "[tool.pipeline] base-version", "'9999999999.0'"),
        ('"2.0"', "2.0", "[tool.pipeline] base-version", "2.0 is not a text"),
        ('"GitTag"', '"CalVer"', "[tool.pipeline] version-strategy", "'CalVer'"),
        ('"python3.13"', '"python2.7"', f"[{FUNCTION}] runtime", "'python2.7'"),
        ('"arm64"', '"arm"', f"[{FUNCTION}] architecture", "'arm'"),
        ('"orders.handler.handle"', '"handle"', f"[{FUNCTION}] handler", "'handle'"),
        ('"orders.handler.handle"', '"a.b c"', f"[{FUNCTION}] handler", "'a.b c'"),
        ('"#{Orders.Queue}"', "5", f"[{FUNCTION}] environment.QUEUE", "5 is not a text"),
        ('["boto3>=1.40"]', '"boto3"', "[project] dependencies", "'boto3'"),
        (
            'account = "123456789012"',
            "account = 123456789012",
            "[tool.pipeline.environments.CI] account",
            "123456789012 is not a text",
        ),
        (
            'permanent = true\nregion = "eu-west-1"',
            'permanent = "yes"',
            "[tool.pipeline.environments.CI] permanent",
            "'yes' is neither true nor false",
        ),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, old: str, new: str, where: str, what: str) -> None:
    """The error names file, table and key, repeats the value, and says what to write."""
    error = refused(tmp_path, old, new)
    assert error.where == f"pyproject.toml {where}"
    assert what in error.what


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


@pytest.mark.parametrize(
    ("old", "new", "key", "near"),
    [
        ("package-id", "package_id = 1\npackage-id", "package_id", "package-id"),
        ("handler =", 'handlers = ""\nhandler =', "handlers", "handler"),
        ('region = "eu-west-1"', 'regions = "eu-west-1"', "regions", "region"),
        ("package-id", "octpus = {}\npackage-id", "octpus", "octopus"),
        ("package-id", "pushh = {}\npackage-id", "pushh", "push"),
    ],
)
def test_an_unknown_key_gets_a_suggestion(
    tmp_path: Path, old: str, new: str, key: str, near: str
) -> None:
    """A misspelt key is refused, with the one that was probably meant."""
    error = refused(tmp_path, old, new)
    assert error.where.endswith(f" {key}")
    assert error.then == f"Did you mean {near}?"


def test_an_unknown_key_like_no_other_gets_the_list(tmp_path: Path) -> None:
    """Without a near one the error names all keys of the table."""
    error = refused(tmp_path, "architecture =", "zzz = 1\narchitecture =")
    assert error.then.startswith("Known are ")
    assert {"architecture", "handler", "runtime"} <= set(error.then[10:-1].split(", "))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("project = 1", "[project]"),
        ("tool = 1", "[tool]"),
        ("[tool]\npipeline = 1", "[tool.pipeline]"),
        ("dependency-groups = 1", "[dependency-groups]"),
    ],
)
def test_a_value_where_a_table_belongs_is_named(tmp_path: Path, text: str, where: str) -> None:
    """A file of another shape is an error with a place, not a bug with a traceback."""
    with pytest.raises(PipelineError, match="1 is not a table") as error:
        Project.load(write_settings(tmp_path, text))
    assert error.value.where == f"pyproject.toml {where}"


@pytest.mark.parametrize("text", ["x =\n", "a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    """The parser's own words, with line and column, are passed on."""
    with pytest.raises(PipelineError, match="cannot be read") as error:
        Project.load(write_settings(tmp_path, text))
    assert "line" in error.value.what


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"#{Orders.Queue}"', '"a\\u0000b"', f"[{FUNCTION}] environment.QUEUE"),
        ("QUEUE =", '"Q\\u0000" =', f"[{FUNCTION}] environment"),
        ('"Takes orders"', '"Takes\\u001b[2J orders"', f"[{FUNCTION}] description"),
        ('"Acme.Orders"', '"Acme\\u007f"', "[tool.pipeline] package-id"),
        ('["pytest>=8"]', '["pytest>=8\\u0000"]', "[dependency-groups] test"),
        (".Production]", '."Prod\\u0000"]', "[tool.pipeline] environments"),
    ],
)
def test_control_characters_are_refused(tmp_path: Path, old: str, new: str, where: str) -> None:
    """No process, no XML and no API takes them, wherever they are; the key is named."""
    error = refused(tmp_path, old, new)
    assert error.where == f"pyproject.toml {where}"
    assert "control character" in error.what


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
    with pytest.raises(PipelineError, match=f"byte order mark of {encoding}") as error:
        Project.load(tmp_path)
    assert error.value.then == "Save it as UTF-8 without a byte order mark."


def test_another_encoding_names_its_line(tmp_path: Path) -> None:
    """What an editor of the nineties writes is found."""
    text = SETTINGS.replace("Takes orders", "Für Züge").encode("latin-1")
    (tmp_path / "pyproject.toml").write_bytes(text)
    with pytest.raises(PipelineError, match="byte 0xfc, as Windows-1252") as error:
        Project.load(tmp_path)
    assert error.value.where == "pyproject.toml:18"


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
    with pytest.raises(PipelineError, match=re.escape(asked)) as error:
        Project.load(tmp_path)
    assert error.value.where == "pyproject.toml [project] requires-python"


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
"""
    expected = ("pytest>=8", "ruff", "mypy; python_version > '3.11'")
    assert grouped(tmp_path, text) == expected
    assert grouped(tmp_path, "other = []") == ()


@pytest.mark.parametrize(
    ("line", "then"),
    [
        ("requests=2.0", "Write it like"),
        ("requests >= two", "Write it like"),
        ("", "Write it like"),
        ("tool @ file:///home/me/tool", "UV_FIND_LINKS"),
        ("tool @ git+https://git.example.com/tool.git", "UV_FIND_LINKS"),
        ("./libs/tool", "UV_FIND_LINKS"),
        ("-e tool", "UV_FIND_LINKS"),
        ("libs\\\\tool", "UV_FIND_LINKS"),
    ],
)
def test_a_requirement_that_no_lock_can_hold(tmp_path: Path, line: str, then: str) -> None:
    """Its place, the requirement and a way out are named, wherever it is written."""
    for old, where in (
        ('dependencies = ["boto3>=1.40"]', "[project] dependencies"),
        ('test = ["pytest>=8"]', "[dependency-groups] test"),
    ):
        text = SETTINGS.replace(old, f'{old.partition(" ")[0]} = ["{line}"]')
        with pytest.raises(PipelineError) as error:
            Project.load(write_settings(tmp_path, text))
        assert error.value.where == f"pyproject.toml {where}"
        assert repr(line.replace("\\\\", "\\")) in error.value.what
        assert then in error.value.then


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('test = [{include-group = "test"}]', "test", "it includes itself: test -> test"),
        (
            """test = [{include-group = "a"}]
            a = [{include-group = "B"}]
            b = [{include-group = "A"}]""",
            "a",
            "it includes itself: a -> b -> a",
        ),
        ('test = [{include-group = "lint"}]', "test", "there is no group 'lint'"),
        ('test = [{include-group = "a"}]\na = "ruff"', "a", "'ruff' is not a list"),
        ('test = ["x", 5]', "test", "5 is neither a requirement nor a group"),
        ('test = [{include-groups = "a"}]', "test", "is neither a requirement nor a group"),
        ('test = [{include-group = ["a"]}]', "test", "is neither a requirement nor a group"),
        ("test = []\nTest = []", "Test", "'test' and 'Test' are the same group"),
    ],
)
def test_a_bad_group_is_named(tmp_path: Path, text: str, where: str, what: str) -> None:
    """Circles, unknown groups, and what is no group at all."""
    with pytest.raises(PipelineError) as error:
        grouped(tmp_path, text)
    assert error.value.where == f"pyproject.toml [dependency-groups] {where}"
    assert what in error.value.what
    assert error.value.then


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


@pytest.mark.parametrize("name", ["ci", "Local"])
def test_environments_that_differ_in_case_only_are_refused(tmp_path: Path, name: str) -> None:
    """Case does not matter where people type them; `local` is always the embedded AWS."""
    error = refused(
        tmp_path,
        "[tool.pipeline.environments.Production]",
        f"[tool.pipeline.environments.{name}]",
    )
    assert error.where == "pyproject.toml [tool.pipeline.environments]"
    assert repr(name) in error.what


@pytest.mark.parametrize("typed", ["production", "PRODUCTION", "Production", "pRODUCTION"])
def test_an_environment_is_found_in_any_case(tmp_path: Path, typed: str) -> None:
    """What people type becomes the declared spelling."""
    assert Project.load(write_settings(tmp_path)).environment(typed).name == "Production"


@pytest.mark.parametrize("typed", ["local", "LOCAL"])
def test_local_needs_no_declaration(tmp_path: Path, typed: str) -> None:
    """The embedded AWS is always there; it is not permanent and has no account."""
    local = Project.load(write_settings(tmp_path)).environment(typed)
    assert local.is_local
    assert local.name == "local"
    assert (local.permanent, local.place(), local.variables) == (False, {}, {})


def test_local_may_have_variables(tmp_path: Path) -> None:
    """A declaration of `local` adds to it and does not make it a place in AWS."""
    text = SETTINGS + '[tool.pipeline.environments.local.variables]\n"Orders.Queue" = "q"\n'
    local = Project.load(write_settings(tmp_path, text)).environment("Local")
    assert local.is_local
    assert local.variables == {"Orders.Queue": "q"}


def test_an_unknown_environment_names_the_declared_ones(tmp_path: Path) -> None:
    """The error lists them and says where a new one is declared."""
    with pytest.raises(PipelineError, match="'Stagging'") as error:
        Project.load(write_settings(tmp_path)).environment("Stagging")
    assert "CI, Production, local" in error.value.then
    assert "[tool.pipeline.environments.Stagging]" in error.value.then


@given(st.lists(st.text("abcXYZ", min_size=1), min_size=1, unique_by=str.lower), st.data())
def test_case_never_matters(project: Project, declared: list[str], data: st.DataObject) -> None:
    """Any spelling of any declared name gives that name back."""
    name = data.draw(st.sampled_from(declared))
    changed = replace(project, environments=tuple(map(Environment, declared)))
    assert changed.environment(name.swapcase()).name == name


def test_an_unknown_environment_is_told_each_declared_one_once(project: Project) -> None:
    """`local` is always known, and is not named twice when it is declared as well."""
    changed = replace(project, environments=(Environment("CI"), Environment("local")))
    with pytest.raises(PipelineError) as caught:
        changed.environment("prod")
    assert "Declared are CI, local. Add" in caught.value.then
