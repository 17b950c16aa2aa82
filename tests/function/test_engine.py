"""The engines: a module for each language, found by its runtimes."""

from __future__ import annotations

import pipeline.function.node.engine as node
import pipeline.function.python.engine as python
from pipeline.function.engine import Engine, engine_for
from pipeline.project.runtimes import RUNTIMES

# mypy holds each module against the protocol here.
PYTHON: Engine = python
NODE: Engine = node
ENGINES = {"python": PYTHON, "node": NODE}


def test_every_runtime_has_its_languages_engine() -> None:
    """No runtime is without one, and each has all that the protocol names."""
    for runtime in RUNTIMES:
        assert engine_for(runtime) is ENGINES[runtime.language]
    for engine in ENGINES.values():
        for name in (*Engine.__annotations__, *vars(Engine)):
            assert name.startswith("_") or hasattr(engine, name)
