"""Workbooks are read as people see them, and what would be sent wrongly is reported with its cell."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import pickle
import random
import re
import subprocess
import time
import tracemalloc
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import openpyxl  # type: ignore[import-untyped]  # it has no types
import pytest
import xlwt  # type: ignore[import-untyped]  # it has no types
from openpyxl.chart import BarChart  # type: ignore[import-untyped]
from openpyxl.styles import PatternFill  # type: ignore[import-untyped]

import samples
import workbook_files
from batch_files import HEAD, json_rows, make_rows, save_manifest
from docsend.codes import Code
from docsend.errors import DocsendError, InvalidSubmission, UsageError
from docsend.i18n import ENGLISH, Message
from docsend.manifest import limited_workbooks, reader, workbooks
from docsend.model.submission import Submission
from workbook_files import (
    SHEET,
    TEXTS,
    book,
    change,
    row,
    save,
    with_shared_texts,
    with_sheet_data,
    xlsx,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docsend.manifest.reader import Manifest
    from docsend.manifest.table import Table, TableRow
    from docsend.model.problem import Problem

    Read = Callable[..., Manifest]

pytestmark = pytest.mark.everywhere

LABEL = Message("payroll.xlsx")
_OLE = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(504)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads the content of a workbook as a manifest."""

    def read_(content: bytes, sheet: str | None = None) -> Manifest:
        file = samples.write(tmp_path, "payroll.xlsx", content)
        return reader.read(str(file), Submission(), standard_input=lambda: b"", sheet=sheet)

    return read_


def table(content: bytes, sheet: str | None = None) -> Table:
    return workbooks.open_table(content, LABEL, sheet)


def table_rows(content: bytes) -> list[TableRow]:
    """Return the rows below the header."""
    return list(table(content).rows())[1:]


def cells(manifest: Manifest, column: str) -> list[str]:
    return [each.cells[column] for each in manifest.rows()]


def texts(problems: tuple[Problem, ...]) -> list[str]:
    return [ENGLISH.render(problem.message) for problem in problems]


def refusal(
    content: bytes, sheet: str | None = None, kind: type[DocsendError] = InvalidSubmission
) -> tuple[Code | None, str, str]:
    """Return the code, the message and the hint of the error that a workbook causes."""
    with pytest.raises(kind) as caught:
        list(table(content, sheet).rows())
    error = caught.value
    if error.problems:
        (problem,) = error.problems
        assert isinstance(problem.code, Code)
        assert problem.hint is not None
        return problem.code, ENGLISH.render(problem.message), ENGLISH.render(problem.hint)
    assert error.hint is not None
    return None, ENGLISH.render(error.message), ENGLISH.render(error.hint)


# -- values ------------------------------------------------------------------------------------------------

