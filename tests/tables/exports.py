"""Makers of workbooks with XlsxWriter, with which many programs write their exports."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Any

import xlsxwriter  # type: ignore[import-untyped]  # it has no types

from tables.books import SHEET, Draft

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tables.contents import Made


def make(
    random: Random,
    change: Callable[[Draft, Any, Any], None] | None = None,
    *,
    must: tuple[str, ...] = (),
    keeps_rows: bool = True,
) -> Made:
    """Return a workbook of XlsxWriter, after a change of its sheet.

    Its texts are in a table of their own or, if the rows need not be kept in memory, in their cells.
    """
    draft = Draft(random, must=must)
    file = io.BytesIO()
    book = xlsxwriter.Workbook(
        file, {"in_memory": True, "constant_memory": not keeps_rows, "strings_to_formulas": False}
    )
    sheet = book.add_worksheet(SHEET)
    zeros = book.add_format({"num_format": "000000000"})
    has_numbers = random.random() < 0.5
    for at, line in enumerate(draft.all_lines()):
        for column, value in enumerate(line):
            is_id = column == draft.index("id") and at >= draft.first - 1
            if is_id and has_numbers:
                sheet.write_number(at, column, int(value), zeros)
            elif isinstance(value, float):
                sheet.write_number(at, column, value)
            elif value:
                sheet.write_string(at, column, value)
    if change is not None:
        change(draft, book, sheet)
    book.close()
    return draft.made(file.getvalue())


def in_rows(random: Random) -> Made:
    """Return a workbook that was written row by row."""
    return make(random, keeps_rows=False)


def _place(draft: Draft, number: int, name: str) -> tuple[int, int]:
    return draft.first - 1 + number, draft.index(name)


def dates(draft: Draft, book: Any, sheet: Any) -> None:
    form = book.add_format({"num_format": draft.random.choice(("yyyy-mm-dd", "dd/mm/yyyy", "d mmm yy"))})
    for number in range(len(draft.rows)):
        day = dt.date(2026, draft.random.randrange(1, 13), draft.random.randrange(1, 29))
        draft.mean(number, "remark", day.isoformat(), day)
        sheet.write_datetime(*_place(draft, number, "remark"), day, form)


def formulas(draft: Draft, _book: Any, sheet: Any) -> None:
    """Write formulas with a result, and some without one, for which XlsxWriter stores a zero."""
    for number, row in enumerate(draft.rows):
        name = draft.random.choice(("remark", "reference"))
        has_result = draft.random.random() < 0.7 and row.cells[name]
        text = row.cells[name].replace('"', '""')
        more = (None, row.cells[name]) if has_result else ()
        sheet.write_formula(*_place(draft, number, name), f'=CONCATENATE("{text}","")', *more)
        if not has_result:
            draft.tell(number)


def rich_texts(draft: Draft, book: Any, sheet: Any) -> None:
    bold = book.add_format({"bold": True})
    for number, row in enumerate(draft.rows):
        text = row.cells["reference"]
        at = draft.random.randrange(1, len(text))
        sheet.write_rich_string(*_place(draft, number, "reference"), text[:at], bold, text[at:])


def links(draft: Draft, _book: Any, sheet: Any) -> None:
    """Link the cells with one document to the file, and show a word or the path itself."""
    for number, row in enumerate(draft.rows):
        if len(row.documents) == 1:
            path = row.documents[0].replace("\\", "/")
            draft.mean_documents(number, path)
            shown = draft.random.choice(("open", path, "ouvrir"))
            sheet.write_url(*_place(draft, number, "documents"), f"external:{path}", None, shown)
    draft.unshown = ("documents",)


def hidden_rows(draft: Draft, _book: Any, sheet: Any) -> None:
    """Hide rows as a filter does."""
    first, last = draft.first - 2, draft.first - 2 + len(draft.rows)
    sheet.autofilter(first, 0, last, len(draft.columns) - 1)
    for number in draft.random.sample(range(len(draft.rows)), min(3, len(draft.rows))):
        sheet.set_row(draft.first - 1 + number, None, None, {"hidden": True})
    draft.warnings = ("hidden-rows",)


def decorations(draft: Draft, book: Any, sheet: Any) -> None:
    """Add what has no value: formats, comments, choices, frozen panes, colours, a chart, a protection."""
    last = draft.first - 2 + len(draft.rows)
    codes = book.add_worksheet("Codes")
    codes.write_column(0, 0, ["payslips", "employer"])
    if draft.random.random() < 0.5:
        codes.hide()
    column = draft.index("reference")
    options = {"validate": "list", "source": "=Codes!$A$1:$A$2", "show_error": False}
    sheet.data_validation(draft.first - 1, column, last, column, options)
    sheet.set_column(0, len(draft.columns), 20, book.add_format({"num_format": "@"}))
    sheet.write_blank(last + 30, len(draft.columns) + 3, None, book.add_format({"bg_color": "yellow"}))
    sheet.write_comment(draft.first - 1, column, "a comment")
    sheet.conditional_format(0, 0, last, 3, {"type": "duplicate", "format": book.add_format({"bold": True})})
    sheet.freeze_panes(draft.first - 1, 0)
    chart = book.add_chart({"type": "column"})
    chart.add_series({"values": [SHEET, draft.first - 1, column, last, column]})
    sheet.insert_chart(last + 5, 2, chart)
    if draft.random.random() < 0.5:
        sheet.protect("secret")


def table(draft: Draft, _book: Any, sheet: Any) -> None:
    """Make a table of Excel's own of the rows, with filters in its head."""
    last = draft.first - 2 + len(draft.rows)
    labels = [column.label.strip() or f"Column {at}" for at, column in enumerate(draft.columns)]
    if len({label.lower() for label in labels}) == len(labels) and all(
        column.label == label for column, label in zip(draft.columns, labels, strict=True)
    ):
        area = (draft.first - 2, 0, last, len(labels) - 1)
        sheet.add_table(*area, {"columns": [{"header": label} for label in labels]})
