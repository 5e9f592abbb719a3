"""The report of a batch: the manifest's rows, each with its outcome. A report is itself a manifest.

Each row is durable before the next is written, so the report is correct however the run ends. A report
contains what its manifest contains, including identities, and only its owner can read it.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from docsend.errors import LocalError, UsageError
from docsend.i18n import ENGLISH, Message
from docsend.manifest.columns import COLUMNS, REPORT_COLUMNS
from docsend.manifest.repair import clean_cell
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from docsend.delivery.batch import Outcome
    from docsend.manifest.reader import Manifest

# Cells that a spreadsheet would run as formulas (CWE-1236).
_FORMULA_START = re.compile(r"[=+\-@\t\r]")
# Cells that a spreadsheet would convert to numbers or dates, losing characters.
_NUMBER_OR_DATE = re.compile(r"0[0-9]+|[0-9]{12,}|[0-9.]+[eE]\+?[0-9]+|[0-9]{1,4}([-/.][0-9]{1,4}){1,2}")
_PART_SUFFIX = ".part"
_MAX_BYTES = 200 * 2**20  # four times the limit of a manifest
_BOOLEANS = ("false", "true")


class Report:
    """An open report, in CSV or JSON Lines depending on its name. Use it as a context manager.

    The report is written to a file with the suffix `.part`. The file is renamed when the report is complete.
    A file without the suffix is therefore always complete, and an older report stays in place until the new
    one is complete.
    """

    def __init__(self, file: Path, manifest: Manifest) -> None:
        """Create the file and write the header.

        Raise UsageError if the name ends in neither .csv nor .jsonl, and LocalError if the file cannot be
        written.
        """
        self._file = file
        self._part = file.with_name(f"{file.name}{_PART_SUFFIX}")
        self._is_json = is_json(file)
        columns = [name for name in COLUMNS if name in manifest.columns]
        self._columns = (*columns, *REPORT_COLUMNS)
        self._folder = manifest.folder.path
        self._has_failed = False
        if not file.parent.is_dir():
            raise UsageError(
                Message("there is no folder {folder} for the report", folder=file.parent),
                Message("create it, or give another name with --report"),
            )
        try:
            self._part.unlink(missing_ok=True)
            self._output = files.create_private(self._part)
        except OSError as error:
            raise self._write_error(error) from error
        if not self._is_json:
            # Excel needs the byte order mark to recognize UTF-8.
            self._write("\ufeff" + _format_csv_line(self._columns))

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a failed write has already raised its error
            self._output.close()

    def finish(self) -> None:
        """Rename the complete report to its final name. Raise LocalError if that fails.

        If a row could not be written, the report keeps the suffix `.part`.
        """
        if self._has_failed:
            return
        try:
            self._part.replace(self._file)
            files.sync_folder(self._file.parent)
        except OSError as error:
            raise self._write_error(error) from error

    def add(self, outcome: Outcome) -> None:
        """Write one row durably. Raise LocalError if that fails. Later calls then do nothing."""
        if self._has_failed:
            return
        row, receipt = outcome.row, outcome.receipt
        cells = {
            **row.cells,
            "documents": _relocate(self._file.parent, self._folder, row.cells.get("documents", "")),
            "row": str(row.number),
            "status": outcome.status,
            "repeated": _BOOLEANS[outcome.is_repeated] if outcome.is_received else "",
            "key": outcome.key or "",
            "receipt": receipt.number if receipt else "",
            "received_at": receipt.received_at if receipt else "",
            "problems": "; ".join(
                f"{problem.code}: {ENGLISH.render(problem.message)}" for problem in outcome.problems
            ),
        }
        self._write(_format_row(self._columns, cells, as_json=self._is_json))

    def _write(self, text: str) -> None:
        try:
            self._output.write(text.encode("utf-8", "backslashreplace"))
            self._output.flush()
            os.fsync(self._output.fileno())
        except OSError as error:
            self._has_failed = True
            raise self._write_error(error) from error

    def _write_error(self, error: OSError) -> LocalError:
        return LocalError(
            Message("cannot write the report {file}: {reason}", file=self._file, reason=files.reason(error)),
            Message(
                "free disk space or choose another file with --report; the ledger lists what was received"
            ),
        )


# Statuses of rows, from the least to the most informative.
_RANK = ("", "not tried", "checked", "unfinished", "faulty", "refused", "received")


def _rank(row: Mapping[str, str]) -> tuple[int, bool]:
    """Return a sort key, which is highest for a row received in the run that its report is about."""
    return _RANK.index(row["status"]), row.get("repeated") != "true"


def merge(reports: Sequence[Path]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Merge the reports of several runs, or several shares, of one batch. Return the columns and the rows.

    Rows with the same content become one row: the one with the most informative status, or the last of those
    with that status. In the result, document paths are relative to the current folder. Raise UsageError if a
    file is not a report or cannot be read.
    """
    best: dict[tuple[str, ...], dict[str, str]] = {}
    columns: dict[str, None] = {}
    for file in reports:
        for row in _read(file):
            columns.update(dict.fromkeys(row))
            row["documents"] = _relocate(Path(), file.parent, row["documents"])
            content = tuple(row.get(name, "") for name in COLUMNS)
            previous = best.get(content)
            if previous is None or _rank(row) >= _rank(previous):
                best[content] = row
    ordered = [name for name in (*COLUMNS, *REPORT_COLUMNS) if name in columns]
    return tuple(ordered), list(best.values())


