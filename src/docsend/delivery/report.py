"""The report of a batch: the manifest's columns, and what became of each row. It is itself a manifest.

Written row by row, each on the disk before the next, so that it is true whatever ends the run. A report holds
what its manifest holds, identities too: it is made for its owner's eyes alone.
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

# What a spreadsheet takes for a formula (CWE-1236), and what it would take for a number and shorten.
_DANGEROUS = re.compile(r"[=+\-@\t\r]")
_NO_NUMBER = re.compile(r"0[0-9]+|[0-9]{12,}|[0-9.]+[eE]\+?[0-9]+|[0-9]{1,4}([-/.][0-9]{1,4}){1,2}")
_PART_SUFFIX = ".part"
_MAX_BYTES = 200 * 2**20  # four times what a manifest may have
_YES_OR_NO = ("false", "true")


class Report:
    """An open report, CSV or JSON Lines by its name. Use it as a context manager.

    It is written beside its name, with `.part` behind it, and gets the name when it is whole: what has the
    name is never the half of a run that was killed, and an older report stays until then.
    """

    def __init__(self, file: Path, manifest: Manifest) -> None:
        """Begin the report; raise UsageFault if its name says no format, LocalFailure if the disk fails."""
        self._file = file
        self._part = file.with_name(f"{file.name}{_PART_SUFFIX}")
        self._as_json = is_json(file)
        columns = [name for name in COLUMNS if name in manifest.columns]
        self._columns = (*columns, *REPORT_COLUMNS)
        self._folder = manifest.folder.path
        self._has_failed = False
        try:
            self._part.unlink(missing_ok=True)
            self._out = files.create_private(self._part)
        except OSError as error:
            raise self._failure(error) from error
        if not self._as_json:
            # Excel needs the mark to see that it is UTF-8.
            self._write("\ufeff" + _format_csv_line(self._columns))

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what could not be written was told when it happened
            self._out.close()

    def finish(self) -> None:
        """Give it its name: every row is in it. One that could not be written stays a part."""
        if self._has_failed:
            return
        try:
            self._part.replace(self._file)
            files.sync_folder(self._file.parent)
        except OSError as error:
            raise self._failure(error) from error

    def add(self, outcome: Outcome) -> None:
        """Write one row, durably. Raises LocalFailure once; a report that has failed takes no more rows."""
        if self._has_failed:
            return
        row, receipt = outcome.row, outcome.receipt
        found = {
            **row.cells,
            "documents": _relocate(self._file.parent, self._folder, row.cells.get("documents", "")),
            "row": str(row.number),
            "status": outcome.status,
            "repeated": _YES_OR_NO[outcome.is_repeated] if outcome.is_received else "",
            "key": outcome.key or "",
            "receipt": receipt.number if receipt else "",
            "received_at": receipt.received_at if receipt else "",
            "problems": "; ".join(
                f"{problem.code}: {ENGLISH.render(problem.message)}" for problem in outcome.problems
            ),
        }
        self._write(_format_row(self._columns, found, as_json=self._as_json))

    def _write(self, text: str) -> None:
        try:
            self._out.write(text.encode("utf-8", "backslashreplace"))
            self._out.flush()
            os.fsync(self._out.fileno())
        except OSError as error:
            self._has_failed = True
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> LocalError:
        return LocalError(
            Message(
                "the report {file} cannot be written: {reason}", file=self._file, reason=files.reason(error)
            ),
            Message("make room, or name another file with --report; the ledger knows what was received"),
        )


# Which of two rows about the same tells more.
_RANK = ("", "not tried", "checked", "unfinished", "faulty", "refused", "received")


def _rank(row: Mapping[str, str]) -> tuple[int, bool]:
    return _RANK.index(row["status"]), row.get("repeated") != "true"


def merge(reports: Sequence[Path]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Join reports of one manifest, or of its shares: one row for each that says something of its own.

    Of several reports about a row, the one that came further counts, and of equals the last. Gives the
    columns and the rows; documents are named as seen from the current folder. Raises UsageFault for a file
    that is no report.
    """
    best: dict[tuple[str, ...], dict[str, str]] = {}
    columns: dict[str, None] = {}
    for file in reports:
        for row in _read(file):
            columns.update(dict.fromkeys(row))
            row["documents"] = _relocate(Path(), file.parent, row["documents"])
            said = tuple(row.get(name, "") for name in COLUMNS)
            known = best.get(said)
            if known is None or _rank(row) >= _rank(known):
                best[said] = row
    ordered = [name for name in (*COLUMNS, *REPORT_COLUMNS) if name in columns]
    return tuple(ordered), list(best.values())


