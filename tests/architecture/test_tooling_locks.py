"""The tooling's locks share one `.venv`, so they name one version of each package.

Those of Node do not: each is installed into a folder of its own.
"""

from __future__ import annotations

import re

from tests.repositories import ROOT


def test_no_lock_undoes_another() -> None:
    """Else each verb would install again what the one before it has replaced."""
    found: dict[str, set[frozenset[str]]] = {}
    locks = (ROOT / "template" / "scripts").glob("requirements-*.txt")
    for lock in (lock for lock in locks if "-node" not in lock.name):
        pins = re.findall(r"(?m)^([\w.-]+)==(\S+)", lock.read_text("utf-8"))
        for name in {name for name, _ in pins}:
            # More than one version where it depends on the Python.
            versions = frozenset(version for one, version in pins if one == name)
            found.setdefault(name, set()).add(versions)
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}
