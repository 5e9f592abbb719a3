"""Headers with every fault that a request can have, and with one less each time."""

from __future__ import annotations

import itertools
from typing import Any

from contract_client import NO_TOKEN

# Everything that is wrong with the headers, in the order in which it is judged, and what mends it.
ORDER: list[tuple[int, str, dict[str, Any]]] = [
    (421, "host-not-served", {"Host": "localhost"}),
    (403, "origin-not-allowed", {"Origin": "http://localhost"}),
    (400, "malformed", {"Request-Id": "an-id"}),
    (401, "sign-in-needed", {"Authorization": "Basic none"}),
]
WRONG = {
    "Host": "web.example",
    "Origin": "null",
    "Request-Id": "a b",
    "Authorization": f"Bearer {NO_TOKEN}",
    "Content-Type": "text/html",
}


def mended() -> list[dict[str, str]]:
    """The headers with one fault less each time."""
    nothing: dict[str, str] = {}
    steps = itertools.accumulate((mend for *_, mend in ORDER), lambda one, two: one | two, initial=nothing)
    return [WRONG | step for step in steps]
