"""The report of a batch: the manifest's columns, and what became of each row. It is itself a manifest.

Written row by row, each on the disk before the next, so that it is true whatever ends the run. A report holds
what its manifest holds, identities too: it is made for its owner's eyes alone.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

from docsend.errors import LocalFailure, UsageFault
from docsend.manifest import COLUMNS, REPORT_COLUMNS

if TYPE_CHECKING:
    from types import TracebackType

    from docsend.batch import Outcome
    from docsend.manifest import Manifest, Row

# What a spreadsheet takes for a formula (CWE-1236), and what it would take for a number and shorten.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


class Report:
    """An open report, CSV or JSON Lines by its name. Use it as a context manager."""

    def __init__(self, file: Path, manifest: Manifest) -> None:
        """Make the file anew; raise UsageFault if its name says no format, LocalFailure if the disk fails."""
        self._file = file
        self._as_json = _is_json(file)
        columns = [name for name in COLUMNS if name in manifest.columns]
        self._columns = (*columns, *REPORT_COLUMNS)
        self._folder = manifest.folder
        try:
            descriptor = os.open(
                file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600
            )
        except OSError as error:
            raise self._failure(error) from error
        self._out: IO[bytes] = os.fdopen(descriptor, "wb")
        if not self._as_json:
            # Excel needs the mark to see that it is UTF-8.
            self._write("\ufeff" + _line(self._columns))

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()

    def add(self, outcome: Outcome) -> None:
        """Write one row, durably."""
        row, receipt = outcome.row, outcome.receipt
        found = {
            **row.cells,
            "documents": self._documents(row),
            "row": str(row.number),
            "status": outcome.status,
            "key": outcome.key or "",
            "receipt": receipt.number if receipt else "",
            "received_at": receipt.received_at if receipt else "",
            "problems": "; ".join(f"{problem.code}: {problem.message}" for problem in outcome.problems),
        }
        values = [found.get(name, "") for name in self._columns]
        if self._as_json:
            self._write(json.dumps(dict(zip(self._columns, values, strict=True)), ensure_ascii=False) + "\n")
        else:
            self._write(_line([_harmless(value) for value in values]))

    def _documents(self, row: Row) -> str:
        """Give the paths as seen from the report's own folder, so that it can be sent from there."""
        here, there = os.path.abspath(self._file.parent), os.path.abspath(self._folder)  # noqa: PTH100 - no links
        if here == there:
            return row.cells.get("documents", "")
        return ";".join(os.path.relpath(Path(there, part), here) for part in row.documents)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text.encode("utf-8", "backslashreplace"))
            self._out.flush()
            os.fsync(self._out.fileno())
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> LocalFailure:
        return LocalFailure(
            f"the report {self._file} cannot be written: {error.strerror}",
            "make room, or name another file with --report; the ledger knows what was received",
        )


def _is_json(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise UsageFault(f"a report is a .csv or a .jsonl, not {file.name!r}", "as in --report result.csv")
    return suffix == ".jsonl"


def _line(values: list[str] | tuple[str, ...]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(values)
    return written.getvalue()


def _harmless(cell: str) -> str:
    """Give a cell that no spreadsheet takes for a formula; the apostrophe goes when it is read again."""
    return f"'{cell}" if cell.startswith(_DANGEROUS) else cell
