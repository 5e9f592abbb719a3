"""All kinds of tables, and how many of each a whole run makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tables import books, exports, office, office_makers, texts
from tables.office_makers import Saved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tables.contents import Made, Script

Make = Callable[[Random], "Made"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of table: its format, its name, how many of it a run makes, and its makers."""

    format: str
    name: str
    count: int
    make: Make
    save: Callable[[Sequence[Made]], list[Made]] | None = None  # by LibreOffice, many at once

    def made(self, seed: int, number: int) -> Made:
        """Return a table. A seed and a number always make the same one."""
        return self.all_made(seed, [number])[0]

    def all_made(self, seed: int, numbers: Iterable[int]) -> list[Made]:
        """Return the tables with these numbers."""
        made = [self.make(Random(f"{seed}/{self.format}/{self.name}/{number}")) for number in numbers]
        return self.save(made) if self.save else made


def _text(name: str, count: int, **options: object) -> Kind:
    return Kind("text", name, count, functools.partial(texts.make, **options))  # type: ignore[arg-type]


def _bad(name: str, count: int, **options: object) -> Kind:
    return _text(name, count, truth="bad", **options)


def _xlsx(name: str, count: int, *steps: object, **options: object) -> Kind:
    def make(random: Random) -> Made:
        return books.xlsx(random, *steps, **options)  # type: ignore[arg-type]

    return Kind("xlsx", name, count, make)


_REMARK = ("remark",)
_ACCENTED = ("French", "Hebrew")  # with letters that tell the encoding


def _exported(name: str, count: int, *steps: object, **options: object) -> Kind:
    def make(random: Random) -> Made:
        return exports.make(random, *steps, **options)  # type: ignore[arg-type]

    return Kind("xlsx", f"XlsxWriter: {name}", count, make)


KINDS = (
    _text("UTF-8", 100),
    _text("UTF-8 with a mark", 80, encoding="utf-8", has_mark=True),
    _text("UTF-16 LE with a mark", 80, encoding="utf-16-le", has_mark=True),
    _text("UTF-16 BE with a mark", 60, encoding="utf-16-be", has_mark=True),
    _text("UTF-16 LE without a mark", 40, encoding="utf-16-le"),
    _text("UTF-16 BE without a mark", 40, encoding="utf-16-be"),
    _text("Windows-1252, French", 120, encoding="cp1252"),
    _text("Windows-1255, Hebrew", 120, encoding="cp1255"),
    _text("a title above the head", 80, change=texts.title),
    _text("other columns between", 80, has_others=True),
    _text("blank rows", 80, change=texts.blank_rows),
    _text("line breaks in remarks", 120, change=texts.line_breaks, must=_REMARK),
    _text("separators in remarks", 80, change=texts.separators, must=_REMARK),
    _text("quotation marks within cells", 60, change=texts.inner_quotes, must=_REMARK),
    _text('="…" and apostrophes', 60, change=texts.formulas, must=("mobile",)),
    _text("the head again in the middle", 40, change=texts.second_head),
    _text("zeros lost by a spreadsheet", 60, change=texts.lost_zeros, zeros=1),
    _text("zeros of mobile numbers lost", 40, change=texts.lost_mobile_zeros, must=("mobile",)),
    _text("errors of a spreadsheet", 60, change=texts.error_values, must=_REMARK),
    _text("other separators in cells", 60, change=texts.other_separators, must=_REMARK),
    _text("empty cells at the end left out", 60, change=texts.short_rows, must=_REMARK, has_others=True),
    _text("most cells empty", 80, change=texts.sparse, has_others=True),
    _bad("two stray quotation marks", 240, change=texts.two_stray, must=_REMARK, length=12),
    _bad("two stray marks, three columns", 120, change=texts.two_stray, is_narrow=True, length=12),
    _bad(
        "two stray marks, other columns", 160, change=texts.two_stray, has_others=True, must=_REMARK, length=9
    ),
    _bad("two stray marks in two rows", 80, change=texts.two_stray, must=_REMARK, length=2),
    _bad("two stray marks, documents", 120, change=texts.two_stray_documents, must=_REMARK, length=6),
    _bad(
        "two stray marks, a blank behind separators",
        80,
        change=texts.two_stray_with_blanks,
        length=9,
    ),
    _bad(
        "two stray marks, patterns, few columns",
        120,
        change=texts.two_stray_patterns,
        is_narrow=True,
        length=9,
    ),
    _bad("two stray marks, patterns", 80, change=texts.two_stray_patterns, must=_REMARK, length=9),
    _bad("two tables joined", 120, change=texts.joined, length=12),
    _bad("two tables joined, other columns", 60, change=texts.joined, has_others=True, length=12),
    _bad("two stray marks, long remarks", 120, change=texts.two_stray_in_notes, must=_REMARK, length=9),
    _bad("an unclosed quotation mark", 120, change=texts.unclosed, must=_REMARK),
    _bad("text behind a closing mark", 60, change=texts.text_behind, must=_REMARK),
    _bad("an unquoted separator", 100, change=texts.unquoted_separator, must=_REMARK),
    _bad(
        "an unquoted separator, other columns",
        100,
        change=texts.unquoted_separator,
        has_others=True,
        must=_REMARK,
    ),
    _bad("UTF-8 cut within a character", 40, scripts=_ACCENTED, spoil=texts.cut),
    _bad("two encodings", 40, scripts=_ACCENTED, spoil=texts.two_encodings),
    _bad("NULs at the end", 30, spoil=texts.ends_with_nul),
    _xlsx("plain", 80),
    _xlsx("numbers with a format of zeros", 60, books.zero_formats),
    _xlsx("numbers without zeros", 60, books.bare_numbers),
    _xlsx("dates", 40, books.dates, must=_REMARK),
    _xlsx("errors and formulas without results", 80, books.errors, must=_REMARK),
    _xlsx("hidden rows", 40, books.hidden_rows),
    _xlsx("legend and hidden sheets", 60, books.other_sheets),
    _xlsx("line breaks in remarks", 60, books.line_breaks, must=_REMARK),
    _xlsx("a far-away cell", 30, books.far_cell),
    _xlsx("blank rows", 60, books.blank_rows),
    _xlsx("a stale dimension", 50, None, books.stale_dimension),
    _xlsx("rows without numbers", 30, None, books.without_references),
    _xlsx("cells without references", 30, None, books.without_cell_references),
    _xlsx("rows in another order", 30, None, books.shuffled_rows),
    _xlsx("texts with formats", 30, None, books.rich_texts),
    _xlsx("type xlsm", 40, None, books.macros),
    _exported("plain", 60),
    Kind("xlsx", "XlsxWriter: row by row", 40, exports.in_rows),
    _exported("dates", 30, exports.dates, must=_REMARK),
    _exported("formulas with results and without", 60, exports.formulas, must=_REMARK),
    _exported("texts with formats", 30, exports.rich_texts),
    _exported("links to the documents", 40, exports.links),
    _exported("hidden by a filter", 30, exports.hidden_rows),
    _exported("choices, comments, colours, a chart", 40, exports.decorations),
    _exported("a table with filters", 30, exports.table),
    Kind("xlsx", "Strict Open XML", 30, books.strict),
    Kind("xls", "xlwt", 100, books.xls),
    Kind("ods", "by hand", 100, books.ods),
    Kind("xlsb", "by hand", 40, books.xlsb),
)


