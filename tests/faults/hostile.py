"""Hostile input, generated: names, paths, documents, catalogs, responses, settings.

Most of it goes to the nearest real function; one input in DOOR_EVERY goes through the program's public door,
in this process, with captured streams. An input may be refused, in the module's own documented way. It may
not crash, hang, put an unsafe character on a stream, show a secret, or pass as what it is not.

Every input is made from the seed, its class and its number alone, so any of them can be made again.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import math
import os
import random
import re
import signal
import socket
import stat
import struct
import sys
import threading
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema
import yaml

import docsend
import doubles
import samples
from docsend import i18n
from docsend.checks import documents, submission_rules
from docsend.checks.formats import detect
from docsend.cli import app
from docsend.config import settings
from docsend.errors import DocsendError, FaultySubmission, LocalFailure, UsageFault
from docsend.model import catalog, search
from docsend.model.canonical import canonical
from docsend.model.document import Document, UnreadDocument
from docsend.model.receipt import Receipt
from docsend.model.submission import CheckedSubmission, Submission
from docsend.sandbox import declaration
from docsend.sandbox.problems import Refusal
from docsend.service import http, responses
from docsend.service.failures import ContractViolation
from docsend.storage import catalogs, receipts
from docsend.storage.ledger import Entry
from docsend.text import escape_for_terminal
from docsend.ui import shapes
from docsend.ui.terminal import Streams
from docsend.ui.views.catalog import CatalogRows
from faults import lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from docsend.codes import Code
    from docsend.i18n import Message

    Violations = Iterable[tuple[str, str]]

DOOR_EVERY = 20
CPU_S, REAL_S = 3.0, 20.0  # what one input may take
SHARES = {
    "hostile file names": 0.24,
    "hostile paths": 0.10,
    "hostile documents": 0.26,
    "hostile catalogs": 0.12,
    "hostile receipts and responses": 0.14,
    "hostile configuration and environment": 0.14,
}
# No C0 but the line feed, no DEL, no C1, nothing that turns the reading direction, no raw surrogate.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CODES = frozenset({0, 2, 3, 4, 5, 6, 8})  # of errors.ExitCode, without a bug and without signals
_RESULT = jsonschema.Draft202012Validator(
    json.loads(
        (Path(docsend.__file__).parent / "data" / "schemas" / "result-2.json").read_text(encoding="utf-8")
    )
)


def experiment(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    """Make `count` hostile inputs in all, and see what becomes of each; give a tally for each class."""
    tallies = []
    classes = (_Names, _Paths, _Documents, _Catalogs, _Responses, _Settings)
    for (name, share), made in zip(SHARES.items(), classes, strict=True):
        tally = lab.Tally(name, seed)
        with lab.world(scratch, name) as folder, _alarms(), contextlib.ExitStack() as opened:
            inputs = made(folder, opened)
            for number in range(max(1, round(count * share))):
                _try(tally, inputs, number)
        tallies.append(tally)
    return tallies


def _try(tally: lab.Tally, inputs: _Inputs, number: int) -> None:
    rng = random.Random(f"{tally.seed}:{tally.name}:{number}")
    through_door = number % DOOR_EVERY == DOOR_EVERY - 1
    inputs.what = ""
    try:
        with _timed():
            found = list(inputs.door(rng) if through_door else inputs.near(rng))
    except _TooLong as late:
        found = [("other", f"it takes more than {late}")]
    except Exception as error:
        found = [("other", f"{type(error).__name__} at {_place(error)}: {str(error)[:120]!a}")]
    tally.add(f"input {number} ({inputs.what[:160]})", found)


def _place(error: BaseException) -> str:
    """Say where in docsend an error came from."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if f"{os.sep}docsend{os.sep}" in file:
            place = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


# -- time --------------------------------------------------------------------------------------------------


class _TooLong(BaseException):
    """An input takes too long; no part of the program may catch it."""


@contextlib.contextmanager
def _alarms() -> Iterator[None]:
    """Let the timers raise, as long as this is the main thread, which alone may be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_cpu(*_: object) -> None:
        raise _TooLong(f"{CPU_S:.0f} s of the processor")

    def on_clock(*_: object) -> None:
        raise _TooLong(f"{REAL_S:.0f} s")

    if sys.platform == "win32":
        raise NotImplementedError
    before = signal.signal(signal.SIGPROF, on_cpu), signal.signal(signal.SIGALRM, on_clock)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])


@contextlib.contextmanager
def _timed() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if sys.platform == "win32":
        raise NotImplementedError
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.setitimer(signal.ITIMER_REAL, REAL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


# -- the public door ---------------------------------------------------------------------------------------


def through_the_door(argv: Sequence[str], environment: Mapping[str, str]) -> lab.Ran:
    """Run the program in this process with streams that keep what they get, and an environment."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.main(list(argv))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        os.environ.clear()
        os.environ.update(kept)
    out.seek(0)
    err.seek(0)
    return lab.Ran(code, out.read(), err.read())


def judged(ran: lab.Ran, *, as_json: bool) -> Violations:
    """Hold what came out of the door against what always holds."""
    if ran.code not in _CODES:
        yield "other", f"exit code {ran.code}: {ran.err[:200]!a}"
    yield from unsafe(ran.out, "on stdout")
    yield from unsafe(ran.err, "on stderr")
    if as_json:
        try:
            value = json.loads(ran.out)
        except ValueError:
            yield "other", f"stdout is not JSON: {ran.out[:80]!a}"
            return
        if value.get("schema") == "docsend.result/2" and not _RESULT.is_valid(value):
            yield "other", "the JSON does not keep its schema"


def _rendered(*messages: Message | None) -> str:
    """Return messages as a terminal would get them."""
    return " ".join(i18n.ENGLISH.render(each, safe=escape_for_terminal) for each in messages if each)


def unsafe(text: str, where: str) -> Violations:
    if found := UNSAFE.search(text):
        yield "seen", f"{found[0]!a} {where}, in {text[max(0, found.start() - 30) : found.end()]!a}"
    yield from (("seen", f"{secret[:3]}... {where}") for secret in lab.SECRETS if secret in text)


def _environment(home: Path, **more: str) -> dict[str, str]:
    return {**lab.environment(home), "DOCSEND_PATIENCE": "0", **more}


