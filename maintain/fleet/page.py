"""A survey as one page."""

from __future__ import annotations

from .status import Survey


def page(survey: Survey) -> str:
    return str(survey)
