"""The handler, loaded by AWS's own runtime client: it waits for events, is refused, or was not run.

Refused is what is wrong inside the package, for that is wrong on Lambda too. Whatever else a module
throws while it is loaded may come from what only AWS has, and is told as a warning.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

from ...core.masking import masked_text
from ...edge.locks import exclusive
from ...edge.machine import Machine, this_system
from ...project.project import FROM_RUNTIME, Project
from ...runtime.api import ProcessEvent, RuntimeApi
from ...runtime.child import Child
from ...runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from ...runtime.surroundings import function_environment, placed, start_command
from ...zip.mirror import mirror
from ...zip.reader import FUNCTION_LIMITS, open_archive
from ..handler import FunctionFiles, HandlerCheck, has_layers, known_here
from .restore import is_of_sdk

_SECONDS = 10.0  # Lambda's own limit of an initialisation
_LONGEST = 400
# What the client says of the package itself; a message of its last kind is Node's own.
_CERTAIN = ("HandlerNotFound", "CallbackHandlerDeprecated", "MalformedHandlerName",
            "MalformedStreamingHandler", "UserCodeSyntaxError")  # fmt: skip
_ABSENT = re.compile(r"Cannot find (?:module|package) '([^']+)'")
_PLACE = re.compile(r"/var/task/([^\s():]+:\d+)")
_PATH = re.compile(r"(?:file://)?/var/task/")


def load_handler(
    project: Project, files: FunctionFiles, machine: Machine, runtime: LocalRuntime
) -> HandlerCheck:
    """Load the handler as Lambda would, without credentials; AWS is nowhere."""
    function, known = project.function, known_here(project, machine.environ)
    config = FunctionConfig(
        function.name, runtime=function.runtime.name, environment=known.values, memory=1024
    )
    home = machine.cache / "import"
    with exclusive(home.with_name(f"{home.name}.lock"), lambda: None):
        mirror(open_archive(files.path, FUNCTION_LIMITS), home / "task")
        code = FunctionCode(home / "task", function.handler, runtime)
        began = time.monotonic()
        event, said = _load(code, config)
        seconds = time.monotonic() - began
    if event.kind == "ready":
        return HandlerCheck(f"handler imported in {seconds:.1f} s")
    kind, message = _said(event, said)
    message = masked_text(_plain(message), known.private)
    wanted = f"linux {function.architecture}"
    if this_system() != wanted and files.binaries and kind not in _CERTAIN:
        return HandlerCheck(f"handler found, not imported: its files are for {wanted}")
    if kind in _CERTAIN or _is_missing(message, function.boto3, project.root):
        return HandlerCheck(reason=f"the handler {function.handler}: {message}")
    return HandlerCheck(
        "handler found, not imported",
        note=f"the handler was looked for, not imported: {message}",
    )


def _load(code: FunctionCode, config: FunctionConfig) -> tuple[ProcessEvent, str]:
    with tempfile.TemporaryDirectory(prefix="import-", ignore_cleanup_errors=True) as folder:
        api, scratch = RuntimeApi(), Path(folder)
        code = placed(code, scratch)
        env = function_environment(
            code, config, api=api.address, scratch=scratch, log_stream="check"
        )
        child = Child(api, start_command(code, config.memory, None, "", scratch), env, code.folder)
        try:
            event = api.first(("ready", "init-error", "exit"), _SECONDS)
            here = str(code.folder).encode()
            body, log = (
                text.replace(here, b"/var/task").decode("utf-8", "replace")
                for text in (event.body, child.take_log())
            )
            return event, body or log
        finally:
            child.end()


def _said(event: ProcessEvent, said: str) -> tuple[str, str]:
    """Return the kind of an error, without `Runtime.`, and what it says: a document, or a log."""
    if event.kind == "timeout":
        return "", f"loading it took more than {_SECONDS:g} s, which is Lambda's limit"
    if event.kind == "init-error":
        error = json.loads(said)
        kind = str(error.get("errorType", "")).removeprefix("Runtime.")
        place = _PLACE.search("\n".join(map(str, error.get("trace") or ())))
        where = f"{place[1]}: " if place else ""
        return kind, f"{where}{kind}: {error.get('errorMessage', '')}"
    how = f"exit code {event.code}" if event.code >= 0 else f"signal {-event.code}"
    lines = [line.strip() for line in said.splitlines() if line.strip()][-3:]
    return "", f"its process ended with {how}: {' / '.join(lines)}"


def _plain(message: str) -> str:
    text = " ".join(_PATH.sub("", message).partition("Require stack")[0].split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _is_missing(message: str, sdk: str, root: Path) -> bool:
    """Tell whether a module that an import asks for is nowhere, on Lambda either."""
    absent = _ABSENT.search(message)
    if absent is None or has_layers(root):
        return False
    return sdk != FROM_RUNTIME or not is_of_sdk(absent[1])
