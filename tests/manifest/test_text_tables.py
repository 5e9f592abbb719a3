"""Text tables are read cell by cell as they were meant, or refused with a message that says where and why."""

from __future__ import annotations

import csv
import io
import json
import random
import tracemalloc
from typing import TYPE_CHECKING, NamedTuple

import pytest

import samples
from batch_files import HEAD, make_rows, to_csv
from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import ENGLISH, Message
from docsend.manifest import encodings, reader, text_tables
from docsend.model.submission import Submission

if TYPE_CHECKING:
    from pathlib import Path

    from docsend.model.problem import Problem

pytestmark = pytest.mark.everywhere

HEADER = "to,subject,category,type,id,reference,documents"
ABOUT = "benefits,unemployment,employer,payslips,000000018"


def read(folder: Path, content: bytes | str, name: str = "batch.csv") -> reader.Manifest:
    raw = content if isinstance(content, bytes) else content.encode()
    file = samples.write(folder, name, raw)
    return reader.read(str(file), Submission(), standard_input=lambda: b"")


def cells(folder: Path, content: bytes | str, column: str) -> list[str]:
    """Return a column of a manifest without problems."""
    rows = list(read(folder, content).rows())
    assert [problem for row in rows for problem in row.problems if problem.is_error] == []
    return [row.cells.get(column, "") for row in rows]


def refusal(folder: Path, content: bytes | str, name: str = "batch.csv") -> Problem:
    """Return the one problem for which the whole manifest is refused."""
    with pytest.raises(InvalidSubmission) as caught:
        list(read(folder, content, name).rows())
    (problem,) = caught.value.problems
    return problem


def said(problem: Problem) -> str:
    return ENGLISH.render(problem.message)


def table(*references: str, header: str = HEADER) -> str:
    """Return a table whose references are given as they stand in the file."""
    rows = [f"{ABOUT},{reference},payslips/{number:03}.pdf" for number, reference in enumerate(references, 1)]
    return "\n".join([header, *rows]) + "\n"


# -- quotation marks ---------------------------------------------------------------------------------------


class Swallowed(NamedTuple):
    """A table in which a cell contains other rows, with the row, the column and the lines of that cell."""

    text: str
    row: int
    column: str
    lines: tuple[int, int]


