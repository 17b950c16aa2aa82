"""`check`: look for faults without running anything: ruff, the language's linters, the stack.

ruff is the tooling's: the hooks are in Python in every language.

The stack is read by cfn-lint, which knows AWS's resources and needs neither network nor account.
"""

from __future__ import annotations

import sys

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..edge.machine import Machine
from ..edge.shell import run
from ..function.engine import Linter, engine_for
from ..project.project import Project
from ..project.sources import STACK

_CFN_LINT = "from cfnlint.runner import main; main()"
_ANY = tuple(range(256))


def check(project: Project, machine: Machine, reporter: Reporter, *, fix: bool) -> tuple[str, ...]:
    """Run every check, show what each has found, and return their names.

    With `fix` what can be corrected is. Raises PipelineError naming the checks that found faults.
    """
    machine.tooling("check")
    engine = engine_for(project.function.runtime)
    ruff = (sys.executable, "-m", "ruff")
    with engine.linters(project, machine, reporter, fix=fix) as linters:
        lint, form = (["--fix"], []) if fix else ([], ["--check"])
        checks = [
            Linter("lint", (*ruff, "check", *lint, "."), "ruff found nothing"),
            Linter("format", (*ruff, "format", *form, "."), "as ruff has it"),
            *linters,
        ]
        if (project.root / STACK).is_file():
            checks.append(_stack_linter())
        failed = [linter.name for linter in checks if not _passes(linter, project, reporter)]
    if failed:
        then = "Correct what the lines above name" + (
            "." if fix else "; `python3 tasks.py check --fix` does some of it."
        )
        raise PipelineError("check", f"found something: {', '.join(failed)}", then)
    return tuple(linter.name for linter in checks)


def check_stack(project: Project, machine: Machine, reporter: Reporter) -> None:
    """Let cfn-lint read the stack alone. Raises PipelineError where AWS would refuse it."""
    machine.tooling("check")
    if not _passes(_stack_linter(), project, reporter):
        raise PipelineError(STACK, "CloudFormation would refuse it", "Correct what is named above.")


def _stack_linter() -> Linter:
    # A warning of cfn-lint's is one of style; errors are what CloudFormation would refuse.
    options = ("--non-zero-exit-code", "error")
    words = (sys.executable, "-c", _CFN_LINT, *options, STACK)
    return Linter("stack", words, f"cfn-lint found nothing in {STACK}")


def _passes(linter: Linter, project: Project, reporter: Reporter) -> bool:
    with reporter.stage(linter.name) as stage:
        done = run(linter.words, cwd=project.root, accept=_ANY, where=linter.name)
        stage.text = linter.good if done.code == 0 else "see below"
    for line in (done.stdout + done.stderr).splitlines():
        reporter.line(f"    {line}".rstrip(), verbose=done.code == 0)
    return done.code == 0
