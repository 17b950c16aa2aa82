"""The verbs of the embedded AWS: start and stop it, and use what is deployed to it."""

from __future__ import annotations

import shlex
from pathlib import Path

from invoke import Exit

from .deploy import LOG_FLAGS, show_log
from .function import document, events_of
from .octopus import show_outputs
from .session import Session, verb


@verb()
def start(run: Session) -> None:
    """Start the embedded AWS in the background, with the project's stack in it."""
    from ..verbs.local import start_for_project

    started = start_for_project(run.project, run.machine, run.reporter)
    run.reporter.line(f"  stack     {started.stack} on {started.aws.endpoint}")
    show_outputs(run, started.outputs)
    run.answer = {
        "endpoint": started.aws.endpoint, "region": started.aws.region, "stack": started.stack,
        "outputs": dict(started.outputs), "log": started.aws.log,
    }  # fmt: skip


@verb()
def stop(run: Session) -> None:
    """Stop the embedded AWS and forget what is in it."""
    from ..verbs.local import stop_local

    run.answer = {"stopped": stop_local(run.project, run.reporter)}


@verb(
    {"event": "A file with the event, standard input without it; repeated, one call for each"},
    iterable=["event"],
)
def invoke(run: Session, event: list[str]) -> None:
    """Call the function deployed to the embedded AWS; show its log and its answer."""
    from ..verbs.local_use import invoke_local

    done = invoke_local(run.project, events_of(run, event), run.machine, run.reporter)
    run.answer = {"invocations": [document(invocation) for invocation in done]}
    if any(invocation.error for invocation in done):
        raise Exit(code=1)


@verb({"file": "The file", "key": "The object's key, by default the file's name, or a group"})
def put(run: Session, file: str, key: str = "") -> None:
    """Put a file into the bucket of the stack in the embedded AWS, or send it to its queue."""
    from ..verbs.local_use import put_local

    run.answer = put_local(run.project, Path(file), key, run.machine, run.reporter)


@verb(LOG_FLAGS)
def logs(run: Session, since: str = "", follow: bool = False, version: str = "") -> None:
    """Show the log of the function in the embedded AWS: `logs local`, by default all of it."""
    show_log(run, "local", since, version, follow=follow)


@verb()
def env(run: Session) -> None:
    """Print the variables with which any AWS client talks to the embedded AWS, for `eval`."""
    from ..verbs.local_use import FOREIGN, local_aws

    aws = local_aws(run.project, run.machine)
    variables = aws.environment()
    # They are for the reader, and may be in this environment already.
    run.secrets[:] = [secret for secret in run.secrets if secret not in variables.values()]
    lines = [f"unset {' '.join(FOREIGN)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    run.result("\n".join(lines), {"variables": variables, "unset": list(FOREIGN)})
    run.reporter.line(f"  with these: aws --endpoint-url {aws.endpoint} s3 ls")
