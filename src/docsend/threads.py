"""Starting threads, with an error message for the user if the machine cannot start another one."""

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
    """Start a daemon thread and return it. Raise LocalError if the machine cannot start another one."""
    try:
        thread = threading.Thread(target=target, args=tuple(args), name=name, daemon=True)
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise LocalError(
            Message("this machine is out of resources: docsend cannot start another thread"),
            Message("close other programs, or raise the process and memory limits (ulimit -u, ulimit -v)"),
        ) from error
    return thread
