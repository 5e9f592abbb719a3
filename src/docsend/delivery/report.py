"""The report of a batch: the manifest's rows, each with its outcome. A report is itself a manifest.

Each row is durable before the next is written, so the report is correct however the run ends. A report
contains what its manifest contains, including identities, and only its owner can read it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from docsend.delivery import report_file
from docsend.errors import LocalError, Unfinished, UsageError
from docsend.i18n import ENGLISH, Message
from docsend.manifest.columns import COLUMNS, REPORT_COLUMNS
from docsend.storage import files, lock_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from docsend.delivery.batch import Outcome
    from docsend.delivery.coverage import ReportedShare
    from docsend.manifest.reader import Manifest

_BOOLEANS = ("false", "true")


class _Place(NamedTuple):
    """Where a row of the manifest is in the report: position and length in bytes."""

    row: int
    start: int
    length: int


class Report:
    """An open report, in CSV or JSON Lines depending on its name. Use it as a context manager.

    The report is written to a file with the suffix `.part`, as its rows end. When the report is complete, its
    rows are put into the order of the manifest, and the file is renamed. A file without the suffix is
    therefore always complete, and an older report stays in place until the new one is complete.
    """

    def __init__(self, file: Path, manifest: Manifest, share: ReportedShare) -> None:
        """Create the file and write the header.

        Raise UsageError if the name ends in neither .csv nor .jsonl, and LocalError if the file cannot be
        written.
        """
        self._file = file
        self._part = _part_of(file)
        self._is_json = report_file.is_json(file)
        columns = [name for name in COLUMNS if name in manifest.columns]
        self._columns = (*columns, *REPORT_COLUMNS)
        self._folder = manifest.folder.path
        self._share_cells = share.cells()
        self.path = self._part  # where the report is: from `finish` on, at its final name
        self._has_failed = False
        self._size = 0
        self._places: list[_Place] = []
        try:
            self._part.unlink(missing_ok=True)
            self._output = files.create_private(self._part)
        except OSError as error:
            raise _write_error(file, error) from error
        with contextlib.ExitStack() as stack:
            stack.callback(self._part.unlink)
            stack.enter_context(self)
            self._write(report_file.format_header(self._columns, as_json=self._is_json))
            stack.pop_all()

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a failed write has already raised its error
            self._output.close()

    def add(self, outcome: Outcome) -> None:
        """Write one row durably. Raise LocalError if that fails. Later calls then do nothing."""
        if self._has_failed:
            return
        row, receipt = outcome.row, outcome.receipt
        cells = {
            **row.cells,
            "documents": report_file.relocate(
                self._file.parent, self._folder, row.cells.get("documents", "")
            ),
            "row": str(row.number),
            "status": outcome.status,
            "repeated": _BOOLEANS[outcome.is_repeated] if outcome.is_received else "",
            "key": outcome.key or "",
            "receipt": receipt.number if receipt else "",
            "received_at": receipt.received_at if receipt else "",
            "problems": "; ".join(
                f"{problem.code}: {ENGLISH.render(problem.message)}" for problem in outcome.problems
            ),
            **self._share_cells,
        }
        start = self._size
        self._write(report_file.format_row(self._columns, cells, as_json=self._is_json))
        self._places.append(_Place(row.number, start, self._size - start))

    def finish(self) -> None:
        """Put the rows into the manifest's order, and rename the report to its final name.

        Raise LocalError if it cannot be renamed. If a row could not be written, the report keeps the suffix
        `.part`.
        """
        if self._has_failed:
            return
        try:
            self._output.close()
            self._sort_rows()
            self._part.replace(self._file)
            self.path = self._file
            files.sync_folder(self._file.parent)
        except OSError as error:
            raise _write_error(self._file, error) from error

    def _sort_rows(self) -> None:
        """Replace the file by one whose rows are in the manifest's order.

        If that fails, for example because the disk is full, keep the rows in the order in which they ended.
        """
        ordered = sorted(self._places)
        if ordered == self._places:
            return
        sorted_file = self._file.with_name(f"{self._file.name}.sorted")
        try:
            sorted_file.unlink(missing_ok=True)
            with self._part.open("rb") as unsorted, files.create_private(sorted_file) as output:
                output.write(unsorted.read(self._places[0].start))
                for place in ordered:
                    unsorted.seek(place.start)
                    output.write(unsorted.read(place.length))
                output.flush()
                os.fsync(output.fileno())
            sorted_file.replace(self._part)
        except OSError:
            with contextlib.suppress(OSError):
                sorted_file.unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        content = text.encode("utf-8")
        try:
            self._output.write(content)
            self._output.flush()
            os.fsync(self._output.fileno())
        except OSError as error:
            self._has_failed = True
            raise _write_error(self._file, error) from error
        self._size += len(content)


def _part_of(file: Path) -> Path:
    return file.with_name(f"{file.name}{report_file.PART_SUFFIX}")


def _write_error(file: Path, error: OSError) -> LocalError:
    return LocalError(
        Message("cannot write the report {file}: {reason}", file=file, reason=files.reason(error)),
        Message("free disk space or choose another file with --report; the ledger lists what was received"),
    )


# -- before a report is written ----------------------------------------------------------------------------


@contextlib.contextmanager
def reserve(file: Path, manifest: str) -> Iterator[None]:
    """Keep other processes from writing the same report while the block runs.

    Raise UsageError if the report would overwrite a file that is not a report, or if its folder does not
    exist, Unfinished if another process is writing it, and LocalError if nothing can be written there.
    """
    _refuse_to_overwrite(file, manifest)
    lock_file = file.with_name(f"{file.name}.lock")
    try:
        with lock_files.hold(lock_file):
            yield
    except lock_files.LockHeld as held:
        raise Unfinished(
            Message(
                "another docsend (process {pid}) is writing the report {file}", pid=held.holder, file=file
            )
            if held.holder
            else Message("another docsend is writing the report {file}", file=file),
            Message("run the same command again when it has ended, or give another name with --report"),
        ) from None
    except lock_files.LockFailed as failure:
        raise _write_error(lock_file, failure.error) from failure


def find_receipts(file: Path) -> Path | None:
    """Return the report of an earlier run, complete or partial, that a check must not replace.

    Its rows have receipts, or it cannot be read to its end. Return None if there is none.
    """
    return next((each for each in (file, _part_of(file)) if _has_receipts(each)), None)


def _has_receipts(file: Path) -> bool:
    try:
        if file.stat().st_size == 0:
            return False
        return any(row.get("receipt") for row in report_file.read_rows(file))
    except FileNotFoundError:
        return False
    except (OSError, UsageError):
        return True


def _refuse_to_overwrite(file: Path, manifest: str) -> None:
    """Raise UsageError if a report would overwrite its manifest, or any file that is not a report.

    An empty file and an older report may be overwritten.
    """
    report_file.is_json(file)
    if not file.parent.is_dir():
        raise UsageError(
            Message("there is no folder {folder} for the report", folder=file.parent),
            Message("create it, or give another name with --report"),
        )
    try:
        with files.open_regular(file) as opened:
            header, existing = opened.readline(10_000), os.fstat(opened.fileno())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            Message("cannot use {file} as a report: {reason}", file=file, reason=files.reason(error)),
            Message("choose another file"),
        ) from error
    if not header or all(name.encode() in header for name in ("documents", "status", "received_at")):
        return
    manifest_status: os.stat_result | None = None
    with contextlib.suppress(OSError, ValueError):  # the manifest does not exist, or standard input is closed
        manifest_status = os.fstat(sys.stdin.fileno()) if manifest == "-" else os.stat(manifest)
    if manifest_status is not None and os.path.samestat(existing, manifest_status):
        raise UsageError(
            Message("the report would overwrite its own manifest"), Message("give it another name")
        )
    raise UsageError(
        Message("{file} already exists and is not a docsend report", file=file),
        Message("choose another file with --report"),
    )
