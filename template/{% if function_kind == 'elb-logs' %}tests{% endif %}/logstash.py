"""Stands for Logstash on this machine: shows what the function ships, until Ctrl-C.

    python3 tests/logstash.py

It listens where `pyproject.toml` says that Logstash is for the environment `local`.
"""

from __future__ import annotations

import socketserver
import tomllib
from contextlib import suppress
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


class Lines(socketserver.StreamRequestHandler):
    """Shows each line of a connection."""

    def handle(self) -> None:
        """Read to the sender's end; then the connection is closed."""
        for line in self.rfile:
            print(line.decode("utf-8", "replace"), end="", flush=True)


class Server(socketserver.ThreadingTCPServer):
    """Takes several connections at a time."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Listen until interrupted."""
    settings = tomllib.loads(PYPROJECT.read_text("utf-8"))
    variables = settings["tool"]["pipeline"]["environments"]["local"]["variables"]
    place = variables["Logstash.Host"], int(variables["Logstash.Port"])
    with Server(place, Lines) as server, suppress(KeyboardInterrupt):
        print(f"Waiting for lines on {place[0]}, port {place[1]}; Ctrl-C ends this.", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
