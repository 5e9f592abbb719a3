"""Bad manifests with their expected problem codes, and the table in docs/manifest.md generated from them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import batch_files
import pages
import samples
import workbook_files
from docsend.cli.app import main

PART = pages.GeneratedSection(
    Path(__file__).parent.parent / "docs" / "manifest.md",
    "<!-- bad manifests: made by tests/bad_manifests.py -->",
    "<!-- end -->",
)

HEAD = "to,subject,category,type,id,reference,documents"
GOOD = "benefits,unemployment,employer,payslips,000000018,{n},one.pdf"
EMPLOYER_HEAD = "to,category,type,employer_file,booklet,mobile,documents"
EMPLOYER = "employer-collection,correspondence,correction-letter,{file},{booklet},{mobile},one.pdf"
JSON = (
    '"to": "benefits", "subject": "unemployment", "category": "employer", "type": "payslips",'
    ' "id": "000000018"'
)


@dataclass(frozen=True)
class Case:
    """A manifest, additional options, and the expected problem codes, in order, and exit code."""

    what: str
    content: bytes | str | None
    codes: tuple[str, ...]
    exit_code: int = 3
    options: tuple[str, ...] = ()
    name: str = "batch.csv"


def rows(*lines: str, head: str = HEAD) -> str:
    return "\n".join([head, *lines]) + "\n"


def good(n: int = 1, **changes: str) -> str:
    """Return a good row with some of its cells changed."""
    cells = dict(zip(HEAD.split(","), GOOD.format(n=n).split(","), strict=True))
    return ",".join({**cells, **changes}.values())


def employer(file: str = "900000019", booklet: str = "7", mobile: str = "0501234567") -> str:
    return rows(EMPLOYER.format(file=file, booklet=booklet, mobile=mobile), head=EMPLOYER_HEAD)


def _workbook(**changes: object) -> bytes:
    return workbook_files.xlsx(workbook_files.row(1, **{"documents": "one.pdf", **changes}))


def _two_tables() -> bytes:
    book = workbook_files.book(workbook_files.row(), name="November")
    book.create_sheet("December").append(HEAD.split(","))
    return workbook_files.save(book)


CASES = (
    Case("a manifest that does not exist", None, ("usage",), 2),
    Case("an empty file", "", ("no-columns",)),
    Case("a header without rows", rows(), ("no-rows",)),
    Case("no header", good(), ("no-columns",)),
    Case("an unknown column", rows(good(), head=f"{HEAD.replace('type', 'typ')}"), ("unknown-column",)),
    Case("a duplicate column", rows(f"{good()},x", head=f"{HEAD},subject"), ("duplicate-column",)),
    Case("no column for documents", rows("benefits,unemployment", head="to,subject"), ("missing-column",)),
    Case("a picture instead of a manifest", samples.png(), ("manifest-encoding",)),
    Case("a PDF instead of a manifest", samples.pdf(), ("manifest-encoding",)),
    Case("a web page instead of a manifest", "<html><table></table></html>", ("manifest-encoding",)),
    Case("a compressed manifest", b"\x1f\x8b\x08\x00", ("manifest-encoding",)),
    Case("an XML file instead of a manifest", '<?xml version="1.0"?><Workbook/>', ("manifest-encoding",)),
    Case("a JSON array", f'[{{{JSON}, "documents": "one.pdf"}}]', ("manifest-malformed",)),
    Case("JSON over several lines", f'{{\n{JSON},\n"documents": "one.pdf"\n}}\n', ("manifest-malformed",)),
    Case("a list of files", "one.pdf\ntwo.pdf\n", ("no-columns",)),
    Case("a truncated UTF-16 file", rows(good()).encode("utf-16")[:-1], ("manifest-encoding",)),
    Case("NUL characters", rows(good(reference="a\0b")), ("manifest-encoding",)),
    Case("NUL characters at the end", rows(good()).encode() + bytes(512), ("manifest-encoding",)),
    Case("a byte order mark of another encoding", b"\xef\xbb\xbf" + rows(good(reference="שכר")).encode("cp1255"), ("manifest-encoding",)),
    Case("UTF-8 and Windows-1252 in one file", rows(good(reference="congé")).encode() + good(reference="congé").encode("cp1252"), ("manifest-encoding",)),
    Case("a file that only looks like a workbook", b"PK\x03\x04 nonsense", ("manifest-malformed",), name="batch.xlsx"),
    Case("an unclosed quotation mark", rows(good(reference='"open')), ("row-malformed",)),
    Case("text after a closing quotation mark", rows(good(reference='"a"b')), ("row-malformed",)),
    Case("a quotation that ends in another row", rows(good(reference='"a'), good(reference='"b"')), ("row-malformed",)),
    Case("two stray quotation marks in different rows", rows(good(reference='"a'), good(2), good(reference='c"')), ("row-malformed",)),
    Case("a cell that is far too long", rows(good(reference="x" * 2**20 + "x")), ("row-malformed",)),
    Case("more cells than columns", rows(f"{good()},surplus"), ("row-malformed",)),
    Case("a comma in text without quotation marks", rows(good(reference="a,b")), ("row-malformed",)),
    Case("a row without documents", rows(good(documents="")), ("documents-missing",)),
    Case("a document that does not exist", rows(good(documents="two.pdf")), ("document-not-found",)),
    Case("a pattern that matches nothing", rows(good(documents="*.tiff")), ("document-not-found",)),
    Case("a document outside the folder", rows(good(documents="../outside.pdf")), ("path-outside",)),
    Case("an absolute path", rows(good(documents="/etc/hostname")), ("path-outside",)),
    Case("a symbolic link that leads outside", rows(good(documents="link.pdf")), ("path-outside",)),
    Case("the same document twice in a row", rows(good(documents="one.pdf;one.pdf")), ("duplicate-document",)),
    Case("an empty document", rows(good(documents="empty.pdf")), ("empty-document",)),
    Case("a web page named .pdf", rows(good(documents="page.pdf")), ("content-mismatch",)),
    Case("a folder as a document", rows(good(documents="folder")), ("not-a-regular-file",)),
    Case("no destination", rows(good(to="")), ("destination-missing",)),
    Case("an unknown destination", rows(good(to="benefit")), ("unknown-destination",)),
    Case("no subject", rows(good(subject="")), ("subject-missing",)),
    Case("an unknown subject", rows(good(subject="unemploiment")), ("unknown-subject",)),
    Case("an unknown type", rows(good(type="payslip")), ("unknown-type",)),
    Case("no type", rows(good(type="")), ("type-missing",)),
    Case("an id number with a wrong check digit", rows(good(id="000000019")), ("id-number-invalid",)),
    Case("no id number", rows(good(id="")), ("id-number-missing",)),
    Case("an id number that a spreadsheet rounded", rows(good(id="3.2E+07")), ("number-rounded",)),
    Case("an id number in Arabic-Indic digits", rows(good(id="٠٠٠٠٠٠٠١٨")), ("id-number-invalid",)),
    Case("an unknown branch", rows(f"{good()},haifaa", head=f"{HEAD},branch"), ("unknown-branch",)),
    Case("a reference that is too long", rows(good(reference="x" * 300)), ("reference-too-long",)),
    Case("an unknown sender", rows(f"{good()},cohen", head=f"{HEAD},sender"), ("unknown-sender",)),
    Case("an employer file number that is too short", employer(file="9000"), ("employer-file-invalid",)),
    Case("no booklet number", employer(booklet=""), ("booklet-missing",)),
    Case("an invalid mobile number", employer(mobile="12"), ("mobile-invalid",)),
    Case("two identical rows", rows(good(), good()), ("duplicate-row",)),
    Case("a bad row among good ones", rows(good(1), good(2, id="000000019"), good(3, id="000000026")), ("id-number-invalid",)),
    Case("two rows with the same reference for the same person", rows(good(1), good(1, documents="three.pdf")), ("reference-in-two-rows",)),
    Case("two rows with the same document for the same person", rows(good(1), good(2)), ("content-in-two-rows",)),
    Case("a report that a person changed", rows(f"{good()},received,{'A' * 52}", head=f"{HEAD},status,key"), ("key-changed",)),
    Case("a truncated row of a report", rows("benefits,unemployment", head=f"{HEAD},status"), ("row-malformed",)),
    Case("text in the DOS code page 850", rows(good(reference="Société")).encode("cp850"), ("manifest-encoding",)),
    Case("a letter that is Hebrew or French", rows(good(reference="א")).encode("cp1255"), ("manifest-encoding",)),
    Case("a number in the subject column", rows(good(subject="000000018")), ("unknown-subject",)),
    Case("a workbook with tables in two sheets", _two_tables(), ("usage",), 2, name="batch.xlsx"),
    Case("a workbook with an error value", _workbook(reference="#N/A"), ("row-malformed",), name="batch.xlsx"),
    Case("a workbook with a formula that was never computed", _workbook(reference='="client "&1'), ("row-malformed",), name="batch.xlsx"),
    Case("a number of which a workbook keeps only 15 digits", _workbook(reference=1234567890123450), ("number-rounded",), name="batch.xlsx"),
    Case("a workbook with a password", workbook_files.with_password(), ("manifest-malformed",), name="batch.xlsx"),
    Case("a document of a word processor", workbook_files.pack({"word/document.xml": b""}), ("manifest-malformed",), name="batch.docx"),
    Case("JSON Lines: a member under two names", f'{{{JSON}, "id_number": "012345674", "documents": "one.pdf"}}\n', ("duplicate-column",)),
    Case("JSON Lines: a NUL in a path", f'{{{JSON}, "documents": "a\\u0000.pdf"}}\n', ("row-malformed",)),
    Case("JSON Lines: a lone surrogate", f'{{{JSON}, "documents": "\\ud800.pdf"}}\n', ("row-malformed",)),
    Case("JSON Lines: a semicolon in a path", f'{{{JSON}, "documents": ["a;b.pdf"]}}\n', ("row-malformed",)),
    Case("JSON Lines: not JSON", '{"to": \n', ("row-malformed",), name="batch.jsonl"),
    Case("JSON Lines: a list", f'{{{JSON}, "documents": ["one.pdf"]}}\n[1]\n', ("row-malformed",)),
    Case("JSON Lines: a duplicate member", '{"to": "benefits", "to": "benefits"}\n', ("row-malformed",)),
    Case("JSON Lines: a misspelled member", f'{{{JSON}, "documnets": "one.pdf"}}\n', ("unknown-column", "documents-missing")),
    Case("JSON Lines: a number with a fraction", f'{{{JSON}, "reference": 1.5, "documents": "one.pdf"}}\n', ("row-malformed",)),
    Case("an invalid --shard", rows(good()), ("usage",), 2, ("--shard", "3/2")),
    Case("a --report that is neither .csv nor .jsonl", rows(good()), ("usage",), 2, ("--report", "r.txt")),
    Case("a --report that would overwrite another file", rows(good()), ("usage",), 2, ("--report", "other.csv")),
    Case("a --report that would overwrite the manifest", rows(good()), ("usage",), 2, ("--report", "batch.csv")),
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a run printed, and its exit code."""

    exit_code: int
    lines: tuple[str, ...]
    out: str


