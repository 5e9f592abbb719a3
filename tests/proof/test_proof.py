"""The proof of sending: three formats, three languages, one page, and no identity."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pikepdf
import pytest

import damaged_ledgers
import doubles
import samples
from conftest import ABOUT, PERSON, WHO, force_staged_upload
from docsend.i18n import ENGLISH, LANGUAGES, Message, Translator
from docsend.model import catalog
from docsend.model.notices import NOT_APPROVED_IN_FULL, NOT_THE_INSTITUTE_IN_FULL
from docsend.model.receipt import Receipt, ReceivedDocument
from docsend.proof import pdf
from docsend.proof.content import (
    Proof,
    as_text,
    build_proof,
    file_name,
    is_from_sandbox,
)
from docsend.sandbox.store import ISSUER
from docsend.storage import catalogs, receipts
from docsend.storage.ledger import Ledger
from docsend.storage.ledger_rows import LedgerEntry
from docsend.text import escape_for_terminal

if TYPE_CHECKING:
    from docsend.i18n import Language

SEND = (*ABOUT, *WHO)
HEBREW = "תלוש שכר 11-2026 (עותק).pdf"


@pytest.fixture
def key(run, shared_sandbox, payslip, tmp_path, monkeypatch) -> str:
    """Send two documents, one with a Hebrew name; return the key, with an empty folder as working folder."""
    other = samples.write(tmp_path, HEBREW, samples.pdf(7))
    sent = run(
        "send", payslip, other, *SEND, "--service", shared_sandbox.url, "--reference", "4711", "--json"
    )
    folder = tmp_path / "office"
    folder.mkdir()
    monkeypatch.chdir(folder)
    key_: str = sent.json["key"]
    return key_


class Word(NamedTuple):
    text: str
    left: float
    top: float
    right: float


def text_of(pdf: Path) -> str:
    """Return the text of a PDF, without the direction marks that pdftotext puts around Hebrew."""
    done = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, check=True)
    return re.sub("[\u202a-\u202e]", "", done.stdout.decode())


def words_of(pdf: Path) -> list[Word]:
    done = subprocess.run(["pdftotext", "-bbox", pdf, "-"], capture_output=True, check=True)
    found = re.findall(
        r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="[\d.]+">(.*?)</word>',
        done.stdout.decode(),
    )
    return [Word(text, float(left), float(top), float(right)) for left, top, right, text in found]


def stored_entry(home: Path) -> tuple[LedgerEntry, Receipt]:
    """Return the entry and receipt of the only submission in the ledger."""
    with Ledger(home / "docsend" / "ledger.sqlite3") as ledger:
        (entry,) = ledger.find_by_prefix("")
    receipt = receipts.stored_receipt(entry)
    assert receipt
    return entry, receipt


ENTRY = LedgerEntry(
    service="https://documents.example",
    key="EN4523SEYXAHIRZWYMR3PS6DCTAVNGTT7GM6KHKDEDKQ4HSUL6TQ",
    state="received",
    to="benefits",
    subject="unemployment",
    category="employer",
    type="payslips",
    reference="4711",
    required=None,
    occurrence=1,
    problem=None,
    receipt=b"",
    planned_at="2026-11-23T05:04:30.000Z",
    changed_at="2026-11-23T05:04:32.128Z",
)
RECEIPT = Receipt(
    key=ENTRY.key,
    number="R-000001",
    issuer="The institute's documents desk",
    received_at="2026-11-23T05:04:32.128Z",
    branch_code="haifa",
    branch_names={"en": "Haifa", "fr": "Haïfa", "he": "חיפה"},
    documents=(),
    body=b"",
)


def page(
    *documents: ReceivedDocument, reference: str | None = "4711", on_behalf_of: str | None = None
) -> Proof:
    """Return a proof of these documents."""
    entry = ENTRY._replace(reference=reference)
    receipt = RECEIPT._replace(documents=documents or (document(1, "payslip.pdf"),))
    return build_proof(entry, receipt, catalogs.load(catalog.BUNDLED), on_behalf_of)


def document(number: int, name: str) -> ReceivedDocument:
    return ReceivedDocument(name, 10_000_000 + number, hashlib.sha256(bytes([number])).hexdigest())


def pdf_of(page_: Proof, folder: Path, language: Language = "en") -> Path:
    return samples.write(
        folder, f"{language}.pdf", pdf.write(page_, Translator(language), escape_for_terminal)
    )


@pytest.mark.needs("pdftotext", "qpdf")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_the_receipt_the_digests_and_that_it_is_not_an_approval(
    run, key, home, language
) -> None:
    outcome = run("receipts", "export", key, "--lang", language, "--for", "Dupont & Fils")
    entry, receipt = stored_entry(home)
    assert (outcome.code, outcome.out) == (0, f"receipt-{receipt.number}.pdf\n")
    file = Path(outcome.out.strip())
    subprocess.run(["qpdf", "--check", file], check=True, capture_output=True)
    text = text_of(file)
    # pdftotext mirrors brackets in a line with Hebrew.
    issuer, _, _ = receipt.issuer.partition(" (")
    for value in (receipt.number, receipt.key, issuer, "Dupont & Fils", "4711", entry.service):
        assert value in text
    for sent in receipt.documents:
        assert sent.sha256 in text
    assert f"{receipt.received_at[:10]} {receipt.received_at[11:19]} UTC" in text
    reader = Translator(language)
    plain = " ".join(text.split())
    for sentence in (NOT_APPROVED_IN_FULL, NOT_THE_INSTITUTE_IN_FULL):
        if not reader.is_right_to_left:  # pdftotext has its own order for Hebrew with Latin in it
            assert " ".join(reader.render(sentence).split()) in plain
    assert PERSON not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_has_the_same_content_as_the_page(run, key, home, language) -> None:
    outcome = run("receipts", "export", key[:8], "--format", "text", "--lang", language)
    _, receipt = stored_entry(home)
    reader = Translator(language)
    for value in (receipt.number, receipt.key, HEBREW, *(each.sha256 for each in receipt.documents)):
        assert value in outcome.out
    for sentence in (NOT_APPROVED_IN_FULL, NOT_THE_INSTITUTE_IN_FULL):
        assert reader.render(sentence) in outcome.out
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_json_is_english_whatever_the_language(run, key, home, language) -> None:
    outcome = run("receipts", "export", key, "--format", "json", "--lang", language, "--for", "דוד")
    entry, receipt = stored_entry(home)
    assert outcome.out.isascii()
    assert outcome.json == {
        "schema": "docsend.proof/1",
        "status": "received",
        "sandbox": True,
        "key": key,
        "service": entry.service,
        "issuer": receipt.issuer,
        "for": "דוד",
        "reference": "4711",
        "submission": {
            "to": "benefits",
            "subject": "unemployment",
            "category": "employer",
            "type": "payslips",
            "required": None,
            "occurrence": 1,
        },
        "receipt": run("receipts", "show", key, "--json").json["receipts"][0]["receipt"],
        "notes": [NOT_APPROVED_IN_FULL.template, NOT_THE_INSTITUTE_IN_FULL.template],
    }
    assert run("receipts", "export", key, "--format", "json", "--json", "--for", "דוד").out == outcome.out


@pytest.mark.needs("pdftotext")
def test_without_a_name_the_proof_contains_no_identity_and_says_why(run, key) -> None:
    outcome = run("receipts", "export", key, "--format", "text")
    assert "docsend does not store identity numbers, only the reference below" in outcome.out
    run("receipts", "export", key, "--output", "proof.pdf")
    assert run("receipts", "export", key, "--format", "json").json["for"] is None
    with pikepdf.open("proof.pdf") as opened:
        streams = b"".join(each.read_bytes() for each in opened.objects if isinstance(each, pikepdf.Stream))
    for content in (outcome.out.encode(), text_of(Path("proof.pdf")).encode(), streams):
        assert PERSON.encode() not in content


def rows(text: str) -> dict[str, str]:
    """Return the rows of all sections of a text proof, by label."""
    found = (re.fullmatch(r"  (\S.*?)  +(\S.*)", line) for line in text.splitlines())
    return {row[1]: row[2] for row in found if row}


def test_a_proof_of_the_personal_service_names_the_required_document_but_no_account(
    run, sandbox, payslip, tmp_path, monkeypatch
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    sent = run("required", "upload", "R-4711", payslip, "--service", sandbox.url, "--json")
    text = run("receipts", "export", sent.json["key"], "--format", "text").out
    assert rows(text)["Required document"] == "R-4711"
    assert rows(text)["For"] == "the account signed in at the time (docsend does not store identity numbers)"
    assert rows(text)["Destination"].endswith("(personal)")


def test_a_second_submission_of_the_same_content_shows_its_occurrence(run, key, shared_sandbox) -> None:
    first = run("receipts", "export", key, "--format", "text").out
    assert "Occurrence" not in rows(first)
    documents = [Path.cwd().parent / name for name in ("payslip.pdf", HEBREW)]
    again = ("--reference", "4711", "--occurrence", "2", "--service", shared_sandbox.url, "--json")
    second = run("send", *documents, *SEND, *again).json["key"]
    assert second != key
    text = run("receipts", "export", second, "--format", "text").out
    assert rows(text)["Occurrence"] == "2 (the same content was sent before)"


def test_a_destination_without_subjects_has_no_row_for_one(run, shared_sandbox, payslip) -> None:
    about = ("--to", "health-funds", "--category", "forms", "--type", "form-7000", *WHO)
    sent = run("send", payslip, *about, "--service", shared_sandbox.url, "--json")
    fields = rows(run("receipts", "export", sent.json["key"], "--format", "text").out)
    assert ("Subject" in fields, fields["Category"][-8:]) == (False, " (forms)")


def test_only_the_receipts_of_a_sandbox_have_its_notice() -> None:
    assert page().notice is None
    assert NOT_THE_INSTITUTE_IN_FULL.template not in as_text(page(), ENGLISH.render)
    assert not is_from_sandbox(ENTRY, RECEIPT)
    assert is_from_sandbox(ENTRY._replace(service="sandbox"), RECEIPT)
    assert is_from_sandbox(ENTRY, RECEIPT._replace(issuer=ISSUER))


def test_the_pdf_has_metadata_and_embedded_subset_fonts(run, key, home) -> None:
    run("receipts", "export", key, "--lang", "he", "--output", "proof.pdf")
    _, receipt = stored_entry(home)
    with pikepdf.open("proof.pdf") as opened:
        assert len(opened.pages) == 1
        assert opened.Root.Lang == "he"
        assert receipt.number in str(opened.docinfo["/Title"])
        assert str(opened.docinfo["/Author"]) == str(opened.docinfo["/Producer"]) == "docsend"
        assert receipt.received_at[:10].replace("-", "") in str(opened.docinfo["/CreationDate"])
        fonts = [
            each for each in opened.objects if isinstance(each, pikepdf.Dictionary) and "/FontFile2" in each
        ]
        assert len(fonts) == 3
        assert all("+" in str(each.FontName) for each in fonts), "each is a subset"
    assert Path("proof.pdf").stat().st_size < 40_000


def test_the_same_receipt_yields_the_same_bytes_on_another_day(spawn, run, key) -> None:
    run("receipts", "export", key, "--output", "one.pdf")
    later = "import time, sys; now = time.time; time.time = lambda: now() + 1e6\n"
    script = later + "from docsend.cli.app import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "receipts", "export", key, "--output", "two.pdf"]
    subprocess.run(command, check=True, capture_output=True)
    assert Path("one.pdf").read_bytes() == Path("two.pdf").read_bytes()


# -- Hebrew ------------------------------------------------------------------------------------------------


@pytest.mark.needs("pdftotext")
def test_a_hebrew_page_is_laid_out_from_the_right(tmp_path) -> None:
    mirrored = {
        language: {word.text: word for word in reversed(words_of(pdf_of(page(), tmp_path, language)))}
        for language in ("en", "he")
    }
    width = 595.28
    for text in (RECEIPT.key, document(1, "").sha256, "1", "4711", "payslip.pdf"):
        english, hebrew = mirrored["en"][text], mirrored["he"][text]
        # The distance to the right edge equals that to the left edge of the English page.
        assert abs((width - hebrew.right) - english.left) < 1
    assert abs((width - mirrored["he"]["10,000,001"].left) - mirrored["en"]["10,000,001"].right) < 1


@pytest.mark.needs("pdftotext")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_hebrew_name_with_digits_reads_from_the_right_on_every_page(tmp_path, language) -> None:
    made = page(document(1, "תלוש 11-2026 (עותק) v2.pdf"))
    words = words_of(pdf_of(made, tmp_path, language))
    # As a file manager shows it: each part in its own direction, and the parts in order from the right.
    # pdftotext -bbox returns the letters of a word in visual order, from the left.
    parts = ("תלוש"[::-1], "11-2026", f"({'עותק'[::-1]})", "v2.pdf")
    seen = [next(word for word in words if word.text == part) for part in parts]
    assert all(one.left > next_.left for one, next_ in pairwise(seen)), seen
    assert len({round(word.top) for word in seen}) == 1


@pytest.fixture
def sheet():
    """Yield a function that returns an empty sheet in a language."""
    with pdf._open_pdf() as empty:
        yield lambda language: pdf._Sheet(empty, page(), Translator(language), escape_for_terminal)


def test_brackets_around_hebrew_are_mirrored(sheet) -> None:
    set_ = sheet("he")._lines
    style = pdf._TEXT
    assert set_("א (ב) [ג] x", style) == ["x [ג] (ב) א"]
    assert set_("report (א).pdf", style) == ["report (א).pdf"]
    assert set_(Message("{name}: {size:,}", name="שלום 12", size=1234), style) == ["1,234 :12 םולש"]


def test_a_long_text_breaks_between_words_and_loses_no_letter(sheet) -> None:
    style = pdf._TEXT
    english = sheet("en")
    text = "one two-three four_five.pdf " * 9
    lines = english._lines(text, style, 60)
    assert "".join(lines) == text
    assert all(sum(english._width(each, style) for each in line.rstrip()) <= 60 for line in lines)
    assert all(line.endswith(" ") for line in lines)
    unbroken = english._lines("x" * 300, style, 60)
    assert ("".join(unbroken), len(unbroken) > 5) == ("x" * 300, True)


# -- hostile and unusual content ---------------------------------------------------------------------------


@pytest.mark.needs("pdftotext")
def test_control_characters_and_missing_glyphs_are_escaped(tmp_path) -> None:
    evil = page(
        document(1, "fdp.\u202egpj \x1b[31mred\x07 {nb}.pdf"),
        document(2, "图 👍.pdf"),
        document(3, "e\u0301te\u0301.pdf"),
        document(4, "\ud800.pdf"),
        reference="\u2067ref\u2066",
        on_behalf_of="Client\n4711 \u200f",
    )
    for language in LANGUAGES:
        text = text_of(pdf_of(evil, tmp_path, language))
        for escaped in (
            "fdp.\\u202egpj \\x1b[31mred\\x07 {nb}.pdf",
            "\\u56fe \\U0001f44d.pdf",
            "été.pdf",
            "\\ud800.pdf",
            "\\u2067ref\\u2066",
            "Client\\n4711 \\u200f",
        ):
            assert escaped in text
        assert not re.search("[\x00-\x08\x0b\x0e-\x1f]", text)
    plain = as_text(evil, lambda text: Translator("en").render(text, escape=escape_for_terminal))
    assert "\u202e" not in plain
    assert "\x1b" not in plain


@pytest.mark.needs("pdftotext")
@pytest.mark.parametrize("language", LANGUAGES)
def test_fifteen_documents_with_the_longest_names_fit_one_page(tmp_path, language) -> None:
    longest = [document(number, f"{number:02}{'תלוש שכר ' * 14}.pdf"[:127]) for number in range(15)]
    made = page(*longest, reference="Dossier n° 4711, " * 5, on_behalf_of="Société Dupont & Frères " * 4)
    file = pdf_of(made, tmp_path, language)
    words = words_of(file)
    with pikepdf.open(file) as opened:
        assert len(opened.pages) == 1
    assert max(word.top for word in words) < 842 - 45
    assert min(word.left for word in words) > 50
    assert max(word.right for word in words) < 595 - 50


@pytest.mark.needs("pdftotext", "qpdf")
def test_more_documents_take_several_numbered_pages(tmp_path) -> None:
    many = [document(number, f"scan-{number}.pdf") for number in range(70)]
    file = pdf_of(page(*many), tmp_path)
    text = text_of(file)
    subprocess.run(["qpdf", "--check", file], check=True, capture_output=True)
    with pikepdf.open(file) as opened:
        pages = len(opened.pages)
    assert pages > 2
    assert [f"Page {number} of {pages}" in text for number in range(1, pages + 1)] == [True] * pages
    assert text.count("Document and SHA-256") == pages
    assert all(each.sha256 in text for each in many)


def test_oversized_texts_of_a_service_are_cut(tmp_path) -> None:
    made = page(document(1, "x" * 100_000), on_behalf_of="y " * 100_000)
    with pikepdf.open(pdf_of(made, tmp_path)) as opened:
        assert len(opened.pages) <= 3


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("2026/11 #7", "receipt-2026_11__7.pdf"),
        ("../../etc/passwd", "receipt-.._.._etc_passwd.pdf"),
        ("א\x00\n", "receipt-___.pdf"),
        ("9" * 500, f"receipt-{'9' * 100}.pdf"),
    ],
)
def test_a_receipt_number_cannot_change_the_folder_of_the_file(number, name) -> None:
    assert file_name(RECEIPT._replace(number=number)) == name


def test_a_submission_that_was_not_received_has_no_proof(run, shared_sandbox, payslip, home) -> None:
    def intercept(request, _count, phase):
        gone = phase == "before" and "/documents/" in request.path
        return doubles.Reply(503, headers={"Retry-After": "999"}) if gone else None

    with doubles.relay(shared_sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        sent = run("send", payslip, *SEND, "--reference", "unsent", "--service", url, "--json").json
    outcome = run("receipts", "export", sent["key"], "--json")
    assert (outcome.code, outcome.json["status"]) == (2, "failed")
    assert "no proof available: the submission is open" in outcome.err
    assert "receipts resume" in outcome.err
    for state, hint in (("refused", "receipts show"), ("withdrawn", "--occurrence 2")):
        damaged_ledgers.change_rows(home / "docsend" / "ledger.sqlite3", state=state)
        outcome = run("receipts", "export", sent["key"], "--format", "text")
        assert (outcome.code, outcome.out) == (2, "")
        assert f"the submission is {state}" in outcome.err
        assert hint in outcome.err


# -- output ------------------------------------------------------------------------------------------------


def test_a_file_with_other_content_is_never_overwritten(run, key) -> None:
    file = Path(run("receipts", "export", key).out.strip())
    before = file.read_bytes()
    assert run("receipts", "export", key).code == 0, "the same again changes nothing"
    outcome = run("receipts", "export", key, "--for", "somebody else")
    assert outcome.code == 2
    assert "already exists with different content" in outcome.err
    assert "--output" in outcome.err
    assert file.read_bytes() == before
    assert [each.name for each in Path.cwd().iterdir()] == [file.name]
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("output", ["/dev/null", ".", "nowhere/proof.pdf"])
def test_only_a_regular_file_in_an_existing_folder_is_written(run, key, output) -> None:
    assert run("receipts", "export", key, "--output", output).code == 2
    assert not list(Path.cwd().iterdir())
    assert not Path("/dev/null").is_file()


def test_json_names_the_file_and_its_digest(run, key) -> None:
    for form in ("pdf", "text", "json"):
        outcome = run("receipts", "export", key, "--format", form, "--output", f"proof.{form}", "--json")
        content = Path(f"proof.{form}").read_bytes()
        assert outcome.json == {
            "schema": "docsend.export/1",
            "key": key,
            "format": form,
            "file": f"proof.{form}",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert json.loads(Path("proof.json").read_text("ascii"))["schema"] == "docsend.proof/1"
    for extra in (("--format", "text"), ("--output", "-")):
        assert run("receipts", "export", key, "--json", *extra).code == 2


def test_standard_output_gets_the_bytes_of_the_pdf_but_no_terminal_does(run, key, monkeypatch) -> None:
    run("receipts", "export", key, "--output", "proof.pdf")
    command = [sys.executable, "-m", "docsend", "receipts", "export", key, "--output", "-"]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stdout == Path("proof.pdf").read_bytes()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    outcome = run("receipts", "export", key, "--output", "-")
    assert (outcome.code, outcome.out) == (2, "")
    assert "cannot write a PDF to a terminal" in outcome.err


def test_without_the_extra_the_hint_names_it_and_text_still_works(run, key, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "docsend.proof.pdf")
    monkeypatch.delattr("docsend.proof.pdf")
    monkeypatch.setitem(sys.modules, "fpdf", None)
    outcome = run("receipts", "export", key)
    assert outcome.code == 2
    assert "requires the extra `pdf`: the module fpdf is not installed" in outcome.err
    assert 'pip install ".[pdf]"' in outcome.err
    assert run("receipts", "export", key, "--format", "text").code == 0
    assert run("receipts", "export", key, "--format", "docx").code == 2
