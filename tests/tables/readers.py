"""Readers of tables: docsend's, and others that docsend does not use for the format."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import python_calamine

from docsend.errors import DocsendError
from docsend.manifest import reader
from docsend.model.submission import Submission
from tables.contents import MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from docsend.manifest.row import Row
    from tables.contents import Made


@dataclass
class Reading:
    """What docsend read: the rows, and the codes of warnings, or those for which it refused the table."""

    rows: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def docsend(content: bytes) -> Reading:
    try:
        manifest = reader.read("-", Submission(), standard_input=lambda: content)
        rows = list(manifest.rows())
    except DocsendError as error:
        return Reading(refused=[str(problem.code) for problem in error.problems] or [type(error).__name__])
    return Reading(rows, [str(problem.code) for problem in manifest.warnings])


def others(made: Made, format_name: str) -> dict[str, dict[str, str]] | None:
    """Return the cells by mark and column as another reader sees them, or None if there is no such reader."""
    if made.text:
        lines: Iterable[Sequence[object]] = csv.reader(
            io.StringIO(made.text, newline=""), delimiter=made.separator
        )
    elif format_name == "xlsx" and "limited-reader" not in made.warnings:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(made.content))
        lines = book.get_sheet_by_name(made.sheet).to_python(skip_empty_area=False)
    else:
        return None
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        texts = list(map(_text, line))
        cells = {name: text for name, text in zip(made.columns, texts, strict=False) if name}
        if match := MARK.search(cells.get("documents", "")) or MARK.search(cells.get("reference", "")):
            found[match[0]] = cells
    return found


def _text(value: object) -> str:
    """Return the value of a cell as text."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat()[:10] if isinstance(value, dt.date) else str(value)


def plain(text: str) -> str:
    """Return a cell without the marks that keep a number a text."""
    text = text.strip()
    if text.startswith('="') and text.endswith('"'):
        return text[2:-1]
    return text.removeprefix("'") if text[1:].isdecimal() else text
