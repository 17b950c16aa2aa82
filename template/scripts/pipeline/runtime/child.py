"""The process a function runs in: started, listened to, and ended with all it started."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from .api import ProcessEvent, RuntimeApi

_LARGEST_LOG = 32 << 20
_SHORTENED = b"\n[the log was cut here: more than 32 MB in one invocation]\n"
_PIECE = 1 << 16
# Seen but not collected: until `end` the id cannot belong to a stranger.
_UNCOLLECTED = getattr(os, "WEXITED", 0) | getattr(os, "WNOWAIT", 0)


class Child:
    """One process with its Runtime API and its log, stdout and stderr in the order written."""

    def __init__(
        self, api: RuntimeApi, command: Sequence[str], env: Mapping[str, str], cwd: Path
    ) -> None:
        self.api = api
        self._log = _Log()
        try:
            # Its own session: one signal to the group ends what the function itself has started.
            self._process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=self._log.write_end,
                stderr=self._log.write_end,
                start_new_session=True,
            )
        except OSError:
            self._log.close()
            raise
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        return self._process.pid

    def take_log(self) -> bytes:
        """Return everything the process wrote up to now, and forget it."""
        return self._log.take()

    def peak_memory(self) -> int | None:
        """Return the largest resident size so far in MB, where /proc tells it."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                return -(-int(line.split()[1]) // 1024)
        return None

    def has_exited(self) -> bool:
        """Whether the process has ended by itself."""
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.pid, _UNCOLLECTED | os.WNOHANG) is not None
        return True

    def kill(self) -> None:
        """Kill the process and its group; its exit is reported as an event."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def end(self) -> None:
        """Kill the process and its group, and collect it so that no zombie stays."""
        self.kill()
        self._process.wait()
        self.api.close()
        self._log.close()

    def _watch(self) -> None:
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                seen = os.waitid(os.P_PID, self.pid, _UNCOLLECTED)
                if seen is not None:
                    exited = seen.si_code == os.CLD_EXITED
                    code = seen.si_status if exited else -seen.si_status
                    self.api.process_events.put(ProcessEvent("exit", code=code))
            return
        self.api.process_events.put(ProcessEvent("exit", code=self._process.wait()))


class _Log:
    """A pipe that is read all the time; a mark written by us tells when it has been read up."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        self._mark = b"\0" + secrets.token_hex(16).encode() + b"\0"
        self._kept = bytearray()
        self._cut = False
        self._lock = threading.Lock()
        self._marked = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def take(self) -> bytes:
        with contextlib.suppress(OSError):
            os.write(self.write_end, self._mark)
            self._marked.acquire()
        with self._lock:
            taken = bytes(self._kept) + (_SHORTENED if self._cut else b"")
            self._kept.clear()
            self._cut = False
        return taken

    def close(self) -> None:
        os.close(self.write_end)
        # A process the function left behind may hold the other end; then the thread stays with it.
        self._thread.join(timeout=0.2)

    def _read(self) -> None:
        tail = b""
        while piece := os.read(self._read_end, _PIECE):
            tail += piece
            while (at := tail.find(self._mark)) >= 0:
                self._keep(tail[:at])
                tail = tail[at + len(self._mark) :]
                self._marked.release()
            # What may be the beginning of a mark waits for the rest of it.
            safe = tail.rfind(b"\0", max(0, len(tail) - len(self._mark)))
            safe = len(tail) if safe < 0 else safe
            self._keep(tail[:safe])
            tail = tail[safe:]
        self._keep(tail)
        os.close(self._read_end)

    def _keep(self, data: bytes) -> None:
        with self._lock:
            room = _LARGEST_LOG - len(self._kept)
            self._kept += data[:room]
            self._cut = self._cut or len(data) > room
