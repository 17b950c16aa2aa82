"""The Program: invoke's, with our command line, our exit codes, and one place that exits."""

from __future__ import annotations

import difflib
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import bootstrap
from invoke import Collection, Program
from invoke.exceptions import Exit, ParseError, UnexpectedExit

from ..core.errors import Interrupted, PipelineError, UsageError
from ..edge.files import read_text
from .argv import OLD_FLAGS, Shape, normalise, rebuild_request
from .build import rebuild
from .printers import writer
from .session import error_document, print_document

# The one spelling of all messages, whichever was typed.
_PROGRAM = "python3 tasks.py"
# What invoke's parser says of a word, a flag and a verb.
_UNKNOWN = re.compile("No idea what '(.+)' is!")
_NO_VALUE = re.compile(r"Flag <Argument: (\S+).*> needed value and was not given one!")
_NO_WORD = re.compile("'(.+)' did not receive required positional arguments: '(.+)'")
# Bare words behind a verb are the values of the first of these rows that the verb has.
_BARE_WORDS = (("--environment",), ("--package",), ("--file", "--key"))
_PASS_ON = ("test",)
_STOPPED = "Interrupted. Nothing was left half-written."
_LOOK = "Look at the permissions and the free space there, and where temporary files go (TMPDIR)."
_REPORT_IT = (
    "This is a bug in scripts/pipeline, not in your project: please report it with these lines."
)


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
            found[str(name)] = Shape(positional, valued, name in _PASS_ON)
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
        what = _explain(error, known)
        then = f"Run `{_PROGRAM} --list` for the verbs, `{_PROGRAM} VERB --help` for its flags."
        return _report(words, UsageError("usage", what, then))
    except UsageError as error:
        return _report(words, error)
    except Exit as end:
        return end.code
    except UnexpectedExit as error:
        return int(error.result.exited)
    except KeyboardInterrupt:
        return _report(words, Interrupted(_PROGRAM, "interrupted", _STOPPED), f"\n{_STOPPED}")
    except BrokenPipeError:
        # The reader of our output is gone (`| head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A fault of the machine that no verb explains.
        where, what = error.filename or "this machine", error.strerror or repr(error)
        return _report(words, PipelineError(str(where), what, _LOOK))
    except Exception as error:  # noqa: BLE001 - the outermost place: all other errors are bugs
        bug = PipelineError("bug", repr(error), _REPORT_IT)
        return _report(words, bug, f"{traceback.format_exc()}{_REPORT_IT}")
    return 0


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
    program = Program(namespace=namespace, name="template", binary=_PROGRAM, version=version)
    program.create_config()
    writes_bytecode = not sys.dont_write_bytecode
    program.parse_core(["invoke", *line.words])
    # invoke keeps tasks from being compiled to disk; the library behind them is large, and
    # would be compiled again at every start.
    sys.dont_write_bytecode = not writes_bytecode
    program.parse_collection()
    program.parse_tasks()
    program.parse_cleanup()
    program.update_config()
    program.execute()


def _template_version(root: Path) -> str:
    """Return the version of the template that the repository's library is from."""
    answers, text = root / ".copier-answers.yml", ""
    with suppress(OSError, PipelineError):
        text = read_text(answers, answers.name)
    known = re.search(r"^_commit: *['\"]?([^'\"\s]+)", text, re.MULTILINE)
    return known[1] if known else f"of an unknown version: {answers.name} does not name one"


def _explain(error: ParseError, known: Mapping[str, Shape]) -> str:
    """Return what invoke's parser does not understand, with what was probably meant."""
    verb, message = error.context and error.context.name, str(error)
    if lacking := _NO_VALUE.fullmatch(message):
        return f"--{lacking[1].replace('_', '-')} needs a value"
    if lacking := _NO_WORD.fullmatch(message):
        return f"`{lacking[1]}` needs a {lacking[2]}: `{lacking[1]} {lacking[2].upper()}`"
    if not (unknown := _UNKNOWN.fullmatch(message)):
        return message
    word = unknown[1]
    if word.startswith("-"):
        return f"there is no flag {word!r}"
    what = f"there is no verb {word!r}"
    if verb and (takes := known[verb].positional):
        names = " and one ".join(flag.lstrip("-") for flag in takes)
        what = f"`{verb}` takes one {names}, and {word!r} is one more"
    near = difflib.get_close_matches(word, known, 1)
    return what + (f"; did you mean {near[0]}?" if near else "")


def _report(words: Sequence[str], error: PipelineError, text: str = "") -> int:
    """Print an error that no session printed, and return its exit code.

    `text` is for people, the error's own words by default; `--json` gives a program its document.
    """
    from ..core.foreign import harmless
    from ..core.masking import environment_secrets, masked_text

    secrets = environment_secrets(os.environ)
    writer(sys.stderr)(harmless(masked_text(text or str(error), secrets)))
    if bootstrap.JSON.intersection(words):
        with suppress(OSError):
            print_document(error_document(error), secrets)
    return error.exit_code
