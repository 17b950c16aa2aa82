"""The maintainers' verbs: `python3 tasks.py VERB`, or `invoke VERB` with any invoke.

The template's own bootstrap and Program serve here as well, with the development lock.
"""

# Older Pythons must be able to read this file, or they cannot say what is missing.
# ruff: noqa: E402, UP031, UP036

import sys

if sys.version_info < (3, 11):
    raise SystemExit(
        "tasks.py: Python 3.11 or newer is needed, this is %d.%d." % sys.version_info[:2]
    )

from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "template" / "scripts")]

import bootstrap

bootstrap.hand_over(ROOT, __name__, lock="requirements/dev.txt")

from pipeline.cli import program

from maintain import verbs

ns = verbs.namespace(ROOT)

if __name__ == "__main__":
    program.main(ns, ROOT)