SWALLOWED = {
    "three rows apart": Swallowed(table('"note', "r3", "r4", 'note"'), 2, "reference", (2, 5)),
    "in neighbouring rows": Swallowed(table("r2", '"note', 'note"'), 3, "reference", (3, 4)),
    "after a cell with a line break": Swallowed(
        table('"a\nb"', '"note', "r4", 'note"'), 3, "reference", (4, 6)
    ),
    "behind a cell with a line break": Swallowed(
        f"{HEADER}\n" + f'benefits,"un\nemployment",employer,payslips,1,"note,1.pdf\n{ABOUT},n",2.pdf\n',
        2,
        "reference",
        (3, 4),
    ),
    "in the first column": Swallowed(f'{HEADER}\n"{ABOUT},r1,1.pdf\n{ABOUT}",r2,2.pdf\n', 2, "to", (2, 3)),
    "in the last column": Swallowed(
        f'{HEADER}\n{ABOUT},r1,"1.pdf\n{ABOUT},r2,2.pdf"\n', 2, "documents", (2, 3)
    ),
    "around rows with commas and blanks": Swallowed(
        table('"one, two', "three; four", 'five, six"'), 2, "reference", (2, 4)
    ),
    "closed by an inch mark": Swallowed(table('"note', "r3", 'screen 24"'), 2, "reference", (2, 4)),
    "with doubled quotation marks between": Swallowed(
        table('"note', 'a ""b"" c', 'note"'), 2, "reference", (2, 4)
    ),
    "around rows without documents": Swallowed(
        f'{HEADER}\n{ABOUT},"r1,\n{ABOUT},r2,\n{ABOUT},r3",\n', 2, "reference", (2, 4)
    ),
    "semicolons": Swallowed(table('"note', "r3", 'note"').replace(",", ";"), 2, "reference", (2, 4)),
    "tabs": Swallowed(table('"note', "r3", 'note"').replace(",", "\t"), 2, "reference", (2, 4)),
    "carriage returns": Swallowed(table('"note', "r3", 'note"').replace("\n", "\r"), 2, "reference", (2, 4)),
    "two columns": Swallowed(
        'reference,documents\n"r1,1.pdf\nr2,2.pdf\nr3",3.pdf\n',
        2,
        "reference",
        (2, 4),
    ),
    "two columns, the documents first": Swallowed(
        'documents,reference\n1.pdf,"r1\n2.pdf,r2"\n', 2, "reference", (2, 3)
    ),
    "three columns, the last one empty": Swallowed(
        'id,documents,remark\n"1,1.pdf,\n2,2.pdf,\n3",3.pdf,\n',
        2,
        "id",
        (2, 4),
    ),
    "a blank behind each comma": Swallowed(
        'reference, id, documents\n"r1, 1, a.pdf\nr2, 2, b.pdf\nr3", 3, c.pdf\n', 2, "reference", (2, 4)
    ),
    "a blank behind each comma, but not in the head": Swallowed(
        'reference,id,documents\n"r1, 1, p/a\nr2, 2, p/b\nr3", 3, p/c\n', 2, "reference", (2, 4)
    ),
    "a blank behind each semicolon": Swallowed(
        'remark; id; documents\n"r1; 1; a.pdf\nr2", 2; b.pdf\nr3; 3; c.pdf\n'.replace('r2", 2', 'r2"; 2'),
        2,
        "remark",
        (2, 3),
    ),
    "patterns": Swallowed(
        'remark,id,documents\n"urgent,1,p1/r1-*\nok,2,p1/r2-*\nurgent",3,p1/r3-*\n', 2, "remark", (2, 4)
    ),
    "patterns, the documents first": Swallowed(
        'documents,id,remark\np1/r1-*,1,"urgent\np1/r2-*,2,ok\np1/r3-*,3,urgent"\n', 2, "remark", (2, 4)
    ),
    "other patterns": Swallowed(
        'remark,id,mobile,email,documents\n"urgent,1,,,p1/*.p*\nok,2,,,p1/p?\nurgent",3,,,*.p\n',
        2,
        "remark",
        (2, 4),
    ),
    "folders": Swallowed('remark,id,documents\n"x,1,p1\ny,2,p2\nz",3,p3\n', 2, "remark", (2, 4)),
    "two columns with folders": Swallowed('remark,documents\n"note,d1\nnote",d2\n', 2, "remark", (2, 3)),
    "two columns with folders, the documents first": Swallowed(
        'documents,remark\nd1,"note\nd2,note"\n', 2, "remark", (2, 3)
    ),
    "rows that end with separators": Swallowed(
        'remark,id,documents,,\n"x,1,p1,,\ny,2,p2,,\nz",3,p3,,\n', 2, "remark", (2, 4)
    ),
    "many columns, mostly empty": Swallowed(
        "to,subject,category,type,id,employer_file,booklet,mobile,email,remark,branch,reference,documents\n"
         f'{ABOUT},,,,,"note,,r1,1.pdf\n{ABOUT},,,,,note",,r2,2.pdf\n',
        2,
        "remark",
        (2, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SWALLOWED)
def test_a_cell_that_contains_other_rows_refuses_the_table_and_names_its_lines(tmp_path, name) -> None:
    text, row, column, (first, last) = SWALLOWED[name]
    problem = refusal(tmp_path, text)
    assert (problem.code, problem.row) == (Code.ROW_MALFORMED, row)
    place = f"the cell in column {column} goes over lines {first} to {last} of the file"
    assert said(problem) == f"{place} and seems to contain other rows"


def test_rows_that_a_quotation_swallowed_are_not_sent_with_only_valid(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 6)
    text = to_csv(rows).replace("client 2", '"client 2').replace("client 4", 'client 4"')
    file, report = samples.write(tmp_path, "batch.csv", text.encode()), tmp_path / "report.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--only-valid", "--report", report)
    outcome = run(*argv, "--json")
    assert (outcome.code, outcome.problems, sandbox.count()) == (3, ["row-malformed"], 0)
    assert not report.exists()


def test_a_quotation_that_is_never_closed_refuses_the_table_also_with_only_valid(
    run, sandbox, tmp_path
) -> None:
    rows = make_rows(tmp_path, 20)
    text = to_csv(rows).replace("client 9", '"client 9')
    file, report = samples.write(tmp_path, "batch.csv", text.encode()), tmp_path / "report.csv"
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--only-valid", "--report", report)
    assert (outcome.code, sandbox.count(), report.exists()) == (3, 0, False)
    assert "the quotation mark in line 11 of the file is not closed" in outcome.err


MULTI_LINE_CELLS = {
    "a remark with a comma": "first line, with a comma\nsecond line",
    "an address": "Cohen Ltd\n12 Herzl St, Tel Aviv\nIsrael",
    "an address with a comma at the end of each line": "Cohen Ltd,\n12 Herzl St,\nTel Aviv,\nIsrael",
    "an address without blanks": "Cohen Ltd,12 Herzl St,Tel Aviv,Israel\n03-1234567",
    "a letter": "Dear Sir or Madam,\n\nplease find attached, for May, June, July, August, September, and "
    "October, the payslips, as agreed.\n\nKind regards,\nD. Cohen",
    "numbers": "1,234.50\n2,345.60\n12,345,678",
    "dates and shares": "1/11/2026,2/11/2026\n1/2,1/3,1/4,1/5\n50%",
    "a document that is named": "see one.pdf, page 3\nand two.pdf, page 4",
    "a Hebrew remark": "תלוש שכר, נובמבר\nשולם, 12 בחודש; ראה מכתב",
    "a French remark": "congé payé, du 1 au 12\nsolde : 1 234,50 €, à régler",
    "quotation marks": 'he said "yes, of course"\nand left',
    "Windows line ends": "one, two\r\nthree, four",
}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", MULTI_LINE_CELLS)
def test_a_cell_with_line_breaks_that_a_person_wrote_is_accepted(tmp_path, name, separator) -> None:
    cell = MULTI_LINE_CELLS[name]
    rows = [[*ABOUT.split(","), cell, f"{n}.pdf"] for n in range(3)]
    assert cells(tmp_path, to_csv(rows, separator=separator), "reference") == [cell] * 3
    few = to_csv([["1", cell, "1.pdf"]], head=["id", "remark", "documents"], separator=separator)
    assert cells(tmp_path, few, "remark") == [cell]


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("documents", ["1.pdf\n2.pdf", "1.pdf;\n2.pdf;\n3.pdf", "1.pdf;2.pdf\nsub/*;4.PDF"])
@pytest.mark.parametrize("head", [HEAD, ["reference", "documents"], ["documents"]], ids=len)
def test_a_list_of_documents_may_have_line_breaks(tmp_path, head, documents, separator) -> None:
    row = ["x"] * (len(head) - 1) + [documents]
    assert cells(tmp_path, to_csv([row], head=head, separator=separator), "documents") == [documents]


CANNOT_PARSE = {
    "text after a quotation": ('"a"b', 3, "text follows a closing quotation mark in line 3 of the file"),
    "a blank after a quotation": ('"a" ', 3, "text follows a closing quotation mark in line 3 of the file"),
    "a backslash before a quotation mark": (
        r'"a \"b\" c"', 3, "text follows a closing quotation mark in line 3 of the file",
    ),
    "a quotation that ends in another row": (
        '"a', 3, "the quotation mark in line 3 of the file is closed in line 5, where more text follows",
    ),
    "a quotation without an end": ('"', 3, "the quotation mark in line 3 of the file is not closed"),
    "a quotation with doubled marks without an end": (
        '"a ""b""', 3, "the quotation mark in line 3 of the file is not closed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CANNOT_PARSE)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_stray_quotation_mark_is_reported_with_its_line(tmp_path, name, line_end) -> None:
    cell, row, reason = CANNOT_PARSE[name]
    rest = ["r3", '"quoted"'] if "another row" in name else ["r3"]
    problem = refusal(tmp_path, table("r1", cell, *rest).replace("\n", line_end))
    assert (problem.code, problem.row) == (Code.ROW_MALFORMED, row)
    assert said(problem) == f"cannot parse the row: {reason}; the rows after it cannot be read"


def test_the_row_is_counted_as_in_a_spreadsheet_and_the_line_as_in_an_editor(tmp_path) -> None:
    problem = refusal(tmp_path, table('"a\n\nb"', '"c\nd"', '"open'))
    assert problem.row == 4
    assert "in line 7 of the file" in said(problem)


def test_a_cell_that_is_much_too_long_is_reported_with_the_line_where_it_begins(tmp_path) -> None:
    problem = refusal(tmp_path, table("r1", '"open', *["x" * 1000] * 1100))
    assert "the cell that begins in line 3 of the file has more than 1,048,576 characters" in said(problem)


LITERAL = (
    '24" screen', 'a"b"c', 'a"b', "O'Brien", "'quoted'", '5" x 7"', "«a»", "“a”", "x'y\"z",
)  # fmt: skip


@pytest.mark.parametrize("cell", LITERAL)
def test_a_quotation_mark_inside_a_cell_without_quotation_belongs_to_the_text(tmp_path, cell) -> None:
    assert cells(tmp_path, table("r1", cell, "r3"), "reference") == ["r1", cell, "r3"]


def test_a_formula_that_keeps_zeros_is_read_as_the_number_in_it(tmp_path) -> None:
    quoted = '"=""000000018"""'
    assert cells(tmp_path, table(quoted, '="000000018"'), "reference") == ["000000018"] * 2


@pytest.mark.parametrize(
    ("formula", "text"),
    [('="a""b"', 'a"b'), ('= "r1"', "r1"), ('=""', ""), ('=""""', '"'), ('="=T(1)x"', "=T(1)x")],
)
def test_a_formula_that_is_a_text_is_read_as_a_spreadsheet_shows_it(tmp_path, formula, text) -> None:
    assert cells(tmp_path, table(formula), "reference") == [text]
    quoted = '"' + formula.replace('"', '""') + '"'
    assert cells(tmp_path, table(quoted), "reference") == [text]


@pytest.mark.parametrize(
    "formula",
    ['="00"&"18"', "=“r1”", '=T("7")', '="a"b"', '=HYPERLINK("a.pdf")', "='r1'", '=concatenate("a";"b")'],
)
def test_any_other_formula_in_a_table_of_text_is_an_error(tmp_path, formula) -> None:
    quoted = '"' + formula.replace('"', '""') + '"'
    (only,) = read(tmp_path, table(quoted)).rows()
    (problem,) = only.problems
    assert (problem.code, problem.field) == (Code.ROW_MALFORMED, "reference")
    assert said(problem) == "reference contains a formula that docsend does not compute"


@pytest.mark.parametrize("text", ["=> see the letter", "= paid", "==", "=1+1", "a=b(c)"])
def test_a_text_with_an_equals_sign_is_no_formula(tmp_path, text) -> None:
    assert cells(tmp_path, table(text), "reference") == [text]


@pytest.mark.parametrize("empty", [";;;;;;", ";", "; ;", "||", "\t\t"])
def test_an_empty_row_of_another_separator_is_empty(tmp_path, empty) -> None:
    text = table("r1", "r2")
    assert cells(tmp_path, text.replace("\n", f"\n{empty}\n"), "reference") == ["r1", "r2"]
    assert [row.number for row in read(tmp_path, text.replace("\n", f"\n{empty}\n", 2)).rows()] == [3, 5]


def test_a_row_with_more_cells_than_any_table_is_refused(tmp_path) -> None:
    problem = refusal(tmp_path, f"{HEADER}{',' * 5_000_000}\n")
    assert said(problem) == "the row has 5,000,007 cells, more than any table (16,384)"


@pytest.mark.parametrize("head", [HEADER + "," * 16_000, HEADER], ids=len)
def test_very_many_empty_cells_take_no_memory(tmp_path, head) -> None:
    rows = (f"{ABOUT},r{number},{number}.pdf{',' * 16_000}\n" for number in range(2_000))
    manifest = read(tmp_path, f"{head}\n{''.join(rows)}")
    tracemalloc.start()
    lines = list(manifest.lines())
    assert tracemalloc.get_traced_memory()[0] < 20 * 2**20
    tracemalloc.stop()
    assert [problem for line in lines for problem in manifest.row(line).problems] == []


# -- separators --------------------------------------------------------------------------------------------

FORMS = {
    "commas": ("commas", table("r1")),
    "semicolons": ("semicolons", table("r1").replace(",", ";")),
    "tabs": ("tabs", table("r1").replace(",", "\t")),
    "vertical bars": ("vertical bars", table("r1").replace(",", "|")),
    "a blank line above": ("semicolons", "\n\n" + table("r1").replace(",", ";")),
    "sep=": ("semicolons", "sep=;\n" + table("r1").replace(",", ";")),
    "sep=|": ("vertical bars", "sep=|\n" + table("r1").replace(",", "|")),
    "sep= in quotation marks": ("semicolons", '"sep=;"\n' + table("r1").replace(",", ";")),
    "sep= with a comma": ("commas", "sep=,\n" + table("r1")),
    "an empty row of semicolons above": ("semicolons", ";;;;;;\n" + table("r1").replace(",", ";")),
    "one column": ("commas", "documents\npayslips/001.pdf\n"),
    "others in a cell": ("vertical bars", table("r1").replace(",", "|").replace("r1", "1,2;3,4;5,6")),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_the_separator_is_found_and_reported(tmp_path, name) -> None:
    separator, text = FORMS[name]
    manifest = read(tmp_path, text)
    assert ENGLISH.render(manifest.description) == f"batch.csv: UTF-8, separated by {separator}"
    assert [row.cells["documents"] for row in manifest.rows()] == ["payslips/001.pdf"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_header_cell_with_a_line_break_or_another_separator_is_one_cell(
    tmp_path, separator, line_break
) -> None:
    head = [f"employer{line_break}file", "to", "subject", "documents"]
    text = to_csv([["900000019", "benefits", "x, y; z|w", "a.pdf"]], head=head, separator=separator)
    assert cells(tmp_path, text, "employer_file") == ["900000019"]
    assert cells(tmp_path, text, "subject") == ["x, y; z|w"]


TITLES = (
    "Payroll, November, final, version, 3, of, 7\n",
    "# made by payroll 4.2, on 2026-11-01, by D. Cohen\n# do not edit\n\n",
    "Company: Cohen Ltd\nPeriod: 11/2026, gross, net\n\n\n",
    '"Payroll\nNovember, 2026"\n',
    ",,,,\n" * 8 + "Payroll, November\n",
)


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("title", TITLES)
def test_the_separator_is_that_of_the_header_also_below_a_title(tmp_path, title, separator) -> None:
    text = title + table("r1").replace(",", separator)
    assert text_tables.detect_layout(text)[:2] == (separator, HEAD)


# -- encodings ---------------------------------------------------------------------------------------------

FRENCH = (
    "congé payé", "CONGÉ PAYÉ", "Zoë", "Noël", "NOËL", "père", "été", "à payer", "à l'adresse",
    "L'Haÿ-les-Roses", "virement à Paul", "À régler", "É. Dupont", "l’été", "« déjà »", "naïve",
    "aîné", "AÎNÉ", "cœur", "CŒUR", "Ça va", "créée", "CRÉÉE", "hôtel – 100 €", "CÔTE D’AZUR",
    "reçu n° 5", "50 % … à revoir, réglé", "où", "Œuvre", "“Crédit”", "l'à-côté", "1½ journée payée",
    "Ÿ à Ÿvré", "Müller", "Strauß", "MÜLLER", "Øystein", "Kääriäinen", "Peña", "nº 5", "AÇÃO",
    "señor 1º", "énergie", "élodie", "âge", "être", "l'île", "l’âge", "Île-de-France", "ça",
)  # fmt: skip
SYMBOLS = (
    "it’s", "a – b", "100 €", "20 °C", "1½", "“a”", "wait…", "§ 5", "© 2026", "a\u00a0b", "5 ± 1",
    "3×4", "A — B",
)  # fmt: skip
HEBREW = (
    "תלוש שכר", "יוסי", "דמי חופשה", "20° בתל אביב", "½ משרה", "שָׁלוֹם", "100 ₪ תשלום",
    "תשלום 100 € – סופי…", "צה״ל", "ייִדיש", "ײַן ויין", "קובץPDF", "ב־Excel, קובץ", "תלוש_2026.pdf",
    "“מכתב”", "ת״ז 12 עובד", "חלק א מתוך ב, שכר", "מנכ״ל Cohen Ltd", "3×4 מטר", "\u200fעובד\u200e 7",
    "דו־קיום", "ל־PDF", "ו־--forget", "ג׳ון סמית", "עובד/ת",
)  # fmt: skip


@pytest.mark.parametrize("text", [*FRENCH, *SYMBOLS])
def test_a_table_in_windows_1252_is_read_as_french_windows_wrote_it(tmp_path, text) -> None:
    content = table("r1", f'"{text}"').encode("cp1252")
    manifest = read(tmp_path, content)
    assert "Windows-1252" in ENGLISH.render(manifest.description)
    assert cells(tmp_path, content, "reference")[1] == text


@pytest.mark.parametrize("text", HEBREW)
def test_a_table_in_windows_1255_is_read_as_hebrew_windows_wrote_it(tmp_path, text) -> None:
    content = table("r1", f'"{text}"').encode("cp1255")
    manifest = read(tmp_path, content)
    assert "Windows-1255" in ENGLISH.render(manifest.description)
    assert cells(tmp_path, content, "reference")[1] == text.strip("\u200e\u200f")


@pytest.mark.parametrize("text", [*FRENCH[::3], *SYMBOLS[::3], *HEBREW[::3], "congé payé לעובד"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "be, marked"])
def test_a_table_in_unicode_may_mix_languages(tmp_path, text, encoding) -> None:
    raw = table("r1", f'"{text}"')
    content = b"\xfe\xff" + raw.encode("utf-16-be") if encoding == "be, marked" else raw.encode(encoding)
    assert cells(tmp_path, content, "reference")[1] == text.strip("\u200e\u200f")
    description = ENGLISH.render(read(tmp_path, content).description)
    assert f"batch.csv: UTF-{'8' if '8' in encoding else '16'}," in description


@pytest.mark.parametrize("text", ["שכר", "תלוש שכר", "יוסי כהן"])
def test_iso_8859_8_and_iso_8859_1_are_read_as_parts_of_the_windows_code_pages(tmp_path, text) -> None:
    assert cells(tmp_path, table(text).encode("iso-8859-8"), "reference") == [text]
    assert cells(tmp_path, table("congé à Noël").encode("iso-8859-1"), "reference") == ["congé à Noël"]


REFUSED = {
    "cp850": (
        "congé payé", "père", "Noël", "Zoë", "CONGÉ", "FRANÇAIS", "garçon", "hôtel", "forêt", "aîné",
        "Müller", "señor", "école", "Exemple\u00a0:", "n° N° 5", "à la", "où", "sûr",
    ),
    "cp437": ("congé payé", "père", "Noël", "garçon", "hôtel", "à la", "où"),
    "cp1254": ("çalışan", "Şahin", "İzmir", "doğru"),
    "cp862": ("או", "אף", "תלוש שכר", "שכר", "יוסי כהן", "דמי חופשה", "אבא"),
    "mac-roman": (
        "congé payé", "père", "CONGÉ", "garçon", "hôtel", "cœur", "l’absence", "Zoë", "Noël", "où", "état",
        "ARRÊT", "virement à Paul", "Exemple\u00a0:", "énergie", "élodie", "naïve", "œuf", "Œuvre",
    ),
    "cp1251": ("Иванов", "отпуск", "зарплата за ноябрь", "ООО Ромашка"),
    "cp1256": ("سلام", "راتب الموظف", "الاسم"),
    "cp1253": ("Παπαδόπουλος", "μισθός"),
    "iso-8859-15": ("cœur", "œuvre", "réglé : 100 €"),
    "gb18030": ("工资单", "中文"),
    "shift-jis": ("給与明細", "カタカナ"),
    "utf-32": ("r1",),
}  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts]
)
def test_a_table_in_another_encoding_is_refused_rather_than_guessed(tmp_path, encoding, text) -> None:
    problem = refusal(tmp_path, table("r1", text).encode(encoding))
    assert problem.code == Code.MANIFEST_ENCODING
    assert problem.hint is not None
    assert "CSV UTF-8" in ENGLISH.render(problem.hint)


UNCERTAIN = {
    "one Hebrew letter, or an accented one": table("א").encode("cp1255"),
    "a shekel sign without a Hebrew word": table("100 ₪").encode("cp1255"),
    "a Hebrew word and an accented one": table("שכר").encode("cp1255") + b"caf\xe9,,,,,,1.pdf\n",
    "a Hebrew prefix at a Latin word": table("בVIP שכר").encode("cp1255"),
    **{
        f"a Hebrew letter at {text} alone": table(text).encode("cp1255")
        for text in (
            *("הPDF", "וPAID", "בdana", "לpaul", "שbatch", "יPDF", "PDFה", "כNet", "מfile", "א-PDF", "הPdf"),
        )
    },
}


@pytest.mark.parametrize("name", UNCERTAIN)
def test_a_table_that_may_be_in_either_code_page_is_refused(tmp_path, name) -> None:
    problem = refusal(tmp_path, UNCERTAIN[name])
    assert (problem.code, "cannot tell whether" in said(problem)) == (Code.MANIFEST_ENCODING, True)


def test_hebrew_that_is_stored_from_left_to_right_is_refused(tmp_path) -> None:
    problem = refusal(tmp_path, table("םולש", "ןהכ ףסוי").encode("iso-8859-8"))
    assert problem.code == Code.MANIFEST_ENCODING


NOT_WHOLE = {
    "cut in a character": (table("תלוש").encode() + "שכר".encode()[:-1], "ends in the middle of a character"),
    "UTF-16 that is cut": (table("r1").encode("utf-16")[:-1], "ends in the middle of a character"),
    "zeros at the end": (table("r1").encode() + bytes(512), "ends with NUL characters (512)"),
    "zeros at the end of UTF-16": (table("r1").encode("utf-16") + bytes(64), "ends with NUL characters (32)"),
    "only zeros": (bytes(4096), "ends with NUL characters (4,096)"),
    "zeros within": (table("a\0b").encode(), "contains NUL characters"),
    "zeros within a code page": (table("a\0b", "congé").encode("cp1252"), "contains NUL characters"),
    "two encodings": (table("congé payé").encode() + table("congé payé").encode("cp1252"), "partly in UTF-8"),
    "two encodings, Hebrew": (table("תלוש שכר").encode() + table("תלוש").encode("cp1255"), "partly in UTF-8"),
    "a wrong mark": (b"\xef\xbb\xbf" + table("תלוש").encode("cp1255"), "not in the encoding that its"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_WHOLE)
def test_a_text_that_is_incomplete_or_mixed_is_refused(tmp_path, name) -> None:
    content, reason = NOT_WHOLE[name]
    problem = refusal(tmp_path, content)
    assert (problem.code, reason in said(problem)) == (Code.MANIFEST_ENCODING, True), said(problem)


# -- files that are no tables ------------------------------------------------------------------------------

OTHER_FORMATS = {
    "a PDF": samples.pdf(1),
    "a PNG image": samples.png(),
    "a JPEG image": samples.jpeg(),
    "a BMP image": samples.bmp(),
    "a GIF image": b"GIF89a" + bytes(20),
    "an RTF document": rb"{\rtf1\ansi hello}",
    "a web page": b"<!DOCTYPE html><table><tr><td>to</td></tr></table>",
    "an XML file": b'<?xml version="1.0"?><Workbook/>',
    "a compressed file": b"\x1f\x8b\x08\0\0\0\0\0",
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_a_file_of_another_kind_is_named(tmp_path, name) -> None:
    problem = refusal(tmp_path, OTHER_FORMATS[name])
    assert (problem.code, said(problem)) == (Code.MANIFEST_ENCODING, f"batch.csv is {name}, not a table")


@pytest.mark.parametrize("title", ["BM payroll", "made from %PDF-1.7"])
def test_a_table_that_begins_like_another_format_is_still_text(tmp_path, title) -> None:
    assert encodings.decode(f"{title}\n{table('r1')}".encode(), Message("batch.csv"))[1] == "UTF-8"


ROW = dict(zip(HEAD, [*ABOUT.split(","), "client 1", "one.pdf"], strict=True))
PRETTY = {
    "indented objects": "\n".join(json.dumps(ROW, indent=2) for _ in range(5)),
    "indented objects with Windows line ends": json.dumps(ROW, indent=4).replace("\n", "\r\n"),
    "indented objects with a mistake": json.dumps(ROW, indent=2).replace('"client 1",', '"client 1"'),
    "an object whose first member is on its first line": json.dumps(ROW).replace(", ", ",\n"),
}
ARRAYS = {
    "an array on one line": json.dumps([ROW, ROW]),
    "an indented array": json.dumps([ROW, ROW], indent=2),
    "an empty array": "[]",
    "an array of arrays": json.dumps([HEAD, list(ROW.values())]),
    "an array that is cut": json.dumps([ROW, ROW], indent=2)[:-40],
}


@pytest.mark.parametrize("name", [*PRETTY, *ARRAYS])
def test_json_that_is_not_json_lines_is_one_problem_with_a_cure(tmp_path, name) -> None:
    problem = refusal(tmp_path, {**PRETTY, **ARRAYS}[name], "batch.json")
    expected = "a JSON array" if name in ARRAYS else "JSON over several lines"
    assert (problem.code, said(problem)) == (
        Code.MANIFEST_MALFORMED,
        f"batch.json is {expected}, not JSON Lines",
    )
    assert problem.hint is not None
    assert "jq -c" in ENGLISH.render(problem.hint)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\n\n", "\r\n \r\n"])
def test_json_lines_are_read_whatever_their_line_ends(tmp_path, line_end) -> None:
    lines = [json.dumps({**ROW, "reference": f"a\u2028{n}"}, ensure_ascii=False) for n in range(3)]
    rows = list(read(tmp_path, line_end.join(lines), "batch.jsonl").rows())
    assert [row.cells["reference"] for row in rows] == ["a\u20280", "a\u20281", "a\u20282"]


@pytest.mark.parametrize("first", ["{'to': 'benefits'}", '{"to": "benefits"', '{"to": "benefits"},', "{}"])
def test_one_bad_line_of_json_lines_is_one_bad_row(tmp_path, first) -> None:
    rows = list(read(tmp_path, f"{first}\n{json.dumps(ROW)}\n", "batch.jsonl").rows())
    assert [row.number for row in rows] == [1, 2]
    assert rows[1].problems == ()


LISTS = (
    "payslips/001.pdf\npayslips/002.pdf\n",
    "one.pdf\n",
    "./a b.PDF\r\n./c.jpeg\r\n",
    "Cohen, David.pdf\nLevi.pdf\nKatz.pdf\n",
    '"a.pdf"\n"b.pdf"\n',
)


@pytest.mark.parametrize("text", LISTS)
def test_a_list_of_files_is_recognized_and_the_header_suggested(tmp_path, text) -> None:
    problem = refusal(tmp_path, text)
    assert (problem.code, "is a list of files" in said(problem)) == (Code.NO_COLUMNS, True)
    assert problem.hint is not None
    assert "`documents`" in ENGLISH.render(problem.hint)
    assert (
        len(cells(tmp_path, "documents\n" + text.replace(", ", " "), "documents"))
        == len(text.split("\n")) - 1
    )


def test_a_table_without_a_header_is_not_taken_for_a_list_of_files(tmp_path) -> None:
    problem = refusal(tmp_path, table("r1", "r2").split("\n", 1)[1])
    assert (problem.code, "list of files" in said(problem)) == (Code.NO_COLUMNS, False)


# -- line ends and marks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\x1a", "\r\n\x1a"])
def test_every_line_end_is_read_and_the_last_may_be_missing(tmp_path, line_end, ending) -> None:
    text = table("r1", '"a\nb"', "r3").rstrip("\n").replace("\n", line_end) + ending
    assert cells(tmp_path, text, "reference") == ["r1", f"a{line_end}b", "r3"]


def test_line_ends_may_be_mixed(tmp_path) -> None:
    text = f"{HEADER}\r\n{ABOUT},r1,1.pdf\r{ABOUT},r2,2.pdf\n\r\n{ABOUT},r3,3.pdf"
    manifest = read(tmp_path, text)
    assert [(row.number, row.cells["reference"]) for row in manifest.rows()] == [
        (2, "r1"),
        (3, "r2"),
        (5, "r3"),
    ]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_only_line_breaks_end_a_row(tmp_path, character, quote) -> None:
    assert cells(tmp_path, table(f"{quote}a{character}b{quote}", "r2"), "reference") == [
        f"a{character}b",
        "r2",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("mark", ["\ufeff", "\f"])
def test_a_mark_where_two_exports_were_joined_or_a_page_begins_is_no_part_of_a_cell(
    tmp_path, encoding, quoting, mark
) -> None:
    part = io.StringIO()
    csv.writer(part, quoting=quoting).writerows([["one", "r1", "1.pdf"], ["two, too", "r2", "2.pdf"]])
    text = "remark,reference,documents\n" + mark + part.getvalue() + mark + part.getvalue()
    content = ("\ufeff" * 2 + text).encode(encoding)
    assert cells(tmp_path, content, "remark") == ["one", "two, too"] * 2


# -- random tables -----------------------------------------------------------------------------------------

WORDS = {
    "ascii": ["client", "A-17", "x", "2026", "it's", "5.0", "#1", "a&b", "0"],
    "french": ["congé", "PAYÉ", "Zoë", "l’été", "–", "€", "père"],
    "hebrew": ["תלוש", "שכר", "יוסי", "שָׁלוֹם", "½", "20°", "–"],
    "unicode": ["😀", "\u2028", "Zoë", "תלוש", "漢字", "e\u0301"],
}
ENCODED = {
    "utf-8": tuple(WORDS),
    "utf-8-sig": tuple(WORDS),
    "utf-16": tuple(WORDS),
    "utf-16-le": tuple(WORDS),
    "utf-16-be": tuple(WORDS),
    "cp1252": ("ascii", "french"),
    "cp1255": ("ascii", "hebrew"),
}


def _random_cell(generator: random.Random, words: list[str], extra: list[str]) -> str:
    parts = [generator.choice(words) for _ in range(generator.randint(1, 5))]
    joints = [generator.choice([" ", " ", "-", *extra]) for _ in parts]
    return "".join(map("".join, zip(parts, joints, strict=True))).strip("- ,;|\t\n\r\u2028")


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE])
def test_random_tables_come_back_cell_by_cell(tmp_path, encoding, separator, quoting) -> None:
    generator = random.Random(f"{encoding}{separator}{quoting}")
    kinds = ENCODED[encoding]
    words = [word for kind in kinds for word in WORDS[kind]]
    columns = ["reference", "remark", "branch", "email", "documents"]
    for line_end in ("\n", "\r\n", "\r"):
        head = [*generator.sample(columns[:-1], generator.randint(1, 4)), "documents"]
        # csv.writer puts line breaks into quotation marks only if they also end its rows.
        breaks = [line_end] if quoting == csv.QUOTE_MINIMAL else ["\n", "\r\n", "\r"]
        marks = [", ", "; ", ". ", " | ", "\t ", '"', '""', *breaks]
        extra = [] if quoting == csv.QUOTE_NONE else marks
        rows = [[_random_cell(generator, words, extra) for _ in head] for _ in range(30)]
        rows.append([WORDS[kinds[-1]][0]] * len(head))  # a word that tells the code page
        output = io.StringIO()
        writer = csv.writer(output, delimiter=separator, quoting=quoting, lineterminator=line_end)
        writer.writerows([head, *rows])
        text = output.getvalue()
        if generator.random() < 0.5:
            text = text.removesuffix(line_end)
        manifest = read(tmp_path, text.encode(encoding))
        found = [[row.cells[name] for name in head] for row in manifest.rows()]
        assert found == rows
