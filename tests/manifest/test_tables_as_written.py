"""Tables are read as people and programs write them: heads, cells, paths and numbers."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import openpyxl  # type: ignore[import-untyped]  # it has no types
import pytest

import samples
from docsend.manifest import reader
from docsend.model.submission import Submission

HEAD = "to,subject,category,type,id,reference,documents"
ABOUT = "benefits,unemployment,employer,payslips"
ID = "000000018"
OPTIONS = (
    *("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips"),
    *("--id", ID),
)


@pytest.fixture
def check(run, tmp_path):
    """Return a function that checks a table of text, with documents one.pdf to three.pdf in `payslips`."""
    folder = tmp_path / "payroll"
    (folder / "payslips").mkdir(parents=True)
    for number, name in enumerate(("one", "two", "three")):
        samples.write(folder / "payslips", f"{name}.pdf", samples.pdf(number))

    def check_(text: str, *options: str, code: int | None = None):
        (folder / "batch.csv").write_text(text, "utf-8")
        outcome = run("send", "--batch", folder / "batch.csv", "--dry-run", "--json", *options)
        assert code is None or outcome.code == code, outcome
        return outcome

    return check_


def row(**cells: str) -> str:
    values = {"id": ID, "reference": "r1", "documents": "payslips/one.pdf", **cells}
    return f"{ABOUT},{values['id']},{values['reference']},{values['documents']}\n"


def codes(outcome) -> list[list[str]]:
    return [[problem["code"] for problem in each["problems"]] for each in outcome.rows]


@pytest.mark.parametrize(
    "head",
    [
        "TO,Subject,CATEGORY,Type,ID,Reference,Documents",
        "to:,subject*,category :,type (*),ID:,reference*,documents:",
        "\u200fto,\u200esubject,category\u00a0,type,\ufeffid,reference,documents\u200f",
        "Destination,Subject,Category,Document type,Id number,Your reference,Files",
        "destinataire,Sujet,Catégorie,Type de document,Numéro d’identité,Référence,Fichiers",
        "יעד,נושא,קטגוריה,סוג מסמך,ת.ז.,אסמכתה,מסמכים",
        "יעד,נושא,קטגוריה,סוג,תעודת זהות,סימוכין,קבצים",
        "Destinataire,Objet,Catégorie,Type,N° d'identité,N° de référence,Pièces jointes",
        "DESTINATAIRE,SUJET,CATÉGORIE,TYPE,NO D’IDENTITÉ,Réf.,FICHIERS",
        "to,subject,category,type,No. d'identité :,Référence,documents",
        "to,subject,category,type,№ d'identité,Référence,documents",
        "to,subject,category,type,ID no.,Reference number,File names",
        "to,subject,category,type,מס' זהות,אסמכתא,נספחים",
        "to,subject,category,type,מס׳ ת״ז,אסמכתא,שם קובץ",
        'to,subject,category,type,"ת""ז",אסמכתא,צרופות',
        "to,subject,category,Doc type,Identity number,Our ref,Filename",
        "to,subject,category,Type of document,Identity card,reference,Path",
        "to,subject,category,type,National ID,Our reference,Attachment",
        "to,subject,category,type,T.Z.,reference,documents",
        "to,subject,category,Type du document,N° d'identité,reference,Nom du fichier",
        "to,subject,category,סוג המסמך,מס. זהות,reference,שם הקובץ",
        "to,subject,category,type,זהות,reference,documents",
        'to,subject,category,type,"id\n(9 digits)",reference,"documents\n(paths)"',
        "to,subject,category,type,id (9 digits),reference,documents",
        '="to","=""subject""",\'category,="type",="id",="reference",="documents"',
    ],
)
def test_column_names_are_understood_in_three_languages_and_any_case(check, head) -> None:
    outcome = check(f"{head}\n{row()}", code=0)
    assert outcome.rows[0]["reference"] == "r1"


def test_the_number_of_something_else_is_no_known_column(check) -> None:
    outcome = check(f"Document no.,File number,N° de dossier,{HEAD}\n1,2,3,{row()}", code=0)
    assert outcome.err.count("[unknown-column]") == 3


