"""Report files: their names, the lines that are written, and the rows that are read.

A report is CSV or JSON Lines, depending on its name. While it is written, its name ends in `.part`.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docsend.errors import UsageError
from docsend.i18n import Message
from docsend.manifest import report_cells
from docsend.manifest.columns import BATCH_ROWS, COLUMNS, PART_SUFFIX, REPORT_COLUMNS, has_exact_cells
from docsend.manifest.repair import clean_cell
from docsend.manifest.row import split_documents
from docsend.storage import files
from docsend.text import escape_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Columns in which a spreadsheet must change nothing. The others are docsend's own, and scripts read them.
_PROTECTED_COLUMNS = frozenset((*COLUMNS, "receipt"))
_MAX_BYTES = 200 * 2**20  # four times the limit of a manifest
# Statuses of rows, from the least to the most informative.
STATUSES = ("", "not tried", "checked", "unfinished", "faulty", "refused", "received")


def is_part(file: Path) -> bool:
    """Return whether a file is the partial report of a run that did not finish."""
    return file.name.endswith(PART_SUFFIX)


def is_json(file: Path) -> bool:
    """Return whether a report is JSON Lines rather than CSV, by its name.

    Raise UsageError if the name ends in neither .jsonl nor .csv.
    """
    suffix = Path(file.name.removesuffix(PART_SUFFIX)).suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise invalid_name(file)
    return suffix == ".jsonl"


def invalid_name(file: Path) -> UsageError:
    """Return the error for a name that a report cannot have."""
    return UsageError(
        Message("invalid report name: {name!r} (must end in .csv or .jsonl)", name=file.name),
        Message("give a name such as --report result.csv"),
    )


def relocate(to_folder: Path, from_folder: Path, documents: str) -> str:
    """Convert document paths that are relative to one folder to paths relative to another."""
    new, old = os.path.realpath(to_folder), os.path.realpath(from_folder)
    if new == old:
        return documents
    paths = split_documents(documents)
    try:
        return ";".join(os.path.relpath(Path(old, path), new) for path in paths)
    except ValueError:  # on another Windows drive
        return ";".join(str(Path(old, path)) for path in paths)


# -- writing -----------------------------------------------------------------------------------------------


def format_header(columns: Sequence[str], *, as_json: bool) -> str:
    """Return what stands before the rows: the names of the columns, or nothing in JSON Lines."""
    # Excel needs the byte order mark to recognize UTF-8.
    return "" if as_json else "\ufeff" + _format_csv_line(columns)


def format_row(columns: Sequence[str], cells: Mapping[str, str], *, as_json: bool) -> str:
    """Return a row as a line of JSON or CSV, safe for terminals and spreadsheets (invariant 7).

    Columns that `cells` lacks are empty.
    """
    values = [cells.get(name, "") for name in columns]
    if as_json:
        return escape_json(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)) + "\n"
    return _format_csv_line(
        [
            report_cells.escape(value, keeps_numbers=name not in _PROTECTED_COLUMNS)
            for name, value in zip(columns, values, strict=True)
        ]
    )


def _format_csv_line(values: Sequence[str]) -> str:
    output = io.StringIO()
    csv.writer(output, lineterminator="\r\n").writerow(values)
    return output.getvalue()


# -- reading -----------------------------------------------------------------------------------------------


def read_rows(file: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a report, with the values that its manifest and its run had.

    Cells may also be separated by semicolons or tabs, as some spreadsheets save them. Raise UsageError if the
    file cannot be read or is not a report.
    """
    try:
        rows = _parse(file)
    except OSError as error:
        raise UsageError(
            Message("cannot read the report {file}: {reason}", file=file, reason=files.reason(error)),
            Message("check the path"),
        ) from error
    except (ValueError, csv.Error, RecursionError) as error:
        raise _not_a_report(file) from error
    for line, row in rows:
        is_text_only = isinstance(row, dict) and all(isinstance(value, str) for value in row.values())
        if not is_text_only or "documents" not in row or "status" not in row:
            raise _not_a_report(file, line)
        row["status"] = row["status"].strip().lower()  # a spreadsheet may begin it with a capital
        if row["status"] not in (*STATUSES, "before"):
            raise _not_a_report(file, line)
        yield _read_row(row, as_json=is_json(file))


def _not_a_report(file: Path, line: int | None = None) -> UsageError:
    """Return the error for a file that is not a report, because of this line if it is known."""
    hint = Message("give reports that were written with --report")
    if line is None:
        return UsageError(Message("{file} is not a docsend report", file=file), hint)
    message = Message(
        "{file} is not a docsend report, or it was damaged: line {line} is not a row of one",
        file=file,
        line=line,
    )
    return UsageError(message, hint)


def _parse(file: Path) -> Iterable[tuple[int, Any]]:
    """Return the rows as they are written, with their lines.

    They may be of any type, because anybody can edit a report.
    """
    content = files.read_limited(file, max_bytes=_MAX_BYTES)
    if is_json(file):
        lines = content.decode("utf-8-sig").split("\n")  # splitlines would also split at U+2028
        if is_part(file):
            del lines[-1]  # it may be incomplete
        return [
            (number, _parse_json(file, number, line)) for number, line in enumerate(lines, 1) if line.strip()
        ]
    text = content.decode("utf-8-sig")
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    rows = [(reader.line_num, row) for row in reader]
    if is_part(file) and rows and None in rows[-1][1].values():
        del rows[-1]  # the run was killed while it wrote this row
    return rows


def _parse_json(file: Path, number: int, line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _not_a_report(file, number) from error


def _read_row(row: dict[str, str], *, as_json: bool) -> dict[str, str]:
    """Return a row with the values that were reported, also if docsend 0.1 wrote it."""
    if row["status"] == "before":  # as docsend 0.1 wrote it
        row |= {"status": "received", "repeated": "true"}
    elif row["status"] == "received" and not row.get("repeated"):
        row |= {"repeated": "false"}
    known = {name: value for name, value in row.items() if name in COLUMNS + REPORT_COLUMNS}
    if not has_exact_cells(row):
        return {name: clean_cell(value) for name, value in known.items()}
    if as_json:
        return known
    if BATCH_ROWS not in row:
        return {name: report_cells.unescape_earlier(value) for name, value in known.items()}
    return {
        name: report_cells.unescape(value, keeps_numbers=name not in _PROTECTED_COLUMNS)
        for name, value in known.items()
    }