def _saved(format_name: str, name: str, count: int, make: Make, save: Saved) -> Kind:
    return Kind(format_name, f"LibreOffice: {name}", count, make, save)


def _csv_of(script: Script, encoding: str, count: int, separator: str) -> Kind:
    """Return CSV of a workbook in a language, in an encoding for it."""
    make = functools.partial(office_makers.shown, scripts=(script,))
    return _saved(
        "text",
        f"{script} in {encoding}, separated by {separator!r}",
        count,
        make,
        Saved("xlsx", "csv", encoding=encoding, separator=separator),
    )


def _opened(extension: str, separator: str) -> Kind:
    """Return a workbook that LibreOffice made of CSV, which it opened without any option."""
    make = functools.partial(office_makers.texts_as_numbers, separator=separator)
    source = office.csv_source(separator=separator)
    return _saved(extension, "CSV that was opened", 60, make, Saved("csv", extension, source))


def _template(extension: str) -> Kind:
    make = functools.partial(office_makers.filled_template, extension=extension)
    return _saved(extension, "docsend's template", 30, make, Saved("xlsx", extension))


OF_OFFICE = (
    _saved("xlsx", "saved again", 120, office_makers.mixed, Saved("xlsx", "xlsx")),
    _saved("xls", "saved as .xls", 120, office_makers.mixed, Saved("xlsx", "xls")),
    _saved("ods", "saved as .ods", 120, office_makers.mixed, Saved("xlsx", "ods")),
    _saved("xlsx", ".xls saved as .xlsx", 40, books.xls, Saved("xls", "xlsx")),
    _saved("xlsx", ".ods saved as .xlsx", 40, books.ods, Saved("ods", "xlsx")),
    _saved("text", "quoted texts", 60, office_makers.shown, Saved("xlsx", "csv", quotes_texts=True)),
    _csv_of("English", "utf-8", 40, "\t"),
    _csv_of("Hebrew", "utf-8", 40, ","),
    _csv_of("Hebrew", "utf-16", 40, "\t"),
    _csv_of("Hebrew", "cp1255", 60, ","),
    _csv_of("Hebrew", "iso-8859-8", 30, "|"),
    _csv_of("French", "cp1252", 60, ";"),
    _csv_of("French", "iso-8859-1", 30, ";"),
    _csv_of("French", "utf-16", 30, ";"),
    _opened("xlsx", ";"),
    _opened("xls", "\t"),
    _opened("ods", ","),
    *map(_template, ("xlsx", "ods")),
    Kind("text", "LibreOffice: docsend's template", 30, office_makers.filled_csv),
    _saved(
        "text",
        "docsend's template, filled in and saved",
        30,
        functools.partial(office_makers.filled_template, extension="xlsx"),
        Saved("xlsx", "csv", separator=";"),
    ),
)


def all_here() -> tuple[Kind, ...]:
    """Return all kinds that can be made on this machine: those of LibreOffice only if it is installed."""
    return (*KINDS, *OF_OFFICE) if office.program() else KINDS


def count(kind: Kind, share: float) -> int:
    """Return how many tables of a kind a share of a whole run makes: at least one."""
    return max(1, round(kind.count * share))
