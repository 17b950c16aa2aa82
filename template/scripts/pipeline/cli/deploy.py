"""The verbs of an environment: deploy, rollback and status."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from .session import Session, error_document, verb


@verb(
    {
        "environment": "Where to: an environment of pyproject.toml in any case, or `local`",
        "package": "The package; the last build's by default",
        "dry-run": "Show what would change, change nothing",
        "detailed-exit-code": "With --dry-run or --plan: exit 3 where something would change",
        "plan": "Save the plan in this file, change nothing",
        "from-plan": "Deploy exactly the plan in this file; exit 4 where anything has moved",
        "strategy": "all-at-once, or canary:PERCENT:DURATION like canary:10:15m; this once",
        "promote": "Give all calls to the canary that is under way, whatever package this is",
        "abort": "Take the canary back that is under way",
        "print-policy": "Show the IAM policy that this deploy needs, change nothing",
        "allow-dirty": "Deploy a dirty or unverified build to a permanent environment all the same",
    }
)
def deploy(
    run: Session, environment: str = "", package: str | None = None, dry_run: bool = False,
    detailed_exit_code: bool = False, plan: str = "", from_plan: str = "", strategy: str = "",
    promote: bool = False, abort: bool = False, print_policy: bool = False,
    allow_dirty: bool = False,
) -> None:  # fmt: skip
    """Run a package's own deploy script against an environment, as an Octopus worker would."""
    from invoke import Exit

    from ..core.errors import UsageError
    from ..deploy.traffic import ABORT, PROMOTE
    from ..verbs.deploy_here import DeployOptions, deploy
    from ..verbs.end_canary import end_canary
    from ..verbs.which_function import place_of

    if detailed_exit_code and not (dry_run or plan):
        raise UsageError("deploy", "--detailed-exit-code is for --dry-run", "Name both.")
    if sum(map(bool, (plan, from_plan, print_policy))) > 1:
        what = "--plan, --from-plan and --print-policy exclude each other"
        raise UsageError("deploy", what, "Name one.")
    options = DeployOptions(
        environment, package, dry_run, print_policy, allow_dirty, plan, from_plan, strategy
    )
    if promote or abort:
        if replace(options, environment="") != DeployOptions("") or (promote and abort):
            what = "--promote and --abort end the canary that is under way, and deploy nothing"
            raise UsageError("deploy", what, "Name one of them, and nothing but the environment.")
        word = PROMOTE if promote else ABORT
        place = place_of(run.project, environment, run.machine)
        run.answer = asdict(end_canary(place, word, run.reporter))
        return
    done = deploy(run.project, options, run.machine, run.reporter)
    if print_policy:
        run.result(done.outputs["Policy"], json.loads(done.outputs["Policy"]))
    else:
        run.answer = asdict(done)
    if detailed_exit_code and done.changes:
        raise Exit(code=3)


@verb(
    {
        "environment": "Where: an environment of pyproject.toml in any case, or `local`",
        "to": "The release to serve: a package's version or a commit; by default the one before",
        "reason": "Why; it is kept with the alias",
    }
)
def rollback(run: Session, environment: str = "", to: str = "", reason: str = "") -> None:
    """Let the alias live point to an earlier release again; nothing is built or uploaded."""
    from ..verbs.rollback import rollback
    from ..verbs.which_function import place_of

    place = place_of(run.project, environment, run.machine)
    run.answer = asdict(rollback(place, to, reason, run.machine.now(), run.reporter))


@verb({"environment": "Which; all declared ones by default"}, iterable=["environment"])
def status(run: Session, environment: list[str]) -> None:
    """Show which release each environment serves, and what is not as it should be (exit 3)."""
    from invoke import Exit

    from ..core.errors import PipelineError
    from ..core.events import Failed
    from ..verbs.status import status
    from ..verbs.which_function import place_of

    names = environment or [one.name for one in run.project.environments] or [""]
    code, answers = 0, []
    for name in names:
        try:
            found = status(place_of(run.project, name, run.machine))
        except PipelineError as error:
            # The others are told of all the same.
            run.reporter.emit(Failed("", error))
            answers.append({"environment": name, **error_document(error)})
            code = error.exit_code
            continue
        for line in found.lines():
            run.reporter.line(line)
        answers.append(asdict(found))
        code = code or (3 if found.drift else 0)
    run.answer = {"environments": answers}
    if code:
        raise Exit(code=code)
