"""fleet.status on 200 repositories: seconds, memory, and how many processes of git's.

    .venv/bin/python benchmarks/fleet_status.py [--repositories N] [--parallel N]

It needs git alone. The repositories are made on this machine, so that what is measured is ours and
git's, and no network: a host's answers come on top, once for each repository, several at a time.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(sys.path[0], "template", "scripts")))

from maintain.fleet.config import Fleet, Host, Repository
from maintain.fleet.status import Source, survey
from tests.fleet.made import NEW, NOW, OLD, fleet_of
from tests.repositories import commit_all, git

_ROOT = Path(__file__).resolve().parents[1]
_AIM = 10.0  # seconds for 200 unchanged clones


def main() -> None:
    """Print one line for the first look, and one for the second at what has not changed."""
    parser = argparse.ArgumentParser(prog="fleet_status.py")
    parser.add_argument("--repositories", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fleet = _made(folder, options.repositories, options.parallel)
        environ = {**os.environ, "PATH": f"{_counting(folder)}{os.pathsep}{os.environ['PATH']}"}
        os.environ["PATH"] = environ["PATH"]
        print(f"{options.repositories} repositories, {options.parallel} at once")
        first = _look(fleet, folder)
        unchanged = [_look(fleet, folder) for _ in range(3)]
        print(f"first look: {first[0]:.1f} s, {first[1]} processes of git")
        seconds = statistics.median(one[0] for one in unchanged)
        print(f"unchanged:  {seconds:.1f} s, {unchanged[0][1]} processes of git")
        print(f"the aim for 200 unchanged ones is {_AIM:.0f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"memory: {peak:.0f} MB, its largest process of git {child:.0f} MB")


def _made(folder: Path, count: int, parallel: int) -> Fleet:
    template = folder / "template"
    git(folder, "clone", "--quiet", "--no-tags", str(_ROOT), str(template))
    git(template, "tag", OLD)
    commit_all(template, f"Release {NEW}")
    git(template, "tag", NEW)
    made = fleet_of(template, folder / "made")
    repositories = []
    for number in range(count):
        edits = {f"docs/{number}.md": b"Its own.\n", "README.md": f"# {number}\n".encode()}
        release = NEW if number % 3 else OLD
        path = made.add(f"function-{number}", edits, release=release)
        repositories.append(Repository(f"function-{number}", str(path)))
    made.write()
    return Fleet(str(template), tuple(repositories), Host(), folder / "clones", parallel=parallel)


def _counting(folder: Path) -> Path:
    """Return a folder with a git that notes each of its starts."""
    real = next(
        path
        for start in os.environ["PATH"].split(os.pathsep)
        if (path := Path(start, "git")).is_file()
    )
    shim = folder / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho >> "{folder}/starts"\nexec "{real}" "$@"\n', "utf-8")
    shim.chmod(0o755)
    return shim.parent


def _look(fleet: Fleet, folder: Path) -> tuple[float, int]:
    (folder / "starts").write_text("", "utf-8")
    begun = time.perf_counter()
    found = survey(fleet, Source(os.environ, NOW))
    seconds = time.perf_counter() - begun
    if found.counts["current"] + found.counts["behind"] < len(fleet.repositories):
        raise SystemExit(str(found.counts))
    return seconds, (folder / "starts").read_text("utf-8").count("\n")


if __name__ == "__main__":
    main()
