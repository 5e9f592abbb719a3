"""Documents are refused if a clerk cannot read them, and accepted with a warning if viewers repair them."""

from __future__ import annotations

import contextlib
import io
import zlib

import pikepdf
import pytest

import defective_documents
import samples
from batch_files import to_csv
from conftest import PERSON
from defective_documents import CASES
from docsend.checks import decoders
from docsend.checks.formats import detect, pdf_encryption

SEND = (
    *("--to", "insured-collection", "--category", "supporting", "--type", "employer-certificate"),
    *("--id", "000000018", "--service", "http://127.0.0.1:9", "--dry-run", "--json"),
)
_FEW_ROWS = 100  # which one process checks: with more, workers would start, with decoders


@pytest.fixture
def check(run, tmp_path):
    """Return a function that checks a document, and returns the codes of its problems and the exit code."""

    def check_(name: str, content: bytes, *options: str) -> tuple[list[str], int]:
        outcome = run("send", samples.write(tmp_path, name, content), *SEND, *options)
        return _codes(outcome.json["problems"]), outcome.code

    return check_


def _codes(problems: list[dict[str, str]]) -> list[str]:
    """Return the codes of problems. Those of warnings begin with "?"."""
    return [("?" if each["severity"] == "warning" else "") + each["code"] for each in problems]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_document_is_judged_with_the_decoders(check, case) -> None:
    codes, exit_code = check(case.name, case.make())
    assert sorted(codes) == sorted(case.codes)
    assert exit_code == (0 if all(code.startswith("?") for code in case.codes) else 3)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_document_is_judged_by_its_structure_alone(check, monkeypatch, case) -> None:
    monkeypatch.setattr(decoders, "are_installed", lambda: False)
    expected = case.codes if case.without_decoders is None else case.without_decoders
    codes, exit_code = check(case.name, case.make())
    assert sorted(codes) == sorted(expected)
    assert exit_code == (0 if all(code.startswith("?") for code in expected) else 3)