VALUES: dict[str, tuple[object, str]] = {
    "a text that looks like a number": ("007", "007"),
    "a whole number": (7, "7"),
    "a whole number as a float": (12.0, "12"),
    "a fraction": (0.1 + 0.2, "0.3"),
    "a large number": (3.2e7, "32000000"),
    "a day": (dt.date(2026, 11, 1), "2026-11-01"),
    "a day, with midnight": (dt.datetime(2026, 11, 1), "2026-11-01"),  # noqa: DTZ001 - Excel has no zones
    "a moment": (dt.datetime(2026, 11, 1, 9, 5), "2026-11-01 09:05"),  # noqa: DTZ001
    "a moment with seconds": (dt.datetime(2026, 11, 1, 9, 5, 7), "2026-11-01 09:05:07"),  # noqa: DTZ001
    "a time": (dt.time(9, 5), "09:05"),
    "a duration": (dt.timedelta(hours=30, seconds=5), "30:00:05"),
    "true": (True, "TRUE"),
    "false": (False, "FALSE"),
    "a line break of Windows": ("one_x000D_\ntwo", "one\r\ntwo"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_read_as_a_sheet_shows_it(name) -> None:
    value, text = VALUES[name]
    assert table_rows(xlsx(row(reference=value)))[0].cells[5] == text


@pytest.mark.parametrize(
    ("number_format", "value", "text"),
    [
        ("000000000", 18, "000000018"),
        ("000000000;@", 18, "000000018"),
        ("[$-1000000]000000000", 18, "000000018"),
        ("000-0000000", 501234567, "050-1234567"),
        (r"000\-0000000", 501234567, "050-1234567"),
        ("00", 123, "123"),
        ("000000000", "18", "18"),
        ("000000000", -18, "-18"),
        ("0", 18, "18"),
        ("0.00", 18, "18"),
        ("0%", 1, "1"),
        ("#,##0", 1800, "1800"),
    ],
)
def test_a_number_format_of_zeros_is_applied_to_numbers_and_to_nothing_else(
    number_format, value, text
) -> None:
    workbook = book(row(id=value))
    workbook.active["E2"].number_format = number_format
    assert table_rows(save(workbook))[0].cells[4] == text


@pytest.mark.parametrize(
    ("number_format", "value", "shown"),
    [
        ('"R-"000', 7, "R-007"),
        ('"R-"000', 12345, "R-12345"),
        ("000 000", 18, "000 018"),
        (r"00\.00", 7, "00.07"),
        ("0000_)", 7, "0007"),
        (r"0000\ ", 7, "0007"),
        ('0000 "mois"', 7, "0007 mois"),
        ('0000" mois";-0000', 7, "0007 mois"),
        ("[$-40D]0000", 7, "0007"),
        ("[Red]0000;[Blue]-0000", 7, "0007"),
        ("(000)", 7, "(007)"),
        ("###-####", 1234567, "123-4567"),
        ("#,##0.00_ ", 1800, "1800"),
        ("_ * #,##0_ ", 1800, "1800"),
    ],
)
def test_a_number_is_read_as_its_format_shows_it(number_format, value, shown) -> None:
    workbook = book(row(reference=value))
    workbook.active["F2"].number_format = number_format
    (only,) = table_rows(save(workbook))
    assert (only.cells[5].strip(), only.problems) == (shown, ())


@pytest.mark.parametrize(
    ("number_format", "value"),
    [
        ("0000/00", 202611),
        ("0,000", 7),
        ("[>100]000;0000", 7),
        ('"€"0.00', 5),
        ("00.00", 7),
        ("0000", -7),
        ("0000", 7.5),
        (";;;", 7),
        ("0%", 1),
        ("0.00E+00", 7),
    ],
)
def test_a_number_that_its_format_shows_in_another_way_is_told(read, number_format, value) -> None:
    workbook = book(row(reference=value))
    workbook.active["F2"].number_format = number_format
    (problem,) = next(read(save(workbook)).rows()).problems
    assert (problem.code, problem.field, problem.is_error) == (Code.ZEROS_MISSING, "reference", False)
    text = "F2 shows its number in a format of which docsend reads the digits alone"
    assert ENGLISH.render(problem.message) == text


def test_an_id_is_the_digits_of_a_number_with_text_in_its_format(read) -> None:
    workbook = book(row(id=18))
    workbook.active["E2"].number_format = '"id "000000000'
    (only,) = read(save(workbook)).rows()
    assert (only.submission.id, only.problems) == ("000000018", ())


@pytest.mark.parametrize("make", [workbook_files.ods, workbook_files.xlsb, xlsx])
def test_a_number_with_more_digits_than_a_spreadsheet_keeps_is_refused_in_every_format(read, make) -> None:
    (only,) = read(make(row(reference=1.2345678901234568e16))).rows()
    assert [problem.code for problem in only.problems] == [Code.NUMBER_ROUNDED]


@pytest.mark.parametrize("mark", ["<text:tab/>", "<text:line-break/>"])
def test_breaks_that_an_opendocument_loses_are_told(mark) -> None:
    def put(part: bytes) -> bytes:
        return part.replace(b"client 1", f"client{mark}1".encode())

    content = change(workbook_files.ods(row()), {"content.xml": put})
    assert texts(table(content).warnings)[1:] == [
        "tabs and line breaks within the paragraphs of a cell are lost in this format"
    ]


def test_an_id_that_a_format_shows_with_its_zeros_is_read_with_them(read) -> None:
    workbook = book(row(id=18))
    workbook.active["E2"].number_format = "000000000"
    (only,) = read(save(workbook)).rows()
    assert (only.submission.id, only.problems) == ("000000018", ())


@pytest.mark.parametrize(
    ("value", "number_format", "text", "found"),
    [
        (7, "General", "7", [Code.ZEROS_MISSING]),
        (7, "0000", "0007", []),
        ("0007", "General", "0007", []),
        ("7", "@", "7", []),
    ],
)
def test_a_booklet_number_that_may_have_lost_zeros_is_told(read, value, number_format, text, found) -> None:
    workbook = book(["900000019", value, "a.pdf"], head=["employer_file", "booklet", "documents"])
    workbook.active["B2"].number_format = number_format
    (only,) = read(save(workbook)).rows()
    assert (only.submission.booklet, [problem.code for problem in only.problems]) == (text, found)


def test_texts_in_a_table_of_their_own_are_read() -> None:
    content = xlsx(row(1), row(2, reference="a & b"))
    assert list(table(with_shared_texts(content)).rows()) == list(table(content).rows())


def test_a_workbook_with_macros_is_read_like_any_other() -> None:
    old, new = (
        b"vnd.openxmlformats-officedocument.spreadsheetml.sheet.main",
        b"vnd.ms-excel.sheet.macroEnabled.main",
    )
    content = xlsx(row())
    with_macros = change(content, {"[Content_Types].xml": lambda part: part.replace(old, new)})
    assert with_macros != content
    assert table(with_macros).warnings == ()
    assert table_rows(with_macros) == table_rows(content)


def test_numbers_are_told_apart_from_texts_and_dates() -> None:
    day = dt.date(2026, 11, 1)
    (only,) = table_rows(xlsx(row(to=True, subject=18.0, category="18", type=day, id=18)))
    assert only.numeric == frozenset({1, 4})


def test_a_number_that_the_spreadsheet_rounded_is_refused_with_its_cell(read) -> None:
    manifest = read(xlsx(row(reference=1234567890123450), row(reference=1234567890123456)))
    first, second = manifest.rows()
    assert [problem.code for problem in first.problems] == [Code.NUMBER_ROUNDED]
    assert texts(first.problems) == ["F2 contains a number of which the spreadsheet keeps only 15 digits"]
    assert second.problems == ()  # a program has stored all digits


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"])
def test_an_error_is_reported_with_its_cell(read, error) -> None:
    first, second = read(xlsx(row(), row(reference=error))).rows()
    assert first.problems == ()
    assert [(problem.code, problem.field, problem.row) for problem in second.problems] == [
        (Code.ROW_MALFORMED, "reference", 3)
    ]
    assert texts(second.problems) == [f"F3 contains the error {error}"]


def test_a_cell_far_outside_the_table_is_named(read) -> None:
    content = xlsx(row(), ["", *row()], head=[*HEAD, ""])
    workbook = openpyxl.load_workbook(io.BytesIO(content))
    workbook.active.delete_rows(3)
    workbook.active["AB2"] = "#N/A"
    (only,) = table_rows(save(workbook))
    assert ENGLISH.render(only.problems[-1].message) == "AB2 is outside the table"
    (problem,) = next(read(save(workbook)).rows()).problems
    assert (problem.code, problem.field) == (Code.ROW_MALFORMED, None)
    assert problem.hint is not None
    assert ENGLISH.render(problem.hint) == "delete it, or give its column a name in row 1"


@pytest.mark.parametrize("make", [workbook_files.ods, workbook_files.xlsb, workbook_files.xlsx])
def test_a_stray_cell_is_named_in_every_format(read, make) -> None:
    rows = list(read(make([*row(), "", "x"], row(2))).rows())
    assert [texts(each.problems) for each in rows] == [["I2 is outside the table"], []]


def test_an_unknown_column_at_the_end_is_no_stray_cell(read) -> None:
    content = xlsx([*row(), "12.50", "far"], head=[*HEAD, "Net pay", "Town"])
    assert [each.problems for each in read(content).rows()] == [()]


# -- formulas ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "text", "lacks_result"),
    [
        ("<f>1+1</f><v>2</v>", "2", False),
        ("<f>1+1</f><v></v>", "", True),
        ("<f>1+1</f><v/>", "", True),
        ("<f>1+1</f>", "", True),
        ('<f t="shared" si="0"/>', "", True),
        ("<f>1-1</f><v>0</v>", "0", True),  # as XlsxWriter stores every formula
        ("<v>0</v>", "0", False),
    ],
)
def test_a_formula_without_its_result_is_reported_with_its_cell(read, cell, text, lacks_result) -> None:
    content = xlsx(row(), row(reference="HERE"))
    content = change(
        content, {SHEET: lambda sheet: re.sub(rb'<c r="F3".*?</c>', f'<c r="F3">{cell}</c>'.encode(), sheet)}
    )
    first, second = read(content).rows()
    assert first.problems == ()
    assert second.cells["reference"] == text
    expected = ["F3 contains a formula without its result"] if lacks_result else []
    assert texts(second.problems) == expected


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ('"000000018"', "000000018"),  # how programs keep zeros
        (' "a ""b""" ', 'a "b"'),
        ('""', ""),
        ('HYPERLINK("letters/1.pdf","open")', "open"),
        ('HYPERLINK( "letters/1.pdf" )', "letters/1.pdf"),
        ('HYPERLINK("letters/1.pdf",B2)', None),
        ('"a"&"b"', None),
        ('HYPERLINK("a.pdf","b")&"c"', None),
    ],
)
@pytest.mark.parametrize("result", ["", "<v></v>", "<v>0</v>"])
def test_the_result_of_a_formula_that_is_a_text_is_known(read, formula, text, result) -> None:
    cell = f'<c r="F2"><f>{escape(formula)}</f>{result}</c>'.encode()
    content = change(xlsx(row()), {SHEET: lambda sheet: re.sub(rb'<c r="F2".*?</c>', cell, sheet)})
    (only,) = read(content).rows()
    expected = ["F2 contains a formula without its result"] if text is None else []
    assert texts(only.problems) == expected
    if text is not None:
        assert only.cells["reference"] == text


