"""A small project to read, and a machine that does nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from pipeline.edge.machine import Machine

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)

# A project's settings up to the end of its function's; what follows is added to it.
FUNCTION_SETTINGS = """\
[project]
name = "orders"
dependencies = ["boto3>=1.40"]

[dependency-groups]
test = ["pytest>=8"]

[tool.pipeline]
package-id = "Acme.Orders"
base-version = "2.0"
version-strategy = "GitTag"

[tool.pipeline.function]
name = "Orders"
runtime = "python3.13"
architecture = "arm64"
handler = "orders.handler.handle"
"""
SETTINGS = f"""\
{FUNCTION_SETTINGS}\
description = "Takes orders"

[tool.pipeline.function.environment]
QUEUE = "#{{Orders.Queue}}"

[tool.pipeline.environments.CI]
permanent = true
region = "eu-west-1"
account = "123456789012"

[tool.pipeline.environments.Production]
permanent = true
role = "arn:aws:iam::123456789012:role/deploy"
external-id = "shared"
"""


def write_settings(folder: Path, text: str = SETTINGS) -> Path:
    """Write pyproject.toml and return its folder."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def machine(root: Path, environ: Mapping[str, str] | None = None) -> Machine:
    """Return a machine at noon whose tooling must not be asked for."""

    def refuse(*arguments: object) -> NoReturn:
        raise AssertionError(arguments)

    return Machine(
        root=root,
        cache_folder=lambda: root / "cache",
        environ=environ or {},
        now=lambda: NOON,
        seconds=lambda: 0.0,
        uv_program=refuse,
        tooling=refuse,
    )
