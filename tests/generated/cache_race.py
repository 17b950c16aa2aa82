"""`cache.clear` while `verify` fills an empty cache, as real processes.

`python -m tests.generated.cache_race REPOSITORY TRIES` says what came of each try; the repository
has to have dependencies, and is one that may be spoiled.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from tests.generated.repository import Repository, environment


def members(repository: Repository) -> set[str]:
    """Return the names in the last build's function zip."""
    package = repository.root / repository.latest()["package"]
    with zipfile.ZipFile(package.with_name("function.zip")) as archive:
        return set(archive.namelist())


def race(repository: Repository, whole: set[str], moment: float) -> str:
    """Clear once, `moment` seconds after `verify` began to fill; then build and look.

    `whole` is what the function zip of the last build has to hold. Returns "whole", "half",
    or what was refused.
    """
    shutil.rmtree(repository.root / ".pipeline" / "cache", ignore_errors=True)
    verify = _started(repository, "verify")
    time.sleep(moment)
    clear = _started(repository, "cache.clear")
    said = verify.communicate()[1]
    clear.wait()
    done = repository.verb("package", "--force")
    if done.code == 0 and members(repository) != whole:
        return "half"
    if done.code or verify.returncode:
        return f"refused: {done.err if done.code else said}"
    return "whole"


def _started(repository: Repository, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        repository.command(*words),
        cwd=repository.root,
        env=environment(repository.extra),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if words == ("verify",) else subprocess.DEVNULL,
        text=True,
    )


if __name__ == "__main__":
    place = Repository(Path(sys.argv[1]).resolve())
    place.must("package", "--force")
    everything = members(place)
    for number in range(int(sys.argv[2])):
        # Spread over the time that filling takes.
        found = race(place, everything, 0.02 * (number % 40))
        sys.stdout.write(f"{number + 1} {found}\n")
        sys.stdout.flush()
