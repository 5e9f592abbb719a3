"""Example manifests to fill in: CSV, JSON Lines, and an Excel workbook with choices from the catalog."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from docsend.errors import UsageError
from docsend.i18n import Message
from docsend.manifest.columns import COLUMNS
from docsend.model import fields
from docsend.model.identity import EMPLOYER_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docsend.model.catalog import Catalog

Format: TypeAlias = Literal["csv", "jsonl", "xlsx"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "xlsx")
# The id number does not begin with 0, so that a spreadsheet that takes it for a number leaves it whole.
TEMPLATE: tuple[dict[str, str], ...] = (
    {
        "to": "benefits", "subject": "unemployment", "category": "employer", "type": "payslips",
        "id": "999999998", "reference": "fictional client 1",
        "documents": "payslips/january.pdf;payslips/february.pdf",
    },
    {
        "to": "employer-collection", "category": "correspondence", "type": "correction-letter",
        "employer_file": "900000019", "booklet": "7", "mobile": "0501234567",
        "reference": "fictional employer 2", "documents": "letters/*.pdf",
    },
)  # fmt: skip
_COLUMNS = tuple(name for name in COLUMNS if any(name in row for row in TEMPLATE))
_WORKBOOK_ROWS = 2_000  # that have choices and are formatted as text
_WIDTH = 24  # of a column, in characters


def as_csv() -> str:
    """Return an example manifest as CSV, with fictional numbers."""
    output = io.StringIO()
    writer = csv.DictWriter(output, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(TEMPLATE)
    return output.getvalue()


def as_json_lines() -> str:
    """Return an example manifest as JSON Lines, with fictional numbers."""
    rows = [{**row, "documents": row["documents"].split(";")} for row in TEMPLATE]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_workbook(catalog: Catalog) -> bytes:
    """Return an example manifest as an Excel workbook, with fictional numbers.

    All cells are text, so that no spreadsheet removes zeros. Codes can be chosen from lists. Raise UsageError
    if the extra `tables` is not installed.
    """
    openpyxl = _import_openpyxl()
    book = openpyxl.Workbook()
    sheet, codes = book.active, book.create_sheet("Codes")
    sheet.title = "Submissions"
    sheet.append(_COLUMNS)
    for row in TEMPLATE:
        sheet.append([row.get(name, "") for name in _COLUMNS])
    for cells in sheet.iter_rows(1, _WORKBOOK_ROWS, 1, len(_COLUMNS)):
        for cell in cells:
            cell.number_format = "@"
    for index, name in enumerate(_COLUMNS, 1):
        letter = openpyxl.utils.get_column_letter(index)
        sheet.column_dimensions[letter].width = _WIDTH
        sheet.cell(1, index).font = openpyxl.styles.Font(bold=True)
        if choices := _choices(name, catalog):
            _offer(openpyxl, sheet, codes, letter, choices)
    sheet.freeze_panes = "A2"
    output = io.BytesIO()
    book.save(output)
    return output.getvalue()


def _import_openpyxl() -> Any:
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise UsageError(
            Message("writing an Excel workbook requires the extra `tables`"),
            Message('run `pip install ".[tables]"` in the folder that docsend was installed from'),
        ) from error
    return openpyxl


def _choices(column: str, catalog: Catalog) -> list[str]:
    """Return the codes that a column can contain, or [] if it is free text."""
    entries: dict[str, Iterable[str]] = {
        "to": catalog.destinations,
        "subject": catalog.subjects,
        "category": catalog.categories,
        "type": dict.fromkeys(entry.code for entry in catalog.types),
        "branch": catalog.branches,
        "employer_kind": EMPLOYER_KINDS,
    }
    return list(entries.get(column, ())) if column in fields.BY_NAME else []


def _offer(openpyxl: Any, sheet: Any, codes: Any, letter: str, choices: list[str]) -> None:
    """Let the cells of a column be chosen from a list, which is a column of the sheet `codes`."""
    place = codes.max_column + 1 if codes["A1"].value else 1
    for index, code in enumerate([f"codes for column {letter}", *choices], 1):
        codes.cell(index, place, code)
    column = openpyxl.utils.get_column_letter(place)
    validation = openpyxl.worksheet.datavalidation.DataValidation(
        "list", formula1=f"Codes!${column}$2:${column}${len(choices) + 1}"
    )
    validation.allow_blank = True
    validation.showErrorMessage = False  # other codes are accepted, too: the service may have a newer catalog
    sheet.add_data_validation(validation)
    validation.add(f"{letter}2:{letter}{_WORKBOOK_ROWS}")
