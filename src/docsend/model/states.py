"""States of submissions and rows, and their names in each language.

JSON, reports, the ledger and tables contain the untranslated states, because people quote them to support.
Sentences use the translated `STATE_NAMES`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from docsend.i18n import Message

# States of a submission in the ledger: recorded before it is sent (planned), declared to the service (open),
# possibly received (sending), confirmed by a receipt (received), refused (refused), or withdrawn, so that it
# can never be received (withdrawn).
State: TypeAlias = Literal["planned", "open", "sending", "received", "refused", "withdrawn"]
STATES: tuple[State, ...] = get_args(State)
# Status of a row in the report of a batch.
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
    "": Message("without a status"),  # in a report that was edited by hand
}
