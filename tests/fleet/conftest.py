"""What the fleet's tests share: a template that has released twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MadeOnce
from tests.fleet.made import template_with_releases


@pytest.fixture(scope="session")
def template(template_clone: Path, made_once: MadeOnce) -> Path:
    """Return a template that has two releases. It is shared: only read it."""
    return made_once("two releases", lambda folder: template_with_releases(template_clone, folder))
