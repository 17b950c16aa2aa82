"""What `doctor` says of the files that a build runs: no conflict is left, and ours are ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import doctor

from ..core.errors import Conflict, NotTheSame
from ..core.text import few
from ..project.buildserver import BuildServer


def refuse_changed_files(
    root: Path, server: BuildServer, now: datetime, warn: Callable[[str], None]
) -> None:
    """Refuse what a merge has left, and on a build server files of ours that were changed.

    A developer's machine is only warned of those. Raises Conflict or NotTheSame.
    """
    if left := [one.path for one in doctor.conflicts(root)]:
        what = f"a merge has left conflicts: {few(left)}"
        raise Conflict("doctor", what, "Solve them: `python3 tasks.py doctor` says what is where.")
    found = doctor.ours(root, now.date().isoformat())
    if changed := [one.path for one in found if one.kind != "line-ends"]:
        what = f"not as the template has it: {few(changed)}"
        then = (
            "Bring it back: `python3 tasks.py doctor --fix`; or record it for a while in "
            f"{doctor.ALLOWED}."
        )
        if server.name:
            raise NotTheSame("doctor", what, then)
        warn(f"{what}. A build server refuses that. {then}")
