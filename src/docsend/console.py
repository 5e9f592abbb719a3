"""Everything a person sees. The result goes to stdout, talk to stderr; the only user of rich.

Rules:
- every string that was made elsewhere passes `safe` before a terminal or a log sees it (invariant 7);
- pictures (panels, bars, colours) only on a terminal that can draw them, judged for each stream by itself;
  everywhere else plain lines, which a script or a log can keep;
- `--quiet` leaves errors and the result; `--json` makes the result one line of JSON and silences the bars;
- a stream that is closed, or cannot write a letter, never stops the work.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from docsend import shapes
from docsend.errors import LocalFailure
from docsend.result import of_row, problem_of
from docsend.rules import in_words
from docsend.submission import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from docsend.batch import Outcome, Plan, Tally
    from docsend.catalog import Entry, Language
    from docsend.errors import DocsendError
    from docsend.ledger import Entry as Kept
    from docsend.result import Result
    from docsend.service import Watcher
    from docsend.settings import Settings
    from docsend.submission import (
        CheckedSubmission,
        Problem,
        Receipt,
        RequiredDocument,
        Submission,
        UnreadDocument,
    )

# Columns of a terminal.
_WIDE, _VERY_WIDE = 80, 150
_MOST_WARNINGS = 10
_IN_ONE_PIECE = ("code", "key", "state", "receipt", "time", "due")
NOT_THE_INSTITUTE = "sandbox: nothing here reaches the institute"
NOT_APPROVED = '"received" means that the service has everything; it does not mean approved'


def safe(text: object) -> str:
    r"""Give foreign text with all that could steer a terminal or a log written out: \x1b, \u202e."""
    return "".join(
        character if unicodedata.category(character) not in _STEERING else _written_out(character)
        for character in str(text)
    )


_STEERING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class Resumed(NamedTuple):
    """One submission after the attempt to finish it: as the ledger has it now, and what is in the way."""

    entry: Kept
    receipt: Receipt | None
    error: DocsendError | None


class Console:
    """The two streams, and what this run may put on them."""

    def __init__(self, settings: Settings | None = None, *, as_json: bool = False) -> None:
        """Make the console of a run; without settings, that of one that failed before it had any."""
        self._as_json = settings.as_json if settings else as_json
        self._quiet = settings.quiet if settings else False
        self._verbose = settings.verbose if settings else False
        self._language: Language = settings.language if settings else "en"
        self._said: set[str] = set()
        self._is_dumb = settings.has_dumb_terminal if settings else True

    # -- talk --------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Tell something that is good to know and may be missed."""
        if not self._quiet:
            self._tell(safe(text))

    def say_once(self, text: str) -> None:
        """Tell it the first time only."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def detail(self, text: str) -> None:
        """Tell what only `--verbose` wants to know."""
        if self._verbose:
            self._tell(safe(text), indent=2)

    def error(self, message: str, hint: str | None = None) -> None:
        self._tell(f"docsend: {safe(message)}")
        if hint:
            self._tell(safe(hint), indent=2)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Tell what was found, each with its code and its cure; with `--quiet` errors only."""
        for problem in problems:
            if problem.is_error or not self._quiet:
                row = f"row {problem.row}: " if problem.row is not None else ""
                found = f"{problem.severity}: {row}{safe(problem.message)} [{safe(problem.code)}]"
                self._tell(found, indent=2)
                if problem.hint:
                    self._tell(safe(problem.hint), indent=4)

    @property
    def pages(self) -> bool:
        """Whether a person reads the result on a terminal, where a list without an end helps nobody."""
        return not self._as_json and self._draws(sys.stdout)

    # -- results -----------------------------------------------------------------------------------------

    def failure(self, error: DocsendError, result: Result) -> None:
        """Show a command that failed: in words on stderr, and as JSON on stdout if asked."""
        unwritten = None
        if self._as_json:
            try:
                self.json(result.as_json())
            except LocalFailure as failure:
                unwritten = failure
        self.error(error.message, None if error.problems else error.hint)
        self.problems(problem for problem in result.problems if error.problems or not problem.is_error)
        if unwritten is not None:
            # The first failure keeps its exit code: it says what to do next.
            self.error(unwritten.message)

    def json(self, value: Any) -> None:
        stream = sys.stdout
        plain = not stream or (stream.encoding or "").lower().replace("-", "") != "utf8"
        # A lone surrogate, as in the name of a file that is not UTF-8, can only be written escaped.
        text = json.dumps(value, ensure_ascii=plain)
        # In JSON these stand in texts only, and an escape is the same character.
        text = _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        self._put(text + "\n")

    def received(self, result: Result, checked: CheckedSubmission, receipt: Receipt) -> None:
        """Show a receipt: a panel for a person, lines for a file."""
        if self._as_json:
            self.json(result.as_json())
            return
        heading = "received before" if result.is_repeated else "received"
        rows = [
            *self._receipt_rows(receipt),
            ("for", str(checked.identity) if checked.identity else "the signed-in account"),
            (
                "about",
                " / ".join(filter(None, (checked.to, checked.subject, checked.category, checked.type))),
            ),
            *([("reference", checked.reference)] if checked.reference else []),
            *self._document_rows(receipt),
        ]
        if result.is_repeated:
            self.say("this submission had been received before; no document was sent again")
        self._card(heading, rows)

    def checked(self, result: Result, catalog_limit: int | None) -> None:
        """Show what a dry run found: a line a document, then the problems."""
        if self._as_json:
            self.json(result.as_json())
            return
        submission = result.submission
        if submission is not None:
            self.findings(submission, result.problems, catalog_limit)
        self.say("checked clean; nothing was sent")

    def findings(
        self,
        submission: Submission | CheckedSubmission,
        problems: Sequence[Problem],
        limit: int | None,
    ) -> None:
        """Show each document with its format, size against the limit, digest and verdict."""
        of_limit = f" of {in_words(limit)}" if limit else ""
        rows = [
            (
                document.name,
                (document.format or "?") if isinstance(document, Document) else "-",
                "-" if document.size is None else f"{document.size:,}{of_limit}",
                document.sha256[:16] if isinstance(document, Document) else "-",
                _verdict(document, problems),
            )
            for document in submission.documents
        ]
        self.table(("document", "format", "bytes", "sha256", "verdict"), rows)

    def kept(self, entry: Kept, receipt: Receipt | None) -> None:
        """Show one submission of the ledger with all that is known of it."""
        if self._as_json:
            self.json({"schema": "docsend.receipts/1", "receipts": [shapes.kept(entry, receipt)]})
            return
        rows = [
            *(self._receipt_rows(receipt) if receipt else [("key", entry.key)]),
            ("service", entry.service),
            ("about", " / ".join(filter(None, (entry.to, entry.subject, entry.category, entry.type)))),
            *([("reference", entry.reference)] if entry.reference else []),
            *([("occurrence", str(entry.occurrence))] if entry.occurrence > 1 else []),
            *([("problem", entry.problem)] if entry.problem else []),
            ("planned", _moment(entry.planned_at)),
            ("changed", _moment(entry.changed_at)),
            *[
                (document.name, f"{document.size:,} bytes, sha256 {document.sha256}")
                for document in entry.documents
            ],
        ]
        self._card(entry.state, rows, footnote=NOT_APPROVED if receipt else None)

    def receipts(self, entries: Sequence[tuple[Kept, Receipt | None]]) -> None:
        """List what the ledger holds, the latest first."""
        if self._as_json:
            listed = [shapes.kept(entry, receipt) for entry, receipt in entries]
            self.json({"schema": "docsend.receipts/1", "receipts": listed})
            return
        if not entries:
            self.say("nothing has been sent from here yet; `docsend send FILE` does")
            return
        rows = [
            {
                "key": entry.key[:12],
                "state": entry.state,
                "receipt": receipt.number if receipt else "-",
                "time": _moment(receipt.received_at if receipt else entry.changed_at),
                "about": "/".join(filter(None, (entry.to, entry.subject, entry.type))),
                "reference": entry.reference or "-",
                "service": entry.service,
            }
            for entry, receipt in entries
        ]
        # `receipts show` has the rest.
        narrow = ("key", "state", "receipt", "time", "reference")
        is_narrow = self._draws(sys.stdout) and shutil.get_terminal_size().columns < _VERY_WIDE
        heads = narrow if is_narrow else tuple(rows[0])
        self.table(heads, [[row[head] for head in heads] for row in rows])

    def faults(self, plan: Plan) -> None:
        """Tell what is wrong with the rows of a batch, one line each; warnings only if there are few."""
        for problems in plan.faulty.values():
            for problem in problems:
                self._tell(_row_fault(problem))
        warnings = plan.warnings if self._verbose else plan.warnings[:_MOST_WARNINGS]
        if not self._quiet:
            for problem in warnings:
                self._tell(_row_fault(problem))
            if plan.warned > len(warnings):
                self._tell(f"and {plan.warned - len(warnings):,} more warnings; --verbose shows more of them")

    def checked_batch(self, plan: Plan) -> None:
        """Tell what the check of a batch came to, if nothing is sent."""
        if self._as_json:
            return
        found = f"{plan.rows:,} rows, {plan.total_bytes:,} bytes"
        if not plan.rows:
            self._put("the manifest has no rows\n")
        elif plan.faulty:
            self._put(f"{found}: {len(plan.faulty):,} faulty, {plan.good:,} good; nothing was sent\n")
            if plan.good:
                self.say("--only-valid sends the good ones")
        else:
            self._put(f"{found}: all good; nothing was sent\n")

    def row(self, outcome: Outcome, service: str | None) -> None:
        """Show one row of a batch as it ends: a line of JSON, if asked."""
        if self._as_json:
            self.json(of_row(outcome, service).as_json())

    def sent_batch(self, plan: Plan, tally: Tally) -> None:
        """Sum up a batch: the last thing that is said, and the rows that need somebody."""
        faulty = len(plan.faulty) + tally.counts["faulty"]
        numbers = {
            "received": tally.counts["received"],
            "received before": tally.counts["before"],
            "faulty": faulty,
            "refused": tally.counts["refused"],
            "unfinished": tally.counts["unfinished"],
            "not tried": tally.counts["not tried"],
        }
        for outcome in tally.failed:
            problem = next((p for p in outcome.problems if p.is_error), None)
            why = f"{problem.message} [{problem.code}]" if problem else "interrupted"
            self._tell(safe(f"row {outcome.row.number}: {outcome.status}: {why}"))
        failed = sum(tally.counts[status] for status in ("faulty", "refused", "unfinished"))
        if failed > len(tally.failed):
            self._tell(f"and {failed - len(tally.failed):,} more rows; --report FILE has them all")
        if not self._as_json:
            told = ", ".join(f"{count:,} {name}" for name, count in numbers.items() if count)
            self._put(f"{plan.rows:,} rows: {told}\n")
        if tally.worst is not None:
            hint = next((o.error.hint for o in tally.failed if o.error and o.error.code == tally.worst), None)
            self.say(hint or "see above")
        elif tally.counts["unfinished"] or tally.counts["not tried"]:
            self.say("nothing is lost: the same command again finishes the rest, and sends nothing twice")

    def template(self, text: str) -> None:
        """Print an example manifest, as a file would have it."""
        self._put(text, encoding="utf-8")

    def merged(self, lines: Iterable[str], rows: Sequence[dict[str, str]]) -> None:
        """Print a joined report, and sum it up."""
        for line in lines:
            self._put(line, encoding="utf-8")
        counts = Counter(row["status"] or "without a status" for row in rows)
        told = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
        self.say(f"{len(rows):,} rows: {told}" if rows else "the reports have no rows")

    @contextlib.contextmanager
    def checking(self) -> Iterator[Callable[[int], None]]:
        """Show how many rows are checked: on a terminal as they are, elsewhere every few seconds."""
        with self._counting("checked", None) as count:
            yield count

    @contextlib.contextmanager
    def sending(self, plan: Plan) -> Iterator[Ends]:
        """Show how many rows have ended, and how."""
        from docsend.batch import Tally  # noqa: PLC0415

        tally = Tally()
        with self._counting("sent", plan.good) as count:
            yield Ends(tally, count)

    @contextlib.contextmanager
    def _counting(self, verb: str, total: int | None) -> Iterator[Callable[..., None]]:
        if self._quiet:
            yield lambda *_: None
        elif self._draws(sys.stderr) and not self._as_json:
            from docsend.progress import rows  # noqa: PLC0415 - only a terminal pays for rich

            with rows(verb, total) as count:
                yield count
        else:
            yield _Heartbeat(self, verb, total)

    def resumed(self, ends: Sequence[Resumed]) -> None:
        """Tell what became of each submission that was to be finished."""
        if self._as_json:
            listed = [{**shapes.kept(end.entry, end.receipt), "problems": _problems(end)} for end in ends]
            self.json({"schema": "docsend.receipts/1", "receipts": listed})
        elif not ends:
            self.say("nothing is unfinished")
        else:
            rows = [
                (
                    end.entry.key[:12],
                    end.entry.state,
                    end.receipt.number if end.receipt else "-",
                    end.entry.reference or "-",
                )
                for end in ends
            ]
            self.table(("key", "state", "receipt", "reference"), rows)
        for end in ends:
            if end.error is not None:
                self.error(f"{end.entry.key[:12]}: {end.error.message}", end.error.hint)

    def catalog(self, rows: Sequence[tuple[str, Entry]], words: str) -> None:
        """List rows of the catalog, with their label in the reader's language."""
        if self._as_json:
            self.json(
                {
                    "schema": "docsend.catalog-rows/1",
                    "rows": [shapes.catalog_row(kind, row) for kind, row in rows],
                }
            )
            return
        if not rows:
            self.say(f"nothing in the catalog matches {safe(words)!r}")
            return
        self.table(
            ("kind", "code", "label", "belongs to"),
            [(kind, row.code, row.labels[self._language], _belongs(row)) for kind, row in rows],
        )

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show rows under their heads; on a terminal as wide as it is, elsewhere in plain columns."""
        cells = [[safe(cell) for cell in row] for row in rows]
        if not self._draws(sys.stdout):
            widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
            for row in [list(heads), *cells]:
                padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self._put("  ".join(padded).rstrip() + "\n")
            return
        from rich import box, table  # noqa: PLC0415 - only a terminal pays for rich

        drawn = table.Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        is_wide = shutil.get_terminal_size().columns >= _WIDE
        for head in heads:
            # What is meant to be copied stays in one piece where there is room for it.
            drawn.add_column(head, overflow="fold", no_wrap=is_wide and head in _IN_ONE_PIECE)
        for row in cells:
            drawn.add_row(*map(_as_text, row))
        self._draw(drawn)

    def required(self, asked: Sequence[RequiredDocument]) -> None:
        """List the documents that the service asks for."""
        if self._as_json:
            self.json({"schema": "docsend.required/1", "required": [shapes.required(each) for each in asked]})
            return
        if not asked:
            self.say("the service asks for no documents")
            return
        self.table(
            ("id", "subject", "title", "due", "state"),
            [(each.id, each.subject, each.titles[self._language], each.due, each.state) for each in asked],
        )

    def signed_in(self, service: str, backend: str, expires_in: float) -> None:
        """Tell that somebody has signed in; never who."""
        if self._as_json:
            self.json(shapes.sign_in(service, backend, "••••••", expires_in))
            return
        self._put(f"signed in at {safe(service)}\n")
        self.say(f"code and password are kept in {safe(backend)}; the session lasts {_duration(expires_in)}")

    def sign_in_status(
        self, service: str, where: str | None, who: str | None, expires_in: float | None
    ) -> None:
        """Tell whether somebody is signed in, where the secret is, and how long the session lasts."""
        if self._as_json:
            self.json(shapes.sign_in(service, where, who, expires_in))
        elif where is None or who is None:
            self._put(f"nobody is signed in at {safe(service)}\n")
            self.say("docsend login")
        else:
            lasts = "no session" if expires_in is None else f"{_duration(expires_in)} more"
            self._card(
                "signed in",
                [("service", service), ("who", who), ("kept in", where), ("session", lasts)],
                footnote=None,
            )

    def forgotten(self, service: str, *, was_there: bool) -> None:
        if self._as_json:
            self.json(shapes.sign_in(service, None, None, None))
            return
        done = "code, password and session are removed" if was_there else "there was nothing to forget"
        self._put(f"{done}: {safe(service)}\n")

    def address(self, address: str, folder: Path) -> None:
        """Tell where the sandbox is: the address alone on stdout, so that a script can read it."""
        if self._as_json:
            self.json({"schema": "docsend.sandbox/1", "address": address, "data": str(folder)})
        else:
            self._put(address + "\n")

    def lines(self) -> Watcher:
        """Give a watcher that only tells when something has to be tried again."""
        return _Lines(self, 0)

    @contextlib.contextmanager
    def watching(self, checked: CheckedSubmission) -> Iterator[Watcher]:
        """Watch a submission on its way: a bar on a terminal, a line a document elsewhere."""
        if self._quiet or self._as_json or not self._draws(sys.stderr):
            yield _Lines(self, len(checked.documents))
            return
        from docsend.progress import bar  # noqa: PLC0415 - only a terminal pays for rich

        with bar(checked) as watcher:
            yield watcher

    # -- how ---------------------------------------------------------------------------------------------

    def _receipt_rows(self, receipt: Receipt) -> list[tuple[str, str]]:
        branch = receipt.branch_names.get(self._language) or receipt.branch_names["en"]
        return [
            ("receipt", receipt.number),
            ("issued by", receipt.issuer),
            ("received at", _moment(receipt.received_at)),
            ("branch", f"{branch} ({receipt.branch_code})"),
            ("key", receipt.key),
        ]

    def _document_rows(self, receipt: Receipt) -> list[tuple[str, str]]:
        total = sum(document.size for document in receipt.documents)
        count = len(receipt.documents)
        return [
            ("documents", f"{count}, {total:,} bytes"),
            *[
                ("", f"{document.name}  {document.size:,} bytes  sha256 {document.sha256[:16]}")
                for document in receipt.documents
            ],
        ]

    def _card(
        self, heading: str, rows: Sequence[tuple[str, str]], *, footnote: str | None = NOT_APPROVED
    ) -> None:
        """Show one thing with its properties: a panel on a terminal, an indented list elsewhere."""
        clean = [(safe(label), safe(value)) for label, value in rows]
        if not self._draws(sys.stdout):
            width = max(len(label) for label, _ in clean)
            self._put(safe(heading) + "\n")
            for label, value in clean:
                self._put(f"  {label.ljust(width)}  {value}\n")
            if footnote:
                self.say(footnote)
            return
        from rich import console, panel, table  # noqa: PLC0415 - only a terminal pays for rich
        from rich.text import Text  # noqa: PLC0415

        grid = table.Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for label, value in clean:
            grid.add_row(_as_text(label), _as_text(value))
        title = _as_text(f" {heading} ")
        below = [Text(""), Text(footnote, style="dim italic")] if footnote else []
        self._draw(panel.Panel(console.Group(grid, *below), title=title, title_align="left"))

    def _draw(self, renderable: Any) -> None:
        import rich.console  # noqa: PLC0415 - only a terminal pays for rich

        console = rich.console.Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
        with console.capture() as drawn:
            console.print(renderable)
        self._put(drawn.get())

    @staticmethod
    def _put(text: str, *, encoding: str | None = None) -> None:
        """Put a part of the result on stdout; raise LocalFailure if the disk does not take it.

        With an encoding, those very bytes: what is redirected into a file is not for the terminal's encoding.
        """
        if (failure := _write(sys.stdout, text, encoding)) is not None:
            raise LocalFailure(
                f"the result cannot be written: {failure.strerror}",
                "look at where the output goes",
            )

    def _tell(self, text: str, *, indent: int = 0) -> None:
        """Put a line of talk on stderr, broken between words if a terminal is too narrow for it."""
        lines = [text]
        if self._draws(sys.stderr):
            width = max(shutil.get_terminal_size().columns - indent, 20)
            lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        for line in lines:
            _write(sys.stderr, f"{' ' * indent}{line}\n")

    def _draws(self, stream: IO[str] | None) -> bool:
        return stream is not None and not self._is_dumb and stream.isatty()


class Ends:
    """Counts how the rows of a batch end, and shows it."""

    def __init__(self, tally: Tally, show: Callable[..., None]) -> None:
        self.tally = tally
        self._show = show

    def ended(self, outcome: Outcome) -> None:
        self.tally.add(outcome)
        done = sum(self.tally.counts.values())
        self._show(done, done - self.tally.received)


class _Heartbeat:
    """Progress of a batch without a terminal: a plain line every few seconds, none for a short one."""

    EVERY_S = 5.0

    def __init__(self, console: Console, verb: str, total: int | None) -> None:
        self._console = console
        self._verb = verb
        self._total = total
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, failed: int = 0) -> None:
        now = time.monotonic()
        if now - self._last < self.EVERY_S:
            return
        self._last = now
        of_total = f" of {self._total:,}" if self._total is not None else ""
        rate = done / (now - self._began)
        left = f", {_duration((self._total - done) / rate)} left" if self._total and rate else ""
        not_received = f", {failed:,} not received" if failed else ""
        self._console.say(f"{self._verb} {done:,}{of_total} rows{not_received}, {rate:.0f} a second{left}")


class _Lines:
    """Progress without a terminal: a line for each document that has arrived."""

    def __init__(self, console: Console, count: int) -> None:
        self._console = console
        self._count = count
        self._arrived = 0

    def declared(self, missing_bytes: int) -> None:
        pass

    def sent(self, document: Document, sent_bytes: int) -> None:
        pass

    def arrived(self, document: Document) -> None:
        self._arrived += 1
        name = safe(document.name)
        self._console.say(f"sent {name}, {document.size:,} bytes ({self._arrived} of {self._count})")

    def waiting(self, reason: str, seconds: float) -> None:
        self._console.say(f"{safe(reason)}; trying again in {seconds:.1f} s")


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _row_fault(problem: Problem) -> str:
    """One line for one fault of a batch: row, column, what, code, cure."""
    where = f"row {problem.row}" + (f", {problem.field}" if problem.field else "")
    cure = f" ({problem.hint})" if problem.hint else ""
    return safe(f"{problem.severity}: {where}: {problem.message} [{problem.code}]{cure}")


def _problems(end: Resumed) -> list[dict[str, Any]]:
    return [] if end.error is None else [shapes.problem(problem_of(end.error))]


def _belongs(row: Entry) -> str:
    """Tell where a row has its place: subject or destinations, then category."""
    subject, category = getattr(row, "subject", None), getattr(row, "category", None)
    above = subject or " ".join(getattr(row, "to", ()))
    return " / ".join("any" if part == "*" else part for part in (above, category) if part)


def _verdict(document: Document | UnreadDocument, problems: Sequence[Problem]) -> str:
    codes = [problem.code for problem in problems if problem.path == document.path]
    return ", ".join(codes) or "good"


def _moment(rfc3339: str) -> str:
    """2026-11-23T05:00:00.123Z, as a person writes it."""
    return rfc3339[:19].replace("T", " ") + (" UTC" if rfc3339.endswith("Z") else rfc3339[19:])


def _as_text(text: str) -> Any:
    """Give text to rich as what it is, and not as markup."""
    from rich.text import Text  # noqa: PLC0415 - only a terminal pays for rich

    return Text(text)


def _write(stream: IO[str] | None, text: str, encoding: str | None = None) -> OSError | None:
    """Write, whatever the stream is: closed (`>&-`), gone (`| head`) or of an old encoding.

    Nobody reads a broken pipe any more: the work goes on, and its exit code still tells how it ended. Any
    other failure is given back.
    """
    if stream is None:
        return None
    try:
        if encoding is not None and hasattr(stream, "buffer"):
            stream.buffer.write(text.encode(encoding, "backslashreplace"))
        else:
            stream.write(text)
        stream.flush()
    except OSError as failure:
        # What did not get out must not be tried again when the process ends.
        with contextlib.suppress(OSError):
            _point_to_nowhere(stream)
        return None if isinstance(failure, BrokenPipeError) else failure
    return None


def _point_to_nowhere(stream: IO[str]) -> None:
    import os  # noqa: PLC0415

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
