"""Names that this pipeline gives, and those that others may give to a package.

Ids, versions and names of packages that anybody may have made are checked here, where they are
read: they become names of files, parts of addresses, and words in messages.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from .errors import PipelineError, UsageError
from .lambda_limits import DESCRIPTION_LIMIT, FUNCTION_NAME_LIMIT
from .text import quoted

# Files at the root of every package made here.
DEPLOY_SCRIPT = "deploy.py"
DEPLOY_HOOKS = "hooks_deploy.py"
FUNCTION_ZIP = "function.zip"
SBOM_NAME = "sbom.cdx.json"

# The alias that a stack hangs everything on, and that a deploy moves to the version it published.
ALIAS = "live"
# What Lambda calls the function itself, among its versions.
LATEST = "$LATEST"

LONGEST_ENVIRONMENT = 50  # Octopus's own limit
LONGEST_ID = 100  # NuGet's own limit
FULL_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # as git writes it, for `fullmatch`
_LONGEST_VERSION = 128
_ID = re.compile(r"\w+(?:[.-]\w+)*")
# All that NuGet has taken: one to four numbers, a prerelease, with SemVer 2 also metadata.
_VERSION = re.compile(
    r"[0-9]+(?:\.[0-9]+){0,3}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_RELEASE = re.compile(r"(\S+) ((?:[0-9a-f]{7,64}|unknown)(?:-dirty)?)(?=: |\Z)")
LAMBDA_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{FUNCTION_NAME_LIMIT}}}")
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def package_id_problem(value: str) -> str:
    """Say why no NuGet reader takes a package id, or give ""."""
    if len(value) <= LONGEST_ID and _ID.fullmatch(value):
        return ""
    return f"the package id {quoted(value)} is not valid"


def package_version_problem(value: str) -> str:
    """Say why no NuGet reader takes a package version, of any age, or give ""."""
    if len(value) <= _LONGEST_VERSION and _VERSION.fullmatch(value):
        return ""
    return f"the package version {quoted(value)} is not valid"


def release_description(version: str, commit: str, text: str) -> str:
    """Return a function's description that says which release it is, cut to what Lambda takes.

    The versions that Lambda lists are so a map of the releases that any machine can read.
    """
    mark = f"{version} {commit}: {text}".removesuffix(": ")
    return mark if len(mark) <= DESCRIPTION_LIMIT else f"{mark[: DESCRIPTION_LIMIT - 3]}..."


def release_in(description: str) -> tuple[str, str]:
    """Return version and commit of the release that a description names, or two empty texts."""
    found = _RELEASE.match(description)
    return (found[1], found[2]) if found else ("", "")


def version_name(version: str) -> str:
    """Return what a version of a function is called in messages."""
    return version if version == LATEST else f"version {version}"


def resource_name(environment: str, function: str) -> str:
    """Return `{environment}-{function}`, the name of the Lambda function and of its stack.

    Raises UsageError for an environment that Octopus would refuse (50 characters), PipelineError
    for a name that Lambda (64 of `A-Za-z0-9_-`) or CloudFormation (a letter, then `A-Za-z0-9-`)
    would refuse; both with an environment's name that all three take, where there is one.
    """
    name, instead = f"{environment}-{function}", _instead(environment, function)
    if len(environment) > LONGEST_ENVIRONMENT:
        what = f"Octopus refuses {quoted(environment)} ({len(environment)} characters)"
        then = f"Octopus takes {LONGEST_ENVIRONMENT} characters for an environment"
        raise UsageError("environment name", what, f"{then}{instead}.")
    if not LAMBDA_NAME.fullmatch(name):
        what = f"Lambda refuses {name!r} ({len(name)} characters)"
        then = (
            f"A name has at most {FUNCTION_NAME_LIMIT} characters out of A-Z, a-z, 0-9, - and _, "
            f"environment included{instead}."
        )
        raise PipelineError("function name", what, then)
    if not _STACK_NAME.fullmatch(name):
        then = "A stack's name starts with a letter and has only letters, digits and hyphens"
        raise PipelineError("stack name", f"CloudFormation refuses {name!r}", f"{then}{instead}.")
    return name


def _instead(environment: str, function: str) -> str:
    """Return what else the environment may be called, in words; "" where the function is wrong."""
    room = min(LONGEST_ENVIRONMENT, FUNCTION_NAME_LIMIT - 1 - len(function))
    plain = unicodedata.normalize("NFKD", environment).encode("ascii", "ignore").decode()
    plain = re.sub("[^A-Za-z0-9]+", "-", plain).strip("-")
    plain = plain if plain[:1].isalpha() else f"env-{plain}".rstrip("-")
    if len(plain) > room:
        # Names that begin alike, as branches do, stay apart.
        mark = hashlib.sha256(environment.encode("utf-8", "replace")).hexdigest()[:4]
        plain = f"{plain[: max(0, room - 5)].rstrip('-')}-{mark}"
    fits = len(plain) <= room and _STACK_NAME.fullmatch(f"{plain}-{function}")
    return f"; the environment {plain} would do" if fits and plain != environment else ""
