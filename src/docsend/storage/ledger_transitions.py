"""Changes of a submission's state in the ledger, and which are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from docsend.storage import ledger_rows

if TYPE_CHECKING:
    import sqlite3

    from docsend.model.states import State

# The states from which each state can be reached. `planned` is also the first state, and record_plans sets
# it for refused submissions.
_ALLOWED_FROM: dict[State, tuple[State, ...]] = {
    "planned": ("sending",),
    "open": ("planned",),
    "sending": ("planned", "open", "sending"),
    "received": ("planned", "open", "sending", "refused"),
    "refused": ("planned", "open", "sending"),
    "withdrawn": ("planned", "open", "sending", "refused"),
}


class Transition(NamedTuple):
    """A change of one submission from one state to another."""

    service: str
    key: str
    state: State
    changed_at: str
    receipt: bytes | None = None
    problem: str | None = None

    only_before_sending: bool = False  # apply only if no request for the receipt was made
    sending_since: str | None = None  # apply only if no other process has asked for the receipt since

    def apply(self, connection: sqlite3.Connection) -> bool:
        """Change the state and return True, or return False if the stored state does not allow it.

        Another process may have changed the stored state in the meantime.
        """
        allowed = tuple(
            state for state in _ALLOWED_FROM[self.state] if state != "sending" or not self.only_before_sending
        )
        marks = ", ".join("?" * len(allowed))
        changes = {
            "state": self.state,
            "receipt": self.receipt,
            "problem": self.problem,
            "changed_at": self.changed_at,
        }
        return ledger_rows.update(
            connection,
            changes,
            f"service = ? AND key = ? AND state IN ({marks}) AND changed_at = coalesce(?, changed_at)",
            (self.service, self.key, *allowed, self.sending_since),
        )
