"""What the tests of packages share: the real NuGet client."""

from __future__ import annotations

from tests.nuget_client import nuget  # noqa: F401 - a fixture
