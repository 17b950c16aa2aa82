"""A plan before it is applied: one screen, data, a file; then applied as it is, or refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import Conflict, PipelineError
from pipeline.core.manifest import Dependency

from tests.deploy.deploy_support import function_zip, manifest, write_package
from tests.deploy.deploying import CODE, Deploy
from tests.words import assert_wording, refused

LATER = function_zip("new = 1\n")
VALUES = {"GREETING": "#{Greeting}", "HOST": "http://#{Host}/"}
VARIABLES = {"Host": "logs.example", "Greeting": "a secret", "Pipeline_PlainVariables": "Host, X"}


def released(folder: Path) -> Deploy:
    """Return a function whose release 2.0.7 serves, and the package 2.0.8 to deploy."""
    one = Deploy(folder, environment={**VALUES, "LEVEL": "debug"})
    one.run(**VARIABLES)
    package(one, LATER, "2.0.8")
    one.fake.calls.clear()
    one.recorder.events.clear()
    return one


def package(one: Deploy, code: bytes, version: str, *libraries: str) -> None:
    """Make that the package to deploy, with libraries like `idna 3.10`."""
    facts = manifest(code, environment={**VALUES, "LEVEL": "info"}, handler_file="app.py")
    locked = tuple(Dependency(name, number) for name, number in map(str.split, libraries))
    write_package(one.folder, replace(facts, version=version, dependencies=locked), code)


def test_the_plan_is_one_screen(tmp_path: Path) -> None:
    """What serves, what others changed, keys with their values, files and libraries: 80 columns."""
    one = released(tmp_path)
    one.folder = tmp_path / "2.0.7_1"  # where Octopus has unpacked it before, a second time
    package(one, CODE, "2.0.7", "idna 3.9", "six 1.17")
    one.folder = tmp_path / "2.0.8"
    package(one, LATER, "2.0.8", "attrs 25.1", "idna 3.10")
    one.fake.touch(Timeout=60)
    one.dry_run(**{**VARIABLES, "Greeting": "a new secret", "Host": "new.example"})
    assert one.fake.writes() == []
    assert max(map(len, one.lines().splitlines())) <= 80
    assert "secret" not in repr(one.recorder.events)
    assert_wording("plans", "a dry run", one.lines(), {})


def test_a_plan_says_who_moved_the_alias_and_what_was_left_half_done(tmp_path: Path) -> None:
    """An alias that somebody moved is drift; a rollback of ours is none, and says its reason."""
    one = released(tmp_path)
    one.run(**VARIABLES)
    one.fake.move("1")
    assert [change["what"] for change in one.dry_run(**VARIABLES)["drift"]] == ["live"]
    assert one.fake.alias is not None
    one.fake.alias["Description"] = "rollback from 2.0.8, because"
    found = one.dry_run(**VARIABLES)
    assert (found["drift"], found["live"]["note"]) == ([], "rollback from 2.0.8, because")
    assert (found["live"]["release"], found["last_release"]["release"]) == ("2.0.7", "2.0.8")
    package(one, function_zip("newest = 1\n"), "2.0.9")
    one.fake.before["publish_version"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        one.run(**VARIABLES)
    one.dry_run(**VARIABLES)
    assert "(since 2.0.8, by a deploy of 2.0.9 that did not finish)" in one.lines()


def test_an_earlier_package_is_a_help_only(tmp_path: Path) -> None:
    """A file of a build counts; one that is damaged, or another's, is passed over."""
    one = released(tmp_path)
    (tmp_path / "damaged").write_bytes(b"PK")
    for packages in ({}, {"2.0.7": str(tmp_path / "damaged")}, {"2.0.7": str(one.folder)}):
        found = one.dry_run(**VARIABLES, Pipeline_Packages=json.dumps(packages))
        assert found["contents"] is None
    there = tmp_path / "there.nupkg"
    write_package(tmp_path / "earlier", manifest(CODE), CODE)
    with zipfile.ZipFile(there, "w") as archive:
        for name in ("build.json", "function.zip"):
            archive.write(tmp_path / "earlier" / name, name)
    found = one.dry_run(**VARIABLES, Pipeline_Packages=json.dumps({"2.0.7": str(there)}))
    assert found["contents"]["files"] == {"changed": ["app.py"], "added": [], "gone": []}


