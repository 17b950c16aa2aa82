"""The Program: invoke's, with our command line, our exit codes, and one place that exits."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import bootstrap
import doctor
from invoke import Collection, Config, Program, Task
from invoke.exceptions import Exit, ParseError, UnexpectedExit
from invoke.parser.context import ParserContext
from invoke.terminals import pty_size

from ..core.errors import Interrupted, PipelineError, UsageError
from ..core.foreign import harmless
from ..core.masking import environment_secrets, masked_text
from .argv import OLD_FLAGS, Shape, normalise, rebuild_request
from .build import rebuild
from .printers import show, writer
from .session import error_document, print_document

# The one spelling of all messages, whichever was typed.
_PROGRAM = "python3 tasks.py"
# What invoke's parser says of a word, a flag and a verb.
_UNKNOWN = re.compile("No idea what '(.+)' is!")
_NO_VALUE = re.compile(r"Flag <Argument: (\S+).*> needed value and was not given one!")
_NO_WORD = re.compile("'(.+)' did not receive required positional arguments: '(.+)'")
_LIBRARY = Path(__file__).parents[1]
# The flags that stand in front of a verb.
_OWN_FLAGS = ("help", "list", "version", "complete", "print-completion-script")
# Bare words behind a verb are the values of the first of these rows that the verb has.
_BARE_WORDS = (("--environment",), ("--name",), ("--package",), ("--file", "--key"))
_PASS_ON = ("test",)
# Columns for the texts of a help, beside what they are about.
_NARROW = 24
_STOPPED = "Interrupted. Nothing was left half-written."
_LOOK = "Look at the permissions and the free space there, and where temporary files go (TMPDIR)."
_REPORT_IT = (
    "This is a bug in scripts/pipeline, not in your project: please report it with these lines."
)


class _Config(Config):
    """invoke's settings without those that a machine has for invoke: files, variables INVOKE_*.

    They are for other programs, and a broken one would end every verb.
    """

    prefix = "copier-lambda"  # no variable can begin so


class _Program(Program):
    """invoke's Program, with those of its own flags that mean something here.

    The others are for shell commands. Behind a verb they would be taken and do nothing: `--dry`
    for `--dry-run`, and the deploy is real.
    """

    @property
    def initial_context(self) -> ParserContext:
        """The flags in front of a verb."""
        return ParserContext(args=[flag for flag in self.core_args() if flag.name in _OWN_FLAGS])

    @property
    def args(self) -> Any:
        """All flags of invoke's, those that cannot be given with their defaults."""
        args = ParserContext(args=self.core_args()).args
        args.update(super().args)
        return args

    def print_columns(self, tuples: Sequence[tuple[str, str | None]]) -> None:
        """Print names and their texts side by side, or one below the other where it is narrow."""
        columns = min(shutil.get_terminal_size().columns, pty_size()[0])
        if columns - max(len(name) for name, _ in tuples) > _NARROW:
            super().print_columns(tuples)
            return
        for name, text in tuples:
            indent = " " * (2 * self.leading_indent_width)
            lines = textwrap.wrap(text or "", max(columns - len(indent) - 1, _NARROW))
            show(sys.stdout, "\n".join([self.leading_indent + name, *(indent + x for x in lines)]))
        show(sys.stdout, "")


def main(namespace: Collection, root: Path) -> None:
    """Run the command line of this process and exit with its code."""
    for name in ("stdout", "stderr"):
        # A stream that was closed before the start is None here.
        stream = getattr(sys, name) or Path(os.devnull).open("w")  # noqa: SIM115 - until the end
        # A console may lack some characters.
        stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, stream)
    raise SystemExit(_run(sys.argv[1:], namespace, root))


def shapes(namespace: Collection) -> dict[str, Shape]:
    """Return the command line of every verb in the namespace."""
    # invoke takes a flag's help out of the task while it reads the task: `--help` needs it again.
    tasks = [namespace[name] for name in namespace.task_names]
    texts = [dict(task.help) for task in tasks]
    contexts = namespace.to_contexts()
    for task, text in zip(tasks, texts, strict=True):
        task.help = text
    found = {}
    for context in contexts:
        valued = [name for name, argument in context.flags.items() if argument.takes_value]
        positional: tuple[str, ...] = next((row for row in _BARE_WORDS if row[0] in valued), ())
        for name in (context.name, *context.aliases):
            repeats = bool(positional) and context.flags[positional[0]].kind is list
            found[str(name)] = Shape(positional, valued, name in _PASS_ON, repeats)
    return found


