"""A table of bad input and the problems it causes, for test_bad_input.py and docs/bad-input.md.

Each case has a description, the expected problem codes (all of them, in order) and the exit code. If the exit
code is 0, the codes are warnings, and the input is only checked, not sent. `python tests/bad_input.py` runs
all cases and writes the table in docs/bad-input.md from the results.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import defective_documents
import pages
import samples
from docsend.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PART = pages.GeneratedSection(
    Path(__file__).parent.parent / "docs" / "bad-input.md",
    "<!-- bad input: made by tests/bad_input.py -->",
    "<!-- end of bad input -->",
)

PERSON = ["--id", "000000018"]
ABOUT = ["--subject", "unemployment", "--category", "employer", "--type", "payslips"]
BENEFITS = ["--to", "benefits", *ABOUT, *PERSON]
PERSONAL = ["--to", "personal", *ABOUT]
EMPLOYER = ["--to", "employer-collection", "--category", "correspondence", "--type", "correction-letter"]
EMPLOYER_WHO = ["--employer-file", "900000019", "--booklet", "12345", "--mobile", "0501234567"]
MB = 2**20


@dataclass(frozen=True)
class Case:
    """One kind of bad input. `make` writes files into a folder and returns the FILE arguments."""

    description: str
    codes: list[str]
    exit_code: int = 3
    make: Callable[[Path], list[Path]] = lambda folder: [samples.write(folder, "payslip.pdf", samples.pdf())]
    options: list[str] = field(default_factory=lambda: BENEFITS)
    environment: dict[str, str] = field(default_factory=dict)
    config: str | None = None
    respects_permissions: bool = False

    @property
    def severity(self) -> str:
        return "warning" if self.exit_code == 0 else "error"


def one_file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], list[Path]]:
    return lambda folder: [samples.write(folder, name, content if isinstance(content, bytes) else content())]


def truncated(make: Callable[[], bytes], share: float = 0.6) -> Callable[[], bytes]:
    return lambda: make()[: int(len(make()) * share)]


def named_pipe(folder: Path) -> list[Path]:
    samples.named_pipe(folder / "pipe.pdf")
    return [folder / "pipe.pdf"]


def directory(folder: Path) -> list[Path]:
    (folder / "january").mkdir()
    return [folder / "january"]


def unix_socket(folder: Path) -> list[Path]:
    if sys.platform == "win32":
        raise NotImplementedError
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(folder):
        server.bind("socket.pdf")
    return [folder / "socket.pdf"]


def unreadable(folder: Path) -> list[Path]:
    path = samples.write(folder, "payslip.pdf", samples.pdf())
    path.chmod(0)
    return [path]


def sixteen_files(folder: Path) -> list[Path]:
    return [samples.write(folder, f"payslip-{n:02}.pdf", samples.pdf(n)) for n in range(16)]


def same_file_twice(folder: Path) -> list[Path]:
    return [samples.write(folder, "payslip.pdf", samples.pdf())] * 2


def same_content_twice(folder: Path) -> list[Path]:
    return [samples.write(folder, name, samples.pdf()) for name in ("january.pdf", "february.pdf")]


def name_not_utf8(folder: Path) -> list[Path]:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/payslip-\xe9.pdf"))
    path.write_bytes(samples.pdf())
    return [path]


def failing_to_read(folder: Path) -> list[Path]:
    (folder / "mem.pdf").symlink_to("/proc/self/mem")
    return [folder / "mem.pdf"]


CASES = [
    # -- files
    Case("a file that does not exist", ["document-not-found"], make=lambda folder: [folder / "payslip.pdf"]),
    Case("a folder", ["not-a-regular-file"], make=directory),
    Case("a named pipe", ["not-a-regular-file"], make=named_pipe),
    Case("a device", ["not-a-regular-file"], make=lambda _: [Path("/dev/null")]),
    Case("a socket", ["not-a-regular-file"], make=unix_socket),
    Case(
        "a file without permission to read it",
        ["unreadable-document"],
        make=unreadable,
        respects_permissions=True,
    ),
    Case("a file that the system fails to read", ["unreadable-document"], make=failing_to_read),
    Case("an empty file", ["empty-document"], make=one_file("payslip.pdf", b"")),
    # -- formats
    Case(
        "a web page named .pdf", ["content-mismatch"], make=one_file("payslip.pdf", b"<!DOCTYPE html><html>")
    ),
    Case("a PNG named .jpg", ["content-mismatch"], make=one_file("photo.jpg", samples.png)),
    Case(
        "a HEIC photo named .jpg",
        ["content-mismatch"],
        make=one_file("photo.jpg", b"\0\0\0\x18ftypheic" + bytes(99)),
    ),
    Case(
        "a .pdf of an unknown format",
        ["content-mismatch"],
        make=one_file("payslip.pdf", bytes(range(1, 256))),
    ),
    Case("a Word document", ["format-not-accepted"], make=one_file("letter.docx", b"PK\x03\x04" + bytes(99))),
    Case("a file without an extension", ["format-not-accepted"], make=one_file("payslip", samples.pdf)),
    Case("a truncated JPEG", ["damaged-document"], make=one_file("photo.jpg", truncated(samples.jpeg))),
    Case("a truncated PNG", ["damaged-document"], make=one_file("photo.png", truncated(samples.png))),
    Case("a truncated TIFF", ["damaged-document"], make=one_file("form.tiff", truncated(samples.tiff))),
    Case("a truncated BMP", ["damaged-document"], make=one_file("photo.bmp", truncated(samples.bmp))),
    Case("a truncated PDF", ["damaged-document"], make=one_file("payslip.pdf", truncated(samples.pdf, 0.9))),
    Case(
        "a PDF with a password",
        ["encrypted-pdf"],
        make=one_file("payslip.pdf", lambda: samples.pdf(password="fictional")),
    ),
    Case(
        "a PDF that forbids printing, but opens without a password",
        ["restricted-pdf"],
        0,
        make=one_file("payslip.pdf", defective_documents.restricted_pdf),
    ),
    Case(
        "a PDF that a script read and wrote as text",
        ["document-altered"],
        make=one_file("payslip.pdf", lambda: defective_documents.as_utf8(defective_documents.text_pdf())),
    ),
    Case(
        "a form that only Adobe's programs show",
        ["xfa-form"],
        0,
        make=one_file("form.pdf", defective_documents.xfa_form),
    ),
    Case("a PDF portfolio", ["portfolio-pdf"], 0, make=one_file("files.pdf", defective_documents.portfolio)),
    Case(
        "a TIFF whose pages form a loop",
        ["repaired-by-viewers"],
        0,
        make=one_file("form.tiff", defective_documents.tiff_with_loop),
    ),
    Case("a BigTIFF image", ["rare-image"], 0, make=one_file("form.tiff", defective_documents.big_tiff)),
    Case(
        "a JPEG with 12 bits for each sample",
        ["unviewable-image"],
        make=one_file("photo.jpg", lambda: defective_documents.jpeg_with_frame(precision=12)),
    ),
    Case(
        "a JPEG without an image",
        ["damaged-document"],
        make=one_file("photo.jpg", defective_documents.jpeg_without_frame),
    ),
    # -- sizes, counts, names
    Case(
        "10 MB and one byte",
        ["document-too-large"],
        make=one_file("payslip.pdf", lambda: samples.pdf(size=10 * MB) + b"\n"),
    ),
    Case(
        "7 MB to the personal service",
        ["document-too-large"],
        make=one_file("payslip.pdf", lambda: samples.pdf(size=7 * MB)),
        options=PERSONAL,
    ),
    Case(
        "a .jpeg to the personal service",
        ["format-not-accepted"],
        make=one_file("photo.jpeg", samples.jpeg),
        options=PERSONAL,
    ),
    Case(
        "a BMP to the personal service",
        ["format-not-accepted"],
        make=one_file("photo.bmp", samples.bmp),
        options=PERSONAL,
    ),
    Case("16 documents", ["too-many-documents"], make=sixteen_files),
    Case("one document twice", ["duplicate-document"], make=same_file_twice),
    Case("the same bytes under two names", ["duplicate-document"], make=same_content_twice),
    Case(
        "a file name with a control character",
        ["name-not-accepted"],
        make=one_file("pay\x1b[2Jslip.pdf", samples.pdf),
    ),
    Case(
        "a file name that reverses the reading direction",
        ["name-not-accepted"],
        make=one_file("pay\u202efdp.pdf", samples.pdf),
    ),
    Case("a file name that is not UTF-8", ["name-not-accepted"], make=name_not_utf8),
    # -- destination, subject, category, type and branch
    Case("no destination", ["destination-missing"], 2, options=[*ABOUT, *PERSON]),
    Case("an unknown destination", ["unknown-destination"], options=["--to", "benefit", *ABOUT, *PERSON]),
    Case(
        "no subject",
        ["subject-missing"],
        2,
        options=["--to", "benefits", "--category", "employer", "--type", "payslips", *PERSON],
    ),
    Case(
        "a typo in the subject",
        ["unknown-subject"],
        options=["--to", "benefits", "--subject", "unemploymnt", *ABOUT[2:], *PERSON],
    ),
    Case(
        "no category", ["category-missing"], 2, options=["--to", "benefits", *ABOUT[:2], *ABOUT[4:], *PERSON]
    ),
    Case("no type", ["type-missing"], 2, options=["--to", "benefits", *ABOUT[:4], *PERSON]),
    Case(
        "a category of another subject",
        ["unknown-category"],
        options=["--to", "benefits", *ABOUT[:2], "--category", "accident", *ABOUT[4:], *PERSON],
    ),
    Case(
        "a type of another category",
        ["unknown-type"],
        options=["--to", "benefits", *ABOUT[:2], "--category", "claim", *ABOUT[4:], *PERSON],
    ),
    Case(
        "a claim that has an online form",
        ["online-form-required"],
        options=[
            "--to",
            "benefits",
            *ABOUT[:2],
            "--category",
            "claim",
            "--type",
            "unemployment-claim",
            *PERSON,
        ],
    ),
    Case(
        "a claim that may have an online form",
        ["online-form-possible"],
        0,
        options=[
            "--to",
            "benefits",
            "--subject",
            "long-term-care",
            "--category",
            "claim",
            "--type",
            "long-term-care-reassessment",
            *PERSON,
        ],
    ),
    Case("an unknown branch", ["unknown-branch"], options=[*BENEFITS, "--branch", "hayfa"]),
    Case(
        "a subject for a destination without subjects",
        ["not-taken"],
        options=[
            "--to",
            "health-funds",
            "--subject",
            "unemployment",
            "--category",
            "forms",
            "--type",
            "form-7000",
            *PERSON,
        ],
    ),
    # -- identity and texts
    Case("no id number", ["id-number-missing"], 2, options=BENEFITS[:-2]),
    Case("an id number with a wrong digit", ["id-number-invalid"], options=[*BENEFITS[:-1], "000000019"]),
    Case("an id number without its leading zeros", ["id-number-invalid"], options=[*BENEFITS[:-1], "18"]),
    Case(
        "no booklet number", ["booklet-missing"], 2, options=[*EMPLOYER, *EMPLOYER_WHO[:2], *EMPLOYER_WHO[4:]]
    ),
    Case(
        "a booklet number with a space",
        ["booklet-invalid"],
        options=[*EMPLOYER, *EMPLOYER_WHO[:2], "--booklet", "71 34", *EMPLOYER_WHO[4:]],
    ),
    Case("no mobile number", ["mobile-missing"], 2, options=[*EMPLOYER, *EMPLOYER_WHO[:-2]]),
    Case(
        "a landline number as mobile number",
        ["mobile-invalid"],
        options=[*EMPLOYER, *EMPLOYER_WHO[:-1], "026709070"],
    ),
    Case("no employer file number", ["employer-file-missing"], 2, options=[*EMPLOYER, *EMPLOYER_WHO[2:]]),
    Case(
        "a letter in an employer file number",
        ["employer-file-invalid"],
        options=[*EMPLOYER, "--employer-file", "90000001O", *EMPLOYER_WHO[2:]],
    ),
    Case(
        "a deduction file number of 8 digits",
        ["employer-file-invalid"],
        options=[*EMPLOYER, "--employer-file", "90000000", *EMPLOYER_WHO[2:]],
    ),
    Case(
        "a deduction file number with an unusual check digit",
        ["employer-file-unusual"],
        0,
        options=[*EMPLOYER, "--employer-file", "900000018", *EMPLOYER_WHO[2:]],
    ),
    Case(
        "an unknown kind of employer file",
        ["unknown-employer-kind"],
        options=[*EMPLOYER, *EMPLOYER_WHO, "--employer-kind", "bakery"],
    ),
    Case(
        "an invalid email address", ["email-invalid"], options=[*EMPLOYER, *EMPLOYER_WHO, "--email", "office"]
    ),
    Case(
        "an insured person's id number for an employer",
        ["not-taken"],
        options=[*EMPLOYER, *EMPLOYER_WHO, *PERSON],
    ),
    Case("a remark of 1,001 characters", ["remark-too-long"], options=[*BENEFITS, "--remark", "x" * 1001]),
    Case(
        "a reference with an escape sequence",
        ["text-not-accepted"],
        options=[*BENEFITS, "--reference", "a\x1b[31m"],
    ),
    Case(
        "a required document's id of 101 characters",
        ["required-too-long"],
        options=[*PERSONAL, "--required", "R" * 101],
    ),
    Case("occurrence 0", ["occurrence-invalid"], options=[*BENEFITS, "--occurrence", "0"]),
    Case("a word as occurrence", ["occurrence-invalid"], options=[*BENEFITS, "--occurrence", "twice"]),
    Case(
        "an occurrence that JSON would round",
        ["occurrence-invalid"],
        options=[*BENEFITS, "--occurrence", "9999999999999999"],
    ),
    Case(
        "four problems at once",
        ["unknown-type", "unknown-branch", "empty-document", "id-number-invalid"],
        make=one_file("payslip.pdf", b""),
        options=["--to", "benefits", *ABOUT[:4], "--type", "pay", "--id", "000000019", "--branch", "x"],
    ),
    # -- command line and settings
    Case("an unknown option", ["usage"], 2, options=[*BENEFITS, "--sujet", "x"]),
    Case("no service", ["usage"], 2),
    Case("an unknown service", ["usage"], 2, options=[*BENEFITS, "--service", "institute"]),
    Case("http to another host", ["usage"], 2, options=[*BENEFITS, "--service", "http://documents.example"]),
    Case(
        "a password in the address",
        ["usage"],
        2,
        options=[*BENEFITS, "--service", "https://me:secret@documents.example"],
    ),
    Case("an invalid host name", ["usage"], 2, options=[*BENEFITS, "--service", "https://xn--.example"]),
    Case("a typo in config.toml", ["usage"], 2, config='defualt_service = "sandbox"'),
    Case(
        "the personal service without a sign-in",
        ["sign-in-needed"],
        4,
        options=[*PERSONAL, "--service", "sandbox"],
        environment={"DOCSEND_KEYRING": "keyrings.alt.file.PlaintextKeyring"},
    ),
]


@dataclass(frozen=True)
class RunResult:
    exit_code: int
    json: dict[str, Any]
    err: str

    @property
    def first(self) -> dict[str, Any]:
        problem: dict[str, Any] = self.json["problems"][0]
        return problem


def run_case(case: Case) -> RunResult:
    """Run the case in a separate home and return the result."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        home = folder / "home"
        home.mkdir()
        if case.config is not None:
            (home / "config.toml").write_text(case.config)
        files = case.make(folder)
        environment = {"DOCSEND_HOME": str(home), "TERM": "dumb", **case.environment}
        stack.enter_context(mock.patch.dict(os.environ, environment))
        out, err = io.StringIO(), io.StringIO()
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        if case.respects_permissions:
            stack.enter_context(without_root_override())
        dry_run = ["--dry-run"] if case.severity == "warning" else []
        code = main(["send", *map(str, files), *case.options, *dry_run, "--json"])
        stdout, stderr = (text.getvalue().replace(str(home), "~") for text in (out, err))
        return RunResult(code, json.loads(stdout), stderr)


@contextlib.contextmanager
def without_root_override() -> Iterator[None]:
    """Make file permissions apply to root by dropping the capabilities that override them.

    The process stays root, because docsend may be installed in a folder that only root can enter. See
    capabilities(7).
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits each
    assert libc.capget(header, sets) == 0
    before = sets[0]
    cap_dac_override, cap_dac_read_search = 1, 2
    sets[0] &= ~(1 << cap_dac_override | 1 << cap_dac_read_search)
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0


def table() -> str:
    """Return the table of docs/bad-input.md: input, first problem with its hint, exit code."""
    lines = ["| input | message | exit |", "|---|---|---|"]
    for case in CASES:
        outcome = run_case(case)
        message = f"{outcome.first['message']} — *{outcome.first['hint']}*"
        if outcome.first["severity"] == "warning":
            message = f"warning: {message}"
        more = len(outcome.json["problems"]) - 1
        also = f" (and {more} more)" if more else ""
        lines.append(
            f"| {case.description} | {_cell(message)}{also} `{outcome.first['code']}` | {outcome.exit_code} |"
        )
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\x1b", "\\x1b").replace("<", "&lt;")


if __name__ == "__main__":
    PART.write(table())
    sys.stdout.write(f"{len(CASES)} rows\n")