@pytest.mark.parametrize(
    "above", ["Payroll of November\n", "# exported by a program\n\n", "\n\nPayroll,,,\nDate,2026-11-30\n"]
)
def test_the_column_names_may_stand_below_a_title(check, above) -> None:
    outcome = check(f"{above}{HEAD}\n{row()}", code=0)
    assert "the column names are in row" in outcome.err
    assert len(outcome.rows) == 1


@pytest.mark.parametrize(
    ("label", "name"),
    [
        *[(each, "remark") for each in ("Comment", "Comments", "Note", "Notes", "Commentaire")],
        *[(each, "email") for each in ("Adresse e-mail", "מייל")],
        *[("סלולרי", "mobile"), ("Succursale", "branch"), ("N° de dossier de l'employeur", "employer_file")],
    ],
)
def test_more_names_are_understood(check, label, name) -> None:
    outcome = check(f"{HEAD},{label}\n{row().strip()},x\n")
    assert "unknown-column" not in outcome.err
    assert "duplicate column" in check(f"{HEAD},{label},{name}:,{name}\n{row().strip()},x,x,x\n", code=3).err


@pytest.mark.parametrize("labels", ["Remark,Notes", "Comments,remark", "הערה,Comment"])
def test_a_second_name_of_a_column_is_ignored_beside_the_column_itself(check, labels) -> None:
    outcome = check(f"{HEAD},{labels}\n{row().strip()},x,x\n", code=0)
    assert outcome.err.count("[unknown-column]") == 1


def test_a_file_name_beside_the_documents_is_ignored(check) -> None:
    outcome = check(f"Filename,{HEAD},Path\nx,{row().strip()},y\n", code=0)
    assert outcome.err.count("[unknown-column]") == 2


def test_columns_without_a_name_are_ignored(check) -> None:
    lines = [f",{HEAD.replace(',id', ',,id')}", f",{row().replace(f',{ID}', f',,{ID}')}"]
    assert len(check("\n".join(lines), code=0).rows) == 1


def test_unknown_columns_are_ignored_with_a_warning(check) -> None:
    outcome = check(f"Employee name,{HEAD},Net pay\nFictional,{row().strip()},123.45\n", code=0)
    assert outcome.err.count("[unknown-column]") == 2
    assert "'Employee name'" in outcome.err


def test_a_misspelled_column_is_an_error_unless_it_is_to_be_ignored(check) -> None:
    text = f"{HEAD},refrence\n{row().strip()},x\n"
    assert "did you mean reference?" in check(text, code=3).err
    assert check(text, "--ignore-columns", code=0).rows


@pytest.mark.parametrize(
    "again", [HEAD, HEAD.upper(), f"{HEAD},,", f"\ufeff{HEAD}", "יעד,נושא,קטגוריה,סוג,ת.ז.,אסמכתה,מסמכים"]
)
def test_a_second_header_is_skipped_and_told(check, again) -> None:
    second = row(reference="r2", documents="payslips/two.pdf")
    outcome = check(f"{HEAD}\n{row()}{again}\n{second}", code=0)
    assert [each["reference"] for each in outcome.rows] == ["r1", "r2"]
    assert "row 3 repeats the column names and is skipped" in outcome.err


def test_a_header_after_each_row_is_told_once(check) -> None:
    rows = [row(reference=f"r{n}", documents=f"payslips/{name}.pdf") for n, name in enumerate(("one", "two"))]
    outcome = check("".join(f"{HEAD}\n{each}" for each in (*rows, "")), code=0)
    assert "2 rows repeat the column names and are skipped; the first is row 3" in outcome.err


def test_a_row_that_repeats_some_of_the_names_is_a_row(check) -> None:
    outcome = check(f"{HEAD}\n{row()}to,subject,category,type,id,reference,payslips\n", code=3)
    assert (len(outcome.rows), "repeats the column names" in outcome.err) == (2, False)