# -- what is common to all classes -------------------------------------------------------------------------


class _Inputs:
    """One class of hostile input: `near` takes it to the nearest function, `door` through the program."""

    what = ""  # the input at hand, for the report

    def __init__(self, folder: Path, opened: contextlib.ExitStack) -> None:
        self.folder = folder
        self.opened = opened
        self.home = folder / "home"
        self.home.mkdir()
        self.catalog = catalogs.load()
        self.pdf = samples.write(folder, "payslip.pdf", samples.pdf(1))
        self.prepare()

    def prepare(self) -> None: ...

    def near(self, rng: random.Random) -> Violations:
        raise NotImplementedError

    def door(self, rng: random.Random) -> Violations:
        raise NotImplementedError

    def send(self, rng: random.Random, *argv: object, **environment: str) -> Violations:
        """Run `send`, most often dry, with a known identity that must never be seen."""
        as_json = rng.random() < 0.5
        about = (*_PERSONAL,) if "--required" in argv else (*lab.ABOUT, "--id", lab.PERSON)
        given = ["send", *map(str, argv), *about, *(["--json"] if as_json else [])]
        yield from judged(through_the_door(given, _environment(self.home, **environment)), as_json=as_json)


def _stated(*read: Document | UnreadDocument, **more: str) -> Submission:
    names = ("to", "subject", "category", "type")
    about = dict(zip(names, lab.ABOUT[1::2], strict=True))
    return Submission(**{**about, "id": lab.PERSON, **more}, documents=read)


def _check(read: Document | UnreadDocument, rows: catalog.Catalog) -> Violations:
    """Check a submission of one document: findings can be shown, and what passes is what it says."""
    found = submission_rules.check(_stated(read), rows)
    if isinstance(found, submission_rules.Faulty):
        if not found.problems:
            yield "other", "faulty without a problem"
        for problem in found.problems:
            yield from unsafe(_rendered(problem.message, problem.hint), "in a problem, made safe")
            yield from unsafe(str(problem.code), "in a code")
        return
    (document,) = found.documents
    yield from _fit_name(document.name)
    if document.size != Path(document.path).stat().st_size or document.sha256 != lab.digest(
        Path(document.path)
    ):
        yield "wrong", "what passed has another size or digest than its file"
    if detect.FORMAT_OF_EXTENSION.get(document.name.rpartition(".")[2].lower()) != document.format:
        yield "wrong", "what passed is of another format than its name says"
    try:
        declaration.read(declaration.parsed(canonical(found.declaration())), rows)
    except Refusal as refusal:
        yield "other", f"the check passes what the sandbox refuses: {refusal.code} {dict(refusal.members)!a}"


def _fit_name(name: str) -> Violations:
    if UNSAFE.search(name) or "\n" in name or re.search(r"[/\\\u2028\u2029]", name):
        yield "wrong", f"a name passed that should not: {name[:60]!a}"
    if len(name.encode("utf-8", "surrogatepass")) > 255 or name != unicodedata.normalize("NFC", name):
        yield "wrong", f"a name passed that is too long or not in NFC: {name[:60]!a}"


# -- file names --------------------------------------------------------------------------------------------

_PIECES = (
    *("\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\r", "\n", "\t", "\b", "\x7f", "\x85", "\x00"),
    *("\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200b", "\u2028", "\u2029", "\ufeff", "\u061c"),
    *("\udcff", "\udcc3\udca9", "e\u0301", "\u05ea\u05dc\u05d5\u05e9", "\u1112\u1161\u11ab", "\U0001f4c4"),
    *("[red]", "[/x]", "[link=http://a]", "{0}", "%s", "$(id)", "`id`", "'", '"', "\\", "*", "?", "[a-"),
    *(
        "..",
        "...",
        " ",
        "-n",
        "--json",
        "CON",
        "nul.",
        "a:b",
        ";",
        "|",
        "&&",
        "\ue000",
        "\uffff",
        "\U0010fffd",
    ),
    *("payslip", "a", "Z", "7", "a" * 50, "\u0301" * 30),
)
_ENDS = (".pdf",) * 6 + (".PDF", ".Pdf", ".jpg", ".docx", ".pdf ", ".pdf.", ".", "", "pdf", ".p\u0064f\u200b")


def _text(rng: random.Random, most: int = 8) -> str:
    """Text out of pieces that have done harm somewhere, and of any characters at all."""

    def piece() -> str:
        if rng.random() < 0.65:
            return rng.choice(_PIECES)
        point = rng.choice((rng.randrange(0x20, 0x7F), rng.randrange(0x300), rng.randrange(0x110000)))
        return chr(point if not 0xD800 <= point < 0xE000 else 0xDC80 + point % 128)

    return "".join(piece() for _ in range(rng.randrange(most)))


def _name(rng: random.Random) -> str:
    name = _text(rng).replace("/", "\u2215")
    if rng.random() < 0.15:  # about as long as a name may be
        name += rng.choice("a\u05d0\U0001d49c") * rng.randrange(50, 256)
    return name + rng.choice(_ENDS)


def _option(name: str) -> Callable[[random.Random], tuple[str, ...]]:
    return lambda rng: (f"--{name}", _text(rng))


_PERSONAL = ("--to", "personal", *lab.ABOUT[2:])
# The identity that `send` adds stays, or is one too many: both have to be told without showing it.
_OPTIONS: tuple[Callable[[random.Random], tuple[str, ...]], ...] = (
    *map(_option, ("reference", "remark", "branch", "required", "employer-file", "employer-kind", "mobile")),
    *map(_option, ("email", "lang", "service")),
    lambda _: ("--booklet", lab.BOOKLET),
)


class _Names(_Inputs):
    def prepare(self) -> None:
        self.names = self.folder / "names"
        self.names.mkdir()

    @contextlib.contextmanager
    def named(self, rng: random.Random) -> Iterator[Path]:
        name = _name(rng)
        self.what = ascii(name)
        path = self.names / name
        with contextlib.suppress(OSError, ValueError):  # too long, a NUL, a point: then there is no such file
            os.link(self.pdf, path)
        try:
            yield path
        finally:
            with contextlib.suppress(OSError, ValueError):
                path.unlink()

    def near(self, rng: random.Random) -> Violations:
        with self.named(rng) as path:
            read = documents.read_all([path], at_most=10**7, hold_up_to=10**7)[0]
            yield from _check(read, self.catalog)
            yield from unsafe(escape_for_terminal(path), "made safe")

    def door(self, rng: random.Random) -> Violations:
        with self.named(rng) as path:
            options = [
                part for option in rng.sample(_OPTIONS, rng.choice((0, 0, 0, 1, 2))) for part in option(rng)
            ]
            self.what += f" {options!a}"
            yield from self.send(rng, path, "-n", *options)