def test_an_id_number_that_a_formula_keeps_with_its_zeros_is_read_in_a_workbook(read) -> None:
    workbook = book(row(id='="000000018"', documents='=HYPERLINK("letters/1.pdf","open")'))
    (only,) = read(save(workbook)).rows()
    assert (only.submission.id, only.documents, only.problems) == ("000000018", ("letters/1.pdf",), ())


def test_a_formula_may_result_in_zero_or_in_an_empty_text(read) -> None:
    content = change(
        xlsx(row(reference="A"), row(reference="B")),
        {
            SHEET: lambda sheet: re.sub(
                rb'<c r="F3".*?</c>',
                b'<c r="F3"><f>1-1</f><v>0</v></c>',
                re.sub(rb'<c r="F2".*?</c>', b'<c r="F2" t="str"><f>T("")</f><v></v></c>', sheet),
            ),
            "xl/workbook.xml": lambda part: part.replace(b'fullCalcOnLoad="1"', b""),
        },
    )
    manifest = read(content)
    assert cells(manifest, "reference") == ["", "0"]
    assert [each.problems for each in manifest.rows()] == [(), ()]


def test_a_formula_in_a_cell_without_a_reference_is_found(read) -> None:
    head, start, end = map(workbook_files.text_cells, (HEAD, ["benefits", *"abcd"], ["a.pdf"]))
    data = f"<row>{head}</row><row>{start}<c><f>1+1</f></c>{end}</row>"
    (only,) = read(with_sheet_data(xlsx(), data)).rows()
    assert texts(only.problems) == ["F2 contains a formula without its result"]
    assert only.cells["documents"] == "a.pdf"


# -- sheets ------------------------------------------------------------------------------------------------


