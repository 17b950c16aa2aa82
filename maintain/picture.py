"""`picture`: what a terminal shows of a build and of a planned deploy, drawn from real ones."""

from __future__ import annotations

import io
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.cli.session import Session
from pipeline.core.events import Reporter
from pipeline.report.terminal import TerminalPrinter
from pipeline.verbs.build import BuildOptions, build
from pipeline.verbs.deploy_here import DeployOptions, deploy
from pipeline.verbs.local import start_for_project, stop_local
from pipeline.verbs.version import VersionOptions
from rich.console import Console
from rich.terminal_theme import MONOKAI

from .generated import Generated, generate

PICTURE = "docs/terminal.svg"
_ANSWERS = {"package_id": "Acme.ElbLogs.Processor", "base_version": "2.0"}
_COLUMNS = 104
_TITLE = "a repository made from copier-lambda"
# A page that shows the picture loads nothing else: the viewer's own font has to do.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def draw(template: Path, reporter: Reporter) -> Path:
    """Generate, build and deploy a repository, and draw the picture from what the verbs said."""
    # It records colours, and is no terminal: a live line would be recorded with each of its steps.
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=False)
    drawn = Reporter(TerminalPrinter(console), time.monotonic)
    with tempfile.TemporaryDirectory(prefix="picture-") as folder:
        made = generate(template, Path(folder) / "repository", _ANSWERS)
        made.commit("Generated from the template")
        made.verb("version", show=lambda _: None)  # makes the repository's .venv
        console.print("[bold]$ python3 tasks.py build[/]")
        _build(made, 7, drawn)
        try:
            with _session(made, reporter) as run:
                start_for_project(run.project, run.machine, reporter)
                deploy(run.project, DeployOptions("local"), run.machine, reporter)
            _change(made)
            _build(made, 8, reporter)
            console.print("\n[dim]# deployed; then a change and another build[/]")
            console.print("[bold]$ python3 tasks.py deploy local --dry-run[/]")
            with _session(made, drawn) as run:
                deploy(run.project, DeployOptions("local", dry_run=True), run.machine, drawn)
        finally:
            with _session(made, reporter) as run:
                stop_local(run.project, reporter)
    target = template / PICTURE
    svg = _FONTS.sub("", console.export_svg(title=_TITLE, theme=MONOKAI, unique_id="terminal"))
    target.write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()), encoding="utf-8")
    return target


def _build(made: Generated, number: int, reporter: Reporter) -> None:
    with _session(made, reporter) as run:
        options = BuildOptions(VersionOptions(build_number=number))
        build(run.project, options, run.machine, reporter)


def _change(made: Generated) -> None:
    """Change what the function does, and a variable."""
    settings = made.root / "pyproject.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('_TLS = "off"', '_TLS = "on"'), encoding="utf-8")
    (handler,) = made.root.glob("src/*/handler.py")
    with handler.open("a", encoding="utf-8") as file:
        file.write("\n\n# A change.\n")
    made.commit("Encrypt what goes to Logstash")


@contextmanager
def _session(made: Generated, reporter: Reporter) -> Iterator[Session]:
    """Give what a verb runs in, with a reporter of ours; the settings are read anew."""
    run = Session(made.root, reporter, json=False, answer={}, secrets=[], held=ExitStack())
    with run.held:
        yield run
