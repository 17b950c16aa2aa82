"""What the tests of the deploy half share: the Pythons that a worker may have."""

from __future__ import annotations

import pytest

from tests.deploy.deploy_support import PYTHON
from tests.tools import python_of


@pytest.fixture(params=["ours", "3.10"])
def python(request: pytest.FixtureRequest) -> str:
    """Return this Python outside its environment, then the oldest one that a worker may have."""
    return str(PYTHON if request.param == "ours" else python_of(request.param))
