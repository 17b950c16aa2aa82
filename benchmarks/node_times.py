"""Functions in Node: build times beside other tools, starts and calls here, lines a second.

    .venv/bin/python benchmarks/node_times.py [--lines N]

It needs npm, and a network the first time: SAM comes through uv, esbuild, CDK and osls through npm,
each into a folder of its own. Every build is the median of three whole processes, in turns, on the
same two functions: an empty one, and one with AWS's S3 client. Ratios are what travels to another
machine.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(sys.path[0], "template", "scripts")))

import bootstrap
from pipeline.core.events import Reporter
from pipeline.edge.machine import Machine, utc_now
from pipeline.function.node.interpreter import local_runtime
from pipeline.project.project import Project
from pipeline.runtime.function_code import FunctionCode, FunctionConfig
from pipeline.runtime.function_process import FunctionProcess

from benchmarks.build_times import ROOT, Case, install_sam, measure, quiet, version
from benchmarks.elb_log_lines import application, classic
from maintain.generated import generate

_RUNTIME = "nodejs24.x"
_PEERS = {"aws-cdk-lib": "^2", "constructs": "^10", "esbuild": "^0.28.2", "osls": "^3",
          "serverless-esbuild": "^1"}  # fmt: skip
_ROUNDS, _COLD, _WARM = 3, 15, 1000
_AIMS = {"cold start": 150.0, "warm call": 1.0}
_LEAST_LINES = 180_000
_SAM = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: esbuild
      BuildProperties:
        {Format: esm, OutExtension: [.js=.mjs], Target: node24, EntryPoints: [index.mjs]}
    Properties: {CodeUri: src, Handler: index.handler, Runtime: nodejs24.x, Architectures: [x86_64]}
"""
_CDK = """\
const { App, Stack } = require("aws-cdk-lib");
const { NodejsFunction } = require("aws-cdk-lib/aws-lambda-nodejs");
const stack = new Stack(new App({ outdir: "cdk.out" }), "S");
new NodejsFunction(stack, "F", { entry: "src/index.mjs", depsLockFilePath: "package-lock.json" });
stack.node.root.synth();
"""
_OSLS = """\
service: measured
provider: {name: aws, runtime: nodejs22.x}
plugins: [serverless-esbuild]
custom:
  esbuild:
    {bundle: true, format: esm, outputFileExtension: .mjs, resolveExtensions: [.mjs, .js]}
functions: {f: {handler: src/index.handler}}
"""
# Reads a gzip of log lines as the function does, and says how many a second it made documents of.
_LINES = """
import { readFileSync } from "node:fs";
const [folder, file, count] = process.argv.slice(1);
const { ship } = await import(`file://${folder}/shipping.mjs`);
const bytes = readFileSync(file);
const connection = { send() {}, finish() {}, close() {} };
const settings = { environment: "e", application: "a", component: "c" };
let best = 0;
for (let round = 0; round < 7; round += 1) {
  const s3 = { send: async () => ({ Body: [bytes], ETag: "e" }) };
  const began = performance.now();
  await ship([{ bucket: "b", key: "k" }], settings, { s3, connect: () => connection });
  best = Math.max(best, (Number(count) / (performance.now() - began)) * 1000);
}
console.log(Math.round(best));
"""


