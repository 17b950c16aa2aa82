"""Answers that are nearly right: a seed decides what is missing, of another type, or cut short."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

# What a property may hold instead of what it should.
_OTHERS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e400, float("nan"), 10**400, "", "x", "../x", "\ud800",
    "\x00\x1b[2J", [], [[]], [None], ["x"], {}, {"Id": None}, [{}],
)  # fmt: skip


@dataclass
class Mutator:
    """Mutates the answer number `at` that passes through, and no other; counts them all."""

    change: Callable[[bytes, random.Random], bytes]
    seed: int
    at: int
    count: int = 0
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - the same faults every time

    def __call__(self, body: bytes) -> bytes:
        """Return the body, or what became of it."""
        self.count += 1
        return self.change(body, self.random) if self.count == self.at else body


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Return a JSON answer with one fault in it."""
    if not body.strip() or chance.random() < 0.1:
        return body[: chance.randrange(len(body) + 1)]
    document = json.loads(body)
    places = list(_places(document))
    if not places or chance.random() < 0.1:
        return json.dumps(chance.choice(_OTHERS)).encode()
    holder, key = chance.choice(places)
    if chance.random() < 0.3:
        del holder[key]
    else:
        holder[key] = chance.choice(_OTHERS)
    return json.dumps(document).encode()


def mutated_text(body: bytes, chance: random.Random) -> bytes:
    """Return another answer, such as XML, with a piece of it missing, doubled or changed."""
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.randrange(1, 60))
    piece = body[start:end]
    others = [b"", piece * 2, b"\x00", b"<", b"&#0;", b"\xff", b"]]>", b"x" * len(piece)]
    other = chance.choice(others)
    return body[:start] + other + (body[end:] if chance.random() < 0.8 else b"")


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (object or list, key) in a document."""
    if isinstance(node, (dict, list)):
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            yield node, key
            yield from _places(value)
