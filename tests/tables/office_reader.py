"""LibreOffice as a reader: it shows the cells of tables that docsend has read, which are then compared."""

from __future__ import annotations

import codecs
import contextlib
import csv
import datetime as dt
import io
from collections import defaultdict
from typing import TYPE_CHECKING

from tables import office
from tables.contents import MARK
from tables.judging import compare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tables.contents import Made
    from tables.judging import Verdict

_WORKBOOKS = ("xlsx", "xls", "ods")  # LibreOffice cannot open the binary ones that are made by hand
_TEXTS_EACH = 12  # of each kind of text tables, which Python's csv module has read, too
_MOST_COLUMNS = 40
_SHOWN_DATES = ("%d/%m/%Y", "%d %b %y")  # beside the ISO form


class OfficeReader:
    """Tables that docsend has read, until LibreOffice has read them as well, a few hundred at once."""

    def __init__(self) -> None:
        self._is_installed = office.program() is not None
        self._offered: list[tuple[Verdict, Made]] = []

    def offer(self, verdict: Verdict, made: Made) -> None:
        """Remember a table for the comparison, if LibreOffice can be told how to read it."""
        is_text = bool(made.text) and verdict.number < _TEXTS_EACH
        # LibreOffice takes UTF-16 without a mark to be in the order of the machine.
        is_text = is_text and (made.encoding != "utf-16-be" or made.content.startswith(codecs.BOM_UTF16_BE))
        if self._is_installed and verdict.rows and (is_text or verdict.kind.format in _WORKBOOKS):
            self._offered.append((verdict, made))

    def compare(self) -> str:
        """Add to the verdicts the rows that LibreOffice shows otherwise. Return what was compared."""
        if not self._is_installed:
            return "LibreOffice (`soffice`) was not installed: it neither made tables nor read any"
        groups: defaultdict[str, list[tuple[Verdict, Made]]] = defaultdict(list)
        for verdict, made in self._offered:
            groups[_source(made)].append((verdict, made))
        for source, group in groups.items():
            _compare(source, group)
        rows = sum(len(verdict.rows) for verdict, _ in self._offered)
        return f"{office.version()} also read {len(self._offered):,} of the tables, with {rows:,} rows"


def _source(made: Made) -> str:
    """Return how LibreOffice should open a text, with all columns as text, or nothing for a workbook."""
    if not made.text:
        return ""
    encoding = made.encoding.removesuffix("-le").removesuffix("-be")
    return office.csv_source(encoding, made.separator, text_columns=_MOST_COLUMNS)


def _compare(source: str, group: list[tuple[Verdict, Made]]) -> None:
    names = [
        f"{at:05}.{'csv' if made.text else verdict.kind.format}" for at, (verdict, made) in enumerate(group)
    ]
    shown = office.convert(
        {name: made.content for name, (_, made) in zip(names, group, strict=True)},
        office.csv_target(),
        source=source,
    )
    for name, (verdict, made) in zip(names, group, strict=True):
        stem = name.partition(".")[0]
        sheets = [f"{stem}-{made.sheet}.csv", f"{stem}-{stem}.csv", f"{stem}.csv"]
        content = next((shown[sheet] for sheet in sheets if sheet in shown), b"")
        compare(verdict, made, _cells(content.decode("utf-8"), made), "LibreOffice")


def _cells(text: str, made: Made) -> Mapping[str, Mapping[str, str]]:
    """Return the cells that LibreOffice shows, by mark and column."""
    found: dict[str, dict[str, str]] = {}
    for line in csv.reader(io.StringIO(text, newline="")):
        cells = {name: _as_read(cell) for name, cell in zip(made.columns, line, strict=False) if name}
        if match := MARK.search(cells.get("documents", "")) or MARK.search(cells.get("reference", "")):
            found[match[0]] = cells
    return found


def _as_read(text: str) -> str:
    """Return a shown cell as docsend reads it: a date in ISO form."""
    for form in _SHOWN_DATES:
        with contextlib.suppress(ValueError):
            return dt.datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a day has no zone
    return text