def format_merged(columns: Sequence[str], rows: Sequence[dict[str, str]], *, as_json: bool) -> Iterator[str]:
    """Give the lines of a joined report, CSV or JSON Lines."""
    if not as_json:
        yield "\ufeff" + _format_csv_line(columns)
    yield from (_format_row(columns, row, as_json=as_json) for row in rows)


def _read(file: Path) -> Iterator[dict[str, str]]:
    no_report = UsageError(
        Message("{file} is not a report of docsend", file=file), Message("name files that --report wrote")
    )
    try:
        if is_json(file):
            text = files.read_limited(file, max_bytes=_MAX_BYTES).decode("utf-8")
            lines = text.split("\n")  # splitlines would break texts at U+2028
            rows = [json.loads(line) for line in (lines[:-1] if is_part(file) else filter(None, lines))]
        else:
            text = files.read_limited(file, max_bytes=_MAX_BYTES).decode("utf-8-sig")
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
            if is_part(file) and rows and None in rows[-1].values():
                del rows[-1]  # its writer was killed in the middle of it
    except OSError as error:
        raise UsageError(
            Message("the report {file} cannot be read: {reason}", file=file, reason=files.reason(error)),
            Message("look at its path"),
        ) from error
    except (ValueError, csv.Error) as error:
        raise no_report from error
    for row in rows:
        texts = isinstance(row, dict) and all(isinstance(value, str) for value in row.values())
        if not texts or row.get("status") not in (*_RANK, "before") or "documents" not in row:
            raise no_report
        if row["status"] == "before":  # as docsend 0.1 wrote it
            row |= {"status": "received", "repeated": "true"}
        elif row["status"] == "received" and not row.get("repeated"):
            row |= {"repeated": "false"}
        yield {name: clean_cell(value) for name, value in row.items() if name in COLUMNS + REPORT_COLUMNS}


def is_part(file: Path) -> bool:
    """Tell whether it is the report of a run that did not come to its end."""
    return file.name.endswith(_PART_SUFFIX)


def _relocate(here: Path, there: Path, documents: str) -> str:
    """Give paths that are relative to one folder as paths relative to another."""
    start, end = os.path.realpath(here), os.path.realpath(there)
    if start == end:
        return documents
    parts = [part for part in map(str.strip, documents.split(";")) if part]
    try:
        return ";".join(os.path.relpath(Path(end, part), start) for part in parts)
    except ValueError:  # on another drive of Windows
        return ";".join(str(Path(end, part)) for part in parts)


def refuse_to_overwrite(file: Path, manifest: str) -> None:
    """Raise UsageFault if the name is taken by the manifest, or by anything else that is no report."""
    is_json(file)
    try:
        with files.open_regular(file) as opened:
            head, found = opened.readline(10_000), os.fstat(opened.fileno())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            Message("{file} cannot be a report: {reason}", file=file, reason=files.reason(error)),
            Message("name another file"),
        ) from error
    if not head or all(name.encode() in head for name in ("documents", "status", "received_at")):
        return
    given: os.stat_result | None = None
    with contextlib.suppress(OSError, ValueError):  # no such file, or a standard input that is none
        given = os.fstat(sys.stdin.fileno()) if manifest == "-" else os.stat(manifest)
    if given is not None and os.path.samestat(found, given):
        raise UsageError(
            Message("the report would overwrite its own manifest"), Message("give it another name")
        )
    raise UsageError(
        Message("{file} is there, and is no report of docsend", file=file),
        Message("name another file with --report"),
    )


def is_json(file: Path) -> bool:
    suffix = Path(file.name.removesuffix(_PART_SUFFIX)).suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise UsageError(
            Message("a report is a .csv or a .jsonl, not {name!r}", name=file.name),
            Message("as in --report result.csv"),
        )
    return suffix == ".jsonl"


def _format_row(columns: Sequence[str], found: Mapping[str, str], *, as_json: bool) -> str:
    """Return a row as a line, JSON or CSV; a column of which nothing is found is empty."""
    values = [found.get(name, "") for name in columns]
    if as_json:
        return json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n"
    return _format_csv_line([_escape_cell(value) for value in values])


def _format_csv_line(values: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(values)
    return written.getvalue()


def _escape_cell(cell: str) -> str:
    """Give a cell that no spreadsheet takes for a formula (invariant 7), or changes as a number or a date.

    Reading takes the apostrophe off.
    """
    return f"'{cell}" if _DANGEROUS.match(cell) or _NO_NUMBER.fullmatch(cell) else cell
