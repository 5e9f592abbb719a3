"""The report of a batch: the manifest's rows, each with its outcome. A report is itself a manifest.

Each row is durable before the next is written, so the report is correct however the run ends. A report
contains what its manifest contains, including identities, and only its owner can read it.
"""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING, NamedTuple

from docsend.delivery import report_file
from docsend.delivery.report_place import part_of, sorted_of, write_error
from docsend.i18n import ENGLISH
from docsend.manifest.columns import COLUMNS, REPORT_COLUMNS
from docsend.storage import files

if TYPE_CHECKING:
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
        """Prepare a report. Nothing is written before `begin`."""
        self._file = file
        self._part = part_of(file)
        self._is_json = report_file.is_json(file)
        columns = [name for name in COLUMNS if name in manifest.columns]
        self._columns = (*columns, *REPORT_COLUMNS)
        self._folder = manifest.folder.path
        self._share_cells = share.cells()
        self.path: Path | None = None  # where the report is: first with its suffix, then at its final name
        self._output: IO[bytes] | None = None
        self._has_failed = False
        self._size = 0
        self._places: list[_Place] = []

    def begin(self) -> None:
        """Replace the partial report of an earlier run, if there is one, by a new one without rows.

        Raise LocalError if that fails.
        """
        try:
            self._part.unlink(missing_ok=True)
            self._output = files.create_private(self._part)
        except OSError as error:
            raise write_error(self._file, error) from error
        self.path = self._part
        self._write(report_file.format_header(self._columns, as_json=self._is_json))

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._output is None:
            return
        with contextlib.suppress(OSError):  # a failed write has already raised its error
            self._output.close()
        if not self._places and self.path == self._part:  # it says nothing
            with contextlib.suppress(OSError):
                self._part.unlink()
            self.path = None

    def add(self, outcome: Outcome) -> None:
        """Write one row durably. Raise LocalError if that fails. Later calls then do nothing."""
        if self._has_failed or self._output is None:
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
        if self._has_failed or self._output is None:
            return
        try:
            self._output.close()
            self._sort_rows()
            self._part.replace(self._file)
            self.path = self._file
            files.sync_folder(self._file.parent)
        except OSError as error:
            raise write_error(self._file, error) from error

    def _sort_rows(self) -> None:
        """Replace the file by one whose rows are in the manifest's order.

        If that fails, for example because the disk is full, keep the rows in the order in which they ended.
        """
        ordered = sorted(self._places)
        if ordered == self._places:
            return
        sorted_file = sorted_of(self._file)
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
        if self._output is None:
            return
        try:
            self._output.write(content)
            self._output.flush()
            os.fsync(self._output.fileno())
        except OSError as error:
            self._has_failed = True
            raise write_error(self._file, error) from error
        self._size += len(content)
