"""Post-deployment tests: what a team checks of an environment before the next one gets the release.

They are the project's own, in `tests/post_deployment`. They find the environment's name in the
variable ENVIRONMENT, and AWS's variables are passed on to them: they talk to the real thing.
"""

from __future__ import annotations

from ..edge.machine import Machine
from ..errors import PipelineError
from ..report.events import Reporter
from ..values.project import Project
from .test import POST_DEPLOYMENT, Apart, TestOutcome, run_apart

__all__ = ["POST_DEPLOYMENT", "run_post_deployment_tests"]


def run_post_deployment_tests(
    project: Project, environment: str, machine: Machine, reporter: Reporter
) -> TestOutcome:
    """Run the tests against an environment. Raises PipelineError when one fails, or none is there.

    Their JUnit file is `build-output/post-deployment-ENVIRONMENT.xml`.
    """
    aws = {key: value for key, value in machine.environ.items() if key.startswith("AWS_")}
    variables = {**aws, "ENVIRONMENT": environment}
    results = machine.output / f"post-deployment-{environment}.xml"
    apart = Apart(POST_DEPLOYMENT, results, variables)
    outcome, said = run_apart(project, apart, machine, reporter)
    if outcome is None:
        raise PipelineError(
            f"test {environment}",
            f"the post-deployment tests failed\n{said}",
            f"The release stays in {environment}; later environments were not touched.",
        )
    return outcome
