"""Replaces a damaged ledger by a new one with everything that can still be read.

The damaged file is kept under another name. If the process is killed, the ledger is either the damaged file
or the complete new one, and repairing it again finishes the work. Only copies of the damaged file are opened.
"""

from __future__ import annotations

import contextlib
import filecmp
import mmap
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from docsend.errors import LocalError
from docsend.i18n import Message
from docsend.storage import (
    files,
    identity_key,
    ledger_damage,
    ledger_rows,
    ledger_salvage,
    ledger_schema,
    receipts,
    sqlite,
    use_lock,
)
from docsend.storage.ledger import Ledger
from docsend.storage.ledger_damage import DamagedLedger
from docsend.storage.receipts import DamagedReceipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docsend.storage.ledger_salvage import Salvage

_SCRATCH = ".ledger-repair-"  # prefix of the folders in which repairs work
_TIMEOUT_S = 5.0


class Repair(NamedTuple):
    """What a repair found and did.

    `kept_as` is the name of the damaged file, or None if the ledger was not damaged. `unconfirmed` counts the
    submissions that are now unfinished, because their own rows were damaged: the service knows what became of
    them. `damaged_receipts` are the keys of submissions whose receipt must be asked for again. `lost` is the
    least number of submissions that are lost. `key_error` tells why the ledger's key file cannot be used.
    """

    file: Path
    kept_as: Path | None = None
    submissions: int = 0
    unconfirmed: int = 0
    lost: int = 0
    documents: int = 0
    lost_documents: int = 0
    damaged_receipts: tuple[str, ...] = ()
    key_error: LocalError | None = None


def repair(file: Path) -> Repair:
    """Repair a ledger file if it is damaged. Nothing is changed if it is not, or if there is none.

    Raise LocalError if another process uses the ledger, if nothing of it can be read, or if the new file
    cannot be written.
    """
    target = Path(os.path.realpath(file))
    if not target.exists():
        return Repair(file)
    try:
        files.open_regular(target).close()
        with use_lock.alone(file):
            for left_over in target.parent.glob(f"{_SCRATCH}*"):
                shutil.rmtree(left_over, ignore_errors=True)
            with _scratch_folder(target.parent) as folder:
                return _repair(file, target, folder)
    except use_lock.InUse as error:
        raise LocalError(
            Message("another docsend is using the ledger {file}", file=file),
            Message("wait until it has ended, then run the same command again"),
        ) from error
    except (*sqlite.ERRORS, OSError) as error:
        raise LocalError(
            Message("the ledger {file} cannot be repaired: {reason}", file=file, reason=sqlite.reason(error)),
            Message(
                "{hint}, then run the same command again; the damaged ledger is still there",
                hint=files.hint(target, error if isinstance(error, OSError) else None),
            ),
        ) from error


def _repair(file: Path, target: Path, folder: Path) -> Repair:
    copy, pristine, new = folder / "copy.sqlite3", folder / "pristine.sqlite3", folder / "new.sqlite3"
    earlier = _kept_earlier(target)
    _copy(target, pristine, _journal(earlier) if earlier else None)
    _copy(pristine, copy)
    with contextlib.suppress(FileNotFoundError):
        _copy_file(identity_key.key_file(file), identity_key.key_file(copy))
    _refuse_newer(pristine, file)
    try:
        return _examine(copy)._replace(file=file, key_error=_key_error(file, pristine))
    except DamagedLedger:
        found = _salvage([pristine, copy])
    except LocalError as error:
        raise error.__cause__ or error from None  # which names the copy
    if not found.submissions:
        raise LocalError(
            Message("nothing can be read from the damaged ledger {file}", file=file),
            ledger_damage.LAST_RESORT,
        )
    key_error = _write(found, new, file)
    kept_as = _keep(target, pristine)
    # A journal of the damaged file must never be applied to the new one. A copy of it was kept.
    _journal(target).unlink(missing_ok=True)
    files.sync_folder(target.parent)
    new.replace(target)
    files.sync_folder(target.parent)
    return Repair(
        file,
        kept_as,
        len(found.submissions),
        found.unconfirmed,
        found.lost,
        len(found.documents),
        found.lost_documents,
        tuple(found.damaged_receipts),
        key_error,
    )


