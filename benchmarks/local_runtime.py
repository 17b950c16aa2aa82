"""How long a function takes to start and to answer on this machine, as a table.

    .venv/bin/python benchmarks/local_runtime.py --ric FOLDER [--python PYTHON] [--repository DIR]

`--ric` is a folder with AWS's runtime client (`uv pip install --target FOLDER awslambdaric`), which
is measured with its own compiled part and with ours in Python. The handler imports nothing and
returns its event, so that what is measured is the runtime and not the function.

`--repository` is a generated repository in which `build` has run; its handler is saved again and
again under `run --watch`, and the time from each save to the end of its answer is measured, with
whatever that function imports.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "template" / "scripts"))

from pipeline.runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from pipeline.runtime.function_process import FunctionProcess

_COMPILED_PART = Path(sys.path[0], "pipeline", "runtime", "runtime_client.py")
_COLD = 15
_WARM = 1000
_SAVES = 15
_EVENT = b'{"key": "value"}'
_LIMITS = {"cold start": 150.0, "warm call": 1.0}
_SAVE_LIMIT = 500.0
_ANSWERED = re.compile(rb"^  watch .* s$", re.MULTILINE)


def main(arguments: Sequence[str]) -> None:
    """Measure each client and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ric", type=Path, required=True)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--repository", type=Path)
    options = parser.parse_args(arguments)
    print(f"{'milliseconds':<28}{'median':>9}{'fastest':>9}{'90 %':>9}{'aim':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "app.py").write_text("def handle(event, context):\n    return event\n")
        ours = folder / "ric"
        shutil.copytree(options.ric, ours, ignore=shutil.ignore_patterns("*.so"))
        shutil.copy(_COMPILED_PART, ours)
        for name, ric in {"compiled": options.ric.resolve(), "in Python": ours}.items():
            code = FunctionCode(folder, "app.handle", LocalRuntime(options.python, ric))
            for what, times in _measured(code).items():
                _print_row(f"{name}, {what}", times, _LIMITS[what])
        if options.repository:
            saves = _saves(options.repository, folder / "log")
            _print_row("watch, save to answer", saves, _SAVE_LIMIT)


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


def _saves(repository: Path, log: Path) -> list[float]:
    """Return the times in milliseconds; the handler is put back as it was."""
    (event,) = repository.glob("tests/events/*.json")
    (handler,) = repository.glob("src/*/handler.py")
    text = handler.read_bytes()
    words = [sys.executable, "tasks.py", "run", "--watch", "--event", str(event.resolve())]
    with log.open("wb") as output:
        watch = subprocess.Popen(
            words, cwd=repository, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _await(log, 1)
        times = []
        for number in range(1, _SAVES + 1):
            time.sleep(0.5)  # nobody saves without a pause
            began = time.perf_counter()
            handler.write_bytes(text + b"# saved %d times" % number)
            _await(log, number + 1)
            times.append((time.perf_counter() - began) * 1000)
        return times
    finally:
        handler.write_bytes(text)
        os.killpg(watch.pid, signal.SIGINT)  # as a terminal does
        watch.wait()


def _await(log: Path, runs: int) -> None:
    deadline = time.monotonic() + 60
    while len(_ANSWERED.findall(log.read_bytes())) < runs:
        if time.monotonic() > deadline:
            raise SystemExit(log.read_text(errors="replace"))
        time.sleep(0.002)


def _print_row(label: str, times: list[float], limit: float) -> None:
    late = statistics.quantiles(times, n=10)[-1]
    median = statistics.median(times)
    print(f"{label:<28}{median:>9.2f}{min(times):>9.2f}{late:>9.2f}{limit:>9.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
