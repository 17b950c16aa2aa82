"""The matrix: the tests on every Python that is here, with the oldest and the newest copier."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "template" / "scripts"))

from pipeline.project.runtimes import RUNTIMES  # noqa: E402 - one source for the list of Pythons

nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

PYTHONS = [runtime.version for runtime in RUNTIMES if runtime.language == "python"]
# The oldest that copier.yml allows, and the one in the lock.
COPIERS = ["9.15.0", "locked"]


@nox.session(python=PYTHONS)
@nox.parametrize("copier", COPIERS)
def tests(session: nox.Session, copier: str) -> None:
    """Run the tests; arguments after `--` go to pytest."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    if copier != "locked":
        session.install(f"copier=={copier}")
    arguments = session.posargs or ["-n", "2", "--dist", "worksteal"]
    session.run("python", "-m", "pytest", *arguments)


@nox.session(default=False)
def three_awses(session: nox.Session) -> None:
    """Run the stack, deploys and a rollback on an AWS that nobody here wrote."""
    # Its AWS client is another one than ours: it has an environment for itself.
    session.install("--require-hashes", "-r", "requirements/ministack.txt")
    tests = ["-n", "0", "-m", "slow", "-k", "ministack", "tests/local/test_other_aws.py"]
    program = {"MINISTACK": str(Path(session.bin) / "ministack")}
    session.run(sys.executable, "-m", "pytest", *tests, env=program, external=True)
