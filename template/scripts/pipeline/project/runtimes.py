"""The Lambda runtimes a function may choose, with their dates.

Facts as of 2026-11-25: AWS's runtime list and the dates it announced. Dates move, so a
runtime that is near its end is a warning, never an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from ..core.errors import PipelineError

ARCHITECTURES = ("arm64", "x86_64")
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_NOTICE = timedelta(days=180)
_SDKS = {"python": "boto3", "node": "aws-sdk"}


@dataclass(frozen=True)
class Runtime:
    """A managed runtime: its language and version, the glibc it offers, its last day of patches.

    `wheels` is the newest platform of binary packages that fits its glibc.
    """

    name: str
    language: str
    version: str
    glibc: tuple[int, int]
    wheels: str
    deprecated_on: date

    @property
    def sdk(self) -> str:
        """The setting that says where the AWS SDK comes from."""
        return _SDKS[self.language]

    @property
    def is_bundled(self) -> bool:
        """Whether a function's files and packages may be made one file."""
        return self.language == "node"

    @property
    def has_inspector(self) -> bool:
        """Whether its debugger is another program, which a function can wait for."""
        return self.language == "node"

    @property
    def python_tag(self) -> str:
        """Python's tag in a wheel's name, like `cp313`."""
        return "cp" + self.version.replace(".", "")

    def platform(self, architecture: str) -> str:
        """Return the newest platform that uv may take wheels for, like `aarch64-manylinux_2_28`."""
        return f"{_MACHINES[architecture]}-{self.wheels}"

    def notice(self, today: date) -> str:
        """Return what to know about the runtime's age on `today`, or an empty text."""
        if today >= self.deprecated_on:
            return f"{self.name} has had no security patches since {self.deprecated_on:%Y-%m-%d}"
        if today >= self.deprecated_on - _NOTICE:
            return f"{self.name} gets its last security patches on {self.deprecated_on:%Y-%m-%d}"
        return ""


# Amazon Linux 2 has glibc 2.26; uv knows manylinux_2_17 as the nearest older platform.
# Amazon Linux 2023 has glibc 2.34.
RUNTIMES = (
    Runtime("python3.11", "python", "3.11", (2, 26), "manylinux_2_17", date(2027, 6, 30)),
    Runtime("python3.12", "python", "3.12", (2, 34), "manylinux_2_34", date(2028, 10, 31)),
    Runtime("python3.13", "python", "3.13", (2, 34), "manylinux_2_34", date(2029, 6, 30)),
    Runtime("python3.14", "python", "3.14", (2, 34), "manylinux_2_34", date(2029, 6, 30)),
    Runtime("nodejs20.x", "node", "20", (2, 34), "manylinux_2_34", date(2026, 4, 30)),
    Runtime("nodejs22.x", "node", "22", (2, 34), "manylinux_2_34", date(2027, 4, 30)),
    Runtime("nodejs24.x", "node", "24", (2, 34), "manylinux_2_34", date(2028, 4, 30)),
)
# Lambda's words, and those for what runs a function here.
_LANGUAGES = {"python": "python", "nodejs": "node"}
_SPELLING = re.compile(r"([a-z]+)(\d+(?:\.\d+)?)")


def language_of(name: str) -> tuple[str, str]:
    """Return the language and version that a runtime's name says, of one not listed here too."""
    match = _SPELLING.match(name)
    return (_LANGUAGES.get(match[1], match[1]), match[2]) if match else (name, "")


def runtime_named(name: str, *, where: str) -> Runtime:
    """Return the runtime of that name, or say which ones there are."""
    for runtime in RUNTIMES:
        if runtime.name == name:
            return runtime
    known = ", ".join(runtime.name for runtime in RUNTIMES)
    raise PipelineError(where, f"there is no runtime {name!r}", f"Choose one of {known}.")
