"""Deploys the package that it lies in. Octopus runs it on a worker, as deploy.py or by name.

It needs Python 3.10 and nothing else: the AWS client lies beside it, in the folder `client`.
The syntax is that of older Pythons, so that they can say what they lack.
"""

# ruff: noqa: ANN001, ANN201, E402, PTH100, PTH118, PTH120, UP031, UP036

import os
import signal
import sys

if sys.version_info < (3, 10):
    sys.stdout.write(
        "This deploy needs Python 3.10 or newer as python3 on the worker; it is Python %d.%d.\n"
        % sys.version_info[:2]
    )
    sys.exit(1)

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [ROOT, os.path.join(ROOT, "client")]

from pathlib import Path

from pipeline.deploy.main import run_on_worker
from pipeline.deploy.stop import Stop


def write(line):
    """Write a line at once: Octopus shows the log while the deploy runs."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Octopus decodes UTF-8 on Linux; a character that a console lacks must not end a deploy.
    encoding = sys.stdout.encoding if os.name == "nt" else "utf-8"
    sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    # What Octopus gives a script is in the globals of the main script, nowhere else.
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.request)
    sys.exit(run_on_worker(Path(ROOT), globals(), os.environ, write, stop))