JOINED = {
    "a column more": "id,documents\n018,payslips/one.pdf\nid,reference,documents\n018,r2,payslips/two.pdf\n",
    "fewer": "documents\npayslips/one.pdf\nreference,documents\nr2,payslips/two.pdf\n",
    "a known one instead of another": "id,Name,documents\n018,A,payslips/one.pdf\n"
    "id,reference,documents\n018,r2,payslips/two.pdf\n",
    "a known one instead of none": "id,,documents\n018,,payslips/one.pdf\n"
    "id,remark,documents\n018,x,payslips/two.pdf\n",
    "in French": "id,documents\n018,payslips/one.pdf\n"
    "N° d'identité,Référence,Fichiers\n018,r2,payslips/two.pdf\n",
    "in another order": "documents,id\npayslips/one.pdf,018\nid,documents\n018,payslips/two.pdf\n",
    "far below": "id,documents\n"
    + "018,payslips/one.pdf\n" * 20
    + "id,reference,documents\n018,r2,payslips/two.pdf\n",
    "another separator": "id,documents\n018,payslips/one.pdf\n"
    "id;reference;documents\n018;r2;payslips/two.pdf\n",
    "one less": "id,reference,documents\n018,r1,payslips/one.pdf\nid,documents\n018,payslips/two.pdf\n",
    "none above the first": "018,payslips/one.pdf\nid,documents\n018,payslips/two.pdf\n",
    "with points in the names": "id,documents,reference\n018,payslips/one.pdf,r\n"
    "reference,ת.ז.,documents\nr,018,x\n",
    "with a point four characters before the end": "id,documents,reference\n018,payslips/one.pdf,r\n"
    "reference, ת.ז. ,documents\nr,018,payslips/two.pdf\n",
    "none above the only column": "payslips/one.pdf\ndocuments\npayslips/two.pdf\n",
}


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("only", [(), ("--only-valid",)], ids=len)
def test_tables_with_other_column_names_that_were_joined_are_refused(check, name, only) -> None:
    outcome = check(JOINED[name].replace("018", ID), *OPTIONS, *only, code=3)
    assert outcome.rows == []
    assert "row-malformed" in outcome.err


@pytest.mark.parametrize("name", [name for name in JOINED if "separator" not in name])
def test_joined_tables_are_refused_in_a_workbook_too(run, check, name, tmp_path) -> None:
    check("documents\n")
    book = openpyxl.Workbook()
    for line in JOINED[name].replace("018", ID).splitlines():
        book.active.append(line.split(","))
    book.save(tmp_path / "payroll" / "batch.xlsx")
    outcome = run("send", "--batch", tmp_path / "payroll" / "batch.xlsx", "--dry-run", "--json", *OPTIONS)
    assert (outcome.code, outcome.rows) == (3, [])


def test_a_title_may_name_the_documents_if_the_column_names_follow_at_once(check) -> None:
    assert len(check(f"Documents\n\n{HEAD}\n{row()}", code=0).rows) == 1


@pytest.mark.parametrize(
    "documents",
    [
        '"payslips/one.pdf\npayslips/two.pdf"',
        '"payslips/one.pdf;\r\npayslips/two.pdf"',
        "payslips\\one.pdf;payslips\\two.pdf",
        "\u201cpayslips/one.pdf\u201d;\u201epayslips/two.pdf\u201c",
        "\u00abpayslips/one.pdf\u00bb ; 'payslips/two.pdf'",
        '"""payslips/one.pdf"";payslips/two.pdf"',
        "\u2039payslips/one.pdf\u203a;\u201apayslips/two.pdf\u2018",
        "payslips/one.pdf\u2028payslips/two.pdf",
    ],
)
def test_a_list_of_files_is_understood_as_people_write_it(check, documents) -> None:
    outcome = check(f"{HEAD}\n{row(documents=documents)}", code=0)
    assert [each["name"] for each in outcome.rows[0]["submission"]["documents"]] == ["one.pdf", "two.pdf"]


