"""Request headers that are all wrong, and their corrections in the order in which the service checks them."""

from __future__ import annotations

import itertools
from typing import Any

from contract_client import UNKNOWN_TOKEN

# Status and code of each refusal in the order of the checks, and the header that corrects it.
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
    "Authorization": f"Bearer {UNKNOWN_TOKEN}",
    "Content-Type": "text/html",
}


def corrected_headers() -> list[dict[str, str]]:
    """Return the wrong headers with no correction, with the first, with the first two, and so on."""
    none: dict[str, str] = {}
    corrections = (correction for *_, correction in ORDER)
    steps = itertools.accumulate(corrections, lambda one, two: one | two, initial=none)
    return [WRONG | step for step in steps]
