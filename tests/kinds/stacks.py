"""Reading what a repository has in `environment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as a dictionary of their name."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    raise AssertionError(node)


Loader.add_multi_constructor("!", _short_form)


def read(root: Path, name: str) -> Any:
    """Return a template of a repository."""
    text = (root / "environment" / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader)  # noqa: S506 (safe)