# -- paths -------------------------------------------------------------------------------------------------

_SYSTEM = (
    *("/", "/..", "/proc/self/status", "/proc/self/maps", "/proc/self/environ", "/proc/self/mem"),
    *(
        "/proc/version",
        "/proc/self/fd/0",
        "/proc/self/exe",
        "/proc/self/cwd",
        "/proc/self/root",
        "/proc/1/mem",
    ),
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/stdin", "/dev/fd/9999", "/sys/kernel"),
)


class _Paths(_Inputs):
    def prepare(self) -> None:
        at = self.at = self.folder / "tree"
        (at / "folder.pdf" / "below").mkdir(parents=True)
        self.kinds = ["folder.pdf", "pipe.pdf", "socket.pdf", "sparse.pdf", "empty.pdf", "file.pdf"]
        samples.pipe(at / "pipe.pdf")
        if sys.platform == "win32":
            raise NotImplementedError
        listener = self.opened.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
        here = Path.cwd()
        os.chdir(at)  # the address of a socket has to be short
        try:
            listener.bind("socket.pdf")
        finally:
            os.chdir(here)
        with (at / "sparse.pdf").open("wb") as file:
            file.truncate(2**33)
        (at / "empty.pdf").touch()
        os.link(self.pdf, at / "file.pdf")
        for target in [*self.kinds, "nowhere", "link-to-nowhere.pdf", "/proc/self/status", "/dev/zero"]:
            name = f"link-to-{target.strip('/').replace('/', '-').removesuffix('.pdf')}.pdf"
            (at / name).symlink_to(target)
            self.kinds.append(name)
        (at / "loop-a.pdf").symlink_to("loop-b.pdf")
        (at / "loop-b.pdf").symlink_to("loop-a.pdf")
        for n in range(45):
            (at / f"chain-{n}.pdf").symlink_to(f"chain-{n + 1}.pdf" if n < 44 else "file.pdf")
        self.kinds += ["loop-a.pdf", "chain-0.pdf", "chain-20.pdf", "nowhere.pdf", "folder.pdf/below"]

    def path(self, rng: random.Random) -> str:
        if rng.random() < 0.15:
            return rng.choice(_SYSTEM)
        parts = [
            str(self.at),
            *(rng.choice(("..", ".", "", "tree", _text(rng))) for _ in range(rng.randrange(3))),
        ]
        parts = parts[:1] if rng.random() < 0.6 else parts
        end = rng.choice(
            ("", "", "", "/", "/.", "/x.pdf", "\0", "\0.pdf", "/" + "a" * 300, "*" + "a" * 300, "[!")
        )
        return "/".join([*parts, rng.choice(self.kinds)]) + end

    def near(self, rng: random.Random) -> Violations:
        if rng.random() < 0.5:
            yield from self._swapped(rng)
            return
        path = Path(self.path(rng))
        self.what = ascii(str(path))
        read = documents.read_all([path], at_most=10**6, hold_up_to=rng.choice((0, 10**7)))[0]
        if isinstance(read, Document):
            if not stat.S_ISREG(path.stat().st_mode):
                yield "wrong", "what is no file was read as one"
            if not str(path).startswith("/proc"):
                yield from _check(read, self.catalog)

    def _swapped(self, rng: random.Random) -> Violations:
        """Change what a path means between the check and the sending."""
        path = self.folder / "swapped.pdf"
        content = samples_of(rng, "pdf")
        (self.folder / "first").write_bytes(content)
        (self.folder / "second").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        is_link = rng.random() < 0.5
        path.unlink(missing_ok=True)
        if is_link:
            path.symlink_to("first")
        else:
            path.write_bytes(content)
        read = documents.read_all([path], at_most=10**7, hold_up_to=rng.choice((0, 0, 0, 10**7)))[0]
        change, make = rng.choice(list(_swaps(path, content, rng).items()))
        self.what = f"{'a link' if is_link else 'a file'} of {len(content)} bytes, then {change}"
        try:
            make()
            sent = documents.content(read) if isinstance(read, Document) else b""
            if hashlib.sha256(sent).digest() != hashlib.sha256(content).digest():
                yield "wrong", "other bytes are sent than were checked"
        except FaultySubmission as refused:
            yield from unsafe(_rendered(refused.message), "in the message")
        finally:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            path.unlink(missing_ok=True)

    def door(self, rng: random.Random) -> Violations:
        path = self.path(rng)
        self.what = ascii(path)
        yield from self.send(rng, path, "-n")


def _replaced(path: Path, make: Callable[[], object]) -> None:
    path.unlink()
    make()


def _swaps(path: Path, content: bytes, rng: random.Random) -> dict[str, Callable[[], object]]:
    """Give what may become of a checked file before it is sent."""
    flipped = bytes([content[0] ^ (1 << rng.randrange(8))]) + content[1:]
    return {
        "nothing": lambda: None,
        "another file of the same length": lambda: _replaced(path, lambda: path.symlink_to("second")),
        "a dangling link": lambda: _replaced(path, lambda: path.symlink_to("nowhere")),
        "a link to itself": lambda: _replaced(path, lambda: path.symlink_to(path.name)),
        "a link to a device": lambda: _replaced(path, lambda: path.symlink_to("/dev/zero")),
        "a pipe": lambda: _replaced(path, lambda: samples.pipe(path)),
        "a folder": lambda: _replaced(path, path.mkdir),
        "gone": path.unlink,
        "grown": lambda: path.write_bytes(content + b"\n"),
        "cut short": lambda: path.write_bytes(content[: rng.randrange(len(content))]),
        "sparse and huge": lambda: os.truncate(path, 2**33),
        "changed in one bit": lambda: path.write_bytes(flipped),
        "written anew with the same bytes": lambda: path.write_bytes(content),
    }