def format_merged(columns: Sequence[str], rows: Sequence[dict[str, str]], *, as_json: bool) -> Iterator[str]:
    """Yield the lines of a merged report, in CSV or JSON Lines."""
    if not as_json:
        yield "\ufeff" + _format_csv_line(columns)
    yield from (_format_row(columns, row, as_json=as_json) for row in rows)


def _read(file: Path) -> Iterator[dict[str, str]]:
    not_a_report = UsageError(
        Message("{file} is not a docsend report", file=file),
        Message("give reports that were written with --report"),
    )
    try:
        if is_json(file):
            text = files.read_limited(file, max_bytes=_MAX_BYTES).decode("utf-8")
            lines = text.split("\n")  # splitlines would also split at U+2028
            rows = [json.loads(line) for line in (lines[:-1] if is_part(file) else filter(None, lines))]
        else:
            text = files.read_limited(file, max_bytes=_MAX_BYTES).decode("utf-8-sig")
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
            if is_part(file) and rows and None in rows[-1].values():
                del rows[-1]  # the run was killed while it wrote this row
    except OSError as error:
        raise UsageError(
            Message("cannot read the report {file}: {reason}", file=file, reason=files.reason(error)),
            Message("check the path"),
        ) from error
    except (ValueError, csv.Error) as error:
        raise not_a_report from error
    for row in rows:
        is_text_only = isinstance(row, dict) and all(isinstance(value, str) for value in row.values())
        if not is_text_only or row.get("status") not in (*_RANK, "before") or "documents" not in row:
            raise not_a_report
        if row["status"] == "before":  # as docsend 0.1 wrote it
            row |= {"status": "received", "repeated": "true"}
        elif row["status"] == "received" and not row.get("repeated"):
            row |= {"repeated": "false"}
        yield {name: clean_cell(value) for name, value in row.items() if name in COLUMNS + REPORT_COLUMNS}


def is_part(file: Path) -> bool:
    """Return whether a file is the partial report of a run that did not finish."""
    return file.name.endswith(_PART_SUFFIX)


def _relocate(to_folder: Path, from_folder: Path, documents: str) -> str:
    """Convert document paths that are relative to one folder to paths relative to another."""
    new, old = os.path.realpath(to_folder), os.path.realpath(from_folder)
    if new == old:
        return documents
    paths = [path for path in map(str.strip, documents.split(";")) if path]
    try:
        return ";".join(os.path.relpath(Path(old, path), new) for path in paths)
    except ValueError:  # on another Windows drive
        return ";".join(str(Path(old, path)) for path in paths)


def refuse_to_overwrite(file: Path, manifest: str) -> None:
    """Raise UsageError if a report would overwrite its manifest, or any file that is not a report.

    An empty file and an older report may be overwritten.
    """
    is_json(file)
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


def is_json(file: Path) -> bool:
    """Return whether a report is JSON Lines rather than CSV, by its name.

    Raise UsageError if the name ends in neither .jsonl nor .csv.
    """
    suffix = Path(file.name.removesuffix(_PART_SUFFIX)).suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise UsageError(
            Message("invalid report name: {name!r} (must end in .csv or .jsonl)", name=file.name),
            Message("give a name such as --report result.csv"),
        )
    return suffix == ".jsonl"


def _format_row(columns: Sequence[str], cells: Mapping[str, str], *, as_json: bool) -> str:
    """Return a row as a line of JSON or CSV. Columns that `cells` lacks are empty."""
    values = [cells.get(name, "") for name in columns]
    if as_json:
        return json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n"
    return _format_csv_line([_escape_cell(value) for value in values])


def _format_csv_line(values: Sequence[str]) -> str:
    output = io.StringIO()
    csv.writer(output, lineterminator="\r\n").writerow(values)
    return output.getvalue()


def _escape_cell(cell: str) -> str:
    """Escape a cell that a spreadsheet would run as a formula or convert to a number or date (invariant 7).

    The escape is a leading apostrophe, which `clean_cell` removes when the report is read.
    """
    return f"'{cell}" if _FORMULA_START.match(cell) or _NUMBER_OR_DATE.fullmatch(cell) else cell