def test_a_batch_judges_each_document_as_a_single_submission_does(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(decoders, "are_installed", lambda: False)
    head = ["to", "category", "type", "id", "documents"]
    cases = [case for case in CASES if case.name == case.name.strip()]  # a cell has no blanks around it
    for first in range(0, len(cases), _FEW_ROWS):
        rows, expected = [], []
        for number, case in enumerate(cases[first : first + _FEW_ROWS]):
            samples.write(tmp_path, name := f"{first}-{number}-{case.name}", case.make())
            rows.append(["insured-collection", "supporting", "employer-certificate", PERSON, name])
            codes = sorted(case.codes if case.without_decoders is None else case.without_decoders)
            # Of a row with errors, the warnings are not reported.
            expected.append([code for code in codes if not code.startswith("?")] or codes)
        manifest = samples.write(tmp_path, "batch.csv", to_csv(rows, head=head).encode())
        outcome = run("send", "--batch", manifest, "--service", "http://127.0.0.1:9", "--dry-run", "--json")
        assert [sorted(_codes(row["problems"])) for row in outcome.rows] == expected


@pytest.mark.parametrize(
    ("key", "keystream"),
    [
        ("0102030405", "b2396305f03dc027ccc3524a0a1118a8"),
        ("0102030405060708090a0b0c0d0e0f10", "9ac7cc9a609d1ef7b2932899cde41b97"),
        ("833222772a", "80ad97bdc973df8a2e879e92a497efda"),
    ],
)
def test_rc4_gives_the_published_key_streams(key, keystream) -> None:
    """RFC 6229, section 2, offset 0."""
    assert pdf_encryption.rc4(bytes.fromhex(key), bytes(16)).hex() == keystream


@pytest.mark.parametrize(
    ("denied", "forbidden"),
    [
        (("print_lowres", "print_highres", "extract"), "printing, copying"),
        (("print_highres",), "printing in high quality"),
        (("modify_form", "modify_assembly"), None),  # allowed together with comments and changes
    ],
)
def test_the_warning_says_what_a_pdf_forbids(run, tmp_path, denied, forbidden) -> None:
    allow = pikepdf.Permissions(**dict.fromkeys(denied, False))
    content = defective_documents.encrypted_pdf(4, allow=allow)
    outcome = run("send", samples.write(tmp_path, "a.pdf", content), *SEND)
    (problem,) = outcome.json["problems"]
    end = (
        f"opens without a password, but forbids {forbidden}" if forbidden else "but opens without a password"
    )
    assert problem["message"].endswith(end)
    assert problem["severity"] == "warning"


@pytest.mark.parametrize("user", ["", "fictional"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("revision", [2, 3, 4, 5])
@pytest.mark.filterwarnings("ignore:Encryption R=5 is deprecated")
def test_the_password_is_judged_as_qpdf_judges_it(revision, seed, user) -> None:
    allow = pikepdf.Permissions(extract=bool(seed & 1), print_lowres=bool(seed & 2))
    content = defective_documents.encrypted_pdf(revision, user=user, allow=allow)
    kinds = {defect.kind for defect in detect.find_defects(content, "pdf")}
    assert kinds == ({"needs-password"} if user else {"restricted"})
    with contextlib.ExitStack() as stack:
        if user:
            stack.enter_context(pytest.raises(pikepdf.PasswordError))
        pikepdf.open(io.BytesIO(content)).close()


def test_only_the_offending_characters_of_a_name_are_escaped(run, tmp_path) -> None:
    file = samples.write(tmp_path, "\u05e6\u05d9\u05dc\u05d5\u05dd \u2068x\u2069.pdf", samples.pdf())
    outcome = run("send", file, *SEND)
    (problem,) = outcome.json["problems"]
    assert problem["code"] == "name-not-accepted"
    assert '"\u05e6\u05d9\u05dc\u05d5\u05dd \\u2068x\\u2069.pdf"' in problem["message"]


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000", "\u2003", "\u2800", "\u3164", "\u200b", "\u034f"])
def test_a_name_that_ends_with_any_blank_is_named_as_such(run, tmp_path, blank) -> None:
    outcome = run("send", samples.write(tmp_path, f"a.pdf{blank}", samples.pdf()), *SEND)
    (problem,) = outcome.json["problems"]
    assert problem["code"] == "format-not-accepted"
    assert problem["message"].startswith("file name ends with a blank or an invisible mark")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'<?xml version="1.0"?>\n<invoice/>', "an XML file"),
        (b"<!DOCTYPE invoice>\n<invoice/>", "an XML file"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>', "an XML file"),
        (b'<?xml version="1.0"?>\n<!-- <html> -->\n<svg xmlns="fictional"/>', "an SVG image"),
        (b"<!-- fictional -->\n<SVG>", "an SVG image"),
        (b'<!DOCTYPE svg PUBLIC "fictional">', "an SVG image"),
        (b'<?xml version="1.0"?>\n<svg:svg xmlns:svg="fictional"/>', "an SVG image"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html>\n<html/>', "a web page"),
        (b'<?xml version="1.0"?>\n<html xmlns="fictional"/>', "a web page"),
        (b"<!-- fictional -->\n<html>", "a web page"),
        (b"<head><title>fictional</title>", "a web page"),
        (b"<!doctype HTML><p>", "a web page"),
        (b"<!-- fictional -->", "an unknown kind of file"),
    ],
)
def test_what_is_no_document_is_called_by_its_name(run, tmp_path, content, kind) -> None:
    outcome = run("send", samples.write(tmp_path, "a.pdf", content), *SEND)
    (problem,) = outcome.json["problems"]
    assert problem["message"] == f"content does not match the extension: a.pdf is {kind}, not a PDF"


@pytest.mark.parametrize("rest", [b"\0", b"\xff", b"\x55", b"<html>\n"])
@pytest.mark.parametrize("progressive", [False, True])
def test_half_a_photo_is_refused_by_a_thorough_check_too(check, rest, progressive) -> None:
    photo = defective_documents.photo(progressive=progressive)
    assert check("a.jpg", defective_documents.half(photo, rest), "--thorough") == (["damaged-document"], 3)
    assert check("whole.jpg", photo, "--thorough") == ([], 0)


def test_a_photo_of_one_color_passes_a_thorough_check(check) -> None:
    assert check("a.jpg", defective_documents.photo_of_one_color(), "--thorough") == ([], 0)


def test_the_decoders_tell_a_lost_byte_from_a_lost_part_wherever_a_photo_ends(check) -> None:
    """All these photos end with 0xFF, as one does that lost only its last byte."""
    photo = defective_documents.photo()
    scan = photo.index(b"\xff\xda")
    places = [at for at in range(scan + 20, len(photo) - 400) if photo[at : at + 2] == b"\xff\0"]
    for at in places[:: len(places) // 6]:
        decoded = decoders.decode(photo[: at + 1], "jpeg")
        assert decoded.outcome == "damaged", at
    assert decoders.decode(photo[:-1], "jpeg").outcome == "opens"


def test_a_rare_compression_is_named(run, tmp_path) -> None:
    content = defective_documents.saved_tiff("zstd")
    outcome = run("send", samples.write(tmp_path, "a.tif", content), *SEND)
    (problem,) = outcome.json["problems"]
    assert problem["severity"] == "warning"
    assert problem["message"] == (
        "rare image: a.tif is a TIFF image with Zstandard compression, which some viewers cannot open"
    )


@pytest.mark.parametrize("size", [2000, 24 * (1 + 3 * 64)])
def test_thorough_decodes_what_the_structure_cannot_see(check, size) -> None:
    content = bytearray(samples.png())
    start = content.index(b"IDAT") + 4
    half = zlib.compress(zlib.decompress(bytes(content[start:-16]))[:size])  # 24 of the 48 rows are whole
    broken = bytes(content[: start - 8]) + defective_documents.chunk(b"IDAT", half) + bytes(content[-12:])
    assert check("half.png", broken) == ([], 0)
    assert check("half.png", broken, "--thorough") == (["damaged-document"], 3)
    assert check("whole.png", bytes(content), "--thorough") == ([], 0)


@pytest.mark.parametrize("line", [b"log line\n", b"% 2026 12 0 obj read ok\n"])
def test_text_behind_the_end_is_no_damage_when_a_pdf_is_decoded(check, line) -> None:
    assert check("a.pdf", defective_documents.text_pdf() + line * 200, "--thorough") == ([], 0)


def test_thorough_works_for_batches_too(run, tmp_path) -> None:
    samples.write(tmp_path, "a.pdf", defective_documents.encrypted_pdf(6, user="fictional"))
    samples.write(tmp_path, "b.pdf", samples.pdf())
    rows = [f"{','.join(SEND[1:8:2])},{name}" for name in ("a.pdf", "b.pdf")]
    manifest = tmp_path / "rows.csv"
    manifest.write_text("to,category,type,id,documents\n" + "\n".join(rows) + "\n")
    outcome = run("send", "--batch", manifest, "--thorough", "--dry-run", "--json")
    assert [[problem["code"] for problem in row["problems"]] for row in outcome.rows] == [
        ["encrypted-pdf"],
        [],
    ]


def test_thorough_without_the_decoders_is_refused_with_what_to_install(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(decoders, "are_installed", lambda: False)
    outcome = run("send", samples.write(tmp_path, "a.pdf", samples.pdf()), *SEND, "--thorough")
    assert (outcome.code, ".[documents]" in outcome.err) == (2, True)


def test_a_document_that_no_decoder_finishes_is_accepted_with_a_warning(check, monkeypatch) -> None:
    monkeypatch.setattr(decoders, "decode", lambda *_: decoders.Decoded("gave-up"))
    assert check("a.pdf", samples.pdf(), "--thorough") == (["?not-decoded"], 0)


def test_nothing_imports_the_decoders_for_a_document_without_doubts(spawn, tmp_path) -> None:
    file = samples.write(tmp_path, "a.pdf", defective_documents.text_pdf())
    trace = spawn("send", file, *SEND, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert trace.code == 0
    assert "docsend.checks.formats.pdf" in trace.err
    assert not [line for line in trace.err.splitlines() if line.endswith(("decoders", "pikepdf", "PIL"))]