# -- documents ---------------------------------------------------------------------------------------------

_MADE: dict[str, list[bytes]] = {}
_NUMBERS = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
_TOKENS = (
    *(
        b"%PDF-",
        b"startxref",
        b"trailer",
        b"xref",
        b"obj",
        b"endobj",
        b"stream",
        b"/Encrypt",
        b"/Encrypt 1 0 R",
    ),
    *(
        b"/Linearized 1 /L 99999999999",
        b"%%EOF",
        b"1 0 obj",
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"\xff\xda",
        b"IEND",
    ),
    *(
        b"IDAT",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0",
        b"MM\0*",
        b"BM",
        b"<!doctype html>",
        b"PK\x03\x04",
        b"\0" * 64,
    ),
    *(b"9" * 5000, b" " * 3000, b"\xff" * 100, b"<<" * 500, b"[" * 500),
)


def samples_of(rng: random.Random, kind: str) -> bytes:
    """Give one of a few real documents of a kind; they are made once."""
    if kind not in _MADE:
        makers: dict[str, Callable[[int], bytes]] = {
            "pdf": lambda n: samples.pdf(n, streams=n == 1, password="fictional" if n == 2 else None),
            "jpg": samples.jpeg,
            "png": samples.png,
            "tiff": lambda n: samples.tiff(n, pages=n + 1),
            "bmp": samples.bmp,
        }
        _MADE[kind] = [makers[kind](n) for n in range(4)]
    return rng.choice(_MADE[kind])


def _mutated(rng: random.Random, content: bytes, other: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1)
        if rng.random() < 0.4:  # where the structure is
            at = min(
                len(changed), rng.choice((rng.randrange(64), max(0, len(changed) - rng.randrange(1, 200))))
            )
        end = min(len(changed), at + rng.choice((1, 4, 60, 2000)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = struct.pack(rng.choice((">I", "<I")), rng.choice(_NUMBERS))
        elif kind == 2:
            changed[at : at + 2] = struct.pack(rng.choice((">H", "<H")), rng.choice(_NUMBERS) & 0xFFFF)
        elif kind == 3:
            del changed[at:end]
        elif kind == 4:
            changed[at:at] = rng.choice(_TOKENS)
        elif kind == 5:
            changed[at:at] = changed[at:end] * rng.randrange(1, 20)
        else:
            start = rng.randrange(len(other))
            changed[at:end] = other[start : start + end - at]
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.1 else changed)


def _bomb(rng: random.Random, kind: str) -> bytes:
    """Make a small document that is much work for whoever believes what it says."""
    if kind == "tiff":
        fields, values = rng.randrange(1000, 6000), rng.randrange(10_000, 200_000)
        directory = struct.pack("<HHII", rng.choice((273, 279, 324)), rng.choice((3, 4)), values, 8) * fields
        whole = b"II*\0" + struct.pack("<IH", 8, fields) + directory + bytes(4)
        return whole + bytes(max(0, 4 * values + 16 - len(whole)))
    if kind == "png":
        return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0abcd\0\0\0\0" * rng.randrange(50_000)
    if kind == "jpg":
        return b"\xff\xd8\xff" + rng.choice(
            (b"\xff\xd0", b"\xff\xe0\0\0", b"\xff", b"a\xff")
        ) * rng.randrange(300_000)
    if kind == "bmp":
        return b"BM" + struct.pack("<IIIIiiHHII", 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 32, 0, 2**32 - 1)
    fill = rng.choice((b"1 ", b"1", b"/Encrypt ", b"startxref 1 ", b"1 0 obj ", b"\n"))
    tail = rng.choice((b"1" * 8000, b"1 " * 4000, b"1" * 2700 + b" " * 2700 + b"1" * 2700, b""))
    return b"%PDF-1.7\n" + fill * rng.randrange(50_000) + b"\nstartxref\n9\n" + tail


class _Documents(_Inputs):
    def prepare(self) -> None:
        for kind in ("pdf", "jpg", "png", "tiff", "bmp"):
            samples_of(random.Random(0), kind)

    def document(self, rng: random.Random) -> Path:
        kind, other = (rng.choice(("pdf", "pdf", "jpg", "png", "tiff", "bmp")) for _ in range(2))
        if rng.random() < 0.005:
            self.what, content = f"a {kind} that is much work", _bomb(rng, kind)
        elif rng.random() < 0.03:
            self.what, content = f"noise named .{kind}", rng.randbytes(rng.randrange(2000))
        else:
            self.what = f"a changed {kind}"
            content = _mutated(rng, samples_of(rng, kind), samples_of(rng, other))
        return samples.write(self.folder, f"document.{kind}", content)

    def near(self, rng: random.Random) -> Violations:
        path = self.document(rng)
        read = documents.read_all([path], at_most=10 * 2**20, hold_up_to=rng.choice((0, 10**8)))[0]
        yield from _check(read, self.catalog)

    def door(self, rng: random.Random) -> Violations:
        yield from self.send(rng, self.document(rng), "-n")


# -- JSON --------------------------------------------------------------------------------------------------

_DEEP = "@deep@"
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 5, 2**53, 10**30, 10**400, 1.5, 1e308, math.inf, -math.inf, math.nan),
    *("", "x", "*", "5", "\x1b]0;owned\x07", "\x9b2J", "\u202e", "\ud800", "\udfff\ud800", "a" * 5000, "\0"),
    *("[red]x[/y]", "=1+1", "../../x", "\u2028", "\n", "\x7f", _DEEP, _DEEP),
    *([], {}, [[]], [None], [5], {"": ""}, {"a": 1}, {"en": 5}, [{}], ["a"] * 100),
)


