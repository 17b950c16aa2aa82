"""The handler, imported as Lambda would: under the runtime client, in a clean process."""

from __future__ import annotations

import builtins
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..edge.shell import run
from ..errors import PipelineError
from ..local.child import Child
from ..local.function_code import FunctionCode, FunctionConfig
from ..local.runtime_api import Happening, Kind, RuntimeApi
from ..local.surroundings import NOWHERE, function_environment, start_command

__all__ = ["NOT_CALLABLE", "ImportFailure", "import_handler"]

NOT_CALLABLE = "NotCallable"

_ENDINGS: tuple[Kind, ...] = ("ready", "init-error", "exit")
_FRAME = re.compile(r'File "([^"\n]+)",? [Ll]ine (\d+)')
_NO_FILE = re.compile(r"\[Errno 2\] No such file or directory: '([^']+)'")
_MARK = "pipeline-frame:"
# Both clients find the handler's module in this way; they would not ask what they found there
# before the first event.
_ASK = f"""\
import importlib, os
class {NOT_CALLABLE}(Exception): pass
def asked(name, package=None, plain=importlib.import_module):
    module, _, function = os.environ["_HANDLER"].rpartition(".")
    if name != module.replace("/", "."):
        return plain(name, package)
    importlib.import_module = plain
    found = plain(name, package)
    if not callable(handler := getattr(found, function, asked)):
        raise {NOT_CALLABLE}(f"is no function but of type {{type(handler).__name__}}")
    return found
importlib.import_module = asked
"""
# The runtime client keeps a trace for every error but a failed import: that one is asked again.
_EXPLAIN = f"""\
import sys
task, module, *last = sys.argv[1:]
sys.path[:] = [task, *sys.path, *last]
try:
    __import__(module)
except BaseException as error:
    trace = error.__traceback__
    while trace:
        file = trace.tb_frame.f_code.co_filename
        print("{_MARK}File \\"%s\\", line %d" % (file, trace.tb_lineno))
        trace = trace.tb_next
"""
# What a module may meet here although nothing is wrong with it: the world is not there.
_OUTSIDE = (
    "ConnectTimeoutError", "ConnectionClosedError", "EndpointConnectionError", "HTTPClientError",
    "MaxRetryError", "NewConnectionError", "ReadTimeoutError", "SSLError", "URLError", "gaierror",
    "ProxyConnectionError", "ProxyError",
)  # fmt: skip


@dataclass(frozen=True)
class ImportFailure:
    """Why the handler could not be imported: the error's type and text, and where it was raised.

    `place` is `path:line` below the function's root, empty when unknown. `outside` tells that
    the module looked for something beyond the zip, which this machine does not have.
    """

    kind: str
    message: str
    place: str
    outside: bool = False


def import_handler(
    code: FunctionCode, config: FunctionConfig, bytecode: Path
) -> ImportFailure | float:
    """Import the handler in a process of its own; return the seconds it took, or the failure.

    NOT_CALLABLE is the kind of failure where there is something else than a function.
    Compiled modules go to `bytecode`. Calls to AWS lead nowhere, and there are no credentials.
    """
    with tempfile.TemporaryDirectory(prefix="import-", ignore_cleanup_errors=True) as folder:
        api, scratch = RuntimeApi(), Path(folder)
        env = function_environment(
            code, config, api=api.address, scratch=scratch, log_stream="check"
        )
        began = time.monotonic()
        child = _started(api, code, env, bytecode)
        try:
            ending = api.first(_ENDINGS, config.init_timeout)
            seconds = time.monotonic() - began
            log = child.take_log().decode("utf-8", "replace")
        finally:
            child.end()
        if ending.kind == "ready":
            return seconds
        return _failure(ending, log, code, (config, env, bytecode))


def _started(api: RuntimeApi, code: FunctionCode, env: Mapping[str, str], bytecode: Path) -> Child:
    try:
        return Child(api, start_command(code, bytecode, _ASK), env, code.folder)
    except OSError as error:
        api.close()
        raise PipelineError(
            "check",
            f"{code.runtime_python} cannot be started: {error.strerror}",
            "Run `python3 tasks.py cache.clear`: the next build looks for a Python again.",
        ) from error


def _failure(
    ending: Happening,
    log: str,
    code: FunctionCode,
    settings: tuple[FunctionConfig, Mapping[str, str], Path],
) -> ImportFailure:
    config, env, bytecode = settings
    if ending.kind == "timeout":
        what = f"importing it took more than {config.init_timeout:.0f} s, which is Lambda's limit"
        return ImportFailure("timeout", what, "", outside=True)
    if ending.kind == "exit":
        lines = [line for line in log.splitlines() if line.strip()][-3:]
        said = f": {' / '.join(lines)}" if lines else ""
        return ImportFailure("exit", f"its process ended with exit code {ending.code}{said}", "")
    document = json.loads(ending.body)
    kind = str(document.get("errorType") or ending.error_type).removeprefix("Runtime.")
    message = str(document.get("errorMessage", ""))
    trace = "\n".join(document.get("stackTrace") or ())
    if kind == "ImportModuleError":
        message = message.partition("': ")[2] or message
        trace = _explain(code, env, bytecode)
    outside = _is_outside(kind, message, code.folder)
    return ImportFailure(kind, message, _place(trace, code.folder), outside)


def _explain(code: FunctionCode, env: Mapping[str, str], bytecode: Path) -> str:
    module = code.handler.rpartition(".")[0].replace("/", ".")
    last = [*code.extra_paths, *([code.ric] if code.ric else [])]
    options: list[str | Path] = ["-I", "-S", "-X", "utf8", "-X", f"pycache_prefix={bytecode}"]
    said = run(
        [code.runtime_python, *options, "-c", _EXPLAIN, code.folder, module, *last],
        cwd=code.folder,
        env=env,
        accept=tuple(range(-64, 256)),
    ).stdout
    return "\n".join(line for line in said.splitlines() if line.startswith(_MARK))


def _place(trace: str, folder: Path) -> str:
    """Return the innermost line of a trace that lies in the function."""
    places = [
        f"{os.path.relpath(file, folder)}:{line}".replace(os.sep, "/")
        for file, line in _FRAME.findall(trace)
        if Path(file).is_relative_to(folder)
    ]
    return places[-1] if places else ""


def _is_outside(kind: str, message: str, folder: Path) -> bool:
    if file := _NO_FILE.search(message):
        # A file that would have to be in the zip is missing on Lambda too.
        return not (folder / file[1]).is_relative_to(folder)
    error = getattr(builtins, kind, None)
    known = isinstance(error, type) and issubclass(error, OSError)
    return known or kind in _OUTSIDE or NOWHERE in message
