"""JSON in which values are replaced with hostile ones."""

from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING, Any

from faults.hostile.files import mutate
from faults.hostile.texts import hostile_text

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_DEEP = "@deep@"
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 5, 2**53, 10**30, 10**400, 1.5, 1e308, math.inf, -math.inf, math.nan),
    *("", "x", "*", "5", "\x1b]0;owned\x07", "\x9b2J", "\u202e", "\ud800", "\udfff\ud800", "a" * 5000, "\0"),
    *("[red]x[/y]", "=1+1", "../../x", "\u2028", "\n", "\x7f", _DEEP, _DEEP),
    *([], {}, [[]], [None], [5], {"": ""}, {"a": 1}, {"en": 5}, [{}], ["a"] * 100),
)


def mutate_json(rng: random.Random, text: str) -> bytes:
    """Return a JSON text with a few values, members or bytes changed."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        slots = list(_slots(value))
        if not slots:
            break
        holder, key = rng.choice(slots)
        kind = rng.random()
        if kind < 0.75:
            holder[key] = _hostile_value(rng)
        elif kind < 0.9:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(_hostile_value(rng))
        else:
            holder[hostile_text(rng, 3)] = _hostile_value(rng)
    body = json.dumps(value, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    depth = rng.choice((5, 100, 300, 330, 490, 900, 990, 5000))
    body = body.replace(json.dumps(_DEEP).encode(), b"[" * depth + b"]" * depth)
    if rng.random() < 0.08:
        body = mutate(rng, body, body)
    return rng.choice((b"", b"\xef\xbb\xbf")) + body if rng.random() < 0.05 else body


def _hostile_value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(_VALUES)) if rng.random() < 0.85 else hostile_text(rng)


def _slots(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in list(items):
        yield value, key
        yield from _slots(below)