def main(arguments: Sequence[str]) -> None:
    """Measure and print three tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=200_000)
    options = parser.parse_args(arguments)
    work = ROOT / ".pipeline" / "bench-node"
    shutil.rmtree(work / "fixtures", ignore_errors=True)
    sam = install_sam(work, bootstrap.find_uv(ROOT, "requirements/dev.txt"))
    print(f"SAM CLI {version(sam)}, {os.cpu_count()} cores; seconds, median of three\n")
    print("| function | tool | warm | no change | edit | warm, ours = 1 |")
    print("|---|---|---|---|---|---|")
    for kind in ("empty", "s3-event"):
        cases = _cases(work / "fixtures" / kind, kind, sam)
        # In turns, so that a busy machine slows all of them.
        rounds = [[measure(case, runs=1) for case in cases] for _ in range(_ROUNDS)]
        ours = 0.0
        for case, *times in zip(cases, *rounds, strict=True):
            warm, same, edit = map(statistics.median, zip(*times, strict=True))
            ours = ours or warm
            figures = f"{warm:.2f} | {same:.2f} | {edit:.2f} | {warm / ours:.1f}"
            print(f"| {kind} | {case.name} | {figures} |", flush=True)
    repository = work / "fixtures" / "empty" / "ours"
    _starts(repository)
    _lines(repository, options.lines)


def _cases(folder: Path, kind: str, sam: Path) -> list[Case]:
    answers = {"function_kind": kind, "runtime": _RUNTIME, "architecture": "x86_64"}
    repository = generate(ROOT, folder / "ours", answers)
    repository.commit("Generated")
    ours = repository.root
    words: list[str | Path] = [sys.executable, ours / "tasks.py", "package"]
    first = Case("ours, package", lambda: quiet(words, ours), ours / "build-output",
                 ours / "src/index.mjs", "//")  # fmt: skip
    plain = folder / "peers"
    shutil.copytree(ours / "src", plain / "src")
    package = json.loads((ours / "package.json").read_text(encoding="utf-8"))
    package["devDependencies"] = _PEERS
    for place in (plain, plain / "src"):
        (place / "package.json").write_text(json.dumps(package), encoding="utf-8")
    (plain / "template.yaml").write_text(_SAM, encoding="utf-8")
    (plain / "cdk.cjs").write_text(_CDK, encoding="utf-8")
    (plain / "serverless.yml").write_text(_OSLS, encoding="utf-8")
    quiet(["npm", "install", "--no-audit", "--no-fund"], plain)
    shutil.copy2(plain / "package-lock.json", plain / "src")
    source = plain / "src/index.mjs"
    programs = plain / "node_modules" / ".bin"
    # SAM looks for esbuild on PATH: it installs what is not for development.
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return [
        first,
        Case("sam build, esbuild", lambda: quiet(["env", f"PATH={path}", sam, "build"], plain),
             plain / ".aws-sam", source, "//"),
        Case("CDK NodejsFunction", lambda: quiet(["node", "cdk.cjs"], plain), plain / "cdk.out",
             source, "//"),
        Case("osls + serverless-esbuild", lambda: quiet([programs / "osls", "package"], plain),
             plain / ".serverless", source, "//"),
    ]  # fmt: skip


def _machine(root: Path) -> Machine:
    cache = root / ".pipeline" / "cache"
    find_uv = lambda: bootstrap.find_uv(ROOT, "requirements/dev.txt")  # noqa: E731
    return Machine(root, lambda: cache, os.environ, utc_now, time.monotonic, find_uv, print)


def _starts(repository: Path) -> None:
    print(f"\n| milliseconds | median | fastest | aim |\n{'|---' * 4}|")
    function = Project.load(repository).function
    quiet_reporter = Reporter(lambda _: None, time.monotonic)
    runtime = local_runtime(function, _machine(repository), quiet_reporter)
    with tempfile.TemporaryDirectory() as scratch:
        text = "export const handler = async (event) => event;\n"
        Path(scratch, "index.mjs").write_text(text, encoding="utf-8")
        code = FunctionCode(Path(scratch), "index.handler", runtime)
        config = FunctionConfig("benchmark", memory=1024)
        cold = []
        for _ in range(_COLD):
            process = FunctionProcess(code, config)
            cold.append(_timed(process))
            process.close()
        process = FunctionProcess(code, config)
        _timed(process)
        warm = [_timed(process) for _ in range(_WARM)]
        process.close()
    for name, times in {"cold start": cold, "warm call": warm}.items():
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {_AIMS[name]:g} |")


def _timed(process: FunctionProcess) -> float:
    began = time.perf_counter()
    done = process.invoke(b"{}")
    if done.error:
        raise SystemExit(done.readable_log())
    return (time.perf_counter() - began) * 1000


def _lines(repository: Path, count: int) -> None:
    print(f"\n| log lines | a second | at least |\n{'|---' * 3}|")
    node = local_runtime(
        Project.load(repository).function,
        _machine(repository),
        Reporter(lambda _: None, time.monotonic),
    ).program
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "function")
        for file in (ROOT / "template").glob("*node_kind*'elb-logs'*src*/*.mjs"):
            folder.mkdir(exist_ok=True)
            shutil.copy2(file, folder)
        sdk = folder / "node_modules/@aws-sdk/client-s3"
        sdk.mkdir(parents=True)
        (sdk / "package.json").write_text('{"type": "module", "exports": "./sdk.js"}', "utf-8")
        (sdk / "sdk.js").write_text("export class GetObjectCommand {}\n", "utf-8")
        for name, lines in {"classic": classic, "application": application}.items():
            file = Path(scratch, f"{name}.gz")
            file.write_bytes(gzip.compress("\n".join(lines(count)).encode()))
            words: list[str | Path] = [
                node,
                "--input-type=module",
                "--eval",
                _LINES,
                "--",
                folder,
                file,
                str(count),
            ]
            done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
            print(f"| {name} | {done.stdout.strip()} | {_LEAST_LINES} |")


if __name__ == "__main__":
    main(sys.argv[1:])
