"""JSON from outside: a package, a file that anybody may have written, a service's answer.

Its size, depth and numbers are bounded. Everything else raises a PipelineError here, so that it
cannot end a verb with a traceback later.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from .errors import PipelineError

# Far above any manifest, bill of materials or statement; none is nested more than a dozen deep.
LARGEST_DOCUMENT = 4 << 20
_DEEPEST = 64
_LONGEST_NUMBER = 19  # digits: a whole number fits 64 bits
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def parse_json(
    data: bytes, where: str, *, largest: int = LARGEST_DOCUMENT, is_answer: bool = False
) -> Any:
    """Return the document in `data`, which is UTF-8; `where` names it in errors.

    Raises PipelineError for what is not JSON, and for JSON that readers differ on or cannot
    write again: a key that is there twice, numbers that are infinite, none, or too large, half
    of a surrogate pair, a document that is nested too deep or larger than `largest` bytes.
    In a service's answer keys and texts are taken as they are: a log has whatever was written.
    """
    if len(data) > largest:
        raise PipelineError(where, f"it has {len(data)} bytes, at most {largest} are read")
    try:
        document = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=dict if is_answer else _unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
        _check(document, is_answer=is_answer)
    except RecursionError as error:
        raise PipelineError(where, _TOO_DEEP) from error
    except ValueError as error:
        raise PipelineError(where, f"it is not JSON that can be read: {error}") from error
    return document


_TOO_DEEP = f"its values are nested more than {_DEEPEST} deep"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key in it is there twice")
    return found


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number in it is too large")
    return number


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _LONGEST_NUMBER:
        raise ValueError("a number in it is too large")
    return int(text)


def _check(value: Any, depth: int = 0, *, is_answer: bool) -> None:
    if depth >= _DEEPEST:
        raise ValueError(_TOO_DEEP)
    if not is_answer and isinstance(value, str) and _HALF_A_PAIR.search(value):
        raise ValueError("a text in it holds half of a surrogate pair")
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(inner, list):
        for item in inner:
            _check(item, depth + 1, is_answer=is_answer)