def test_a_pattern_of_too_many_documents_is_told_with_their_number(check, tmp_path) -> None:
    for number in range(13):
        samples.write(tmp_path / "payroll" / "payslips", f"more-{number}.pdf", samples.pdf(number + 9))
    outcome = check(f"{HEAD}\n{row(documents='payslips/*.pdf')}", code=3)
    assert codes(outcome) == [["too-many-documents"]]
    assert "too many documents: 16 (benefits accepts at most 15)" in outcome.err


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ("nopay/one.pdf", "there is no folder nopay in "),
        ("payslips/four.pdf", "there is no file payslips/four.pdf in "),
        ("payslips/*.tif", "no file matches payslips/*.tif in "),
        ("payslips/ONE.PDF", "did you mean one.pdf?"),
        ("Payslips/one.pdf", "did you mean payslips?"),
        ("PAYSLIPS\\2026\\one.pdf", "did you mean payslips?"),
        ("https://payroll.example/one.pdf", "write a path instead of an address"),
        ("payslips/one.pdf, payslips/two.pdf", "separate paths with semicolons"),
        ("payslips/one.pdf|payslips/two.pdf", "separate paths with semicolons"),
        ("$HOME/one.pdf", "~ and variables are not expanded"),
        ("~/one.pdf", "~ and variables are not expanded"),
        ("payslips/{one,two}.pdf", "braces and ** are not expanded"),
        ("file:///payroll/one.pdf", "write a path instead of an address"),
    ],
)
def test_a_path_that_leads_nowhere_is_shown_as_it_was_written(check, documents, message) -> None:
    outcome = check(f"{HEAD}\n{row(documents=f'{chr(34)}{documents}{chr(34)}')}", code=3)
    assert codes(outcome) in ([["document-not-found"]], [["path-outside"]])
    if codes(outcome) == [["document-not-found"]]:
        assert message in outcome.err


def test_an_error_that_many_rows_share_is_printed_once(check) -> None:
    rows = "".join(row(reference=f"r{number}", documents="nopay/one.pdf") for number in range(300))
    outcome = check(f"{HEAD}\n{rows}", code=3)
    assert outcome.err.count("nopay") == 1
    assert "300 rows, the first is row 2" in outcome.err
    assert check(f"{HEAD}\n{rows}", "--verbose").err.count("there is no folder nopay") == 300


def test_codes_may_be_written_in_upper_case(check) -> None:
    text = f"{HEAD}\n{row()}".replace("benefits", "Benefits").replace("unemployment", "UNEMPLOYMENT")
    assert check(text, code=0).rows[0]["submission"]["to"] == "benefits"


@pytest.mark.parametrize("name", ["to", "id", "reference", "documents", "branch", "sender", "mobile"])
def test_a_very_long_value_is_shortened_in_messages(check, name) -> None:
    head, values = f"{HEAD},branch,sender,mobile", f"{row().strip()},,,"
    cells = dict(zip(head.split(","), values.split(","), strict=True)) | {name: "#" * 900_000}
    outcome = check(f"{head}\n{','.join(cells.values())}\n", code=3)
    assert len(outcome.err) < 10_000


def test_exports_that_keep_zeros_with_a_formula_are_read(check) -> None:
    formula = f'"=""{ID}"""'
    assert codes(check(f"{HEAD}\n{row(id=formula)}", code=0)) == [[]]


@pytest.mark.parametrize(
    ("ids", "restored"),
    [
        (["18", "26"], True),  # all of them lack digits
        (["18", "000000026"], False),  # a zero is still there: this column is text
        (["12345674", "999999998", "999999998"], False),  # one of them was mistyped
        (["12345674"], False),  # nobody knows whether a spreadsheet or a person left a digit out
        (["18.0", "26.0", "999999998.0"], True),  # a program wrote floats
        (['"18,00"', "999999998", "999999998"], True),  # only a number has decimals
    ],
)
def test_zeros_are_restored_only_in_a_column_that_a_spreadsheet_converted(check, ids, restored) -> None:
    rows = "".join(
        row(id=number, reference=f"r{at}", documents=f"payslips/{name}.pdf")
        for at, (number, name) in enumerate(zip(ids, ("one", "two", "three"), strict=False))
    )
    found = {code for each in codes(check(f"{HEAD}\n{rows}")) for code in each}
    assert found == ({"zeros-restored"} if restored else {"id-number-invalid"})