def sheets(*visible: str, hidden: tuple[str, ...] = ()) -> openpyxl.Workbook:
    """Return a workbook with tables on these sheets. The hidden ones come first."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name in (*hidden, *visible):
        sheet = workbook.create_sheet(name)
        sheet.append(HEAD)
        sheet.append(row(reference=name))
        sheet.sheet_state = "hidden" if name in hidden else "visible"
    workbook.active = len(hidden)
    return workbook


def description(read_table: Table | Manifest) -> str:
    return ENGLISH.render(read_table.description)


def test_the_visible_sheet_with_the_columns_is_read_and_named(read) -> None:
    workbook = sheets("Payroll", hidden=("Old",))
    information = workbook.create_sheet("Info", 0)
    for words in (["Payroll of November"], ["documents", "the payslips"], ["id", "nine digits"]):
        information.append(words)
    manifest = read(save(workbook))
    assert description(manifest) == 'payroll.xlsx, sheet "Payroll": Excel'
    assert cells(manifest, "reference") == ["Payroll"]


def test_of_several_tables_one_has_to_be_named(read) -> None:
    content = save(sheets("November", "December", hidden=("Old",)))
    assert refusal(content, kind=UsageError) == (
        None,
        'payroll.xlsx has a table in several sheets: "November", "December"',
        "name the one to send with --sheet NAME",
    )
    assert cells(read(content, "December"), "reference") == ["December"]


@pytest.mark.parametrize("name", ["Old", "OLD", " old "])
def test_a_sheet_is_found_by_its_name_in_any_case_even_if_it_is_hidden(read, name) -> None:
    manifest = read(save(sheets("November", hidden=("Old",))), name)
    assert description(manifest) == 'payroll.xlsx, sheet "Old": Excel'
    assert cells(manifest, "reference") == ["Old"]


def test_an_unknown_sheet_gets_the_list_of_sheets() -> None:
    assert refusal(save(sheets("November", "December")), "Januar", UsageError) == (
        None,
        "payroll.xlsx has no sheet 'Januar'",
        'give one of: "November", "December"',
    )


def test_without_known_columns_the_first_visible_sheet_is_read_and_named(read) -> None:
    workbook = sheets()
    workbook.create_sheet("Info").append(["Payroll of November"])
    workbook.create_sheet("Empty")
    content = save(workbook)
    assert description(table(content)) == 'payroll.xlsx, sheet "Info": Excel'
    with pytest.raises(InvalidSubmission) as caught:
        read(content)
    message = 'no known column name: Payroll of November (payroll.xlsx, sheet "Info")'
    assert texts(tuple(caught.value.problems)) == [message]


@pytest.mark.parametrize("sheet", [["id", "reference"], [], ["Payroll"]], ids=len)
def test_a_sheet_that_lacks_the_documents_is_named(read, sheet) -> None:
    with pytest.raises(InvalidSubmission) as caught:
        read(save(book(head=sheet, name="Info")))
    assert all('(payroll.xlsx, sheet "Info")' in text for text in texts(tuple(caught.value.problems)))


def test_a_hidden_sheet_that_alone_has_the_columns_is_named() -> None:
    workbook = sheets(hidden=("Pay",))
    workbook.create_sheet("Info").append(["Welcome to payroll"])
    assert refusal(save(workbook), kind=UsageError)[1:] == (
        'no visible sheet of payroll.xlsx names the documents, but a hidden one does: "Pay"',
        "if it is the one to send, name it with --sheet NAME",
    )


def workbook_of(**tables: list[list[str]]) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, lines in tables.items():
        sheet = workbook.create_sheet(name)
        for line in lines:
            sheet.append(line)
    return save(workbook)


def test_a_sheet_of_documents_alone_is_a_table_like_one_with_more_columns() -> None:
    content = workbook_of(
        November=[["reference", "documents"], ["r1", "a.pdf"]], December=[["documents"], ["b.pdf"], ["c.pdf"]]
    )
    text = 'payroll.xlsx has a table in several sheets: "November", "December"'
    assert refusal(content, kind=UsageError)[1] == text


def test_the_only_sheet_that_names_the_documents_is_read(read) -> None:
    employees = [["Name", "id", "mobile", "email"], ["Dana", "000000018", "0500000000", "dana@example.com"]]
    content = workbook_of(Employees=employees, Send=[["documents", "Name"], ["a.pdf", "Dana"]])
    assert cells(read(content), "documents") == ["a.pdf"]


def test_a_list_of_what_the_columns_mean_is_no_table(read) -> None:
    meanings = [["Column", "Meaning"], ["id", "nine digits"], ["documents", "paths"], ["reference", "yours"]]
    content = workbook_of(Meanings=meanings, Send=[["documents"], ["a.pdf"]])
    assert cells(read(content), "documents") == ["a.pdf"]


def test_charts_and_dialogs_are_passed_over(read) -> None:
    workbook = sheets("Dialog", "Payroll")
    chart = workbook.create_chartsheet("Chart", 0)
    chart.add_chart(BarChart())
    content = change(
        save(workbook),
        {
            "xl/_rels/workbook.xml.rels": lambda part: re.sub(
                rb'relationships/worksheet"( Target="/xl/worksheets/sheet1)',
                rb'relationships/dialogsheet"\1',
                part,
            )
        },
    )
    assert description(read(content)) == 'payroll.xlsx, sheet "Payroll": Excel'


def test_a_workbook_without_a_worksheet_is_refused() -> None:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    workbook.create_chartsheet("Chart").add_chart(BarChart())
    assert refusal(save(workbook))[1] == "payroll.xlsx has no sheet with cells"


# -- hidden rows -------------------------------------------------------------------------------------------


def test_hidden_rows_with_data_are_counted_and_sent(read) -> None:
    workbook = book(row(1), row(2), row(3), row(4))
    for number in (3, 4, 9):  # the last one is empty
        workbook.active.row_dimensions[number].hidden = True
    manifest = read(save(workbook))
    assert [warning.code for warning in manifest.warnings] == [Code.HIDDEN_ROWS]
    assert texts(manifest.warnings) == ["2 rows are hidden in the workbook and will be sent"]
    assert len(cells(manifest, "reference")) == 4


@pytest.mark.parametrize("attribute", ['hidden="true"', 'ht="0" customHeight="1"'])
def test_a_row_is_hidden_in_several_ways(read, attribute) -> None:
    content = change(
        xlsx(row()), {SHEET: lambda part: part.replace(b'<row r="2"', f'<row r="2" {attribute}'.encode())}
    )
    assert texts(read(content).warnings) == ["1 row is hidden in the workbook and will be sent"]


def test_hidden_rows_above_the_header_and_rows_of_empty_formulas_are_not_counted(read) -> None:
    workbook = book(row())
    workbook.active.insert_rows(1)
    workbook.active["A1"] = "Payroll of November"
    for number in (1, 4):
        workbook.active.row_dimensions[number].hidden = True
    workbook.active["F4"] = "HERE"
    content = change(
        save(workbook),
        {
            SHEET: lambda sheet: re.sub(
                rb'<c r="F4".*?</c>', b'<c r="F4" t="str"><f>T("")</f><v></v></c>', sheet
            )
        },
    )
    assert table(content).warnings == ()


# -- links -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("payslips/001.pdf", "payslips/001.pdf"),
        ("payslips%20of%20November/001.pdf", "payslips of November/001.pdf"),
        (r"..\payslips\001.pdf", "../payslips/001.pdf"),
        ("file:///home/dana/001.pdf", "/home/dana/001.pdf"),
        ("file:///C:/payroll/001.pdf", "C:/payroll/001.pdf"),
        (r"file:///\\server\share\001.pdf", "//server/share/001.pdf"),
        ("file://server/share/001.pdf", "//server/share/001.pdf"),
        ("file://localhost/home/dana/001.pdf", "/home/dana/001.pdf"),
        ("C:/payroll/001.pdf", "C:/payroll/001.pdf"),
        ("https://payroll.example/a%20b.pdf", "https://payroll.example/a%20b.pdf"),
        ("mailto:dana@payroll.example", "mailto:dana@payroll.example"),
        ("#Sheet2!A1", None),
    ],
)
def test_the_file_that_a_cell_links_to_is_known(target, path) -> None:
    workbook = book(row(documents="open"), row())
    workbook.active["G2"].hyperlink = target
    first, second = table_rows(save(workbook))
    assert (first.links, second.links) == ({6: path} if path else {}, {})


@pytest.mark.parametrize("shown", ["payslips/002.pdf", "002.pdf", r"payslips\002"])
def test_a_link_does_not_replace_a_path_that_the_cell_shows(shown) -> None:
    workbook = book(row(documents=shown))
    workbook.active["G2"].hyperlink = "payslips/001.pdf"
    workbook.active["G2"].value = shown
    assert table_rows(save(workbook))[0].links == {}


def test_a_link_of_several_cells_and_a_link_by_formula_are_known() -> None:
    workbook = book(row(documents="open"), row(documents="open"), row(documents="FORMULA"))
    workbook.active["G2"].hyperlink = "all.pdf"
    formula = b'<c r="G4" t="str"><f>HYPERLINK("pay ""x"".pdf","open")</f><v>open</v></c>'
    content = change(
        save(workbook),
        {
            SHEET: lambda sheet: re.sub(rb'<c r="G4".*?</c>', formula, sheet).replace(
                b' ref="G2"', b' ref="G2:G3"'
            )
        },
    )
    assert [each.links.get(6) for each in table_rows(content)] == ["all.pdf", "all.pdf", 'pay "x".pdf']


@pytest.mark.parametrize(
    "formula",
    [
        'HYPERLINK("payslips/"&amp;B2&amp;".pdf","open")',
        'HYPERLINK(A1,"open")',
        'IF(A2="benefits",HYPERLINK("a.pdf","open"),"")',
        'hyperlink(CONCATENATE("a",".pdf"))',
    ],
)
def test_a_link_that_is_computed_is_an_error_unless_the_cell_shows_a_path(read, formula) -> None:
    def shows(text: str) -> list[str]:
        cell = f'<c r="G2" t="str"><f>{formula}</f><v>{text}</v></c>'.encode()
        content = change(xlsx(row()), {SHEET: lambda sheet: re.sub(rb'<c r="G2".*?</c>', cell, sheet)})
        return texts(next(read(content).rows()).problems)

    assert shows("open") == ["the link is computed by a formula, whose result no workbook stores"]
    assert shows("payslips/1.pdf") == []


@pytest.mark.parametrize(
    "formula", ['HYPERLINK("b.pdf",A1)', 'HYPERLINK( "b.pdf" ; "a"&amp;B1 )', 'HYPERLINK("b.pdf")']
)
def test_a_link_with_a_computed_text_is_known(formula) -> None:
    cell = f'<c r="G2" t="str"><f>{formula}</f><v>open</v></c>'.encode()
    content = change(xlsx(row()), {SHEET: lambda sheet: re.sub(rb'<c r="G2".*?</c>', cell, sheet)})
    assert table_rows(content)[0].links == {6: "b.pdf"}


@pytest.mark.parametrize("height", ["0", "0.0", "0.00"])
def test_a_row_without_height_is_hidden(height) -> None:
    content = change(
        xlsx(row()), {SHEET: lambda sheet: sheet.replace(b'<row r="2"', f'<row r="2" ht="{height}"'.encode())}
    )
    assert texts(table(content).warnings) == ["1 row is hidden in the workbook and will be sent"]


def test_rows_that_the_sheet_hides_by_default_are_hidden() -> None:
    content = change(
        xlsx(row(), row(2), row(3)),
        {
            SHEET: lambda sheet: (
                sheet.replace(b"<sheetFormatPr", b'<sheetFormatPr zeroHeight="1"')
                .replace(b'<row r="3"', b'<row r="3" hidden="0"')
                .replace(b'<row r="4"', b'<row r="4" ht="15"')
            )
        },
    )
    assert texts(table(content).warnings) == ["1 row is hidden in the workbook and will be sent"]


# -- the size of a sheet -----------------------------------------------------------------------------------


def test_rows_and_cells_are_read_in_any_order_and_with_their_numbers() -> None:
    head = workbook_files.text_cells(HEAD, "A1")
    late = workbook_files.text_cells(["late"], "F9")
    early = workbook_files.text_cells(["x.pdf"], "G4") + workbook_files.text_cells(["early"], "F4")
    data = f'<row r="1">{head}</row><row r="9">{late}</row><row r="4">{early}</row>'
    rows = table_rows(with_sheet_data(xlsx(), data))
    assert [(each.number, each.cells[5:]) for each in rows] == [(9, ["late", ""]), (4, ["early", "x.pdf"])]


def test_rows_without_references_are_counted() -> None:
    data = "".join(f"<row>{workbook_files.text_cells(words)}</row>" for words in (HEAD, ["a"], ["b"]))
    assert [(each.number, each.cells[0]) for each in table_rows(with_sheet_data(xlsx(), data))] == [
        (2, "a"),
        (3, "b"),
    ]


def test_distant_cells_and_formats_without_values_cost_neither_time_nor_memory() -> None:
    cell = workbook_files.text_cells(["far"], "XFD20000")
    last = workbook_files.text_cells(["last"], "A1048576")
    empty = "".join(f'<row r="{n}"><c r="A{n}" s="0"/><c r="XFD{n}" s="0"/></row>' for n in range(3, 5000))
    head = workbook_files.text_cells(HEAD, "A1")
    data = f'<row r="1">{head}</row>{empty}<row r="20000">{cell}</row><row r="1048576">{last}</row>'
    content = with_sheet_data(xlsx(), data)
    tracemalloc.start()
    began = time.process_time()
    filled = [each for each in table_rows(content) if not each.is_empty]
    assert [(each.number, len(each.cells)) for each in filled] == [(20_000, 7), (1_048_576, 7)]
    assert texts(filled[0].problems) == ["XFD20000 is outside the table"]  # type: ignore[arg-type]
    assert time.process_time() - began < 10
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * 2**20


FLOODS = {
    "cells": f'<row r="3">{"<c/>" * 3_000_000}</row>',
    "rows": "<row/>" * 2_500_000,
    "blank rows": '<row><c t="str"><v> </v></c></row>' * 1_000_000,
    "a long text": '<row r="3"><c t="inlineStr"><is><t>' + "ab c" * 3_000_000 + "</t></is></c></row>",
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_small_file_with_more_than_any_table_is_refused_soon(name) -> None:
    lines = "".join(
        f'<row r="{number}">{workbook_files.text_cells(each, f"A{number}")}</row>'  # type: ignore[arg-type]
        for number, each in ((1, HEAD), (2, row()))
    )
    content = with_sheet_data(xlsx(), lines + FLOODS[name])
    _refuses_soon(content)


def test_more_texts_than_any_table_has_are_refused_soon() -> None:
    content = with_shared_texts(xlsx(row()))
    texts_part = {TEXTS: lambda part: part.replace(b"</sst>", b"<si><t>x</t></si>" * 3_000_000 + b"</sst>")}
    _refuses_soon(change(content, texts_part))


def _refuses_soon(content: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    assert refusal(content)[0] == Code.MANIFEST_TOO_LARGE
    assert time.process_time() - began < 10
    assert tracemalloc.get_traced_memory()[1] < 150 * 2**20
    tracemalloc.stop()


def test_a_million_rows_with_formats_alone_are_passed_over() -> None:
    lines = "".join(
        f'<row r="{number}">{workbook_files.text_cells(each, f"A{number}")}</row>'  # type: ignore[arg-type]
        for number, each in ((1, HEAD), (2, row()))
    )
    empty = "".join(f'<row r="{number}"><c r="A{number}" s="0"/></row>' for number in range(3, 1_000_000))
    began = time.process_time()
    assert len(table_rows(with_sheet_data(xlsx(), lines + empty))) == 1
    assert time.process_time() - began < 10


def test_a_cell_in_the_last_column_of_the_head_does_not_make_all_rows_long(read) -> None:
    workbook = book(*([*row(number)] for number in range(1, 2_000)))
    workbook.active["XFD1"] = "x"
    tracemalloc.start()
    rows = [each.problems for each in read(save(workbook)).rows()]
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
    assert rows == [()] * 1_999


@pytest.mark.parametrize("number", ["0", "-5", "1", "2", "1048577"])
def test_a_row_number_that_occurs_twice_or_is_impossible_is_refused(number) -> None:
    lines = "".join(
        f'<row r="{each}">{workbook_files.text_cells(HEAD if each == 1 else row(), "")}</row>'  # type: ignore[arg-type]
        for each in (1, 2, 3)
    )
    more = f'<row r="{number}">{workbook_files.text_cells(row(), "")}</row>'  # type: ignore[arg-type]
    code, message, _ = refusal(with_sheet_data(xlsx(), lines + more))
    assert code == Code.MANIFEST_MALFORMED
    assert message == f"the workbook has a row number that occurs twice or is impossible: {number}"


def test_a_text_with_an_index_below_zero_is_refused() -> None:
    content = change(
        with_shared_texts(xlsx(row())), {SHEET: lambda part: part.replace(b"<v>8</v>", b"<v>-1</v>")}
    )
    assert refusal(content)[0] == Code.MANIFEST_MALFORMED


@pytest.mark.parametrize(
    "make", [xlsx, lambda *rows: workbook_files.strict(xlsx(*rows))], ids=["xlsx", "strict"]
)
def test_a_sheet_that_was_cut_and_closed_again_is_refused(make) -> None:
    def cut(part: bytes) -> bytes:
        return part[: part.index(b'<c r="C11"')] + b"</sheetData>"

    code, message, _ = refusal(change(make(*map(row, range(1, 30))), {SHEET: cut}))
    assert code == Code.MANIFEST_MALFORMED
    assert message.startswith("cannot read the workbook")


# -- hostile and damaged workbooks -------------------------------------------------------------------------


@pytest.mark.parametrize("member", [SHEET, "xl/workbook.xml", TEXTS, "xl/styles.xml"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_in_every_part(member, encoding) -> None:
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'

    def declare(part: bytes) -> bytes:
        text = re.sub(r"^<\?xml[^>]*\?>", "", part.decode("utf-8"))
        return f'<?xml version="1.0" encoding="{encoding}"?>{entities}{text}'.encode(encoding)

    content = change(with_shared_texts(xlsx(row())), {member: declare})
    assert refusal(content)[:2] == (
        Code.MANIFEST_MALFORMED,
        "the workbook contains a document type, which no spreadsheet program writes",
    )


@pytest.mark.parametrize("size", [20 * 2**20, 300 * 2**20])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(size) -> None:
    content = change(xlsx(row()), {"xl/media/image1.bmp": bytes(size)})
    assert len(content) < 2**20
    assert refusal(content)[:2] == (
        Code.MANIFEST_TOO_LARGE,
        "payroll.xlsx is too large once it is unpacked",
    )


def test_too_many_members_are_refused_before_they_are_listed() -> None:
    content = xlsx(row()) + b"PK\x01\x02" * 10_001
    assert refusal(content)[0] == Code.MANIFEST_TOO_LARGE


def test_a_sheet_that_breaks_off_is_refused() -> None:
    content = change(xlsx(row()), {SHEET: lambda part: part[: len(part) // 2]})
    code, message, _ = refusal(content)
    assert code == Code.MANIFEST_MALFORMED
    assert message == "cannot read the workbook: one of its sheets is damaged"


def test_a_cell_that_cannot_be_read_ends_the_table_with_its_place() -> None:
    content = change(
        with_shared_texts(xlsx(*map(row, range(1, 30)))),
        {SHEET: lambda part: re.sub(rb'(<c r="F25" t="s"><v>)\d+', rb"\g<1>99999", part)},
    )
    assert refusal(content)[:2] == (Code.MANIFEST_MALFORMED, "cannot read the workbook beyond row 24")


@pytest.mark.parametrize("form", ["Excel", "OpenDocument"])
def test_a_workbook_that_is_damaged_anywhere_is_read_or_refused(form) -> None:
    content = (xlsx if form == "Excel" else workbook_files.ods)(row())
    chance = random.Random(form)
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        with contextlib.suppress(InvalidSubmission):
            list(table(bytes(damaged)).rows())


def test_damage_in_a_part_that_nobody_needs_does_not_matter(read) -> None:
    content = change(xlsx(row()), {"xl/worksheets/picture.png": b"picture" * 50})
    place = content.index(b"picture.png") + 15
    damaged = content[:place] + bytes(4) + content[place + 4 :]
    assert cells(read(damaged), "reference") == ["client 1"]
    assert read(damaged).warnings == ()


def without_fills(content: bytes) -> bytes:
    """Return a workbook with a fill that openpyxl does not understand, as ClosedXML writes it."""
    return change(
        content,
        {"xl/styles.xml": lambda part: re.sub(rb"<fill>.*?</fill>|<fill ?/>", b"<fill/>", part, count=1)},
    )


def test_a_workbook_with_broken_styles_is_read_all_the_same(read) -> None:
    manifest = read(without_fills(xlsx(row())))
    assert cells(manifest, "reference") == ["client 1"]
    assert [warning.code for warning in manifest.warnings] == [Code.LIMITED_READER]


def test_without_the_other_library_it_is_said_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_workbooks, "is_installed", lambda: False)
    assert refusal(without_fills(xlsx(row())))[1] == "cannot read the workbook: its styles are damaged"


@pytest.mark.parametrize(
    ("member", "damaged"),
    [
        ("xl/styles.xml", "its styles are damaged"),
        (TEXTS, "its texts are damaged"),
        ("xl/workbook.xml", "its list of sheets is damaged"),
        (SHEET, "one of its sheets is damaged"),
    ],
)
def test_if_no_library_can_read_a_workbook_it_is_said_what_is_broken(member, damaged) -> None:
    content = change(with_shared_texts(xlsx(row())), {member: lambda part: part[: len(part) // 3]})
    assert refusal(content)[1] == f"cannot read the workbook: {damaged}"


def test_openpyxl_prints_no_warnings(spawn, tmp_path) -> None:
    rows = make_rows(tmp_path, 1)
    extension = (
        b'<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}" '
        b'xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main"/></extLst></worksheet>'
    )
    workbook = book(*rows)
    workbook.active["H2"] = dt.date(2026, 11, 1)
    content = change(
        save(workbook),
        {
            SHEET: lambda part: re.sub(
                rb'(<c r="H2"[^>]*><v>)\d+', rb"\g<1>99999999", part.replace(b"</worksheet>", extension)
            )
        },
    )
    outcome = spawn("send", "--batch", samples.write(tmp_path, "batch.xlsx", content), "-n")
    assert "Warning" not in outcome.err
    assert "openpyxl" not in outcome.err


# -- other formats -----------------------------------------------------------------------------------------


def xls(*rows: list[object], hidden_sheet: bool = False) -> bytes:
    workbook = xlwt.Workbook()
    if hidden_sheet:
        workbook.add_sheet("Old").visibility = 1
        workbook.set_active_sheet(1)
    sheet = workbook.add_sheet("Payroll")
    day = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    lines: list[list[Any]] = [[*HEAD], *rows]
    for number, values in enumerate(lines):
        for column, value in enumerate(values):
            sheet.write(number, column, value, *([day] if isinstance(value, dt.date) else []))
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


OTHERS: dict[str, tuple[Callable[..., bytes], str]] = {
    "xls": (xls, "Excel"),
    "xlsb": (workbook_files.xlsb, "Excel"),
    "ods": (workbook_files.ods, "OpenDocument"),
    "Strict Open XML": (lambda *rows: workbook_files.strict(xlsx(*rows)), "Excel"),
}


@pytest.mark.parametrize("form", OTHERS)
def test_other_formats_give_the_same_rows_and_a_warning(read, form) -> None:
    make, name = OTHERS[form]
    rows = [row(1, id=18), row(2, id="000000018"), row(3, reference="")]
    content = make(*rows)
    manifest = read(content)
    assert description(manifest) == f'payroll.xlsx, sheet "Payroll": {name}'
    assert [warning.code for warning in manifest.warnings] == [Code.LIMITED_READER]
    assert table_rows(content) == table_rows(xlsx(*rows))
    assert [dict(each.cells) for each in manifest.rows()] == [
        dict(each.cells) for each in read(xlsx(*rows)).rows()
    ]


def test_a_date_in_an_old_workbook_is_written_like_any_other() -> None:
    (only,) = table_rows(xls(row(reference=dt.date(2026, 11, 1))))
    assert (only.cells[5], only.numeric) == ("2026-11-01", frozenset())


def test_hidden_sheets_of_old_workbooks_are_passed_over_unless_they_are_named() -> None:
    content = xls(row(), hidden_sheet=True)
    assert description(table(content)) == 'payroll.xlsx, sheet "Payroll": Excel'
    assert description(table(content, "old")) == 'payroll.xlsx, sheet "Old": Excel'


def test_rows_of_other_formats_keep_their_numbers() -> None:
    gap = (
        '<table:table-row table:number-rows-repeated="5"><table:table-cell/></table:table-row>'
        '<table:table-row><table:table-cell/><table:table-cell office:value-type="string">'
        "<text:p>late</text:p></table:table-cell></table:table-row>"
    )
    rows = table_rows(workbook_files.ods(row(), more=gap))
    assert [(each.number, each.cells[1]) for each in rows] == [(2, "unemployment"), (8, "late")]


def test_the_empty_rows_that_libreoffice_writes_at_the_end_cost_nothing() -> None:
    rest = (
        '<table:table-row table:number-rows-repeated="1048570">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    )
    assert len(table_rows(workbook_files.ods(row(), more=rest))) == 1


def test_a_sheet_that_begins_in_another_cell_keeps_its_places() -> None:
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Payroll")
    lines: list[list[Any]] = [[*HEAD], row(id=18)]
    for number, values in enumerate(lines, 2):
        for column, value in enumerate(values, 3):
            sheet.write(number, column, value)
    file = io.BytesIO()
    workbook.save(file)
    header, only = table(file.getvalue()).rows()
    assert (header.number, header.cells[:4], only.number) == (3, ["", "", "", "to"], 4)
    assert only.numeric == frozenset({7})


def test_a_distant_cell_ends_the_other_process_and_not_this_one() -> None:
    rows = ((1, HEAD, "A1"), (20_000, ["far"], "XFD20000"))
    data = "".join(
        f'<row r="{number}">{workbook_files.text_cells(words, reference)}</row>'
        for number, words, reference in rows
    )
    assert refusal(workbook_files.strict(with_sheet_data(xlsx(), data)))[:2] == (
        Code.MANIFEST_TOO_LARGE,
        "reading the workbook takes too much memory or time",
    )


def test_a_workbook_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_workbooks, "_LIMIT_S", 0.001)
    assert refusal(workbook_files.ods(row()))[0] == Code.MANIFEST_TOO_LARGE


def test_a_machine_that_starts_no_process_says_so_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(subprocess, "Popen", no_process)
    assert refusal(workbook_files.ods(row()))[0] == Code.MANIFEST_TOO_LARGE


@pytest.mark.parametrize("form", OTHERS)
def test_a_damaged_workbook_of_another_format_is_refused(form) -> None:
    make, _ = OTHERS[form]
    content = make(row())
    if form == "xls":
        damaged = _OLE + "Workbook\0".encode("utf-16-le")
    else:
        member = {"ods": "content.xml", "xlsb": "xl/workbook.bin"}.get(form, SHEET)
        damaged = change(content, {member: lambda part: part[: len(part) // 2]})
    code, message, _ = refusal(damaged)
    assert (code, message.partition(":")[0]) == (Code.MANIFEST_MALFORMED, "cannot read the workbook")


# -- what is named -----------------------------------------------------------------------------------------


def with_encrypted_members(content: bytes) -> bytes:
    """Return a zip archive with the mark of encryption on its members."""
    return re.sub(rb"(PK\x01\x02.{4}).", lambda match: match[1] + b"\x01", content, flags=re.DOTALL)


@pytest.mark.parametrize(
    "content",
    [
        _OLE + "EncryptedPackage".encode("utf-16-le"),
        change(workbook_files.ods(row()), {"META-INF/manifest.xml": b"<m:encryption-data/>"}),
        with_encrypted_members(xlsx(row())),
    ],
    ids=["Excel", "OpenDocument", "zip"],
)
def test_a_password_is_named(content) -> None:
    assert workbooks.is_workbook(content)
    assert refusal(content)[:2] == (Code.MANIFEST_MALFORMED, "the workbook has a password")


@pytest.mark.parametrize(
    "content",
    [
        _OLE + "WordDocument".encode("utf-16-le"),
        workbook_files.pack({"[Content_Types].xml": b"wordprocessingml"}),
        workbook_files.pack({"a.pdf": b"%PDF"}),
    ],
    ids=["an old document", "a document", "an archive"],
)
def test_other_files_in_the_same_containers_are_no_workbooks(content) -> None:
    assert refusal(content)[1] == "payroll.xlsx is neither a table nor a workbook"


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("xls", "an old Excel workbook (.xls)"),
        ("xlsb", "a binary Excel workbook (.xlsb)"),
        ("ods", "an OpenDocument spreadsheet (.ods)"),
        ("Strict Open XML", "an Excel workbook in the variant Strict Open XML"),
    ],
)
def test_without_the_library_the_format_and_the_extra_are_named(
    form, name, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_workbooks, "is_installed", lambda: False)
    make, _ = OTHERS[form]
    _, message, hint = refusal(make(row()), kind=UsageError)
    assert message == f"reading {name} requires the extra `tables`"
    assert 'pip install ".[tables]"' in hint
    assert table_rows(xlsx(row())), "Excel's own format needs openpyxl only"


def test_without_openpyxl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert refusal(xlsx(row()), kind=UsageError)[1] == "reading an Excel workbook requires the extra `tables`"


# -- as a whole --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [xlsx, workbook_files.ods], ids=["Excel", "OpenDocument"])
def test_reading_a_workbook_again_gives_the_same_rows_also_in_another_process(make) -> None:
    read_table = table(make(*map(row, range(1, 200))))
    first = list(read_table.rows())
    assert first == list(read_table.rows())
    assert pickle.loads(pickle.dumps(first)) == first  # noqa: S301 - it is ours
    partly = read_table.rows()
    next(partly)
    del partly  # as the reader does after the header
    assert first == list(read_table.rows())


def test_two_readers_of_the_same_table_do_not_disturb_each_other() -> None:
    read_table = table(xlsx(*map(row, range(1, 50))))
    pairs = list(zip(read_table.rows(), read_table.rows(), strict=True))
    assert len(pairs) == 50
    assert all(one == other for one, other in pairs)


@pytest.mark.parametrize("form", ["Excel", "OpenDocument"])
def test_a_batch_from_a_workbook_is_sent_as_one_from_csv_is(run, sandbox, tmp_path, form) -> None:
    rows = make_rows(tmp_path, 3)
    content: Any = (xlsx if form == "Excel" else workbook_files.ods)(*rows)
    file = samples.write(tmp_path, "batch.xlsx", content)
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--json")
    assert (outcome.code, 'batch.xlsx, sheet "Payroll": ' in outcome.err) == (0, True), outcome.err
    keys = {line["key"] for line in json_rows(outcome)}
    again = run("send", "--batch", save_manifest(tmp_path, rows), "--service", sandbox.url, "--json")
    assert {line["key"] for line in json_rows(again)} == keys
    assert sandbox.count() == 3


def test_a_fill_without_meaning_changes_nothing(read) -> None:
    workbook = book(row())
    workbook.active["A2"].fill = PatternFill("solid", "FFFF00")
    assert read(save(workbook)).warnings == ()