@contextlib.contextmanager
def _scratch_folder(parent: Path) -> Iterator[Path]:
    """Create a private folder beside the ledger, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, target: Path, other_journal: Path | None = None) -> None:
    """Copy a file, and the journal that belongs to it if it contains anything, else the other journal."""
    _copy_file(source, target)
    for journal in filter(None, (_journal(source), other_journal)):
        if journal.exists() and journal.stat().st_size:
            _copy_file(journal, _journal(target))
            return


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as opened, files.create_private(target) as copy:
        shutil.copyfileobj(opened, copy)
        copy.flush()
        os.fsync(copy.fileno())


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}-journal")


def _examine(copy: Path) -> Repair:
    """Return the counts of a ledger that is not damaged. Raise DamagedLedger if it is."""
    damaged_receipts: list[str] = []
    submissions = documents = 0
    with Ledger(copy) as ledger:
        ledger.check()
        for entry in ledger.entries():
            submissions += 1
            documents += len(entry.documents)
            try:
                receipts.stored_receipt(entry)
            except DamagedReceipt:
                damaged_receipts.append(entry.key)
    return Repair(
        copy, submissions=submissions, documents=documents, damaged_receipts=tuple(damaged_receipts)
    )


def _refuse_newer(copy: Path, file: Path) -> None:
    """Raise LocalError if a newer docsend wrote the ledger: this one does not know what belongs into it."""
    with (
        contextlib.suppress(*sqlite.ERRORS, ledger_rows.DamagedRow),
        sqlite.read_only(copy, busy_timeout_s=_TIMEOUT_S) as connection,
    ):
        ledger_schema.check_version(connection, file)


def _key_error(file: Path, copy: Path) -> LocalError | None:
    """Return why the key file of a ledger cannot be used, or None. An old ledger needs none yet."""
    with (
        contextlib.suppress(*sqlite.ERRORS),
        sqlite.read_only(copy, busy_timeout_s=_TIMEOUT_S) as connection,
    ):
        return _key_file_error(file, ledger_schema.read_fingerprint(connection))
    return None


def _key_file_error(file: Path, fingerprint: bytes) -> LocalError | None:
    try:
        identity_key.load(file, fingerprint)
    except LocalError as error:
        return error
    return None


def _salvage(copies: list[Path]) -> Salvage:
    """Return what can be read from a damaged file, and from a copy in which SQLite has undone a transaction.

    A process that was killed may have moved rows from one page to another and written only one of them.
    """
    with contextlib.ExitStack() as stack:
        return ledger_salvage.salvage(
            [stack.enter_context(_content(copy)) for copy in copies if copy.stat().st_size]
        )


@contextlib.contextmanager
def _content(file: Path) -> Iterator[mmap.mmap]:
    """Yield the content of a file, of which only the parts in use are in memory."""
    with (
        file.open("rb") as opened,
        contextlib.closing(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)) as content,
    ):
        yield content


def _write(found: Salvage, new: Path, file: Path) -> LocalError | None:
    """Write a new ledger durably. Return why the key file of its digests cannot be used, or None."""
    has_digests = any(row["content_digest"] is not None for row in found.submissions)
    fingerprint, key_error = found.fingerprint, None
    if fingerprint is None:
        try:
            # The existing key is the ledger's own. Without digests, a new one does as well.
            key = identity_key.load_existing(file) if has_digests else identity_key.load_or_create(file)
            fingerprint = key.fingerprint
        except LocalError as error:
            key_error = error
    else:
        key_error = _key_file_error(file, fingerprint)
    with contextlib.closing(sqlite.connect(new, busy_timeout_s=_TIMEOUT_S)) as connection:
        ledger_rows.register_functions(connection)
        with sqlite.transaction(connection):
            ledger_schema.create(connection)
            if fingerprint is not None:
                ledger_rows.insert_fingerprint(connection, fingerprint)
            for row in found.submissions:
                ledger_rows.insert_submission(connection, row)
            ledger_rows.insert_documents(connection, found.documents)
    return key_error


def _keep(target: Path, pristine: Path) -> Path:
    """Give the damaged ledger a second name durably, and return it. Nothing is overwritten."""
    kept_as = _kept_earlier(target)
    if kept_as is None:
        kept_as = _free_name(target)
        try:
            os.link(target, kept_as)
        except OSError:  # a file system without links
            pristine.rename(kept_as)
    if _journal(pristine).exists():
        _journal(pristine).replace(_journal(kept_as))
    files.sync_folder(target.parent)
    return kept_as


def _kept_earlier(target: Path) -> Path | None:
    """Return the name under which a repair that was killed has kept the same file, or None.

    That repair may also have moved the file's journal.
    """
    for earlier in target.parent.glob(f"{target.stem}.damaged-*{target.suffix}"):
        if filecmp.cmp(earlier, target, shallow=False):
            return earlier
    return None


def _free_name(target: Path) -> Path:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = [f"{target.stem}.damaged-{now}{target.suffix}"]
    names += [f"{target.stem}.damaged-{now}-{number}{target.suffix}" for number in range(2, 1000)]
    return next(path for path in map(target.with_name, names) if not path.exists())