def _changed_json(rng: random.Random, text: str) -> bytes:
    """Change a few values of a JSON text, its members, or its bytes."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = rng.choice(places)
        kind = rng.random()
        if kind < 0.75:
            holder[key] = _hostile(rng)
        elif kind < 0.9:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(_hostile(rng))
        else:
            holder[_text(rng, 3)] = _hostile(rng)
    body = json.dumps(value, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    depth = rng.choice((5, 100, 300, 330, 490, 900, 990, 5000))
    body = body.replace(json.dumps(_DEEP).encode(), b"[" * depth + b"]" * depth)
    if rng.random() < 0.08:
        body = _mutated(rng, body, body)
    return rng.choice((b"", b"\xef\xbb\xbf")) + body if rng.random() < 0.05 else body


def _hostile(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(_VALUES)) if rng.random() < 0.85 else _text(rng)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in list(items):
        yield value, key
        yield from _places(below)


# -- catalogs ----------------------------------------------------------------------------------------------


def _small_catalog() -> str:
    """Give the bundled catalog with few rows, but every kind of them."""
    raw = json.loads(catalog.BUNDLED.read_text(encoding="utf-8"))
    kept = [row for row in raw["types"] if row["subject"] in ("unemployment", "*")][:12]
    categories = {row["category"] for row in kept}
    for row in [*raw["destinations"], *raw["subjects"]]:
        row.pop("sentences", None)
    return json.dumps(
        {
            **raw,
            "types": kept,
            "categories": [row for row in raw["categories"] if row["code"] in categories],
            "subjects": [row for row in raw["subjects"] if row["code"] == "unemployment"]
            + raw["subjects"][:1],
            "branches": raw["branches"][:2],
            "forms": raw["forms"][:2],
        }
    )


class _Catalogs(_Inputs):
    def prepare(self) -> None:
        self.text = _small_catalog()
        self.document = documents.read_all([self.pdf], at_most=10**7, hold_up_to=0)[0]
        self.body = b""
        self.etag = '"x"'
        self.url, _ = self.opened.enter_context(doubles.service(self._answer))

    def _answer(self, _: doubles.Asked) -> doubles.Reply:
        return doubles.Reply(200, self.body, {"Content-Type": "application/json", "ETag": self.etag})

    def near(self, rng: random.Random) -> Violations:
        body = _changed_json(rng, self.text)
        self.what = "a changed catalog"
        try:
            rows = catalog.Catalog(body)
        except catalog.MalformedCatalog:
            return
        self.what = "a changed catalog that is read"
        for stated in (
            _stated(self.document),
            Submission(documents=(self.document,)),
            _stated(self.document, to="personal", subject="unemploymnt", type="x"),
        ):
            submission_rules.largest_document(stated, rows)
            found = submission_rules.check(stated, rows)
            if isinstance(found, CheckedSubmission):
                canonical(found.declaration())
            else:
                for problem in found.problems:
                    yield from unsafe(_rendered(problem.message, problem.hint), "in a problem")
        listed = list(rows.rows())
        search.find("payslips 1500", listed)
        json.dumps([shapes.catalog_row(kind, row) for kind, row in listed])
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            CatalogRows(listed, "").show(Streams())
        yield from unsafe(out.getvalue(), "in the list")

    def door(self, rng: random.Random) -> Violations:
        """Let the program fetch the catalog and use it, or find it on the disk."""
        self.body, self.what = _changed_json(rng, self.text), "a changed catalog"
        environment = _environment(self.home, DOCSEND_SERVICE=self.url)
        kept = self.home / "docsend" / "catalogs"
        name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        kept.mkdir(parents=True, exist_ok=True)
        for file in kept.iterdir():
            file.unlink()
        if rng.random() < 0.5:
            (kept / f"{name}.json").write_bytes(self.body)
            (kept / f"{name}.etag").write_bytes(
                rng.choice((b'"x"', b"\xff", b"a\r\nb: c", b"", b"a" * 10000))
            )
        for argv in (
            ("catalog", "--update"),
            ("catalog",),
            ("catalog", "payslips", "--lang", rng.choice(i18n.LANGUAGES)),
            ("catalog", "--to", "benefits"),
        ):
            as_json = rng.random() < 0.5 and argv != ("catalog", "--update")
            ran = through_the_door([*argv, *(["--json"] if as_json else [])], environment)
            yield from judged(ran, as_json=as_json)
        yield from self.send(rng, self.pdf, "-n", DOCSEND_SERVICE=self.url)


# -- responses ---------------------------------------------------------------------------------------------

_TYPES = (
    *("invalid", "withdrawn", "key-reused", "incomplete", "already-received", "not-found", "digest-mismatch"),
    *("sign-in-needed", "online-form-required", "\ud800", "", "\x1b[2J", "x" * 5000),
)
_HEADERS = {
    "retry-after": (
        *("0", "5", "-1", "99999999999999", "1e9", "\xb2", "Mon, 01 Jan 2024 00:00:00 GMT", "soon", ""),
        *("Mon, 01 Jan 2024 00:00:00 +999999999999999", "Mon, 01 Jan 99999 00:00:00 GMT", "9" * 5000),
        *("Mon, 01 Jan 2024 99:99:99 GMT", "Mon, 01 Jan 2024", "1 2 3 4 5", "0, 1"),
    ),
    "date": ("Mon, 01 Jan 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 -0000", "", "never", "\xff"),
    "etag": ('"x"', "", '"\x1b"', '"\xe9"', 'W/"x"', '"' + "a" * 9000 + '"', " ", '"x"\t'),
    "content-type": (
        *("application/problem+json",) * 3,
        *("application/json", "text/html", "", "application/problem+json; charset=x", "\xff"),
    ),
}


_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
# A reader, its status, and the body (a place in _Responses.bodies) that it takes as it is.
_TAKEN = (
    *(("send", 200, 0), ("declare", 200, 2), ("declare", 201, 2), ("status", 200, 2), ("declare", 200, 3)),
    *(
        ("whole", 200, 0),
        ("whole", 201, 0),
        ("status", 200, 3),
        ("withdraw", 200, 4),
        ("required", 200, 7),
        ("session", 200, 8),
    ),
)


def _contract() -> dict[str, jsonschema.Draft202012Validator]:
    """Give the contract's own schemas of what a reader may take for good, by the type that it makes of it.

    Members may be added to answers, and a sender passes over them: that is no breach.
    """
    file = Path(docsend.__file__).parent / "sandbox" / "openapi.yaml"
    schemas = yaml.safe_load(file.read_text(encoding="utf-8"))["components"]["schemas"]
    schemas["Document"].pop("additionalProperties")
    return {
        name: jsonschema.Draft202012Validator(
            {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"},
            format_checker=jsonschema.FormatChecker(["date"]),
        )
        for name in ("Receipt", "Standing", "Standing.open", "Session", "Required", "Problem")
    }


def _parsed_once(body: bytes) -> Any:
    """Parse JSON in which no member stands twice; raise ValueError for any other."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member twice")
        return dict(pairs)

    return json.loads(body.decode("utf-8"), object_pairs_hook=once)


