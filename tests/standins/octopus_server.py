"""A stand-in Octopus server: http.server on the loopback address, its state in memory.

It answers what clients and public documentation say of the real one, each answer with its source
beside it, and Octopus's own TypeScript client works against it unchanged (a test runs it). What
it does not know it answers with 500 and remembers in `unknown`, so that the test fails.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.standins import octopus_packages, octopus_releases, octopus_resources, octopus_runs
from tests.standins.octopus_ask import Ask, Route, Unknown
from tests.standins.octopus_state import Document, Refusal, Space, State

KEY = "API-STANDIN1234567890"
TOKEN = "token-of-the-standin"  # noqa: S105 - a stand-in's
_ROUTES = (
    *octopus_resources.ROUTES,
    *octopus_packages.ROUTES,
    *octopus_releases.ROUTES,
    *octopus_runs.ROUTES,
)
_EXECUTIONS = re.compile(r"/(?:releases|deployments)/create/")
_TAKE_ALL = 2147483647


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests whose `METHOD /path` matches.

    `kind` is "drop" (no answer, nothing done), "lose" (done, but the answer is lost), or a
    status, which `headers` and `body` go with.
    """

    match: str
    kind: str | int
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass
class OctopusServer:
    """The server. `casing` is that of all answers; `base` a path in front of `/api`.

    `distort` gets each good answer's body on its way out, and returns what is sent.
    `requests` has every request as `METHOD /path?query`, `bodies` the JSON documents sent.
    """

    state: State = field(default_factory=lambda: State(time.monotonic))
    base: str = ""
    casing: str = "Pascal"
    requests: list[str] = field(default_factory=list)
    bodies: list[tuple[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    distort: Callable[[bytes], bytes] = bytes
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.space = self.add_space("Default", default=True)
        self._http: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"octopus": self})
        )
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._http is not None
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The address that users know."""
        assert self._http is not None
        return f"http://127.0.0.1:{self._http.server_address[1]}{self.base}"

    def add_space(self, name: str, *, default: bool = False) -> Space:
        """Make a space with a lifecycle that lets everything pass and a pool of workers."""
        space = Space(f"Spaces-{len(self.state.spaces) + 1}", name, default)
        self.state.spaces[space.id] = space
        space.add("lifecycles", {"Name": "Default Lifecycle", "Description": "", "Phases": []})
        space.add("pools", {"Name": "Default Worker Pool", "IsDefault": True})
        return space

    def add_project(self, name: str, *steps: Document, space: Space | None = None) -> Document:
        """Make a project with a deployment process and its default channel."""
        home = space or self.space
        process = home.add("processes", {"Name": "", "Steps": list(steps)})
        project = home.add(
            "projects",
            {
                "Name": name,
                "Slug": name.lower().replace(" ", "-"),
                "LifecycleId": next(iter(home.lifecycles)),
                "DeploymentProcessId": process["Id"],
                "IsDisabled": False,
            },
        )
        process["ProjectId"] = project["Id"]
        channel = {"ProjectId": project["Id"], "Name": "Default", "IsDefault": True, "Rules": []}
        home.add("channels", channel)
        return project

    def add_branch(self, project: Document, name: str, *steps: Document) -> None:
        """Make a project version-controlled, or give it one more branch; the first is its default.

        go-octopusdeploy pkg/projects/git_persistence_settings.go.
        """
        settings = {"Type": "VersionControlled", "DefaultBranch": name, "BasePath": ".octopus"}
        project.setdefault("PersistenceSettings", settings)
        process = self.space.add("processes", {"Name": "", "Steps": list(steps)})
        self.space.branches[project["Id"], name] = process["Id"]
        project["DeploymentProcessId"] = None

    def add_package(self, package: str, version: str, space: Space | None = None) -> None:
        """Put a package into the built-in feed."""
        document = {"Id": f"packages-{package}.{version}", "PackageId": package, "Version": version}
        (space or self.space).packages[document["Id"]] = document

    def posted(self, path: str) -> list[Any]:
        """Return the documents that were sent to a path."""
        return [body for request, body in self.bodies if path in request]

    def answer(self, method: str, target: str, ask: Mapping[str, Any]) -> tuple[int, Any]:
        """Answer a request: `ask` has its `headers` (lower-case names) and its `content`."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        content, headers = ask["content"], ask["headers"]
        document = None
        if "application/json" in headers.get("content-type", "") and content:
            document = json.loads(content)
            self.bodies.append((f"{method} {unquote(parts.path)}", document))
        try:
            # The token: go-octopusdeploy pkg/client/octopusdeploy.go.
            is_known = headers.get("x-octopus-apikey") == KEY or (
                headers.get("authorization") == f"Bearer {TOKEN}"
            )
            if not is_known and not parts.path.rstrip("/").endswith("/api"):
                # go-octopusdeploy pkg/services/api/api.go treats 401 apart.
                refusal = Refusal(401, message="You must be logged in to perform this action.")
                return refusal.status, refusal.body
            space, path = self._space(self._path(method, unquote(parts.path)))
            type_ = headers.get("content-type", "")
            return self._dispatch(
                method, path, Ask(self.state, space, query, content, type_, document)
            )
        except Refusal as refusal:
            return refusal.status, refusal.body
        except AssertionError as error:
            self.unknown.append(f"{method} {target}: {error}")
            return 500, {"ErrorMessage": f"the stand-in does not know this: {error}"}

    def _path(self, method: str, path: str) -> str:
        if not path.startswith(f"{self.base}/api"):
            what = f"{method} {path} is not below {self.base}/api"
            raise Unknown(what)
        return path.removeprefix(f"{self.base}/api").rstrip("/") or "/"

    def _root(self) -> Document:
        """go-octopusdeploy pkg/client/root_resource.go; api-client.ts src/client.ts."""
        return {
            "Application": "Octopus Deploy",
            "Version": self.state.version,
            "ApiVersion": "3.0.0",
            "InstallationId": "00000000-0000-0000-0000-000000000000",
            "Links": {"Self": "/api"},
        }

    def _space(self, path: str) -> tuple[Space, str]:
        """Split the space off a path; a URL without one means the default space."""
        first, _, rest = path[1:].partition("/")
        if re.fullmatch(r"Spaces-\d+", first):
            if first not in self.state.spaces:
                raise Refusal(404, message=f"The space '{first}' cannot be found.")
            return self.state.spaces[first], f"/{rest}"
        return self.state.default_space(), path

    def _dispatch(self, method: str, path: str, ask: Ask) -> tuple[int, Any]:
        if path == "/" and method == "GET":
            return 200, self._root()
        if path == "/spaces" and method == "GET":
            return self._spaces(ask)
        if _EXECUTIONS.match(path) and not self.state.has_executions:
            raise Refusal(404, message="Octopus Server does not have this resource.")
        for route in _ROUTES:
            found = re.fullmatch(route.path, path) if route.method == method else None
            if found:
                _refuse_strange(ask.query, route)
                return route.handler(ask, *found.groups())
        what = "no such route"
        raise Unknown(what)

    def _spaces(self, ask: Ask) -> tuple[int, Any]:
        """go-octopusdeploy pkg/spaces; api-client.ts src/spaceResolver.ts compares names itself."""
        _refuse_strange(ask.query, Route("GET", "", self._spaces, "partialName skip take ids"))
        partial = ask.query.get("partialName", "").lower()
        found = [s for s in self.state.spaces.values() if partial in s.name.lower()]
        items = [
            {"Id": s.id, "Name": s.name, "Slug": s.name.lower(), "IsDefault": s.default}
            for s in found
        ]
        skip, take = int(ask.query.get("skip", "0")), int(ask.query.get("take", "30"))
        return 200, {"TotalResults": len(items), "Items": items[skip : skip + take], "Links": {}}


