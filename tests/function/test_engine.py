"""The engines: one for each language, found by its runtimes."""

from __future__ import annotations

from pipeline.function.engine import engine_for
from pipeline.function.node.engine import ENGINE as NODE
from pipeline.function.python.engine import ENGINE as PYTHON
from pipeline.project.runtimes import RUNTIMES

ENGINES = {"python": PYTHON, "node": NODE}


def test_every_runtime_has_its_languages_engine() -> None:
    """No runtime is without one."""
    for runtime in RUNTIMES:
        assert engine_for(runtime) is ENGINES[runtime.language]