class _Responses(_Inputs):
    def prepare(self) -> None:
        read = documents.read_all([self.pdf], at_most=10**7, hold_up_to=10**7)[0]
        checked = submission_rules.check(_stated(read), self.catalog)
        assert isinstance(checked, CheckedSubmission)
        self.checked = checked
        (document,) = checked.documents
        named = {"name": document.name, "bytes": document.size, "sha256": document.sha256}
        receipt = {
            "key": checked.key,
            "number": "SANDBOX-000001",
            "issuer": "nobody",
            "received_at": "2026-11-23T05:04:32.000Z",
            "branch": {"code": "haifa", "name": {"en": "Haifa", "fr": "Haïfa", "he": "חיפה"}},
            "documents": [named],
        }
        opened = doubles.opened([document.sha256])
        withdrawn = {**opened, "state": "withdrawn", "missing": [], "branch": None, "expires_at": None}
        required = {
            "id": "R-1",
            "subject": "unemployment",
            "category": "employer",
            "type": "payslips",
            "title": {"en": "a", "fr": "b", "he": "c"},
            "due": "2026-12-15",
            "state": "pending",
        }
        problem = {
            "type": f"{responses.PROBLEM_TYPE}invalid",
            "title": "t",
            "status": 422,
            "detail": "d",
            "url": "https://a.example",
            "receipt": receipt,
            "errors": [{"pointer": "/identity/id_number", "code": "id-number-invalid", "detail": "d"}] * 2,
        }
        self.bodies = [
            json.dumps(each)
            for each in (
                *(receipt, receipt, opened),
                {**opened, "state": "received", "missing": [], "expires_at": None, "receipt": receipt},
                *(withdrawn, problem, problem),
                *({"required": [required] * 2}, {"token": "t", "expires_in": 3600}),
            )
        ]
        self.contract = _contract()
        for name, status, place in _TAKEN:  # readers that refuse everything would pass all that follows
            self._readers()[name](responses.Response(status, {}, self.bodies[place].encode()))
        self.reply = doubles.Reply()
        self.url, _ = self.opened.enter_context(doubles.service(lambda _: self.reply))

    def response(self, rng: random.Random) -> tuple[int, dict[str, str], bytes]:
        text = rng.choice(self.bodies)
        if rng.random() < 0.15:
            text = text.replace(
                json.dumps(f"{responses.PROBLEM_TYPE}invalid"),
                json.dumps(responses.PROBLEM_TYPE + rng.choice(_TYPES)),
            )
        body = _changed_json(rng, text) if rng.random() < 0.9 else text.encode()
        status = rng.choice((200, 200, 200, 201, 204, 304, 400, 401, 404, 409, 409, 415, 422, 422, 429, 503))
        if rng.random() < 0.5:  # or a problem would hardly ever come with its own status
            body = body.replace(b'"status": 422', b'"status": %d' % status)
        chance = 0.9 if status >= 400 else 0.4
        headers = {name: rng.choice(values) for name, values in _HEADERS.items() if rng.random() < chance}
        self.what = f"{status} {ascii(body)[:120]}"
        return status, headers, body

    def near(self, rng: random.Random) -> Violations:
        status, headers, body = self.response(rng)
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        response = responses.Response(status, http.read_headers(encoded), body)
        if (code := response.problem_code) is not None:
            yield from self._problem(code, response)
        for name, read in self._readers().items():
            try:
                got = read(response)
            except (ContractViolation, responses.UnknownSubmission, responses.IncompleteSubmission):
                continue
            except DocsendError as error:
                yield from self._told(error)
                continue
            found = [*self._got(name, got), *self._in_contract(name, got, body)]
            yield from ((kind, f"{name}: {sentence}") for kind, sentence in found)
        with contextlib.suppress(receipts.MalformedReceipt):
            yield from self._shown(receipts.read(body))
        with contextlib.suppress(LocalFailure):
            receipts.kept(self._entry(body))

    def _readers(self) -> dict[str, Callable[[responses.Response], Any]]:
        checked = self.checked
        return {
            "catalog": responses.read_catalog,
            "look": responses.read_info,
            "session": responses.read_session,
            "sign-out": responses.read_sign_out,
            "required": responses.read_required,
            "declare": lambda response: responses.read_declare(response, checked),
            "put": responses.read_put,
            "send": lambda response: responses.read_send(response, checked),
            "whole": lambda response: responses.read_whole(response, checked)[0],
            "status": lambda response: responses.read_status(response, checked.key),
            "withdraw": lambda response: responses.read_withdraw(response, checked.key),
            "retry-after": responses.retry_after,
        }

    def _got(self, name: str, got: Any) -> Violations:
        """Hold a value that a reader took for good against what the rest of the program needs of it."""
        if isinstance(got, responses.OpenSubmission):
            if not got.missing <= {document.sha256 for document in self.checked.documents}:
                yield "wrong", "documents are missing that were not declared"
        elif isinstance(got, responses.SubmissionStatus):
            if (got.state == "received") != (got.receipt is not None):
                yield "wrong", f"{got.state} with the receipt {got.receipt is not None}"
            if got.receipt is not None:
                yield from self._ours(got.receipt, whole=False)
        elif isinstance(got, Receipt):
            yield from self._ours(got, whole=True)
        elif isinstance(got, float) and not 0 <= got < math.inf:
            yield "other", f"a wait of {got} seconds"
        elif name == "session":
            yield from self._session(*got)
        elif name == "catalog" and got is not None and not re.fullmatch(r"[!-~]+", got[1]):
            yield "wrong", f"an ETag that no header may have: {got[1][:20]!a}"

    def _session(self, token: str, seconds: float) -> Violations:
        if not re.fullmatch(r"[!-~]+", token):
            yield "wrong", "a token that no header may have"
        if not 0 < seconds < math.inf:
            yield "other", f"a session of {seconds} seconds, which no JSON can tell"

    def _ours(self, receipt: Receipt, *, whole: bool) -> Violations:
        """A receipt must be of this key, and at declare and send of these documents."""
        if receipt.key != self.checked.key:
            yield "wrong", "the receipt of another key"
        named = [(each.name, each.size, each.sha256) for each in receipt.documents]
        if whole and named != [(each.name, each.size, each.sha256) for each in self.checked.documents]:
            yield "wrong", "the receipt of other documents"
        yield from self._shown(receipt)
        for text in (receipt.number, receipt.issuer, receipt.branch_code, *receipt.branch_names.values()):
            yield from unsafe(text, "in a receipt that was read")
        if json.loads(receipt.body)["number"] != receipt.number or receipts.read(receipt.body) != receipt:
            yield "wrong", "what the ledger keeps is read as another receipt"

    def _shown(self, receipt: Receipt) -> Violations:
        json.dumps(shapes.receipt(receipt))
        for text in (receipt.number, receipt.issuer, *receipt.branch_names.values()):
            yield from unsafe(escape_for_terminal(text), "in a receipt")

    def _in_contract(self, name: str, got: Any, body: bytes) -> Violations:
        """Hold the bytes of what a reader took for good against openapi.yaml, which no reader looks at."""
        if name in ("retry-after", "put", "sign-out", "catalog", "look"):
            return
        schema = {
            "session": "Session",
            "required": "Required",
            "send": "Receipt",
            "whole": "Receipt",
            "declare": "Standing.open" if isinstance(got, responses.OpenSubmission) else "Standing",
        }.get(name, "Standing")
        try:
            raw = _parsed_once(body)
        except ValueError as error:
            yield "wrong", f"it takes what is not JSON: {error}"
            return
        if name == "withdraw" and isinstance(raw, dict) and "type" in raw:  # a problem with its receipt
            raw, schema = raw.get("receipt"), "Receipt"
        for fault in self.contract[schema].iter_errors(raw):
            yield "wrong", f"it takes what openapi.yaml does not: {fault.json_path} {fault.message[:80]!a}"
        for time in re.findall(rb'"(?:received_at|expires_at)": *("[^"]*")', body):
            if not _TIME.fullmatch(json.loads(time)):
                yield "wrong", f"it takes a time that is none: {time!a}"

    def _problem(self, code: Code, response: responses.Response) -> Violations:
        """A problem that is believed is whole, of the contract's closed list, and under its own status."""
        raw = _parsed_once(response.body)
        for error in self.contract["Problem"].iter_errors(raw):
            yield (
                "wrong",
                f"a problem that openapi.yaml does not know: {error.json_path} {error.message[:80]!a}",
            )
        if raw["type"] != f"{responses.PROBLEM_TYPE}{code}" or raw["status"] != response.status:
            yield "wrong", f"{code} under {response.status}"

    def _told(self, error: DocsendError) -> Violations:
        yield from unsafe(_rendered(error.message, error.hint), "in an error")
        for problem in error.problems:
            try:
                problem.code.value.encode()
            except UnicodeEncodeError:
                yield "other", f"a code that no ledger can keep: {problem.code.value[:20]!a}"

    def _entry(self, body: bytes) -> Entry:
        about = ("benefits", "unemployment", "employer", "payslips", None, None, 1, None)
        return Entry("sandbox", self.checked.key, "received", *about, body, "2026", "2026")

    def door(self, rng: random.Random) -> Violations:
        status, headers, body = self.response(rng)
        sent = {name: value for name, value in headers.items() if not UNSAFE.search(value)}
        self.reply = doubles.Reply(status if status not in (204, 304) else 200, body, sent)
        yield from self.send(rng, self.pdf, "--service", self.url, "--reference", str(rng.random()))
        ran = through_the_door(["catalog", "--update", "--service", self.url], _environment(self.home))
        yield from judged(ran, as_json=False)
        ran = through_the_door(["receipts", "--json"], _environment(self.home))
        yield from judged(ran, as_json=True)


