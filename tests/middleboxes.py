"""Middleboxes between a client and a service: their responses, and the calls that reached them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import doubles
from doubles import call_name

if TYPE_CHECKING:
    from collections.abc import Callable

HTML = {"Content-Type": "text/html"}
STAGED = ["declare", "put", "send"]


def page(status: int) -> doubles.Reply:
    return doubles.Reply(status, b"<html><title>Firewall</title></html>", HTML)


def take_calls(requests: list[doubles.ReceivedRequest]) -> list[str]:
    """Return the names of the received calls, and clear the list."""
    calls = [call_name(request) for request in requests]
    requests.clear()
    return calls


def refuse_one_exchange(reply: doubles.Reply, *, times: int = 10**9) -> Callable[..., doubles.Reply | None]:
    """Return an interceptor that responds to one exchange before the service sees it, a number of times."""
    remaining = [times]

    def intercept(request: doubles.ReceivedRequest, _count: int, phase: str) -> doubles.Reply | None:
        if call_name(request) != "submit" or phase != "before" or not remaining[0]:
            return None
        remaining[0] -= 1
        return reply

    return intercept
