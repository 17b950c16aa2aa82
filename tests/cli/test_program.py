"""The Program's view of the verbs: the command line of each, as the normaliser needs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pipeline.cli.program import main, shapes
from pipeline.cli.session import Session, verb
from pipeline.tasks import namespace

from maintain import verbs as maintainers


def test_every_verb_has_a_shape(tmp_path: Path) -> None:
    """The verbs are there, and flags with a value are told from those without."""
    found = shapes(namespace(tmp_path))
    assert {"version", "build", "package", "verify", "run", "local.start"} <= found.keys()
    assert "--build-number" in found["build"].valued
    assert "--json" not in found["build"].valued
    assert found["run"].positional == ("--package",)
    assert found["deploy"].positional == ("--environment",)
    assert found["env.create"].positional == ("--name",)
    assert found["test"].passes_on


def test_a_positional_is_a_flag_that_the_verb_has(tmp_path: Path) -> None:
    """A bare word must not become a flag that invoke would then refuse."""
    for name, shape in shapes(namespace(tmp_path)).items():
        assert {*shape.positional} <= {*shape.valued}, name


def test_a_letter_means_the_same_flag_everywhere(tmp_path: Path) -> None:
    """No short form of one verb is another flag's in the next, and each flag has one or none."""
    meanings: dict[str, set[str]] = {}
    lengths: dict[str, set[int]] = {}
    theirs, ours = namespace(tmp_path), maintainers.namespace(tmp_path)
    for context in (*theirs.to_contexts(), *ours.to_contexts()):
        for long, *short in (argument.names for argument in context.args.values()):
            lengths.setdefault(long, set()).add(len(short))
            for letter in short:
                meanings.setdefault(letter, set()).add(long)
    assert {letter: flags for letter, flags in meanings.items() if len(flags) > 1} == {}
    assert {flag for flag, counts in lengths.items() if len(counts) > 1} == set()
    assert meanings["p"] == {"package"}


@pytest.mark.parametrize("columns", [20, 42])
def test_help_fits_a_narrow_terminal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
) -> None:
    """A flag's text is below the flag where beside it there is no room for words."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "argv", ["tasks.py", "own", "--help"])

    @verb({"a-flag-of-a-long-name": "What it is for is told in words that are whole"})
    def own(run: Session, a_flag_of_a_long_name: str = "") -> None:
        """Do nothing."""

    verbs = namespace(tmp_path)
    verbs.add_task(own)
    with pytest.raises(SystemExit) as end:
        main(verbs, tmp_path)
    told = capsys.readouterr().out
    assert end.value.code == 0
    lines = told.partition("--a-flag-of-a-long-name=STRING\n")[2].partition("  -j")[0].splitlines()
    assert "".join(f"{line.strip()} " for line in lines).startswith("What it is for is told in")
    assert max(map(len, lines)) <= max(columns, 28)


def test_invokes_settings_on_this_machine_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken ~/.invoke.yaml, or a variable that is meant for another program, ends no verb."""
    verbs = namespace(tmp_path)

    @verb()
    def own(run: Session) -> None:
        run.result("done", {})

    verbs.add_task(own)
    (tmp_path / ".invoke.yaml").write_text("run: [", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("INVOKE_RUN_WATCHERS", "x")
    monkeypatch.setattr(sys, "argv", ["tasks.py", "own"])
    with pytest.raises(SystemExit) as end:
        main(verbs, tmp_path)
    assert (end.value.code, capsys.readouterr().out) == (0, "done\n")