# -- settings ----------------------------------------------------------------------------------------------

_HOSTS = (
    *(
        "documents.example",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::1",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "0",
        "1.1",
    ),
    *(
        "a..b",
        ".",
        "",
        "xn--a",
        "xn--",
        "ab--\xe4",
        "\u05d0.example",
        "a b",
        "a%00b",
        "-a-",
        "_a",
        "a" * 70,
        "a" * 300,
    ),
    *(
        "\u2100.example",
        "\uff0e",
        "LOCALHOST",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "127.0.0.1\\@evil.example",
    ),
    *("documents.example\r\nHost: x", "\u202eexample", "localhost.evil.example", "\ud800"[:0]),
)


def _address(rng: random.Random) -> str:
    scheme = rng.choice(
        ("https://",) * 4 + ("http://", "HTTPS://", "ftp://", "//", "", "https:/", "file:///", "x://")
    )
    who = rng.choice(("",) * 4 + (f"user:{lab.PASSWORD}@", "user@", "@", f":{lab.PASSWORD}@", "a@b@"))
    port = rng.choice(("",) * 4 + (":443", ":0", ":99999", ":-1", ":a", ":", ":\u0661", ":443:443"))
    path = rng.choice(
        ("",) * 4 + ("/", "/a/b//", "/..", "?a=b", "#c", "/%0d%0aX:y", "/a b", "/\u05d0", "/;x", "//")
    )
    return scheme + who + rng.choice(_HOSTS) + port + path


def _variable(rng: random.Random) -> str:
    value = rng.choice(
        (
            lambda: _text(rng),
            lambda: _address(rng),
            lambda: rng.choice(
                ("0", "1", "300", "-1", "nan", "inf", "1e999", "1_0", " 5 ", "\u0665", "9" * 5000)
            ),
            lambda: rng.choice(
                ("he", "fr", "en", "xx", "HE", "sandbox", "a", "*", ",", "..", "/", "a" * 5000)
            ),
        )
    )()
    return value.replace("\0", "")


_KEYS = (
    "default_service",
    "patience",
    "services",
    "services.a",
    "services.a.url",
    '"a b"',
    "x",
    "default_servise",
)


