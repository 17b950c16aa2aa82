"""The Program: invoke's, with our command line, our exit codes, and one place that exits."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import bootstrap
from invoke import Collection, Program
from invoke.exceptions import Exit, ParseError, UnexpectedExit

from ..core.errors import Interrupted, PipelineError, UsageError
from ..edge.files import read_text
from .argv import MOVED, NO_CHECK, STILL_READ, Shape, normalise
from .printers import writer

# The one spelling of all messages, whichever was typed.
_PROGRAM = "python3 tasks.py"
_UNKNOWN = re.compile("No idea what '(.+)' is!")
# A bare word behind one of these verbs is its package.
_TAKE_A_PACKAGE = ("verify", "run", "inspect", "push", "release")
_PASS_ON = ("test",)
_STOPPED = "Interrupted. What was whole before is whole now."
_LOOK = "Look at the permissions and the free space there, and where temporary files go (TMPDIR)."
_UNSIGNED = "nothing was verified: the build server signs packages, and this verb knows no keys"
_VERIFY_IT = "Verify with `gh attestation verify` or `cosign verify-blob`: docs/provenance.md."
_REPORT_IT = (
    "This is a bug in scripts/pipeline, not in your project: please report it with these lines."
)


def main(namespace: Collection, root: Path) -> None:
    """Run the command line of this process and exit with its code."""
    for name in ("stdout", "stderr"):
        # Who closed a stream wants to hear nothing on it.
        stream = getattr(sys, name) or Path(os.devnull).open("w")  # noqa: SIM115 - until the end
        # Lines must not fail on a console that lacks a character.
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
        for name in (context.name, *context.aliases):
            flag = "--package" if name in _TAKE_A_PACKAGE else ""
            found[str(name)] = Shape(flag, valued, name in _PASS_ON)
    return found


def _run(words: Sequence[str], namespace: Collection, root: Path) -> int:
    known = shapes(namespace)
    words, passed_on, moved = normalise(words, known)
    for flag, value in moved.items():
        if flag == NO_CHECK:
            return _told(words, UsageError(f"inspect {flag}", _UNSIGNED, _VERIFY_IT))
        if flag == STILL_READ:
            writer(sys.stderr)(f"warning: {flag} is not needed: `inspect` always says it")
            continue
        writer(sys.stderr)(f"warning: {flag} is `build`'s alone: set {MOVED[flag]} instead")
        os.environ[MOVED[flag]] = value
    namespace.configure({"pipeline": {"root": str(root), "passed_on": list(passed_on)}})
    version = _template_version(root)
    program = Program(namespace=namespace, name="template", binary=_PROGRAM, version=version)
    try:
        bootstrap.hold_interrupts(hold=False)
        program.create_config()
        writes_bytecode = not sys.dont_write_bytecode
        program.parse_core(["invoke", *words])
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
        then = f"Run `{_PROGRAM} --list` for the verbs, `{_PROGRAM} --help VERB` for its flags."
        return _told(words, UsageError("usage", what, then))
    except Exit as end:
        return end.code
    except UnexpectedExit as error:
        return int(error.result.exited)
    except KeyboardInterrupt:
        return _told(words, Interrupted(_PROGRAM, "interrupted", _STOPPED), f"\n{_STOPPED}")
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): nothing is left to say, nor to whom.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A fault of the machine that no verb has words for.
        where, what = error.filename or "this machine", error.strerror or repr(error)
        return _told(words, PipelineError(str(where), what, _LOOK))
    except Exception as error:  # noqa: BLE001 - the outermost place: what is not ours to name is a bug
        bug = PipelineError("bug", repr(error), _REPORT_IT)
        return _told(words, bug, f"{traceback.format_exc()}{_REPORT_IT}")
    return 0


def _template_version(root: Path) -> str:
    """Return the version of the template that the repository's library is from."""
    answers, said = root / ".copier-answers.yml", ""
    with suppress(OSError, PipelineError):
        said = read_text(answers, answers.name)
    known = re.search(r"^_commit: *['\"]?([^'\"\s]+)", said, re.MULTILINE)
    return known[1] if known else f"of an unknown version: {answers.name} does not say it"


def _usage(said: str, known: Iterable[str]) -> str:
    """Say what invoke's parser has against the command line, with what was probably meant."""
    unknown = _UNKNOWN.fullmatch(said)
    if not unknown:
        return said
    word = unknown[1]
    near = difflib.get_close_matches(word, list(known), 1)
    kind = "flag" if word.startswith("-") else "verb"
    return f"there is no {kind} {word!r}" + (f"; did you mean {near[0]}?" if near else "")


def _told(words: Sequence[str], error: PipelineError, text: str = "") -> int:
    """Say how a verb ended where no session was there to do so, and return its exit code.

    `text` is for people, the error's own words by default; `--json` gives a program its document.
    """
    from ..core.foreign import harmless, harmless_json
    from ..core.masking import environment_secrets, masked_text

    secrets = environment_secrets(os.environ)
    writer(sys.stderr)(harmless(masked_text(text or str(error), secrets)))
    if bootstrap.JSON.intersection(words):
        document = {"where": error.where, "what": error.what, "then": error.then}
        shown = masked_text(json.dumps({"error": document}, indent=2), secrets)
        writer(sys.stdout)(harmless_json(shown))
    return error.exit_code
