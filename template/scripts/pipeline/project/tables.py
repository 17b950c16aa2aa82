"""Reading a table of settings: every mistake names the file, the table and the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import PipelineError
from ..core.text import control_in

_REQUIRED = object()


@dataclass
class Table:
    """A table of a TOML file that remembers which keys were asked for."""

    values: Mapping[str, Any]
    file: str
    name: str
    asked: set[str] = field(default_factory=set)

    def error(self, key: str, what: str, then: str) -> PipelineError:
        """Return the error for a key of this table."""
        return PipelineError(f"{self.file} [{self.name}] {key}", what, then)

    def text(self, key: str, default: object = _REQUIRED) -> str:
        """Return a text; without `default` a missing or empty one is an error."""
        value = self._get(key, default)
        if not isinstance(value, str) or (default is _REQUIRED and not value):
            raise self.error(key, f"{value!r} is not a text", f'Write {key} = "...".')
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"{value!r} is not a list of texts", f'Write {key} = ["..."].')
        return tuple(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"{value!r} is neither true nor false", f"Write {key} = true.")
        return value

    def count(self, key: str, default: int) -> int:
        """Return a whole number from 1 on, or `default` where the key is absent."""
        value = self._get(key, None)
        if value is None:
            return default
        if type(value) is not int or value < 1:
            raise self.error(key, f"{value!r} is not a number from 1 on", f"Write {key} = 10.")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: object = _REQUIRED) -> str:
        """Return one of `choices`."""
        value = self.text(key, default)
        if value not in choices:
            raise self.error(key, f"{value!r} is not known", f"Choose one of {', '.join(choices)}.")
        return value

    def mapping(self, key: str, *, any_text: bool = False) -> dict[str, str]:
        """Return a table of texts, in the order of the file.

        With `any_text` its values are judged by who uses them.
        """
        values = self.table(key, {}).values
        for name, item in values.items():
            if not isinstance(item, str):
                raise self.error(f"{key}.{name}", f"{item!r} is not a text", "Put it in quotes.")
            if not any_text:
                self._check(f"{key}.{name}", item)
        return dict(values)

    def table(self, key: str, default: object = _REQUIRED) -> Table:
        """Return a table inside this one."""
        value = self._get(key, default)
        if not isinstance(value, Mapping):
            raise self.error(key, f"{value!r} is not a table", f"Write [{self.name}.{key}].")
        return Table(value, self.file, f"{self.name}.{key}")

    def refuse_unknown(self) -> None:
        """Refuse keys nobody asked for: a misspelt setting must not be ignored silently."""
        for key in self.values:
            if key not in self.asked:
                near = difflib.get_close_matches(key, self.asked, 1)
                known = f"Known are {', '.join(sorted(self.asked))}."
                then = f"Did you mean {near[0]}?" if near else known
                raise self.error(key, "there is no such setting", then)

    def _get(self, key: str, default: object) -> Any:
        self.asked.add(key)
        value = self.values.get(key, default)
        if value is _REQUIRED:
            what = "is missing"
            raise self.error(key, what, "Add it, or run `copier recopy` to have it rendered again.")
        self._check(key, value)
        return value

    def _check(self, key: str, value: Any) -> None:
        """Refuse control characters in a text, in the texts of a list, in the names of a table."""
        for text in value if isinstance(value, (list, Mapping)) else (value,):
            if isinstance(text, str) and (found := control_in(text)):
                raise self.error(key, f"it holds {found}", "Remove it.")


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
