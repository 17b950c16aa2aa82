"""The embedded AWS in this process: moto behind guard and strict layer, functions that run.

moto keeps its state in globals, so there is one at a time in a process; a second is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moto.backends import get_backend
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from ..runtime.function_code import LocalRuntime
from ..runtime.pool import Pool
from .aws_http import App, Environ, Reply, Start, error_reply, in_aws_words, scope, send
from .guard import guarded
from .moto_aliases import replace_qualifiers
from .moto_lambda import Execution, replace_execution
from .moto_stack import replace_dropped
from .patches import Patches
from .state import LocalAws
from .strict import Settling, be_strict
from .strict_rules import REQUEST_LIMIT

_PROVISIONED = re.compile(r"GET /20\d\d-\d\d-\d\d/functions/[^/]+/provisioned-concurrency/?")


@contextmanager
def embedded_aws(
    folder: Path,
    runtimes: Mapping[str, LocalRuntime],
    *,
    region: str = "us-east-1",
    log: str = "",
    settling: Settling | None = None,
    stop: threading.Event | None = None,
) -> Iterator[LocalAws]:
    """Serve on a free loopback port until the block ends; state, processes and patches go with it.

    Yields where it is and its keys, which are random. `folder` is its own, `runtimes` by name like
    `python3.13`. `settling` says how long a change of a function takes; `stop` is set when the
    holder of the server's key asks for that.
    """
    with contextlib.ExitStack() as stack:
        server = make_server("127.0.0.1", 0, _nothing, threaded=True, request_handler=_QuietHandler)
        stack.callback(server.server_close)
        aws = LocalAws(
            endpoint=f"http://127.0.0.1:{server.server_port}",
            access_key=_access_key(),
            secret_key=secrets.token_urlsafe(30),
            region=region,
            pid=os.getpid(),
            started=time.time(),
            log=log,
            function_key=_access_key(),
            function_secret=secrets.token_urlsafe(30),
        )
        execution = Execution(Pool(folder, runtimes), aws)
        stack.callback(moto_api_backend.reset)
        stack.callback(execution.close)
        patches = stack.enter_context(Patches())
        replace_execution(patches, execution)
        replace_qualifiers(patches)
        replace_dropped(patches)
        be_strict(patches, settling or Settling())
        server.app = _application(aws, stop or threading.Event())
        _serve(server, stack)
        yield aws


def _application(aws: LocalAws, stop: threading.Event) -> App:
    # The first import of these takes most of a second; better now than in somebody's first call.
    for service in ("lambda", "s3", "cloudformation", "logs", "iam", "sqs"):
        get_backend(service)
    served = in_aws_words(DomainDispatcherApplication(_backend_app))

    def route(environ: Environ, start_response: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith("/_pipeline/"):
            answer = _beforehand(environ)
            return send(answer, start_response) if answer else served(environ, start_response)
        if scope(environ).access_key != aws.access_key:
            refused = error_reply(environ, 403, "AccessDenied", "A function's key opens AWS alone.")
            return send(refused, start_response)
        if path == "/_pipeline/stop":
            stop.set()
        return send(Reply(200, (), json.dumps({"pid": aws.pid}).encode()), start_response)

    port = aws.endpoint.rpartition(":")[2]
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    return guarded(route, keys=(aws.access_key, aws.function_key), hosts=hosts)


def _beforehand(environ: Environ) -> Reply | None:
    """Answer calls of Lambda that moto does not know, or should not read."""
    if scope(environ).service != "lambda":
        return None
    # moto's addresses take no dollar sign in a function's name.
    environ["PATH_INFO"] = environ.get("PATH_INFO", "").replace("$", "%24")
    if int(environ.get("CONTENT_LENGTH") or 0) > REQUEST_LIMIT:
        message = f"Request must be smaller than {REQUEST_LIMIT} bytes for this operation"
        return error_reply(environ, 413, "RequestEntityTooLargeException", message)
    if _PROVISIONED.fullmatch(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"):
        # What asks whether there is any may know; that there can be none is said to others.
        none = json.dumps({"ProvisionedConcurrencyConfigs": []}).encode()
        return Reply(200, (("Content-Type", "application/json"),), none)
    return None


def _backend_app(service: Any) -> Any:
    app = create_backend_app(service)
    # Otherwise Flask answers with a page that hides what went wrong.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    return app


def _serve(server: BaseWSGIServer, stack: contextlib.ExitStack) -> None:
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    stack.callback(thread.join, 5)
    stack.callback(server.shutdown)


def _access_key() -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return "LOCL" + "".join(secrets.choice(letters) for _ in range(24))


def _nothing(environ: Environ, start_response: Start) -> Iterable[bytes]:  # noqa: ARG001
    start_response("503 Service Unavailable", [])
    return []


class _QuietHandler(MotoRequestHandler):
    disable_nagle_algorithm = True  # or a body waits 40 ms for its head's acknowledgement

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave requests out of the log."""
