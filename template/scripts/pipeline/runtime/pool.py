"""Warm processes for every function of the embedded AWS, and the unzipped code they share."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.files import remove_folder
from ..project.runtimes import language_of
from .function_code import FunctionCode, FunctionConfig, LocalRuntime, unpack_function
from .function_process import FunctionProcess
from .invocation import UNHANDLED, Figures, Invocation


@dataclass(frozen=True)
class Target:
    """A function as it is to be run: settings, handler, and the bytes of its zip."""

    config: FunctionConfig
    handler: str
    code_sha256: str
    code: bytes

    @property
    def label(self) -> str:
        """What stays the same when code or settings change."""
        return f"{self.config.region}/{self.config.name}/{self.config.version}"


class Pool:
    """Processes by function: an idle one is taken, another started when all are busy.

    `folder` belongs to this pool. A function whose code or settings changed loses its idle
    processes with the next invocation; busy ones finish first, as on Lambda.
    """

    def __init__(self, folder: Path, runtimes: Mapping[str, LocalRuntime]) -> None:
        self._folder = folder
        self._runtimes = dict(runtimes)
        self._idle: dict[str, list[FunctionProcess]] = {}
        self._busy: set[FunctionProcess] = set()
        self._open = True
        self._lock = threading.Lock()
        self._unpacking = threading.Lock()
        self._unpacked: set[str] = set()

    def invoke(
        self,
        target: Target,
        payload: bytes,
        *,
        request_id: str,
        client_context: str = "",
        invoked_arn: str = "",
    ) -> Invocation:
        """Run the function in a warm process, or in a new one."""
        runtime, note = self._runtime(target.config.runtime)
        if runtime is None:
            return _cannot_run(target, request_id, note)
        try:
            process = self._take(target, runtime)
            try:
                done = process.invoke(
                    payload,
                    request_id=request_id,
                    client_context=client_context,
                    invoked_arn=invoked_arn,
                )
            finally:
                self._give_back(target, process)
        except PipelineError as error:
            return _cannot_run(target, request_id, str(error))
        return replace(done, log=f"{note}\n{done.log}") if note else done

    def close(self) -> None:
        """End every process, busy ones too, and remove the unzipped code."""
        with self._lock:
            self._open = False
            processes = [process for warm in self._idle.values() for process in warm]
            processes += self._busy
            self._idle.clear()
        for process in processes:
            process.abort()
        code = self._folder / "code"
        for folder in code.iterdir() if code.is_dir() else ():
            remove_folder(folder)

    def _take(self, target: Target, runtime: LocalRuntime) -> FunctionProcess:
        code = FunctionCode(self._folder_of(target), target.handler, runtime)
        with self._lock:
            if not self._open:
                raise PipelineError("embedded AWS", "it is being stopped", "Start it again.")
            warm = self._idle.pop(target.label, [])
            fitting = [one for one in warm if (one.code, one.config) == (code, target.config)]
            if fitting:
                process = fitting[-1]
                self._idle[target.label] = fitting[:-1]
            else:
                process = FunctionProcess(code, target.config, bytecode=self._folder / "bytecode")
            self._busy.add(process)
        for old in warm:
            if old not in fitting:
                old.close()
        return process

    def _give_back(self, target: Target, process: FunctionProcess) -> None:
        with self._lock:
            self._busy.discard(process)
            if self._open:
                self._idle.setdefault(target.label, []).append(process)
                return
        process.close()

    def _folder_of(self, target: Target) -> Path:
        name = base64.b64decode(target.code_sha256).hex()
        native = native_code(self._folder, name)
        code: Path | bytes = target.code
        if native.is_file():
            name, code = f"{name}-native", native
        folder = self._folder / "code" / name
        with self._unpacking:
            if name not in self._unpacked:
                unpack_function(code, folder, where=f"code of {target.config.name}")
                self._unpacked.add(name)
        return folder

    def _runtime(self, name: str) -> tuple[LocalRuntime | None, str]:
        """Return what runs a runtime, and what to say about it in the log."""
        language, wanted = language_of(name)
        others = [other for other in self._runtimes.values() if other.language == language]
        runtime = self._runtimes.get(name) or next(iter(others), None)
        if runtime is None:
            known = ", ".join(sorted(self._runtimes)) or "none"
            return None, f"{name} cannot run here: the embedded AWS was started with {known}"
        if runtime.version and runtime.version != wanted:
            here = f"{language.title()} {runtime.version}"
            return runtime, f"NOTE: {name} is not on this machine, this ran on {here}"
        return runtime, ""


def native_code(folder: Path, sha256: str) -> Path:
    """Return where the zip is, if there is one, that runs here instead of one that cannot.

    `folder` is the pool's, `sha256` that zip's in hex.
    """
    return folder / "native" / f"{sha256}.zip"


def _cannot_run(target: Target, request_id: str, reason: str) -> Invocation:
    kind = "Runtime.NotAvailable"
    payload = json.dumps({"errorType": kind, "errorMessage": reason}).encode()
    log = f"START RequestId: {request_id} Version: {target.config.version}\n"
    log += f"[ERROR] {kind}: {reason}\nEND RequestId: {request_id}\n"
    stream = f"[{target.config.version}]not-started"
    return Invocation(
        request_id=request_id,
        version=target.config.version,
        payload=payload,
        error=UNHANDLED,
        error_type=kind,
        log=log,
        log_stream=stream,
        figures=Figures(0.0, None, None),
    )
