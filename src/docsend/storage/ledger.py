"""The ledger: a SQLite file of submissions, their states and their receipts.

The invariants of `delivery.deliver` rely on these guarantees:
- A plan (the entry made before a submission is sent), a receipt and a final state are durable when the call
  that writes them returns (`synchronous=FULL`). A batch writes many of them in one commit.
- The states `open` and `sending` are written with the next commit. If the process is killed before that, they
  are lost, and the next run asks the service for the state. Only the `sending` of a personal submission is
  written durably at once. Such a submission may meet a requirement of the service, and once the service has
  received it, the service no longer lists that requirement.
- States follow `planned -> open -> sending -> received`, or end in `refused` or `withdrawn`. One exchange
  skips `open`. A trigger prevents changes of `received` and `withdrawn`. A `refused` submission may become
  `planned` again, because the service stores nothing of what it refused, and the cause may be gone. A
  `sending` submission returns to `planned` if the service cannot have received it, for example because the
  service does not accept one exchange.
- Several processes may share the file. It uses `BEGIN IMMEDIATE` and a rollback journal, because WAL had a
  corruption bug with several writers until SQLite 3.51.3.
- What was damaged is never taken for what was written: checksums of rows and receipts are compared whenever
  they are read (`ledger_rows`, `receipts`). Only a receipt that is damaged may be replaced.
- It contains keys, paths, digests, sizes, codes, references and receipts, but no identity, booklet number or
  remark. Of an identity it contains only digests under a key that is in another file (`identity_key`).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from docsend.errors import LocalError
from docsend.i18n import Message
from docsend.model.states import STATE_NAMES
from docsend.storage import (
    earlier,
    files,
    identity_key,
    ledger_damage,
    ledger_plans,
    ledger_rows,
    ledger_schema,
    receipts,
    sqlite,
    use_lock,
)
from docsend.storage.ledger_rows import DamagedRow
from docsend.storage.ledger_transitions import Transition
from docsend.storage.old_entries import OldEntries, OldMatches

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from docsend.model.receipt import Receipt
    from docsend.model.states import State
    from docsend.model.submission import CheckedSubmission
    from docsend.storage.earlier import EarlierSubmission, NotPlanned
    from docsend.storage.identity_key import IdentityDigests, IdentityKey
    from docsend.storage.ledger_rows import LedgerEntry

_T = TypeVar("_T")
_PAGE_SIZE = 500
_LAST_CHARACTER = "\U0010ffff"
# The distinct services, found without a full scan: the primary key begins with the service.
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


class Ledger:
    """An open ledger file. Threads may share it. Its methods raise LocalError if the file cannot be used."""

    def __init__(self, file: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the ledger file, or create it for its owner only. `now` is the clock for all timestamps."""
        self._file = file
        self._now = now
        self._lock = threading.Lock()  # serializes the use of the connection
        # Transitions to write with the next commit, by service and key.
        self._pending: dict[tuple[str, str], Transition] = {}
        self._loaded_key: IdentityKey | None = None
        self._loaded_old: dict[str, OldEntries] = {}
        self._on_close = contextlib.ExitStack()
        with self._local_errors(), contextlib.ExitStack() as on_failure:
            files.make_private_folder(file.parent)
            on_failure.enter_context(use_lock.shared(file, timeout_s=_BUSY_TIMEOUT_S))
            self._connection = sqlite.connect(file, busy_timeout_s=_BUSY_TIMEOUT_S)
            on_failure.callback(self._connection.close)
            ledger_schema.prepare(self._connection, file)
            self._on_close = on_failure.pop_all()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(LocalError):  # pending transitions may be lost
                self._flush_pending()
        finally:
            self._on_close.close()

    def check(self) -> None:
        """Raise LocalError if the file is damaged, also where only other commands would read it."""
        with self._local_errors(), self._lock:
            ledger_damage.check(self._connection, self._file, whatever_size=True)
            ledger_schema.read_fingerprint(self._connection)

    def identity_key(self) -> IdentityKey:
        """Return the key of the ledger's digests.

        Raise LocalError if its file is missing or is another ledger's. Nothing must be sent then, because
        docsend would not recognize what was sent before.
        """
        with self._local_errors(), self._lock:
            return self._identity_key(self._connection)

    # -- queries ---------------------------------------------------------------------------------------

    def find(self, service: str, key: str) -> LedgerEntry | None:
        """Return the entry with this key, including its documents, or None."""
        self._flush_pending()
        with self._local_errors(), self._lock:
            rows = self._select("WHERE service = ? AND key = ?", service, key)
            return self._with_documents(rows[0]) if rows else None

    def find_by_prefix(self, prefix: str) -> list[LedgerEntry]:
        """Return the entries whose key starts with `prefix`, with their documents, for all services.

        The prefix may be in upper or lower case.
        """
        start = prefix.upper()
        with self._local_errors(), self._lock:
            return [
                self._with_documents(entry)
                for (service,) in self._connection.execute(_DISTINCT_SERVICES).fetchall()
                for entry in self._select(
                    "WHERE service = ? AND key >= ? AND key < ?", service, start, start + _LAST_CHARACTER
                )
            ]

    def find_by_requirement(self, service: str, required: str) -> LedgerEntry | None:
        """Return the latest submission that provides a document that the service requires, or None.

        `required` is the id of the required document.
        """
        with self._local_errors(), self._lock:
            entries = self._select(
                "WHERE service = ? AND required = ? ORDER BY planned_at DESC LIMIT 1", service, required
            )
            return entries[0] if entries else None

    def find_earlier(self, service: str, checked: CheckedSubmission) -> list[EarlierSubmission]:
        """Return the earlier submissions that people would call the same as this one (see `earlier.find`).

        Return [] if this one was received or withdrawn itself.
        """
        self._flush_pending()
        with self._local_errors(), self._lock:
            key = self._identity_key(self._connection)
            known = self._select("WHERE service = ? AND key = ?", service, checked.key)
            if known and known[0].state in ("received", "withdrawn"):
                return []
            old = self._old_entries(service).find(checked)
            return earlier.find(self._connection, service, checked, key, old)

    def find_same(self, entry: LedgerEntry) -> LedgerEntry | None:
        """Return another entry that is the same as this one, or may be (see `earlier.find_same`)."""
        self._flush_pending()
        with self._local_errors(), self._lock:
            return earlier.find_same(self._connection, entry)

    def has_old_entries(self, service: str) -> bool:
        """Return whether version 0.1.0 recorded submissions to a service that still count."""
        with self._local_errors(), self._lock:
            return bool(self._old_entries(service))

    def find_received(self, service: str, digests: Sequence[IdentityDigests]) -> dict[bytes, list[str]]:
        """Return the keys of received submissions that have one of these digests, by digest."""
        with self._local_errors(), self._lock:
            return earlier.received_keys(self._connection, service, digests)

    def find_keys(self, service: str, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that the ledger knows for a service."""
        marks = ", ".join("?" * len(keys))
        with self._local_errors(), self._lock:
            rows = self._connection.execute(
                f"SELECT key FROM submission WHERE service = ? AND key IN ({marks})",  # noqa: S608
                (service, *keys),
            )
            return {key for (key,) in rows}

    def unfinished(self) -> list[LedgerEntry]:
        """Return the entries in state `planned`, `open` or `sending`, oldest first, with their documents."""
        self._flush_pending()
        with self._local_errors(), self._lock:
            entries = self._select("WHERE state IN ('planned', 'open', 'sending') ORDER BY planned_at, key")
            return [self._with_documents(entry) for entry in entries]

    def entries(self, *, limit: int | None = None) -> Iterator[LedgerEntry]:
        """Yield up to `limit` entries, newest first, with their documents.

        Entries are read one page at a time. The file is unlocked between pages, so that a slow reader does
        not block writers.
        """
        remaining = sys.maxsize if limit is None else limit
        where = ""
        after: tuple[str, ...] = ()
        while remaining > 0:
            with self._local_errors(), self._lock:
                page = self._select(
                    f"{where} ORDER BY planned_at DESC, key, service LIMIT ?",
                    *after,
                    min(remaining, _PAGE_SIZE),
                )
                page = [self._with_documents(entry) for entry in page]
            yield from page
            if len(page) < _PAGE_SIZE:
                return
            remaining -= len(page)
            last = page[-1]
            where = "WHERE planned_at <= ? AND (planned_at < ? OR (key, service) > (?, ?))"
            after = (last.planned_at, last.planned_at, last.key, last.service)

    # -- changes ---------------------------------------------------------------------------------------

    def record_plan(
        self, service: str, checked: CheckedSubmission, *, anyway: bool = False
    ) -> LedgerEntry | NotPlanned:
        """Record a submission durably before any of it is sent, and return its entry.

        A new or refused submission gets the state `planned`. Any other submission stays as it is: a received
        or withdrawn one is final, and an unfinished one is continued. The returned entry has no documents,
        because the caller has them.

        A submission is not recorded if people would call it the same as an earlier one, unless `anyway` is
        true. This includes an unfinished one: since it was recorded, the other may have been received. A new
        one is not recorded either if a lower occurrence has to be received first. The return value then says
        why.
        """
        return self.record_plans(service, [checked], anyway=anyway)[0]

    def record_plans(
        self, service: str, checked: Sequence[CheckedSubmission], *, anyway: bool = False
    ) -> list[LedgerEntry | NotPlanned]:
        """Record several submissions in one commit and return their entries in the same order.

        See `record_plan`.
        """
        if not checked:
            return []
        now = self._timestamp()
        olds: list[OldMatches | None] = [None] * len(checked)
        if not anyway:
            # Before the transaction, because comparing many entries takes a while.
            with self._local_errors(), self._lock:
                entries = self._old_entries(service)
            olds = list(map(entries.find, checked))

        def write(connection: sqlite3.Connection) -> list[LedgerEntry | NotPlanned]:
            key = self._identity_key(connection)
            return [
                ledger_plans.plan(connection, service, submission, key, now, old)
                for submission, old in zip(checked, olds, strict=True)
            ]

        return self._write(write)

    def record_found(
        self, service: str, checked: CheckedSubmission, state: State, receipt: Receipt | None
    ) -> None:
        """Record durably what only the service knew: a submission that it received, or that was withdrawn."""
        now = self._timestamp()
        body = receipt.body if receipt else None
        transition = Transition(service, checked.key, state, now, body)

        def write(connection: sqlite3.Connection) -> None:
            ledger_plans.insert(connection, service, checked, self._identity_key(connection), now)
            transition.apply(connection)

        self._write(write)

    def record_open(self, service: str, key: str) -> None:
        """Record that the service has the declaration. The change is written with the next commit."""
        self._pending[service, key] = Transition(service, key, "open", self._timestamp())

    def record_sending(self, service: str, key: str, *, is_durable: bool = False) -> str:
        """Record that the next response may be the receipt, and return the timestamp of the change.

        At this point the service has every document, or the next request sends everything in one exchange.
        The change is written with the next commit, or at once if `is_durable` is true.
        """
        transition = Transition(service, key, "sending", self._timestamp())
        if is_durable:
            self._apply([transition])
        else:
            self._pending[service, key] = transition
        return transition.changed_at

    def revert_sending(self, service: str, key: str, since: str) -> None:
        """Change the state `sending` back to `planned` after a request of which the service stored nothing.

        `since` is what `record_sending` returned. Nothing changes if another process has recorded `sending`
        for the same key since then.
        """
        self._apply([Transition(service, key, "planned", self._timestamp(), sending_since=since)])

    def record_receipt(self, service: str, key: str, receipt: Receipt) -> None:
        """Store a receipt durably. A submission may be reported as received only after this returns.

        Raise LocalError if the ledger does not contain the receipt afterwards, for example because another
        process has changed the entry.
        """
        for failure in self.record_receipts(service, {key: receipt}).values():
            raise failure

    def record_receipts(self, service: str, receipts_by_key: Mapping[str, Receipt]) -> dict[str, LocalError]:
        """Store receipts durably in one commit. Return an error for each receipt that was not stored, by key.

        Raise LocalError if the commit fails.
        """
        if not receipts_by_key:
            return {}
        now = self._timestamp()
        transitions = [
            Transition(service, key, "received", now, receipt.body)
            for key, receipt in receipts_by_key.items()
        ]
        rejected = {key: (self.find(service, key), receipts_by_key[key]) for key in self._apply(transitions)}
        for key, (entry, receipt) in rejected.items():
            if entry is not None and receipts.is_damaged(entry) and receipts.fits(receipt, entry):
                rejected[key] = (self.replace_receipt(entry, receipt), receipt)
        return {
            key: LocalError(
                Message(
                    "the service sent a receipt for a submission that is {state} in this ledger",
                    state=STATE_NAMES[entry.state] if entry else Message("unknown"),
                ),
                Message(
                    "write down receipt number {number} and keep this ledger for support",
                    number=receipt.number,
                ),
            )
            for key, (entry, receipt) in rejected.items()
            if entry is None or entry.receipt != receipt.body
        }

    def replace_receipt(self, entry: LedgerEntry, receipt: Receipt) -> LedgerEntry:
        """Replace the damaged receipt of an entry durably, and return the entry as it is then.

        If another process has replaced the receipt since the entry was read, that one stays.
        """
        now = self._timestamp()
        changes = {"receipt": receipt.body, "replaced_at": now}
        where = "service = ? AND key = ? AND state = 'received' AND receipt = ?"
        values = (entry.service, entry.key, entry.receipt)
        self._write(lambda connection: ledger_rows.update(connection, changes, where, values))
        return self.find(entry.service, entry.key) or entry

    def record_refused(self, service: str, key: str, problem: str) -> None:
        """Record durably that the service refused a submission. `problem` is the code of its reason."""
        self._apply([Transition(service, key, "refused", self._timestamp(), problem=problem)])

    def record_refused_by_intermediary(self, service: str, key: str, problem: str) -> bool:
        """Record durably that an intermediary, such as a firewall, refused a submission, and return True.

        Return False and change nothing if the submission may have been received, for example because another
        process has sent it in the meantime.
        """
        transition = Transition(service, key, "refused", self._timestamp(), problem=problem)
        return not self._apply([transition._replace(only_before_sending=True)])

    def record_withdrawn(self, service: str, key: str) -> None:
        """Record durably that a submission was withdrawn and can never be received."""
        self._apply([Transition(service, key, "withdrawn", self._timestamp())])

    # -- implementation --------------------------------------------------------------------------------

    def _identity_key(self, connection: sqlite3.Connection) -> IdentityKey:
        """Return the key of the digests, read once. Raise LocalError if its file is missing or differs."""
        if self._loaded_key is None:
            fingerprint = ledger_schema.read_fingerprint(connection)
            self._loaded_key = identity_key.load(self._file, fingerprint)
        return self._loaded_key

    def _old_entries(self, service: str) -> OldEntries:
        """Return the entries of version 0.1.0 for a service, read once."""
        if service not in self._loaded_old:
            self._loaded_old[service] = OldEntries(self._connection, service)
        return self._loaded_old[service]

    def _apply(self, transitions: Sequence[Transition]) -> list[str]:
        """Apply transitions durably. Return the keys of the submissions whose stored state forbids them."""
        for transition in transitions:
            self._pending.pop((transition.service, transition.key), None)  # superseded
        return self._write(
            lambda connection: [
                transition.key for transition in transitions if not transition.apply(connection)
            ]
        )

    def _flush_pending(self) -> None:
        """Write the pending transitions, before a query or before the ledger is closed."""
        if self._pending:
            self._write(lambda _: None)

    def _write(self, write: Callable[[sqlite3.Connection], _T]) -> _T:
        """Apply the pending transitions and call `write` in one durable transaction.

        Return the result of `write`.
        """
        with self._local_errors(), self._lock:
            pending = self._pending.copy()
            with sqlite.transaction(self._connection) as connection:
                for transition in pending.values():
                    transition.apply(connection)
                result = write(connection)
            for service_and_key, transition in pending.items():
                if self._pending.get(service_and_key) is transition:
                    self._pending.pop(service_and_key, None)
            return result

    def _select(self, where: str, *values: object) -> list[LedgerEntry]:
        return ledger_rows.select(self._connection, where, *values)

    def _with_documents(self, entry: LedgerEntry) -> LedgerEntry:
        return ledger_rows.with_documents(self._connection, entry)

    @contextlib.contextmanager
    def _local_errors(self) -> Iterator[None]:
        """Turn errors of SQLite, the file system and checksums into a LocalError that names the file."""
        try:
            yield
        except DamagedRow as error:
            raise ledger_damage.damaged(self._file, error.what) from error
        except (*sqlite.ERRORS, OSError) as error:
            raise ledger_damage.unusable(self._file, error) from error

    def _timestamp(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
