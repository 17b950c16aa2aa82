"""Lines per second of the ELB log processor, beside a bare split of the same lines.

    python benchmarks/elb_log_lines.py [--lines N] [--rounds N]

Both sides read the same gzip object from the same stand-in for S3. The bare split cuts each line
at the spaces outside quotes (a backslash escapes a quote) and throws the columns away. The
processor parses, makes JSON of it and ships it over loopback TCP to a listener that reads it all
in a process of its own. Rounds alternate, so that a busy machine slows both; the best of each
counts. `str.split`, which knows no quotes, is shown as the floor.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import io
import multiprocessing
import random
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["main"]

_TEMPLATE = Path(__file__).parents[1] / "template" / "src"
_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36"
)
_split_outside_quotes = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^ "]+').findall


def _classic(count: int) -> Iterator[str]:
    draw = random.Random(1)  # noqa: S311 (the same lines each time, nothing secret)
    for number in range(count):
        yield (
            f"2015-05-13T23:39:{number % 60:02}.{draw.randrange(10**6):06}Z my-loadbalancer "
            f"192.168.131.{number % 250}:{2817 + number % 3000} 10.0.0.1:80 "
            f"0.{draw.randrange(999):06} 0.{draw.randrange(999999):06} 0.{draw.randrange(999):06} "
            f"200 200 {draw.randrange(999)} {draw.randrange(99999)} "
            f'"GET https://www.example.com:443/api/v1/things/{number}?page=2 HTTP/1.1" '
            f'"{_AGENT}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2'
        )


def _application(count: int) -> Iterator[str]:
    group = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24"
    certificate = "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-12345678"
    for number, line in enumerate(_classic(count)):
        yield (
            f'https {line} {group} "Root=1-58337281-{number:024x}" "www.example.com" '
            f'"{certificate}" 1 2015-05-13T23:38:48.364000Z "authenticate,forward" "-" "-" '
            f'"10.0.0.1:80" "200" "-" "-" TID_{number:032x}'
        )


class _Storage:
    """Answers as S3 does, from memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_object(self, **_request: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._content), "ETag": '"etag"'}


def _swallow(listener: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    while True:
        stream, _ = listener.accept()
        while stream.recv_into(buffer):
            pass
        stream.close()


def _function_package(folder: str) -> Any:
    """Put the function's files under a plain name, as generating a repository does."""
    (source,) = (path.parent for path in _TEMPLATE.glob("*/parse.py"))
    shutil.copytree(source, Path(folder, "elb_logs"), ignore=shutil.ignore_patterns("__pycache__"))
    sys.path.insert(0, folder)
    return importlib.import_module("elb_logs")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _measure(content: bytes, port: int, rounds: int) -> list[tuple[str, float]]:
    module = {
        name: importlib.import_module(f"elb_logs.{name}")
        for name in ("lines", "logstash", "records", "settings", "shipping")
    }
    settings = module["settings"].Settings(
        host="127.0.0.1", port=port, environment="CI", application="shop", component="web"
    )
    storage, place = _Storage(content), module["records"].S3Object("logs", "app.log.gz")

    def read(cut: Callable[[str], object]) -> Callable[[], None]:
        def work() -> None:
            for lines in module["lines"].read_lines(storage.get_object()["Body"]):
                for line in lines:
                    cut(line)

        return work

    def ship() -> None:
        connect = module["logstash"].connect
        summary = module["shipping"].ship([place], settings, s3=storage, connect=connect)
        if not summary.is_complete or summary.parsed != summary.encountered:
            raise AssertionError(summary)

    sides: list[tuple[str, Callable[[], None]]] = [
        ("read, str.split", read(str.split)),
        ("read, bare split outside quotes", read(_split_outside_quotes)),
        ("the processor: read, parse, JSON, ship", ship),
    ]
    times = [[_seconds(work) for _, work in sides] for _ in range(rounds)]
    return [
        (name, min(column))
        for (name, _), column in zip(sides, zip(*times, strict=True), strict=True)
    ]


def main() -> None:
    """Measure both formats and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        _function_package(folder)
        listener = multiprocessing.get_context("fork").Process(target=_swallow, args=(server,))
        listener.start()
        try:
            for name, make in (("classic", _classic), ("application", _application)):
                content = gzip.compress("\n".join(make(options.lines)).encode())
                rows = _measure(content, server.getsockname()[1], options.rounds)
                _print(f"{options.lines} {name} lines", rows, options.lines)
        finally:
            listener.terminate()
            listener.join()


def _print(title: str, rows: list[tuple[str, float]], lines: int) -> None:
    bare = rows[1][1]
    print(f"{title:<42} {'lines/s':>10} {'ratio to the bare split':>24}")
    for name, seconds in rows:
        print(f"  {name:<40} {lines / seconds:>10,.0f} {bare / seconds:>24.0%}")


if __name__ == "__main__":
    main()
