"""Reading a workbook with all that docsend looks at, compared with openpyxl's iteration over its values."""

import statistics
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from clock import show_progress, time_command_with_peak, warm_up
from report import Budget, Section, table

_ROWS, _FEW_ROWS = 10_000, 100
_TIMES = 1.8
_KIB_A_ROW = 1.0

# Prints the seconds that reading takes, without starting Python and importing openpyxl.
_TIMED = """
import sys, time
content = open(sys.argv[1], "rb").read()
began = time.perf_counter()
count = read(content)
print(time.perf_counter() - began)
assert count == int(sys.argv[2]) + 1
"""
_READERS = {
    "openpyxl alone": """
import io, openpyxl
def read(content):
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    return sum(1 for _ in book.worksheets[0].iter_rows(values_only=True))
""",
    "docsend": """
import openpyxl
from docsend.i18n import Message
from docsend.manifest import open_xml, workbooks
def read(content):
    table = workbooks.open_table(content, Message("bench"))
    return sum(1 for _ in table.rows())
""",
}
_HEAD = ("to", "subject", "category", "type", "id", "reference", "documents")
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_STYLES = (
    f'<styleSheet {_MAIN}><numFmts count="1"><numFmt numFmtId="164" formatCode="000000000"/></numFmts>'
    '<fonts count="1"><font/></fonts><fills count="1"><fill><patternFill/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="164" applyNumberFormat="1"/></cellXfs></styleSheet>'
)


def section(
    python: str, folder: Path, environment: Mapping[str, str], rounds: int, *, quick: bool
) -> Section:
    """Measure the time of both readers in turn, and the growth of their memory from a small workbook on."""
    count = _ROWS // 10 if quick else _ROWS
    file, small = folder / "rows.xlsx", folder / "few-rows.xlsx"
    _write(file, count)
    _write(small, _FEW_ROWS)
    taken: dict[str, list[float]] = {name: [] for name in _READERS}
    for number in range(1, rounds + 1):
        for name in _READERS:
            taken[name].append(float(warm_up(_command(python, name, file, count), environment)))
        show_progress(f"workbooks: round {number} of {rounds}", is_last=number == rounds)
    growths, by = {}, ""
    for name in _READERS:
        _, peak = time_command_with_peak(_command(python, name, file, count), environment)
        _, base = time_command_with_peak(_command(python, name, small, _FEW_ROWS), environment)
        growths[name], by = (peak.mib - base.mib) * 1024 / (count - _FEW_ROWS), peak.by
    alone, docsend = taken.values()
    ratio = statistics.median(own / other for own, other in zip(docsend, alone, strict=True))
    work = f"a workbook of {count:,} rows"
    budgets = [
        Budget(work, _TIMES, ratio, "× openpyxl alone"),
        Budget(f"growth of memory, {work}", _KIB_A_ROW, growths["docsend"], f"KiB a row ({by})"),
    ]
    return Section("Workbooks", _table(taken, growths), budgets)


def _command(python: str, reader: str, file: Path, count: int) -> list[str]:
    return [python, "-I", "-c", _READERS[reader] + _TIMED, str(file), str(count)]


def _table(taken: Mapping[str, list[float]], growths: Mapping[str, float]) -> str:
    rows = [("reader", "median ms", "KiB a row")]
    rows += [
        (name, f"{statistics.median(own) * 1000:.0f}", f"{growths[name]:.2f}") for name, own in taken.items()
    ]
    return table(rows)


# -- the workbook ------------------------------------------------------------------------------------------


def _write(file: Path, count: int) -> None:
    """Write a workbook as Excel stores it: texts, numbers with a format, formulas, hidden rows and links."""
    texts: dict[str, int] = {}
    rows = "".join(_rows(count, texts))
    links = "".join(f'<hyperlink ref="G{row}" r:id="rId1"/>' for row in range(2, count // 10))
    items = "".join(f"<si><t>{text}</t></si>" for text in texts)
    members = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        + "".join(
            f'<Override PartName="/xl/{part}.xml" ContentType="{_TYPE}.{kind}+xml"/>'
            for part, kind in (
                ("workbook", "sheet.main"),
                ("worksheets/sheet1", "worksheet"),
                ("sharedStrings", "sharedStrings"),
                ("styles", "styles"),
            )
        )
        + "</Types>",
        "_rels/.rels": _relationships(("officeDocument", "xl/workbook.xml", "")),
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="Payroll" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relationships(("worksheet", "worksheets/sheet1.xml", "")),
        "xl/worksheets/sheet1.xml": f'<worksheet {_MAIN} xmlns:r="{_OFFICE}"><sheetData>{rows}</sheetData>'
        f"<hyperlinks>{links}</hyperlinks></worksheet>",
        "xl/worksheets/_rels/sheet1.xml.rels": _relationships(
            ("hyperlink", "payslips/all.pdf", 'TargetMode="External"')
        ),
        "xl/sharedStrings.xml": f"<sst {_MAIN}>{items}</sst>",
        "xl/styles.xml": _STYLES,
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def _rows(count: int, texts: dict[str, int]) -> Iterator[str]:
    for row in range(1, count + 2):
        about = _HEAD[:4] if row == 1 else ("benefits", "unemployment", "employer", "payslips")
        cells = [
            f'<c r="{letter}{row}" t="s"><v>{texts.setdefault(text, len(texts))}</v></c>'
            for letter, text in zip("ABCD", about, strict=True)
        ]
        if row == 1:
            others = zip("EFG", _HEAD[4:], strict=True)
            cells += [
                f'<c r="{letter}1" t="s"><v>{texts.setdefault(text, len(texts))}</v></c>'
                for letter, text in others
            ]
        else:
            path = texts.setdefault(f"payslips/{row}.pdf", len(texts))
            cells += [
                f'<c r="E{row}" s="1"><v>{row}</v></c>',
                f'<c r="F{row}" t="str"><f>"client "&amp;ROW()</f><v>client {row}</v></c>',
                f'<c r="G{row}" t="s"><v>{path}</v></c>',
            ]
        hidden = ' hidden="1"' if row % 50 == 0 else ""
        yield f'<row r="{row}"{hidden}>{"".join(cells)}</row>'


def _relationships(*links: tuple[str, str, str]) -> str:
    items = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}" {mode}/>'
        for number, (kind, target, mode) in enumerate(links, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'