def _toml(rng: random.Random) -> bytes:
    def value() -> str:
        return rng.choice(
            (
                lambda: json.dumps(_variable(rng)),
                lambda: rng.choice(
                    ("1", "-1", "nan", "inf", "1e999", "true", "1979-05-27", "9" * 5000, "0x" + "f" * 400)
                ),
                lambda: rng.choice(
                    ("{}", "[]", '{url = "https://a.example"}', "{a = {b = {}}}", '"""', "'a'")
                ),
                lambda: "[" * (depth := rng.choice((3, 300, 3000))) + "]" * depth,
            )
        )()

    lines = [
        rng.choice(
            (
                f"{rng.choice(_KEYS)} = {value()}",
                f"[{rng.choice(_KEYS)}]",
                f"[[{rng.choice(_KEYS)}]]",
                _text(rng),
            )
        )
        for _ in range(rng.randrange(1, 5))
    ]
    if rng.random() < 0.4:
        lines = [f"default_service = {json.dumps('a')}", "[services.a]", f"url = {json.dumps(_address(rng))}"]
    text = "\n".join(lines).encode("utf-8", "surrogateescape" if rng.random() < 0.5 else "replace")
    return _mutated(rng, text, text) if rng.random() < 0.15 and text else text


_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy", "HTTP_PROXY")
_VARIABLES = (
    *(
        "DOCSEND_SERVICE",
        "DOCSEND_LANG",
        "DOCSEND_PATIENCE",
        "DOCSEND_NO_INPUT",
        "DOCSEND_CODE",
        "DOCSEND_KEYRING",
    ),
    *("TERM", "LANG", "LC_ALL", "COLUMNS"),
)


class _Settings(_Inputs):
    def prepare(self) -> None:
        session, required = json.dumps({"token": "t", "expires_in": 3600}), json.dumps({"required": []})
        self.url, _ = self.opened.enter_context(
            doubles.service(
                lambda asked: doubles.Reply(200, (session if asked.method == "POST" else required).encode())
            )
        )
        self.password = samples.write(self.folder, "password", lab.PASSWORD.encode())
        self.password.chmod(0o600)

    def environment(self, rng: random.Random) -> dict[str, str]:
        """Make an environment, and the configuration file that stands in it."""
        home = self.home / "docsend"
        home.mkdir(exist_ok=True)
        (home / "config.toml").unlink(missing_ok=True)
        if rng.random() < 0.5:
            (home / "config.toml").write_bytes(_toml(rng))
        chosen = rng.sample(_VARIABLES, rng.randrange(4)) + rng.sample(_PROXIES, rng.randrange(3))
        hostile = {
            name: _address(rng).replace("\0", "")
            if name in _PROXIES or rng.random() < 0.2
            else _variable(rng)
            for name in chosen
        }
        if rng.random() < 0.1:
            hostile["DOCSEND_PASSWORD_FILE"] = str(self.folder / _variable(rng)[:200])
        for name in hostile.keys() - {*_PROXIES, "DOCSEND_SERVICE"}:  # nobody writes a password there
            hostile[name] = hostile[name].replace(lab.PASSWORD, "x")
        self.what = ascii(hostile)
        return hostile

    def near(self, rng: random.Random) -> Violations:
        environment = {"DOCSEND_HOME": str(self.home / "docsend"), **self.environment(rng)}
        flag = _address(rng) if rng.random() < 0.4 else None
        self.what += f" --service {flag!a}"
        try:
            resolved = settings.resolve(service=flag, environment=environment)
        except UsageFault as fault:
            yield from unsafe(_rendered(fault.message, fault.hint), "in a fault")
            return
        if not math.isfinite(resolved.patience_s) or resolved.patience_s < 0:
            yield "other", f"a patience of {resolved.patience_s}"
        endpoint = resolved.endpoint
        if endpoint is None or endpoint.url is None:
            return
        yield from self._good(endpoint.url)
        if (
            not endpoint.url.startswith("https") or rng.random() < 0.1
        ):  # the stores of certificates load slowly
            with contextlib.suppress(UsageFault):
                http.HttpClient(endpoint, endpoint.url).close()
        elif endpoint.proxy is not None:
            with contextlib.suppress(UsageFault):
                http.HttpClient(endpoint, "http://127.0.0.1").close()

    def _good(self, url: str) -> Violations:
        parts = urlsplit(url)
        yield from unsafe(url, "in an address")
        if parts.username is not None or parts.password is not None or not parts.hostname:
            yield "wrong", f"an address with a name in it, or without a host: {url!a}"
        is_here = parts.hostname == "localhost" or re.fullmatch(
            r"127\.\d+\.\d+\.\d+|::1", parts.hostname or ""
        )
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            yield "wrong", f"a plain address of another machine: {url!a}"

    def door(self, rng: random.Random) -> Violations:
        environment = _environment(self.home, **self.environment(rng))
        environment["DOCSEND_PATIENCE"] = self_patience = environment.get("DOCSEND_PATIENCE", "0")
        self.what += f" patience {self_patience[:20]!a}"
        flag = ["--service", _address(rng).replace("\0", "")] if rng.random() < 0.3 else []
        as_json = rng.random() < 0.5
        if "DOCSEND_CODE" in environment:  # the personal service, at an address that answers
            environment |= {"DOCSEND_SERVICE": self.url, "DOCSEND_PASSWORD_FILE": str(self.password)}
            argv = rng.choice((["required"], ["login", "--status"], ["send", str(self.pdf), *_PERSONAL]))
            ran = through_the_door([*argv, *(["--json"] if as_json else [])], environment)
            yield from judged(ran, as_json=as_json)
            return
        more = [*flag, *(["--json"] if as_json else []), *(["-v"] if rng.random() < 0.2 else [])]
        argv = rng.choice((["receipts"], ["catalog", "payslips"], ["send", str(self.pdf), *lab.ABOUT, "-n"]))
        who = ["--id", lab.PERSON] if argv[0] == "send" else []
        yield from judged(through_the_door([*argv, *who, *more], environment), as_json=as_json)


if __name__ == "__main__":  # python tests/faults/hostile.py 2000 1 /tmp/hostile
    for each in experiment(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])):
        sys.stdout.write(f"{each.name}: {each.tried} tried, {dict(each.broken)}\n")
        sys.stdout.writelines(f"  {ascii(example)[:400]}\n" for example in each.examples)
