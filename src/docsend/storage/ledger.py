"""The ledger: which submissions were planned, what became of them, and their receipts. SQLite.

What it promises (`delivery.deliver`: what holds at every instant):
- a plan, a receipt and an end are on the disk when the call that wrote them returns (`synchronous=FULL`);
  a batch plans and keeps many in one commit;
- `open` and `sending` are notes, which go with the next commit: who was killed before it asks the service,
  which knows better. Only a personal `sending` waits for the disk: its requirement is gone afterwards;
- states go one way, `planned -> open -> sending -> received`, in one exchange without `open`, or end in
  `refused` or `withdrawn`; a trigger keeps `received` and `withdrawn` for ever. `refused` may be planned
  again: the service keeps nothing of what it refused, and the cause may be gone. So may one exchange whose
  form was refused: it goes staged;
- several processes may share it (`BEGIN IMMEDIATE`, a rollback journal; WAL had a corruption bug with
  several writers until SQLite 3.51.3);
- it holds keys, paths, digests, sizes, codes and receipts. No identity, no booklet, no remark.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from docsend.errors import LocalError
from docsend.i18n import Message
from docsend.model.document import Document
from docsend.model.states import STATE_NAMES
from docsend.model.submission import PlannedSubmission
from docsend.storage import files, ledger_schema, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from docsend.model.receipt import Receipt
    from docsend.model.states import State
    from docsend.model.submission import CheckedSubmission

_T = TypeVar("_T")
# From where each state can be reached; `planned` is a beginning, and follows `refused`, too.
_ALLOWED_FROM: dict[State, tuple[State, ...]] = {
    "planned": ("sending",),
    "open": ("planned",),
    "sending": ("planned", "open", "sending"),
    "received": ("planned", "open", "sending", "refused"),
    "refused": ("planned", "open", "sending"),
    "withdrawn": ("planned", "open", "sending", "refused"),
}

_PAGE_SIZE = 500
_LAST_CHARACTER = "\U0010ffff"
# The services that there are, without looking at each submission: the primary key begins with them.
_DISTINCT_SERVICES = """
WITH RECURSIVE known (service) AS (
    SELECT min(service) FROM submission
    UNION ALL
    SELECT (SELECT min(service) FROM submission WHERE service > known.service) FROM known
    WHERE known.service IS NOT NULL
)
SELECT service FROM known WHERE service IS NOT NULL
"""
_BUSY_TIMEOUT_S = 30.0  # how long another process may hold the file


class LedgerDocument(NamedTuple):
    path: str
    name: str
    size: int
    sha256: str


class LedgerEntry(NamedTuple):
    """One submission as the ledger knows it. Times are RFC 3339 in UTC; `receipt` is the service's bytes.

    `is_new` says that this very look planned it: no earlier run can have sent anything that was not refused.
    """

    service: str
    key: str
    state: State
    to: str
    subject: str | None
    category: str
    type: str
    reference: str | None
    required: str | None
    occurrence: int
    problem: str | None
    receipt: bytes | None
    planned_at: str
    changed_at: str
    documents: tuple[LedgerDocument, ...] = ()
    is_newly_planned: bool = False

    def as_planned_submission(self) -> PlannedSubmission:
        """Give what can be finished of it, if the service has its declaration."""
        documents = tuple(
            Document(document.path, document.name, document.size, document.sha256, format=None)
            for document in self.documents
        )
        return PlannedSubmission(self.key, documents, is_signed=self.to == "personal")


class _Transition(NamedTuple):
    """One step of a submission from one state to the next."""

    service: str
    key: str
    state: State
    changed_at: str
    receipt: bytes | None = None
    problem: str | None = None

    only_before_sending: bool = False  # only if nobody has asked for the receipt
    sending_since: str | None = None  # only if nobody else has asked for it since

    def apply(self, connection: sqlite3.Connection) -> bool:
        """Make it, and tell so; False, and nothing happens, if another process is further along."""
        before = tuple(
            state for state in _ALLOWED_FROM[self.state] if state != "sending" or not self.only_before_sending
        )
        marks = ", ".join("?" * len(before))
        moved = connection.execute(
            "UPDATE submission SET state = ?, receipt = ?, problem = ?, changed_at = ?"  # noqa: S608 - marks
            f" WHERE service = ? AND key = ? AND state IN ({marks}) AND changed_at = coalesce(?, changed_at)",
            (
                *(self.state, self.receipt, self.problem, self.changed_at, self.service, self.key),
                *(*before, self.sending_since),
            ),
        )
        return moved.rowcount == 1


class Ledger:
    """An open ledger file. Several threads may share it; methods raise LocalFailure if the disk fails."""

    def __init__(self, file: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the ledger, and make it if it is not there, readable by its owner alone."""
        self._file = file
        self._now = now
        self._lock = threading.Lock()  # who has it uses the connection alone
        self._pending: dict[
            tuple[str, str], _Transition
        ] = {}  # by service and key: what goes with the next commit
        with self._local_errors(), contextlib.ExitStack() as on_failure:
            files.make_private_folder(file.parent)
            self._connection = sqlite.connect(file, busy_timeout_s=_BUSY_TIMEOUT_S)
            on_failure.callback(self._connection.close)
            ledger_schema.prepare(self._connection, file)
            on_failure.pop_all()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(LocalError):  # notes, no more
                self._flush_pending()
        finally:
            self._connection.close()

    # -- what is known ---------------------------------------------------------------------------------

    def find(self, service: str, key: str) -> LedgerEntry | None:
        """Give the submission of this key, with its documents."""
        self._flush_pending()
        with self._local_errors(), self._lock:
            rows = self._select("WHERE service = ? AND key = ?", service, key)
            return self._with_documents(rows[0]) if rows else None

    def find_by_prefix(self, prefix: str) -> list[LedgerEntry]:
        """Give the submissions whose key begins so; more than one if several services have it."""
        first = prefix.upper()
        with self._local_errors(), self._lock:
            return [
                self._with_documents(entry)
                for (service,) in self._connection.execute(_DISTINCT_SERVICES).fetchall()
                for entry in self._select(
                    "WHERE service = ? AND key >= ? AND key < ?", service, first, first + _LAST_CHARACTER
                )
            ]

    def find_by_requirement(self, service: str, required: str) -> LedgerEntry | None:
        """Give the latest submission that was to fulfil a requirement of the service."""
        with self._local_errors(), self._lock:
            found = self._select(
                "WHERE service = ? AND required = ? ORDER BY planned_at DESC LIMIT 1", service, required
            )
            return found[0] if found else None

    def unfinished(self) -> list[LedgerEntry]:
        """Give what was begun and has not ended, the earliest first, with its documents."""
        self._flush_pending()
        with self._local_errors(), self._lock:
            found = self._select("WHERE state IN ('planned', 'open', 'sending') ORDER BY planned_at, key")
            return [self._with_documents(entry) for entry in found]

    def entries(self, *, limit: int | None = None) -> Iterator[LedgerEntry]:
        """Give all submissions, the latest first, without their documents; a page at a time.

        Between two pages others may write: nobody who reads slowly keeps a send from the ledger.
        """
        left = sys.maxsize if limit is None else limit
        where = ""
        after: tuple[str, ...] = ()
        while left > 0:
            with self._local_errors(), self._lock:
                page = self._select(
                    f"{where} ORDER BY planned_at DESC, key, service LIMIT ?", *after, min(left, _PAGE_SIZE)
                )
            yield from page
            if len(page) < _PAGE_SIZE:
                return
            left -= len(page)
            last = page[-1]
            where = "WHERE planned_at <= ? AND (planned_at < ? OR (key, service) > (?, ?))"
            after = (last.planned_at, last.planned_at, last.key, last.service)

    # -- what happens ----------------------------------------------------------------------------------

    def record_plan(self, service: str, checked: CheckedSubmission) -> LedgerEntry:
        """Write down what is about to be sent, before anything is; return what is then known of it.

        What was received or withdrawn stays as it is, and costs no commit. The entry has no documents: who
        plans has them.
        """
        return self.record_plans(service, [checked])[0]

    def record_plans(self, service: str, checked: Sequence[CheckedSubmission]) -> list[LedgerEntry]:
        """Plan several submissions in one commit."""
        if not checked:
            return []
        now = self._timestamp()
        return self._write(
            lambda connection: [self._insert_plan(connection, service, one, now) for one in checked]
        )

    def record_open(self, service: str, key: str) -> None:
        """Note that the service has the declaration."""
        self._pending[service, key] = _Transition(service, key, "open", self._timestamp())

    def record_sending(self, service: str, key: str, *, is_durable: bool = False) -> str:
        """Note that the next request may bring the receipt; return since when.

        The service has every document then, or all of it goes in one exchange.
        """
        move = _Transition(service, key, "sending", self._timestamp())
        if is_durable:
            self._apply([move])
        else:
            self._pending[service, key] = move
        return move.changed_at

    def revert_sending(self, service: str, key: str, since: str) -> None:
        """Take back that it is `sending` since a moment: of a request that was refused nothing is kept.

        If another process has asked for the receipt of the same key since, that is what counts.
        """
        self._apply([_Transition(service, key, "planned", self._timestamp(), sending_since=since)])

    def record_receipt(self, service: str, key: str, receipt: Receipt) -> None:
        """Keep the receipt. Only after this returns may anybody be told.

        Raises LocalFailure if it is not there afterwards, whoever else has written meanwhile.
        """
        for failure in self.record_receipts(service, {key: receipt}).values():
            raise failure

    def record_receipts(self, service: str, receipts_by_key: Mapping[str, Receipt]) -> dict[str, LocalError]:
        """Keep the receipts of several keys in one commit; give, by key, why one is not there afterwards.

        Raises LocalFailure if none could be written.
        """
        if not receipts_by_key:
            return {}
        now = self._timestamp()
        moves = [
            _Transition(service, key, "received", now, receipt.body) for key, receipt in receipts_by_key.items()
        ]
        others = {key: (self.find(service, key), receipts_by_key[key]) for key in self._apply(moves)}
        return {
            key: LocalError(
                Message(
                    "the service gave a receipt for what this ledger holds as {state}",
                    state=STATE_NAMES[known.state] if known else Message("unknown"),
                ),
                Message("receipt {number}: note it, and keep this ledger for support", number=receipt.number),
            )
            for key, (known, receipt) in others.items()
            if known is None or known.receipt != receipt.body
        }

    def record_refused(self, service: str, key: str, problem: str) -> None:
        self._apply([_Transition(service, key, "refused", self._timestamp(), problem=problem)])

    def record_refused_by_intermediary(self, service: str, key: str, problem: str) -> bool:
        """Note that somebody on the way refuses; False, and nothing is noted, if it may have been received.

        Another process may have asked for the receipt of the same key meanwhile.
        """
        move = _Transition(service, key, "refused", self._timestamp(), problem=problem)
        return not self._apply([move._replace(only_before_sending=True)])

    def record_withdrawn(self, service: str, key: str) -> None:
        self._apply([_Transition(service, key, "withdrawn", self._timestamp())])

    # -- how -------------------------------------------------------------------------------------------

    def _insert_plan(
        self, connection: sqlite3.Connection, service: str, checked: CheckedSubmission, now: str
    ) -> LedgerEntry:
        about = (checked.to, checked.subject, checked.category, checked.type, checked.reference)
        planned = connection.execute(
            "INSERT INTO submission (service, key, state, destination, subject, category, type,"
            " reference, required, occurrence, planned_at, changed_at)"
            " VALUES (?, ?, 'planned', ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET state = 'planned', problem = NULL,"
            " changed_at = excluded.changed_at WHERE state = 'refused' RETURNING planned_at",
            (service, checked.key, *about, checked.required, checked.occurrence, now, now),
        ).fetchone()
        if planned is not None:
            entry = LedgerEntry(
                service,
                checked.key,
                "planned",
                *about,
                required=checked.required,
                occurrence=checked.occurrence,
                problem=None,
                receipt=None,
                planned_at=planned[0],
                changed_at=now,
                is_newly_planned=True,
            )
        else:
            entry = self._select("WHERE service = ? AND key = ?", service, checked.key)[0]
            if entry.state in ("received", "withdrawn"):
                return entry
        connection.executemany(
            # The same documents may lie elsewhere by now: the paths are the last known ones.
            "INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    service,
                    checked.key,
                    position,
                    _as_utf8(str(Path(document.path).absolute())),
                    document.name,
                    document.size,
                    document.sha256,
                )
                for position, document in enumerate(checked.documents)
            ],
        )
        return entry

    def _apply(self, moves: Sequence[_Transition]) -> list[str]:
        """Go one state on with each; give the keys of those where another process is further along."""
        for move in moves:
            self._pending.pop((move.service, move.key), None)  # overtaken
        return self._write(lambda connection: [move.key for move in moves if not move.apply(connection)])

    def _flush_pending(self) -> None:
        """Write down what is only noted yet, before anybody looks or the ledger is closed."""
        if self._pending:
            self._write(lambda _: None)

    def _write(self, write: Callable[[sqlite3.Connection], _T]) -> _T:
        """Make a change, together with what was noted, and return when it is on the disk."""
        with self._local_errors(), self._lock:
            noted = self._pending.copy()
            with sqlite.transaction(self._connection) as connection:
                for move in noted.values():
                    move.apply(connection)
                result = write(connection)
            for known, move in noted.items():
                if self._pending.get(known) is move:
                    self._pending.pop(known, None)
            return result

    def _select(self, where: str, *values: object) -> list[LedgerEntry]:
        rows = self._connection.execute(
            "SELECT service, key, state, destination, subject, category, type, reference, required,"  # noqa: S608
            f" occurrence, problem, receipt, planned_at, changed_at FROM submission {where}",
            values,
        )
        return [LedgerEntry(*row) for row in rows]

    def _with_documents(self, entry: LedgerEntry) -> LedgerEntry:
        rows = self._connection.execute(
            "SELECT path, name, bytes, sha256 FROM document WHERE service = ? AND key = ? ORDER BY position",
            (entry.service, entry.key),
        )
        return entry._replace(documents=tuple(LedgerDocument(*row) for row in rows))

    @contextlib.contextmanager
    def _local_errors(self) -> Iterator[None]:
        """Name the file if it cannot be used."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LocalError(
                Message(
                    "the ledger {file} cannot be used: {reason}", file=self._file, reason=sqlite.reason(error)
                ),
                Message(
                    "something could be sent twice without it: {cure}; then run the same command again",
                    cure=files.hint(self._file, error if isinstance(error, OSError) else None),
                ),
            ) from error

    def _timestamp(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_utf8(path: str) -> str:
    """Give a path as text; one that is not UTF-8 is kept in a form that can be read, not opened."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