@pytest.mark.parametrize(
    "error",
    ["#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NOM?", "#VALEUR!", "#NUL!", "Err:502", "######"],
)
def test_an_error_that_a_spreadsheet_wrote_as_text_is_no_reference(check, error) -> None:
    outcome = check(f"{HEAD}\n{row(reference=error)}", code=3)
    assert codes(outcome) == [["row-malformed"]]
    assert f"reference contains the error {error}" in outcome.err


@pytest.mark.parametrize("reference", ["#12", "No. #N/A", "#n/a-7", "Error", "Err"])
def test_a_reference_may_contain_what_an_error_does(check, reference) -> None:
    assert check(f"{HEAD}\n{row(reference=reference)}", code=0).rows[0]["reference"] == reference


@pytest.mark.parametrize(
    "quoted", ["\u201c{}\u201d", "\u00ab {} \u00bb", "'{}'", "\u2018{}\u2019", '"""{}"""']
)
def test_quotation_marks_around_a_number_or_a_code_are_no_part_of_it(check, quoted) -> None:
    table = f"{HEAD}\n{row(id=quoted.format(ID))}".replace("benefits", quoted.format("benefits"))
    assert check(table, code=0).rows[0]["submission"]["to"] == "benefits"


def test_quotation_marks_around_a_text_belong_to_it(check) -> None:
    assert check(f"{HEAD}\n{row(reference='«r1»')}", code=0).rows[0]["reference"] == "«r1»"


def test_letters_in_an_id_number_are_named(check) -> None:
    outcome = check(f"{HEAD}\n{row(id=f'ת.ז. {ID}')}", code=3)
    assert outcome.rows[0]["problems"][0]["hint"] == "leave only the digits"


def test_a_report_in_a_folder_that_does_not_exist_is_a_usage_error(check) -> None:
    outcome = check(f"{HEAD}\n{row()}", "--report", "nowhere/report.csv", code=2)
    assert "there is no folder nowhere for the report" in outcome.err


def test_a_table_without_rows_is_an_error_with_a_code(check) -> None:
    outcome = check(f"{HEAD}\n", code=3)
    assert "no-rows" in outcome.out


def test_an_empty_share_of_a_table_with_rows_is_no_error(check) -> None:
    assert sorted(
        len(check(f"{HEAD}\n{row()}", "--shard", f"{part}/3", code=0).rows) for part in (1, 2, 3)
    ) == [0, 0, 1]


def test_the_template_workbook_is_text_with_choices() -> None:
    command = [sys.executable, "-m", "docsend", "send", "--batch-template", "xlsx"]
    content = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = book["Submissions"]
    assert {cell.number_format for cells in sheet.iter_rows(2, 40) for cell in cells} == {"@"}
    assert len(sheet.data_validations.dataValidation) >= 4
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


def test_a_separator_inside_a_text_is_told_even_if_no_cell_is_left_over(tmp_path) -> None:
    samples.write(tmp_path, "a.pdf", samples.pdf())
    text = "id,documents,reference,remark\n000000018,a.pdf,x,\n000000018,a.pdf,Cohen, David,\n"
    file = samples.write(tmp_path, "b.csv", text.encode())
    rows = list(reader.read(str(file), Submission(), standard_input=lambda: b"").rows())
    assert [[str(problem.code) for problem in row.problems] for row in rows] == [[], ["row-malformed"]]


def test_separators_at_the_end_of_each_row_are_ignored(tmp_path) -> None:
    text = "id,documents,reference\n000000018,a.pdf,x,,\n000000018,a.pdf,y,,\n"
    file = samples.write(tmp_path, "b.csv", text.encode())
    rows = list(reader.read(str(file), Submission(), standard_input=lambda: b"").rows())
    assert [row.cells["reference"] for row in rows] == ["x", "y"]
    assert not any(row.problems for row in rows)


def test_a_sheet_of_a_table_of_text_is_a_usage_error(check) -> None:
    outcome = check(f"{HEAD}\n{row()}", "--sheet", "Payroll", code=2)
    assert "batch.csv has no sheets, because it is not a workbook" in outcome.err
