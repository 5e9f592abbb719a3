"""Tables that LibreOffice saved: what other makers made, opened and saved in another format.

A maker returns a source and what is meant in it; `Saved` says how LibreOffice opens and saves it.
"""

from __future__ import annotations

import csv
import functools
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import openpyxl  # type: ignore[import-untyped]  # it has no types

import workbook_files
from docsend.manifest import template
from docsend.storage import catalogs
from tables import books, office, texts
from tables.contents import Column, Made, Script, draw_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_LIMITED = "limited-reader"
_LIMITED_FORMATS = ("xls", "ods")


@dataclass(frozen=True, slots=True)
class Saved:
    """How LibreOffice opens sources (`source` is their extension) and saves them."""

    source: str
    extension: str
    opened_with: str = ""
    encoding: str = "utf-8"
    separator: str = ","
    quotes_texts: bool = False

    def __call__(self, sources: Sequence[Made]) -> list[Made]:
        """Return the tables that LibreOffice saved. A file that it could not save is empty."""
        target = self.extension
        if self.extension == "csv":
            target = office.csv_target(self.encoding, self.separator, quotes_texts=self.quotes_texts)
        names = [f"{at:05}" for at in range(len(sources))]
        files = {f"{name}.{self.source}": made.content for name, made in zip(names, sources, strict=True)}
        saved = office.convert(files, target, source=self.opened_with)
        return [self._made(name, made, saved) for name, made in zip(names, sources, strict=True)]

    def _made(self, name: str, made: Made, saved: dict[str, bytes]) -> Made:
        sheet = made.sheet or name
        if self.extension != "csv":
            warnings = tuple(code for code in made.warnings if code != _LIMITED)
            warnings += (_LIMITED,) * (self.extension in _LIMITED_FORMATS)
            content = saved.get(f"{name}.{self.extension}", b"")
            return replace(made, content=content, warnings=warnings, sheet=sheet, text="")
        content = saved.get(f"{name}-{sheet}.csv", b"")
        text = content.decode(self.encoding, "replace")
        return replace(
            made, content=content, warnings=(), text=text, separator=self.separator, encoding=self.encoding
        )


def texts_as_numbers(random: Random, separator: str) -> Made:
    """Return a text table that LibreOffice opens without a word: it takes zeros from all numbers."""
    made = texts.make(random, separator=separator, has_others=random.random() < 0.3)
    # Nobody can know how many zeros a booklet number had; docsend warns about those.
    rows = [
        replace(row, cells={**row.cells, "booklet": row.cells["booklet"].lstrip("0") or "0"})
        if "booklet" in row.cells
        else row
        for row in made.rows
    ]
    return replace(made, rows=rows, text="")


def mixed(random: Random) -> Made:
    """Return a workbook with texts, numbers with and without their zeros, dates, and line breaks."""

    def change(draft: books.Draft, book: Any, sheet: Any) -> None:
        random.choice((books.zero_formats, books.bare_numbers, lambda *_: None))(draft, book, sheet)
        random.choice((books.dates, books.line_breaks))(draft, book, sheet)

    return books.xlsx(random, change, must=("remark",))


def shown(random: Random, scripts: Sequence[Script] = books.SCRIPTS) -> Made:
    """Return a workbook whose cells show all their zeros, so that they do not get lost in CSV."""

    def change(draft: books.Draft, book: Any, sheet: Any) -> None:
        if random.random() < 0.5:
            for number, row in enumerate(draft.rows):
                cell = sheet.cell(draft.first + number, draft.index("id") + 1, int(row.cells["id"]))
                cell.number_format = "000000000"
        random.choice((books.line_breaks, lambda *_: None))(draft, book, sheet)

    return books.xlsx(random, change, must=("remark",), scripts=scripts)


# -- docsend's template ------------------------------------------------------------------------------------


def filled_template(random: Random, extension: str) -> Made:
    """Return docsend's template as LibreOffice saved it in a format, filled in as a person does.

    Raise AssertionError if LibreOffice has lost the choices. A cell that is no longer formatted as text makes
    a number of what is typed, so that lost formats show as lost zeros.
    """
    book = openpyxl.load_workbook(io.BytesIO(_saved_template(extension)))
    sheet = book["Submissions"]
    columns = [Column(cell.value, cell.value) for cell in sheet[1] if cell.value]
    rows = draw_rows(random, columns, "English")
    for cells in sheet["A2:J3"]:  # the example
        for cell in cells:
            cell.value = None
    choices = {name: _choices(book, sheet, at) for at, name in enumerate(_names(columns), 1)}
    for at, row in enumerate(rows):
        cells = {**row.cells, "documents": ";".join(row.documents)}
        for column, name in enumerate(_names(columns), 1):
            cell = sheet.cell(2 + at, column)
            if name in ("to", "subject", "category", "type"):
                if cells[name].lower() not in choices[name]:
                    raise AssertionError(f"the choices of {name} are lost in {extension}")
                cells[name] = cells[name].lower()
            cell.value = _typed(cells[name], cell.number_format)
    return Made("good", workbook_files.save(book), rows, _names(columns), sheet="Submissions")


def filled_csv(random: Random) -> Made:
    """Return docsend's template as LibreOffice saved it as CSV, with rows that a program added."""
    separator = random.choice(",;")
    target = office.csv_target(separator=separator)
    saved = _converted("xlsx", template.as_workbook(catalogs.load()), target, "csv", "-Submissions")
    names = saved.decode("utf-8").splitlines()[0].split(separator)
    rows = draw_rows(random, [Column(name, name) for name in names], "English")
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter=separator)
    writer.writeheader()
    writer.writerows({**row.cells, "documents": ";".join(row.documents)} for row in rows)
    return Made("good", text.getvalue().encode(), rows, names)


def _names(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns]


def _typed(text: str, number_format: str) -> object:
    """Return the value of a cell after somebody has typed a text into it."""
    if number_format != "@" and text.isdecimal():
        return int(text)
    return text or None


def _choices(book: Any, sheet: Any, column: int) -> list[str]:
    """Return what can be chosen in a cell below the head, which may be a range of another sheet."""
    for validation in sheet.data_validations.dataValidation:
        if sheet.cell(3, column).coordinate in validation.sqref and validation.type == "list":
            name, _, area = validation.formula1.replace("$", "").replace("'", "").partition("!")
            return [cell.value for row in book[name][area] for cell in row]
    return []


def _saved_template(extension: str) -> bytes:
    """Return the template, saved by LibreOffice in a format and then as .xlsx."""
    saved = _converted("xlsx", template.as_workbook(catalogs.load()), extension, extension)
    return _converted(extension, saved, "xlsx", "xlsx")


@functools.cache
def _converted(source: str, content: bytes, target: str, extension: str, sheet: str = "") -> bytes:
    return office.convert({f"template.{source}": content}, target)[f"template{sheet}.{extension}"]
