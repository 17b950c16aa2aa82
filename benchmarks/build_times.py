"""Build times beside other tools, on the same locked dependencies, in one run.

`python3 tasks.py bench` runs it. The peers are installed into a folder of their own. Every figure
is the median of three whole processes; the ratios are what travels to another machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "template" / "scripts")]

import bootstrap  # noqa: E402

from maintain.generated import Generated, generate  # noqa: E402

_RUNS = 3
_SAM = "aws-sam-cli"
_TEMPLATE = """AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: handler.handle
      Runtime: {runtime}
      Architectures: [x86_64]
"""


@dataclass(frozen=True)
class Case:
    """One tool at one fixture: how to run it, where it puts its output, what to edit."""

    name: str
    run: Callable[[], None]
    output: Path
    source: Path
    comment: str = "#"


def main() -> None:
    """Measure and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    work = ROOT / ".pipeline" / "bench"
    shutil.rmtree(work / "fixtures", ignore_errors=True)
    uv = bootstrap.find_uv(ROOT, "requirements/dev.txt")
    sam = install_sam(work, uv)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.platform()}, {os.cpu_count()} cores")
    print(
        f"Python {platform.python_version()}, SAM CLI {version(sam)}; seconds, median of {_RUNS}\n"
    )
    print("| dependencies | tool | warm | no change | edit | warm, ours = 1 |")
    print("|---|---|---|---|---|---|")
    for name, requirements in (("none", []), ("numpy, pandas", ["numpy", "pandas"])):
        cases = _cases(work / "fixtures" / name.replace(", ", "-"), requirements, uv, sam)
        ours = 0.0
        for case in cases:
            warm, same, edit = measure(case)
            ours = ours or warm
            figures = f"{warm:.2f} | {same:.2f} | {edit:.2f} | {warm / ours:.1f}"
            print(f"| {name} | {case.name} | {figures} |")
    _starts(work / "fixtures" / "none" / "ours")


def _cases(folder: Path, requirements: Sequence[str], uv: Path, sam: Path) -> list[Case]:
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    answers = {"function_kind": "empty", "runtime": runtime, "architecture": "x86_64"}
    repository = generate(ROOT, folder / "ours", answers)
    settings = repository.root / "pyproject.toml"
    listed = ", ".join(f'"{name}"' for name in requirements)
    text = settings.read_text(encoding="utf-8").replace(
        "dependencies = []", f"dependencies = [{listed}]"
    )
    settings.write_text(text, encoding="utf-8")
    repository.commit("Generated")
    if requirements:
        _verb(repository, "lock")
        repository.commit("Locked")
    handler = next(repository.root.glob("src/*/handler.py"))
    lock = (repository.root / "requirements" / "function.txt").read_text(encoding="utf-8")
    return [
        Case(
            "ours, package",
            lambda: _verb(repository, "package"),
            repository.root / "build-output",
            handler,
        ),
        _sam_case(folder / "sam", runtime, lock, sam),
        _uv_case(folder / "uv", lock, uv),
    ]


def _verb(repository: Generated, *words: str) -> None:
    quiet([sys.executable, repository.root / "tasks.py", *words], repository.root)


def _sam_case(folder: Path, runtime: str, lock: str, sam: Path) -> Case:
    source = _plain_function(folder, lock)
    (folder / "template.yaml").write_text(_TEMPLATE.format(runtime=runtime), encoding="utf-8")
    return Case("sam build", lambda: quiet([sam, "build"], folder), folder / ".aws-sam", source)


def _uv_case(folder: Path, lock: str, uv: Path) -> Case:
    source = _plain_function(folder, lock)
    site = folder / "site"

    def run() -> None:
        shutil.rmtree(site, ignore_errors=True)
        words: list[str | Path] = [
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            site,
            "--python",
            sys.executable,
        ]
        quiet([uv, *words, "-r", str(folder / "src" / "requirements.txt")], folder)
        shutil.copy2(source, site)
        shutil.rmtree(folder / "out", ignore_errors=True)
        (folder / "out").mkdir()
        quiet(["zip", "-q", "-r", "-X", folder / "out" / "function.zip", "."], site)

    return Case("uv + Info-ZIP", run, folder / "out", source)


def _plain_function(folder: Path, lock: str) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "requirements.txt").write_text(lock, encoding="utf-8")
    source = folder / "src" / "handler.py"
    source.write_text("def handle(event, context):\n    return event\n", encoding="utf-8")
    return source


def measure(case: Case, runs: int = _RUNS) -> tuple[float, float, float]:
    """Return the seconds of a build without its output, of one without a change, and of an edit."""
    case.run()
    warm, same, edit = [], [], []
    for number in range(runs):
        shutil.rmtree(case.output, ignore_errors=True)
        warm.append(_timed(case.run))
        same.append(_timed(case.run))
        with case.source.open("a", encoding="utf-8") as file:
            file.write(f"{case.comment} {number}\n")
        edit.append(_timed(case.run))
    return statistics.median(warm), statistics.median(same), statistics.median(edit)


def _starts(repository: Path) -> None:
    python = bootstrap.venv_python(repository)
    bare = repository.parent / "bare"
    bare.mkdir()
    (bare / "tasks.py").write_text(
        "from invoke import task\n@task\ndef x(c): ...\n", encoding="utf-8"
    )
    runs: dict[str, Callable[[], None]] = {
        "invoke's own `--list`": lambda: quiet([python, "-m", "invoke", "--list"], bare),
        "`--list` in `.venv`": lambda: quiet([python, "tasks.py", "--list"], repository),
        "`python3 tasks.py --list`": lambda: quiet(
            [sys.executable, "tasks.py", "--list"], repository
        ),
        "unchanged `python3 tasks.py package`": lambda: quiet(
            [sys.executable, "tasks.py", "package"], repository
        ),
    }
    print("\n| start | seconds | invoke = 1 |\n|---|---|---|")
    own = 0.0
    for name, run in runs.items():
        run()
        seconds = statistics.median(_timed(run) for _ in range(7))
        own = own or seconds
        print(f"| {name} | {seconds:.3f} | {seconds / own:.2f} |")


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def quiet(command: Sequence[str | Path], cwd: Path) -> None:
    """Run a program without a word; end with what it said when it fails."""
    path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.environ.get("PATH", "")])
    environ = {**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"}
    # With it every start compiles every module again: nobody works like that.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr[-2000:]}{done.stdout[-2000:]}")


def install_sam(work: Path, uv: Path) -> Path:
    """Return the SAM CLI, installed into a folder of its own the first time."""
    venv = work / "sam"
    if not (venv / "bin" / "sam").is_file():
        work.mkdir(parents=True, exist_ok=True)
        quiet([uv, "venv", "--quiet", "--python", sys.executable, venv], work)
        quiet([uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python", _SAM], work)
    return venv / "bin" / "sam"


def version(sam: Path) -> str:
    """Return the SAM CLI's version."""
    done = subprocess.run([str(sam), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


if __name__ == "__main__":
    main()
