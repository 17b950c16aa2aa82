"""Runs a script as Octopus's own bootstrap does: with its variables and functions as globals.

Started as `python -I -S -u bootstrap.py SCRIPT [PARAMETER ...] KEY`, with the variables as a
JSON object on standard input. A script sees what it sees on a worker and nothing more: itself
as `__main__`, its folder first on the path, and Octopus's key as the last argument.
"""

from __future__ import annotations

import base64
import json
import os
import runpy
import sys
from typing import Any


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _message(name: str, /, **attributes: str) -> None:
    pairs = "".join(
        f" {key}='{base64.b64encode(value.encode()).decode('ascii')}'"
        for key, value in attributes.items()
    )
    _say(f"##octopus[{name}{pairs}]")


def _globals(variables: dict[str, str]) -> dict[str, Any]:
    def get_octopusvariable(name: str) -> str:
        return variables.get(name, "")

    def set_octopusvariable(name: str, value: str, sensitive: bool = False) -> None:
        variables[name] = value
        extra = {"sensitive": "True"} if sensitive else {}
        _message("setVariable", name=name, value=value, **extra)

    def createartifact(path: str, fileName: str | None = None) -> None:  # noqa: N803 - Octopus's signature
        name = os.path.basename(path) if fileName is None else fileName  # noqa: PTH119
        length = str(os.path.getsize(path)) if os.path.exists(path) else "0"  # noqa: PTH110, PTH202
        _message("createArtifact", path=os.path.abspath(path), name=name, length=length)  # noqa: PTH100

    def updateprogress(progress: int, message: str) -> None:
        _message("progress", percentage=str(progress), message=message)

    def failstep(message: str | None = None) -> None:
        if message is not None:
            _message("resultMessage", message=message)
        sys.exit(-1)

    return {
        "octopusvariables": variables,
        "get_octopusvariable": get_octopusvariable,
        "set_octopusvariable": set_octopusvariable,
        "createartifact": createartifact,
        "updateprogress": updateprogress,
        "failstep": failstep,
        **{f"print{name}": _printer(name) for name in ("verbose", "highlight", "wait", "warning")},
    }


def _printer(category: str) -> Any:
    def printer(message: str) -> None:
        _message(f"stdout-{category}")
        _say(message)
        _message("stdout-default")

    return printer


if __name__ == "__main__":
    script = os.path.abspath(sys.argv[1])  # noqa: PTH100 - before anything else is imported
    sys.argv = sys.argv[1:]
    sys.path.insert(0, os.path.dirname(script))  # noqa: PTH120
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    given = json.loads(sys.stdin.buffer.read())
    runpy.run_path(script, _globals(given), "__main__")
