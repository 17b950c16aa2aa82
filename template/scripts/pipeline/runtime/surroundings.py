"""What a function finds around it: environment variables and the start of its process.

The variables are those AWS documents for Lambda's execution environment. Nothing of this
machine's environment is passed on, so no secret of its user can be read by accident.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..core.errors import UsageError
from .function_code import FunctionCode, FunctionConfig

# Nothing listens there: a call to AWS fails at once instead of leaving this machine.
NOWHERE = "http://127.0.0.1:1"
# The package comes first and the runtime client last, as on Lambda. Neither this machine's
# site-packages nor PYTHON* variables are seen (-I -S), so a missing dependency stays missing.
# The address has a path, the Runtime API's secret: the client's compiled part puts its own paths
# behind it, its Python part takes a host and a port only.
_STARTER = """\
import os, sys
debugger, terminal, mark, task, handler, *last = sys.argv[1:]
sys.path[:] = [task, *sys.path, *last]
sys.argv = ["awslambdaric", handler]
from awslambdaric.__main__ import main
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
host, _, secret = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
def call_rapid(self, method, path, *more, call=getattr(LambdaRuntimeClient, "call_rapid", None)):
    self.lambda_runtime_address = host
    return call(self, method, f"/{secret}{path}", *more)
LambdaRuntimeClient.call_rapid = call_rapid
if terminal:
    import runpy
    runpy.run_path(debugger)["attach"](terminal, mark)
main(sys.argv)
"""
_DEBUGGER = Path(__file__).with_name("debugger.py")
# As Lambda starts its Node: `require` takes no ES module, and `export` needs `.mjs` or a type.
_NODE_FLAGS = ("--no-experimental-require-module", "--no-experimental-detect-module")
# The shares of the function's memory that Lambda gives to new and to old objects.
_YOUNG, _OLD = 0.05, 0.9


def placed(code: FunctionCode, scratch: Path) -> FunctionCode:
    """Return the code where its process finds nothing that Lambda has not.

    Node looks for packages in every folder above a file, and the code may lie in a repository. So
    it gets a place in the process's own folder, `scratch`, beside what the runtime offers.
    """
    if code.runtime.language != "node":
        return code
    place = scratch / "var"
    place.mkdir()
    (place / "task").symlink_to(code.folder, target_is_directory=True)
    for folder in code.runtime.extra_paths:
        (place / folder.name).symlink_to(folder, target_is_directory=True)
    return replace(code, folder=place / "task")


def start_command(
    code: FunctionCode, memory: int, bytecode: Path | None, terminal: str, mark: Path
) -> list[str]:
    """Return the command line of the function's process; `memory` is the function's, in MB.

    Compiled modules go to `bytecode`, else beside their sources where that can be written.
    `breakpoint()` stops at `terminal`, the name of a device; empty without one. Node waits for a
    debugger where that is an address. `mark` is the file that is there once one is at it.
    """
    address = terminal if ":" in terminal else ""
    if code.runtime.language == "node":
        return _start_node(code, memory, address, mark)
    if address:
        then = "Python stops at `breakpoint()`, without any option."
        raise UsageError("--inspect", "it is for functions in Node", then)
    options = ["-I", "-S", "-X", "utf8"]
    if bytecode is not None:
        options += ["-X", f"pycache_prefix={bytecode}"]
    last = [*code.runtime.extra_paths, code.runtime.ric]
    words = [_STARTER, _DEBUGGER, terminal, mark, code.folder, code.handler, *last]
    return [str(code.runtime.program), *options, "-c", *map(str, words)]


def _start_node(code: FunctionCode, memory: int, address: str, mark: Path) -> list[str]:
    young, old = max(1, round(memory * _YOUNG)), round(memory * _OLD)
    options = [*_NODE_FLAGS, "--preserve-symlinks"]
    options += [f"--max-semi-space-size={young}", f"--max-old-space-size={old}"]
    if address:
        options.append(f"--inspect-wait={address}")
        mark.touch()
    return [str(code.runtime.program), *options, str(code.runtime.ric / "start.mjs")]


def function_environment(
    code: FunctionCode, config: FunctionConfig, *, api: str, scratch: Path, log_stream: str
) -> dict[str, str]:
    """Return the whole environment of the function's process.

    `scratch` is the process's own folder in place of /tmp; the path /tmp itself is this
    machine's. The function's own variables cannot change the reserved ones.
    """
    reserved = {
        "_HANDLER": code.handler,
        "LAMBDA_TASK_ROOT": str(code.folder),
        "LAMBDA_RUNTIME_DIR": str(code.runtime.ric),
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": config.name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": config.group(),
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.runtime}",
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_ACCESS_KEY_ID": config.access_key,
        "AWS_SECRET_ACCESS_KEY": config.secret_key,
        "AWS_SESSION_TOKEN": "local",
        "AWS_ENDPOINT_URL": config.endpoint or NOWHERE,
        # boto3 would otherwise look for real credentials in the user's files and on the network.
        "AWS_SHARED_CREDENTIALS_FILE": str(scratch / "none"),
        "AWS_CONFIG_FILE": str(scratch / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if config.log_format == "JSON":
        reserved["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        reserved |= {"AWS_LAMBDA_LOG_LEVEL": config.log_level} if config.log_level else {}
    defaults = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
    }
    return {**defaults, **config.environment, **reserved}
