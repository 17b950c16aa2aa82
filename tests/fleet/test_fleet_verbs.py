"""The fleet's verbs as maintainers type them, and what docs/fleet.md shows of its file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from maintain.fleet.config import read_fleet
from maintain.verbs import namespace
from tests.repositories import ROOT, commit_all, copy_template, git
from tests.verbs import run_verb

_PAGE = (ROOT / "docs" / "fleet.md").read_text("utf-8")


def test_a_look_at_a_fleet_and_its_parts_together(template: Path, tmp_path: Path) -> None:
    """A table, a page and JSON say the same; the parts of the plan make the whole again."""
    copy_template(template, tmp_path / "orders", {"function_kind": "empty"})
    git(tmp_path / "orders", "init", "--quiet")
    commit_all(tmp_path / "orders", "Generated")
    (tmp_path / "fleet.toml").write_text(
        f'[fleet]\ntemplate = "{template}"\n[[repository]]\nurl = "{tmp_path}/orders"\n'
        f'[[repository]]\nurl = "{tmp_path}/none"\nring = "canary"\n',
        encoding="utf-8",
    )

    def run(*words: str) -> tuple[int, str]:
        done = run_verb(tmp_path, *words, verbs=namespace, environ={"HOME": str(tmp_path)})
        return done.returncode, done.stdout

    code, table = run("fleet.status", "--html", "fleet.html", "--only", "orders")
    assert (code, table.splitlines()[1].split()[:3]) == (0, ["orders", "current", "v1.1.0"])
    assert "<title>Fleet: 1 of 1 current</title>" in (tmp_path / "fleet.html").read_text("utf-8")

    plan = json.loads(run("fleet.plan", "--jobs", "2", "--json")[1])
    assert [one["repositories"] for one in plan["include"]] == ["none", "orders"]
    for one in plan["include"]:
        code, text = run("fleet.status", "--offline", "--json", "--only", one["repositories"])
        assert code == (0 if one["repositories"] == "orders" else 3)
        (tmp_path / f"{one['shard']}.json").write_text(text, "utf-8")
    code, text = run("fleet.merge", "1.json", "2.json", "--json")
    whole = json.loads(text)
    assert code == 3
    assert [one["name"] for one in whole["repositories"]] == ["none", "orders"]
    assert [one["sign_of_life"] for one in whole["repositories"]] == [None, 0]
    assert whole["counts"]["broken"] == whole["counts"]["current"] == 1

    code, text = run("fleet.status", "--only", "order", "--json")
    assert (code, json.loads(text)["error"]["where"]) == (1, "fleet.toml")
    assert run("fleet.merge", "fleet.toml")[0] == 1
    for jobs in ("0", "257"):
        assert run("fleet.plan", "--jobs", jobs)[0] == 2
    code, text = run("fleet.status", "--offline", "--html", "fleet.toml/page", "--only", "orders")
    assert (code, "orders" in text, "--offline asks no host" in text) == (1, True, True)


def test_the_page_shows_what_is_read(tmp_path: Path) -> None:
    """Its fleet.toml is read as it is, and its workflows are YAML."""
    blocks = dict(re.findall(r"```(toml|yaml)\n(.*?)```", _PAGE, re.DOTALL))
    (tmp_path / "fleet.toml").write_text(blocks["toml"], encoding="utf-8")
    listed = (
        '[{"full_name": "example/lambda-a", "clone_url": "https://github.com/example/lambda-a"}]'
    )
    fleet = read_fleet(tmp_path / "fleet.toml", {}, lambda *_: listed)
    assert [one.name for one in fleet.repositories] == ["orders", "lambda-a"]
    shown = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)
    assert all(isinstance(yaml.safe_load(block), dict) for block in shown)
    assert len(shown) == 2