def test_a_saved_plan_is_what_is_deployed(tmp_path: Path) -> None:
    """Saved as JSON and read again it fits, without a value of the environment in it."""
    one = released(tmp_path)
    saved = json.dumps(one.dry_run(**VARIABLES), indent=4, sort_keys=True)
    assert "a secret" not in saved
    assert "42" not in json.loads(saved)["function"]["environment"]
    applied = one.run(**VARIABLES, Pipeline_FromPlan=saved)
    steps = [step["name"] for step in json.loads(saved)["steps"]]
    assert [step.name for step in applied.steps] == steps
    assert one.fake.tags["pipeline:package"] == "Acme.Greeter 2.0.8"


def hooks(one: Deploy) -> None:
    """Change the package by its hooks alone."""
    (one.folder / "hooks_deploy.py").write_text("# another", encoding="utf-8")


MOVES: dict[str, Callable[[Deploy], object]] = {
    "the package's code": lambda one: package(one, CODE, "2.0.8"),
    "the package's hooks": hooks,
    "a setting": lambda one: one.fake.touch(Timeout=60),
    "a secret of others": lambda one: one.fake.touch(
        Environment={"Variables": {"OWNED_BY_STACK": "another"}}
    ),
    "a revision": lambda one: one.fake.touch(),
    "the alias": lambda one: one.fake.move("1", v2=0.5),
    "a tag": lambda one: one.fake.tags.update({"team": "theirs"}),
    "a version": lambda one: one.fake.versions.update(
        {"2": {**one.fake.versions["1"], **made(one), "Version": "2"}}
    ),
}


def made(one: Deploy) -> dict[str, Any]:
    """Return what the function would be after the deploy, as if it was published already."""
    later = Deploy(one.folder.parent / "elsewhere")
    later.folder, later.fake.versions = one.folder, {}
    later.fake.configuration.update(one.fake.configuration)
    later.run(**VARIABLES)
    return later.fake.versions["1"]


@pytest.mark.parametrize("move", MOVES)
def test_a_saved_plan_is_refused_where_anything_has_moved(tmp_path: Path, move: str) -> None:
    """The difference is told, with exit code 4, and not one write is made."""
    one = released(tmp_path)
    saved = json.dumps(one.dry_run(**VARIABLES))
    MOVES[move](one)
    one.fake.calls.clear()
    with pytest.raises(Conflict) as caught:
        one.run(**VARIABLES, Pipeline_FromPlan=saved)
    assert one.fake.writes() == []
    names = {"[0-9a-f]{12}[.]{3}": "HASH", r"[A-Za-z0-9+/]{12}[.]{3}": "HASH"}
    assert_wording("plans", f"moved: {move}", str(caught.value), names)


def test_a_variable_that_changed_is_refused_too(tmp_path: Path) -> None:
    """Whether it is shown or masked."""
    one = released(tmp_path)
    saved = json.dumps(one.dry_run(**VARIABLES))
    for changed in ({"Greeting": "another secret"}, {"Host": "another.example"}):
        with refused("deploy CI", Conflict) as caught:
            one.run(**{**VARIABLES, **changed}, Pipeline_FromPlan=saved)
        assert "another" not in str(caught.value)


@pytest.mark.parametrize("saved", ["[]", "{", '{"schema": 2}', "{}"])
def test_what_is_no_plan_is_refused(tmp_path: Path, saved: str) -> None:
    """Nothing is written on the word of a file that says something else."""
    one = released(tmp_path)
    with refused("deploy CI", PipelineError):
        one.run(**VARIABLES, Pipeline_FromPlan=saved)
    assert one.fake.writes() == []