def observe(case: Case) -> Seen:
    """Check a manifest in a temporary folder, and return the exit code, the lines of stderr and stdout."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        outer = Path(name)
        folder = outer / "manifest"
        folder.mkdir()
        samples.write(outer, "outside.pdf", samples.pdf(9))
        samples.write(folder, "one.pdf", samples.pdf(1))
        samples.write(folder, "three.pdf", samples.pdf(3))
        samples.write(folder, "empty.pdf", b"")
        samples.write(folder, "other.csv", b"not,a,report\n")
        samples.write(folder, "page.pdf", b"<html><body>sign in</body></html>")
        (folder / "folder").mkdir()
        (folder / "link.pdf").symlink_to(outer / "outside.pdf")
        if case.content is not None:
            content = case.content if isinstance(case.content, bytes) else case.content.encode()
            (folder / case.name).write_bytes(content)
        environment = {"DOCSEND_HOME": str(outer / "home"), "TERM": "dumb"}
        stack.enter_context(mock.patch.dict(os.environ, environment))
        stack.enter_context(contextlib.chdir(folder))
        out, err = io.StringIO(), io.StringIO()
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        code = main(["send", "--batch", case.name, "--dry-run", *case.options])
        talk = map(batch_files.without_time, err.getvalue().splitlines())
        lines = [line for line in talk if not line.startswith((case.name, "ended after "))]
    return Seen(code, tuple(lines), out.getvalue())


def table() -> str:
    """Return the table for docs/manifest.md."""
    lines = ["| manifest | messages | exit code |", "|---|---|---|"]
    for case in CASES:
        seen = observe(case)
        shown = [line.strip() for line in seen.lines if not line.startswith("--only-valid")]
        cell = (
            "<br>".join(line.replace("|", "\\|").replace("<", "&lt;") for line in shown)
            or "the manifest has no rows"
        )
        lines.append(f"| {case.what} | {cell} | {seen.exit_code} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PART.write(table())
    sys.stdout.write(f"{len(CASES)} rows\n")
