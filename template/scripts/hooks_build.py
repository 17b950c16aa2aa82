"""Your steps in a build. Yours to edit; updates of the template leave this file alone.

An exception stops the build. What hooks print goes into its log when they end. `verify` runs
these hooks as well, in a clone, and compares bytes: what they write must depend on the repository
alone, not on the clock, the machine or the network. They run in the repository's folder.
"""

from __future__ import annotations


def before_build(stage: object) -> None:
    """Run before anything is built. `stage` is the project, as read from pyproject.toml.

    Files that this writes below `src` are packaged; name them in .gitignore.
    """


def after_package(stage: object) -> None:
    """Run when the package is written and before it is verified. `stage` is the package."""
