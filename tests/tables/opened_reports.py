"""Reports with text that wants to be a formula, opened in LibreOffice in many ways, if it is installed.

No cell may become a formula, and a report that LibreOffice has saved must be read as it was written.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import openpyxl  # type: ignore[import-untyped]  # it has no types

_LIMIT_S = 300
_ABOUT = ("to", "subject", "category", "type", "id", "documents")
_SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₊−"
_BEFORE = (
    "",
    " ",
    "\n",
    "\t",
    "\r",
    "\r\n",
    "\u00a0",
    "\u202e",
    "\u200f",
    "\ufeff",
    "\x00",
    "\x1b",
    "\u3000",
    "'",
    '"',
    "''",
)
_SPLIT = (
    'a",',
    'a"";',
    "a;",
    "a\t",
    "a|",
    "a\n",
    "a',",
    'x"\n"',
    "a,'",
    "a, ",
    'a";"',
    "a ",
    "(",
    "a (",
    "a[",
    "a.",
)
_AFTER = ("1+1", "SUM(1)", 'HYPERLINK("http://x.example")', "cmd|' /C calc'!A0")
# What LibreOffice converts to a number, a date, a time or a truth value.
_CONVERTIBLE = (
    *(
        "001",
        "1/2",
        "1E5",
        "Nov 2026",
        "1,234",
        ".5",
        "5.",
        "1e-5",
        "12:30",
        "10%",
        "$5",
        "(5)",
        "Nov-26",
        "5- 3",
    ),
    *(
        "4/5",
        "2026-11-01T10:00",
        "TRUE",
        "1 2/3",
        "EUR 5",
        "5 PM",
        "1.11.26",
        "$1,234.50",
        "November 1, 2026",
    ),
)
# How a spreadsheet may be told to take a report apart: separators, quotation mark, whether numbers and dates
# are recognized, and whether blanks are removed. Formulas are evaluated.
_SEPARATORS = ("44", "59", "9", "44/59/9/124", "32/44", "40", "44/32/40/58/91/46")
_QUOTES = ("34", "39", "")
_FORMATS = ("xlsx", "ods", "csv:Text - txt - csv (StarCalc):44,34,76")


class Opening(NamedTuple):
    """One way to open a report."""

    separators: str
    quote: str
    removes_blanks: bool

    @property
    def filter(self) -> str:
        blanks = str(self.removes_blanks).lower()
        return f"CSV:{self.separators},{self.quote},76,1,,1033,false,true,false,false,{blanks},-1,true"


_OPENINGS = [
    Opening(separators, quote, removes_blanks)
    for separators, quote in itertools.product(_SEPARATORS, _QUOTES)
    for removes_blanks in (False, True)
    if quote == "34" or not removes_blanks
]
_USUAL = Opening("44", "34", removes_blanks=False)


def texts() -> list[str]:
    """Return the texts that want to be formulas."""
    plain = [before + sign + after for before in _BEFORE for sign in _SIGNS for after in _AFTER]
    split = [before + sign + after for before in _SPLIT for sign in "=+-@" for after in _AFTER]
    return [*plain, *split, *_CONVERTIBLE, "2 of 8", "C:\\x41", "'tis"]


class Findings(NamedTuple):
    """What was found: a description, and a line for each limit that is exceeded."""

    description: str
    exceeded: tuple[str, ...]


def find() -> Findings:
    """Have docsend write reports, open them in LibreOffice, and look for formulas and changed text."""
    program = shutil.which("soffice")
    if program is None:
        return Findings("no report was opened in LibreOffice", ())
    with tempfile.TemporaryDirectory(prefix="reports-") as name:
        return _find(Path(name), program)


def _find(folder: Path, program: str) -> Findings:
    given = texts()
    about = dict(
        zip(_ABOUT, ("benefits", "unemployment", "employer", "payslips", "000000018", "a.pdf"), strict=True)
    )
    rows = [{**about, "remark": text, "reference": text} for text in given]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = _references(folder, "m.jsonl")
    _docsend(folder, "send", "--batch", "m.jsonl", "--dry-run", "--anyway", "--report", "report.csv")
    (folder / "merged.csv").write_bytes(_docsend(folder, "receipts", "merge", "report.csv"))
    unsafe = io.StringIO()
    csv.writer(unsafe).writerows([["reference", "remark"], *([text, text] for text in given)])
    (folder / "unsafe.csv").write_text(unsafe.getvalue(), "utf-8")
    exceeded = []
    for number, opening in enumerate(_OPENINGS):
        out = folder / f"opened-{number}"
        _convert(program, folder, opening, "xlsx", out, "report.csv", "merged.csv", "unsafe.csv")
        exceeded += [
            f"formulas in {report}.csv, opened with {opening.filter}: {formulas[:3]}"
            for report in ("report", "merged")
            if (formulas := _formulas(out / f"{report}.xlsx"))
        ]
        if opening == _USUAL and not _formulas(out / "unsafe.xlsx"):
            exceeded.append("LibreOffice took no text for a formula, so nothing was tried")
    for form in _FORMATS:
        suffix = form.partition(":")[0]
        out = folder / f"saved-{suffix}"
        _convert(program, folder, _USUAL, form, out, "report.csv")
        if (read := _references(folder, str(out / f"report.{suffix}"))) != expected:
            changed = [pair for pair in zip(expected, read, strict=False) if pair[0] != pair[1]]
            exceeded.append(f"report.csv, saved as {suffix}, is read otherwise: {changed[:3]}")
    description = (
        f"LibreOffice opened reports of {len(given)} rows in {len(_OPENINGS)} ways, and saved them in "
        f"{len(_FORMATS)} formats"
    )
    return Findings(description, tuple(exceeded))


def _docsend(folder: Path, *argv: str) -> bytes:
    environment = {**os.environ, "DOCSEND_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "docsend", *argv]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, timeout=_LIMIT_S
    )
    return done.stdout


def _references(folder: Path, manifest: str) -> list[str]:
    """Return the references that docsend reads in a manifest."""
    out = _docsend(folder, "send", "--batch", manifest, "--dry-run", "--anyway", "--json", "--allow-outside")
    return [
        row["reference"] for row in map(json.loads, out.splitlines()) if row["schema"] == "docsend.result/2"
    ]


def _convert(program: str, folder: Path, opening: Opening, form: str, out: Path, *names: str) -> None:
    """Have LibreOffice open files as CSV in this way, and save them in another format."""
    command = [
        *(program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"),
        *(f"--infilter={opening.filter}", "--convert-to", form, "--outdir", str(out), *names),
    ]
    subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=_LIMIT_S)


def _formulas(file: Path) -> list[str]:
    """Return the formulas and the errors in a workbook."""
    book = openpyxl.load_workbook(file)
    return [
        str(cell.value) for row in book.active.iter_rows() for cell in row if cell.data_type in ("f", "e")
    ]
