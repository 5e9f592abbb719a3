"""Middleboxes between a client and a service: what they answer, and which ways requests took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import doubles
from doubles import kind

if TYPE_CHECKING:
    from collections.abc import Callable

HTML = {"Content-Type": "text/html"}
STAGED = ["declare", "put", "send"]


def page(status: int) -> doubles.Reply:
    return doubles.Reply(status, b"<html><title>Firewall</title></html>", HTML)


def ways(asked: list[doubles.Asked]) -> list[str]:
    """Give the calls that were made, and forget them."""
    calls = [kind(request) for request in asked]
    asked.clear()
    return calls


def refusing(reply: doubles.Reply, *, times: int = 10**9) -> Callable[..., doubles.Reply | None]:
    """A fate: one exchange is answered so, before the service sees it."""
    left = [times]

    def fate(asked: doubles.Asked, _count: int, now: str) -> doubles.Reply | None:
        if kind(asked) != "whole" or now != "before" or not left[0]:
            return None
        left[0] -= 1
        return reply

    return fate
