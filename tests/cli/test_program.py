"""The Program's view of the verbs: the command line of each, as the normaliser needs it."""

from __future__ import annotations

from pathlib import Path

from pipeline.cli.program import shapes
from pipeline.tasks import namespace


def test_every_verb_has_a_shape(tmp_path: Path) -> None:
    """The verbs are there, and flags with a value are told from those without."""
    found = shapes(namespace(tmp_path))
    assert {"version", "build", "package", "verify", "run", "local.start"} <= found.keys()
    assert "--build-number" in found["build"].valued
    assert "--json" not in found["build"].valued
    assert found["run"].positional == ("--package",)
    assert found["deploy"].positional == ("--environment",)
    assert found["test"].passes_on


def test_a_positional_is_a_flag_that_the_verb_has(tmp_path: Path) -> None:
    """A bare word must not become a flag that invoke would then refuse."""
    for name, shape in shapes(namespace(tmp_path)).items():
        assert {*shape.positional} <= {*shape.valued}, name
