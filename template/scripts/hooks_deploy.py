"""Your steps in a deploy. Yours to edit; updates of the template leave this file alone.

It travels in the package and runs on the worker: Python 3.10, its standard library, boto3 and
what lies in the package, nothing else. An exception stops the deploy, and the log says where.
"""

from __future__ import annotations


def before_deploy(stage: object) -> None:
    """Run before the first change. `stage` is the plan; a dry run does not come here."""


def after_deploy(stage: object) -> None:
    """Run when every change is made and checked. `stage` is what was applied."""
