"""What the tests of feeds start from: a stand-in of each kind of feed, and the real client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.feeds.feed_support import echo
from tests.nuget_client import nuget  # noqa: F401 - a fixture
from tests.standins.loopback import Loopback, serving
from tests.standins.nuget_v2 import NugetV2Feed
from tests.standins.nuget_v3 import NugetV3Feed


@pytest.fixture
def v2() -> NugetV2Feed:
    """Return a v2 feed's content and settings."""
    return NugetV2Feed()


@pytest.fixture
def v2_server(v2: NugetV2Feed) -> Iterator[Loopback]:
    """Run the v2 feed."""
    with serving(v2) as server:
        yield server


@pytest.fixture
def v3() -> NugetV3Feed:
    """Return a v3 feed's content and settings."""
    return NugetV3Feed()


@pytest.fixture
def v3_server(v3: NugetV3Feed) -> Iterator[Loopback]:
    """Run the v3 feed."""
    with serving(v3) as server:
        yield server


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Run a server that answers everything."""
    with serving(echo) as found:
        yield found
