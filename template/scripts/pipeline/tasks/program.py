"""The Program: invoke's, with our command line, our exit codes, and one place that exits."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from invoke import Collection, Program
from invoke.exceptions import Exit, ParseError, UnexpectedExit

from .argv import Shape, normalise
from .session import Ended

__all__ = ["main", "shapes"]

_WRONG_USAGE, _INTERRUPTED, _BUG = 2, 130, 1
# Bare words of these verbs belong to this flag; True where there may be several.
_POSITIONALS = {
    "verify": ("--package", False),
    "run": ("--package", False),
    "inspect": ("--package", False),
}
_PASS_ON = ("test",)


def main(namespace: Collection, root: Path) -> None:
    """Run the command line of this process and exit with its code."""
    # Lines must not fail on a console that lacks a character.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    raise SystemExit(_run(sys.argv[1:], namespace, root))


def shapes(namespace: Collection) -> dict[str, Shape]:
    """Return the command line of every verb in the namespace."""
    found = {}
    for context in namespace.to_contexts():
        valued = [name for name, argument in context.flags.items() if argument.takes_value]
        for name in (context.name, *context.aliases):
            flag, repeated = _POSITIONALS.get(str(name), ("", False))
            found[str(name)] = Shape(flag, repeated, valued, str(name) in _PASS_ON)
    return found


def _run(words: Sequence[str], namespace: Collection, root: Path) -> int:  # noqa: PLR0911 - one return an ending
    arguments = normalise(words, shapes(namespace))
    namespace.configure({"pipeline": {"root": str(root), "passed_on": list(arguments.passed_on)}})
    program = Program(namespace=namespace, name="invoke", binary="invoke", version=None)
    try:
        program.create_config()
        program.parse_core(["invoke", *arguments.words])
        program.parse_collection()
        program.parse_tasks()
        program.parse_cleanup()
        program.update_config()
        program.execute()
    except ParseError as error:
        _say(
            f"usage: {error}\n"
            "Run `invoke --list` for the verbs, `invoke --help VERB` for its flags."
        )
        return _WRONG_USAGE
    except (Ended, Exit) as end:
        return end.code
    except UnexpectedExit as error:
        return int(error.result.exited)
    except KeyboardInterrupt:
        _say("\nInterrupted. What was whole before is whole now.")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): nothing is left to say, nor to whom.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BUG
    except Exception:  # noqa: BLE001 - the outermost place: what is not ours to name is a bug
        _say(
            f"{traceback.format_exc()}This is a bug in scripts/pipeline, not in your project: "
            "please report it with these lines."
        )
        return _BUG
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