def _run(words: Sequence[str], namespace: Collection, root: Path) -> int:
    """Run a command line and return its exit code: the one place that knows all errors."""
    known = shapes(namespace)
    try:
        bootstrap.hold_interrupts(hold=False)
        if request := rebuild_request(words):
            rebuild(root, *request)
        else:
            _execute(words, known, namespace, root)
    except ParseError as error:
        return _report(words, _explained(error, known))
    except PipelineError as error:
        return _report(words, error)
    except Exit as end:
        return end.code
    except UnexpectedExit as error:
        if error.result.hide:
            sys.stderr.write(f"{error}\n")
        return int(error.result.exited)
    except KeyboardInterrupt:
        return _report(words, Interrupted(_PROGRAM, "interrupted", _STOPPED), f"\n{_STOPPED}")
    except BrokenPipeError:
        # The reader of our output is gone (`| head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the outermost place: all other errors are bugs
        if then := bootstrap.missing(root, error):
            return _report(words, PipelineError("setup", str(error), then))
        if own := _trace_of_own_task(error):
            return _report(words, PipelineError("tasks.py", repr(error)), own)
        if isinstance(error, OSError):
            # A fault of the machine that no verb explains.
            where, what = error.filename or "this machine", error.strerror or repr(error)
            return _report(words, PipelineError(str(where), what, _LOOK))
        then = bootstrap.blame(root) or _REPORT_IT
        bug = PipelineError("bug", repr(error), then)
        return _report(words, bug, f"{traceback.format_exc()}{then}")
    return 0


def _trace_of_own_task(error: Exception) -> str:
    """Return the trace of an error in a task of the team's, from that task on; else nothing."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code is not Task.__call__.__code__:
        trace = trace.tb_next
    body = trace and trace.tb_next
    if body is None or Path(body.tb_frame.f_code.co_filename).is_relative_to(_LIBRARY):
        return ""
    return "".join(traceback.format_exception(error.with_traceback(body)))


def _execute(
    words: Sequence[str], known: Mapping[str, Shape], namespace: Collection, root: Path
) -> None:
    line = normalise(words, known)
    for flag, value in line.old.items():
        old = OLD_FLAGS[flag]
        if old.then:
            raise UsageError(flag, old.warning, old.then)
        writer(sys.stderr)(f"warning: {flag}: {old.warning}")
        if old.variable:
            os.environ[old.variable] = value
    namespace.configure({"pipeline": {"root": str(root), "passed_on": list(line.passed_on)}})
    version = _template_version(root)
    program = _Program(
        namespace=namespace, name="template", binary=_PROGRAM, version=version, config_class=_Config
    )
    program.create_config()
    writes_bytecode = not sys.dont_write_bytecode
    program.parse_core(["invoke", *line.words])
    # invoke keeps tasks from being compiled to disk; the library behind them is large, and
    # would be compiled again at every start.
    sys.dont_write_bytecode = not writes_bytecode
    program.parse_collection()
    program.parse_tasks()
    program.parse_cleanup()
    program.execute()


def _template_version(root: Path) -> str:
    """Return the version of the template that the repository's library is from."""
    unknown = f"of an unknown version: {doctor.ANSWERS} does not name one"
    return str(doctor.answers(root).get("_commit") or unknown)


def _explained(error: ParseError, known: Mapping[str, Shape]) -> UsageError:
    """Return what invoke's parser does not understand, and what was probably meant."""
    message, context = str(error), error.context or ParserContext()
    verb = context.name or ""
    then = f"Run `{' '.join(filter(None, (_PROGRAM, verb, '--help')))}` for the flags."
    if lacking := _NO_VALUE.fullmatch(message):
        what = f"--{lacking[1].replace('_', '-')} needs a value"
    elif lacking := _NO_WORD.fullmatch(message):
        what = f"`{lacking[1]}` needs a {lacking[2]}"
        then = f"Name it: `{_PROGRAM} {lacking[1]} {lacking[2].upper()}`."
    elif not (unknown := _UNKNOWN.fullmatch(message)):
        what = message
    elif unknown[1].startswith("-"):
        has_none = f"`{verb}` has no flag" if verb else "there is no flag"
        what = f"{has_none} {unknown[1]!r}{_meant(unknown[1], context.flags)}"
    elif verb and (takes := known[verb].positional):
        names = " and one ".join(flag.lstrip("-") for flag in takes)
        what = f"`{verb}` takes one {names}, and {unknown[1]!r} is one more"
    else:
        what = f"there is no verb {unknown[1]!r}{_meant(unknown[1], known)}"
        then = f"Run `{_PROGRAM} --list` for the verbs."
    return UsageError("usage", what, then)


def _meant(word: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _report(words: Sequence[str], error: PipelineError, text: str = "") -> int:
    """Print an error that no session printed, and return its exit code.

    `text` is for people, the error's own words by default; `--json` gives a program its document.
    """
    secrets = environment_secrets(os.environ)
    writer(sys.stderr)(harmless(masked_text(text or str(error), secrets)))
    if bootstrap.JSON.intersection(words):
        with suppress(OSError):
            print_document(error_document(error), secrets)
    return error.exit_code
