"""The Program: invoke's, with our command line, our exit codes, and one place that exits."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

from invoke import Collection, Program
from invoke.exceptions import Exit, ParseError, UnexpectedExit

from .argv import Shape, normalise
from .session import Ended

__all__ = ["main", "shapes"]

_UNKNOWN = re.compile("No idea what '(.+)' is!")
_WRONG_USAGE, _INTERRUPTED, _BUG = 2, 130, 1
# Bare words of these verbs belong to this flag; True where there may be several.
_POSITIONALS = {
    "verify": ("--package", False),
    "run": ("--package", False),
    "inspect": ("--package", False),
    "push": ("--package", False),
    "release": ("--package", False),
}
_PASS_ON = ("test",)
_STOPPED = "Interrupted. What was whole before is whole now."
_REPORT_IT = (
    "This is a bug in scripts/pipeline, not in your project: please report it with these lines."
)


def main(namespace: Collection, root: Path) -> None:
    """Run the command line of this process and exit with its code."""
    # Lines must not fail on a console that lacks a character.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
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
        for name in (context.name, *context.aliases):
            flag, repeated = _POSITIONALS.get(str(name), ("", False))
            found[str(name)] = Shape(flag, repeated, valued, str(name) in _PASS_ON)
    return found


def _run(words: Sequence[str], namespace: Collection, root: Path) -> int:  # noqa: PLR0911 - one return an ending
    known = shapes(namespace)
    arguments = normalise(words, known)
    namespace.configure({"pipeline": {"root": str(root), "passed_on": list(arguments.passed_on)}})
    program = Program(namespace=namespace, name="invoke", binary="invoke", version=None)
    try:
        program.create_config()
        writes_bytecode = not sys.dont_write_bytecode
        program.parse_core(["invoke", *arguments.words])
        # invoke keeps tasks from being compiled to disk; the library behind them is large, and
        # would be compiled again at every start.
        sys.dont_write_bytecode = not writes_bytecode
        program.parse_collection()
        program.parse_tasks()
        program.parse_cleanup()
        program.update_config()
        program.execute()
    except ParseError as error:
        what = _usage(str(error), known)
        then = "Run `invoke --list` for the verbs, `invoke --help VERB` for its flags."
        _say(f"usage: {what}\n{then}")
        _answer(words, "usage", what, then)
        return _WRONG_USAGE
    except (Ended, Exit) as end:
        return end.code
    except UnexpectedExit as error:
        return int(error.result.exited)
    except KeyboardInterrupt:
        _say(f"\n{_STOPPED}")
        _answer(words, "invoke", "interrupted", _STOPPED)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): nothing is left to say, nor to whom.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BUG
    except Exception as error:  # noqa: BLE001 - the outermost place: what is not ours to name is a bug
        _say(f"{traceback.format_exc()}{_REPORT_IT}")
        _answer(words, "bug", repr(error), _REPORT_IT)
        return _BUG
    return 0


def _usage(said: str, known: Iterable[str]) -> str:
    """Say what invoke's parser has against the command line, with what was probably meant."""
    unknown = _UNKNOWN.fullmatch(said)
    if not unknown:
        return said
    word = unknown[1]
    near = difflib.get_close_matches(word, list(known), 1)
    kind = "flag" if word.startswith("-") else "verb"
    return f"there is no {kind} {word!r}" + (f"; did you mean {near[0]}?" if near else "")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _answer(words: Sequence[str], where: str, what: str, then: str) -> None:
    """Give a program its document where no session was there to do so."""
    if "--json" in words:
        error = {"where": where, "what": what, "then": then}
        sys.stdout.write(json.dumps({"error": error}, indent=2) + "\n")