def _refuse_strange(query: Mapping[str, str], route: Route) -> None:
    strange = set(query) - set(route.query.split())
    if strange:
        what = f"unknown query parameters {sorted(strange)}"
        raise Unknown(what)


def _cased(value: Any, casing: str) -> Any:
    """Return an answer in the casing that some server versions use for some resources.

    api-client.ts src/features/projects/deployments/deploymentRepository.ts reads both.
    """
    if casing == "camel" and isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _cased(inner, casing) for key, inner in value.items()}
    if casing == "camel" and isinstance(value, list):
        return [_cased(inner, casing) for inner in value]
    return value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits for an acknowledgement
    octopus: ClassVar[OctopusServer]

    def log_message(self, *_: Any) -> None:
        pass

    def _take(self) -> None:
        content = self._content()
        with self.octopus.lock:
            request = f"{self.command} {unquote(self.path)}"
            self.octopus.requests.append(request)
            fault = _due(self.octopus, request)
            if fault and isinstance(fault.kind, int):
                self._send(fault.kind, fault.body, fault.headers)
                return
            if fault and fault.kind == "drop":
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            ask = {"headers": headers, "content": content}
            status, answer = self.octopus.answer(self.command, self.path, ask)
            if fault:
                self.close_connection = True
                return
            self._answer(status, answer)

    do_GET = do_POST = do_PUT = do_DELETE = _take  # noqa: N815 - http.server's names

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        blocks = []
        while size := int(self.rfile.readline(), 16):
            blocks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(blocks)

    def _answer(self, status: int, answer: Any) -> None:
        if isinstance(answer, bytes):
            self._send(status, answer, {"Content-Type": "text/plain"})
            return
        cased = _cased(answer, self.octopus.casing)
        body = b"" if answer is None else json.dumps(cased).encode()
        if status < 300:
            body = self.octopus.distort(body)
        self._send(status, body, {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _due(server: OctopusServer, request: str) -> Fault | None:
    for fault in server.faults:
        if fault.times and re.search(fault.match, request):
            fault.times -= 1
            return fault
    return None
