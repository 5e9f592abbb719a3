"""The states that a submission goes through, and what they are called in each language.

JSON, reports, the ledger and tables have the states themselves: they are what one tells support on the
telephone. Sentences have them `IN_WORDS`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from docsend.i18n import Message

# Of a submission in the ledger.
State: TypeAlias = Literal["planned", "open", "sending", "received", "refused", "withdrawn"]
STATES: tuple[State, ...] = get_args(State)
# Of a row of a batch, as its report has it.
RowStatus: TypeAlias = Literal["received", "faulty", "refused", "unfinished", "not tried", "checked"]

STATE_NAMES: dict[str, Message] = {
    "planned": Message("planned"),
    "open": Message("open"),
    "sending": Message("sending"),
    "received": Message("received"),
    "refused": Message("refused"),
    "withdrawn": Message("withdrawn"),
    "checked": Message("checked"),
    "faulty": Message("faulty"),
    "unfinished": Message("unfinished"),
    "not tried": Message("not tried"),
    "": Message("without a status"),  # of a row of a report that somebody wrote
}
