"""How long a function takes to start and to answer on this machine, as a table.

    python benchmarks/local_runtime.py [--ric FOLDER] [--python PYTHON]

`--ric` is a folder with AWS's runtime client (`uv pip install --target FOLDER awslambdaric`);
without it only our own small client is measured. The handler imports nothing and returns its
event, so that what is measured is the runtime and not the function.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "template" / "scripts"))

from pipeline.local.function import FunctionProcess
from pipeline.local.function_code import FunctionCode, FunctionConfig

_COLD = 15
_WARM = 1000
_EVENT = b'{"key": "value"}'
_LIMITS = {"cold start": 150.0, "warm call": 1.0}


def main(arguments: Sequence[str]) -> None:
    """Measure each client and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ric", type=Path)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    options = parser.parse_args(arguments)
    clients = {"own client": None}
    if options.ric:
        clients = {"awslambdaric": options.ric, **clients}
    print(f"{'milliseconds':<28}{'median':>9}{'fastest':>9}{'90 %':>9}{'aim':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "app.py").write_text("def handle(event, context):\n    return event\n")
        for name, ric in clients.items():
            code = FunctionCode(folder, "app.handle", options.python, ric)
            for what, times in _measured(code).items():
                _print_row(f"{name}, {what}", times, _LIMITS[what])


def _measured(code: FunctionCode) -> dict[str, list[float]]:
    """Return the times in milliseconds; the first start compiles and is not counted."""
    cold = [_cold(code) for _ in range(_COLD + 1)][1:]
    process = FunctionProcess(code, FunctionConfig("benchmark"))
    process.invoke(_EVENT)
    warm = [_timed(process) for _ in range(_WARM)]
    process.close()
    return {"cold start": cold, "warm call": warm}


def _cold(code: FunctionCode) -> float:
    process = FunctionProcess(code, FunctionConfig("benchmark"))
    elapsed = _timed(process)
    process.close()
    return elapsed


def _timed(process: FunctionProcess) -> float:
    began = time.perf_counter()
    done = process.invoke(_EVENT)
    elapsed = (time.perf_counter() - began) * 1000
    if done.error or done.payload != _EVENT:
        raise SystemExit(done.readable_log())
    return elapsed


def _print_row(label: str, times: list[float], limit: float) -> None:
    late = statistics.quantiles(times, n=10)[-1]
    median = statistics.median(times)
    print(f"{label:<28}{median:>9.2f}{min(times):>9.2f}{late:>9.2f}{limit:>9.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
