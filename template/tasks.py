"""The verbs of this repository: `python3 tasks.py VERB`, or `invoke VERB` with any invoke.

Both make `.venv` from the hash lock when it is missing and run the pipeline in it. At the end of
this file is room for your own. These lines make one, `greet --name team`:

    @invoke.task
    def greet(c, name="world"):
        c.run(f"echo Hello, {name}!")

    ns.add_task(greet)
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
sys.path.insert(0, str(ROOT / "scripts"))
try:
    __import__("bootstrap").hand_over  # noqa: B018 - an emptied one has none
except Exception as error:  # noqa: BLE001 - whatever is wrong with it
    raise SystemExit(
        "scripts/bootstrap.py: %s\nBring it back: python3 scripts/doctor.py --fix" % error
    ) from None

import bootstrap

bootstrap.hand_over(ROOT, __name__)

import invoke  # noqa: F401 - for your own tasks
from pipeline.tasks import namespace, program

ns = namespace(ROOT)
# Room for your own tasks: decorate a function with @invoke.task and add it with ns.add_task(it).

if __name__ == "__main__":
    program.main(ns, ROOT)
