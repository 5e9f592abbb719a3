"""Threads: begun, or told in the user's words that this machine gives no more of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def start(
    target: Callable[..., object], args: Sequence[object] = (), *, name: str | None = None
) -> threading.Thread:
    """Begin a thread that ends with the process, and return it; raise LocalFailure if there is no room."""
    try:
        thread = threading.Thread(target=target, args=tuple(args), name=name, daemon=True)
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise LocalError(
            Message("this machine gives no room for another thread"),
            Message("end other programs, or raise the limits on processes and memory (ulimit -u, ulimit -v)"),
        ) from error
    return thread
